"""Models that lead back to each other, where a mapper stops loading."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sqlawait.convert.result import Result

MODELS = """
from sqlalchemy import Column, ForeignKey, Integer, select
from sqlalchemy.orm import DeclarativeBase, Session, relationship, sessionmaker


class Base(DeclarativeBase):
    pass


class Cart(Base):
    __tablename__ = "carts"
    id = Column(Integer, primary_key=True)
    lines = relationship("Line", back_populates="cart"LAZY)


class Tax(Base):
    __tablename__ = "taxes"
    id = Column(Integer, primary_key=True)
    line_id = Column(ForeignKey("lines.id"))


class Line(Base):
    __tablename__ = "lines"
    id = Column(Integer, primary_key=True)
    cart_id = Column(ForeignKey("carts.id"))
    cart = relationship(Cart, back_populates="lines")
    taxes = relationship(Tax)


"""
ANYTHING = "def anything(db: Session, given):\n    db.commit()\n    return given.cart\n\n\n"
AGAIN = 'execution_options={"populate_existing": True}'


def converted(convert: Callable[..., Result], tmp_path: Path, source: str) -> str:
    """A file after its conversion."""
    return convert({"module.py": source}).changes[tmp_path / "module.py"][1]


@pytest.mark.parametrize("lazy", ["selectin", "joined"])
def test_way_back(lazy: str, convert: Callable[..., Result], tmp_path: Path) -> None:
    """An eager collection is loaded too where its owner comes with one of the items."""
    after = converted(convert, tmp_path, MODELS.replace("LAZY", f', lazy="{lazy}"') + ANYTHING)
    assert 'relationship(Cart, back_populates="lines", lazy="selectin")' in after
    assert f'relationship("Line", back_populates="cart", lazy="{lazy}", join_depth=10)' in after


@pytest.mark.parametrize("lazy", ["", ', lazy="selectin", join_depth=3'])
def test_way_back_that_is_told(lazy: str, convert: Callable[..., Result], tmp_path: Path) -> None:
    """A collection that was not eager, or says how far it goes, stays as it is."""
    after = converted(convert, tmp_path, MODELS.replace("LAZY", lazy) + ANYTHING)
    assert f'relationship("Line", back_populates="cart"{lazy})' in after


def test_held(convert: Callable[..., Result], tmp_path: Path) -> None:
    """What a row that is held has loaded is not forgotten by reading what leads back to it."""
    head = MODELS.replace("LAZY", "") + ANYTHING
    body = """def work(db: Session, cart_id: int):
    db.commit()
    cart = db.get_one(Cart, cart_id)
    lines = db.scalars(select(Line)).all()
    return lines, CART
"""
    held = converted(convert, tmp_path, head + body.replace("CART", "cart.lines"))
    assert "options=[selectinload(Cart.lines)]" in held
    assert "(await db.scalars(select(Line))).all()" in held
    after = converted(
        convert, tmp_path, head.replace("given.cart", "given.cart, given.taxes") + body.replace("CART", "0")
    )
    assert f"(await db.scalars(select(Line), {AGAIN})).all()" in after


@pytest.mark.parametrize(
    "give", ["cart.lines = lines", "cart.lines.extend(lines)", "cart.lines.append(lines[0])"]
)
def test_given_rows(give: str, convert: Callable[..., Result], tmp_path: Path) -> None:
    """Rows that are given to a collection have loaded what is read of its items."""
    body = f"""def work(db: Session, cart_id: int):
    cart = db.get_one(Cart, cart_id)
    lines = db.scalars(select(Line)).all()
    {give}
    db.commit()
    return [line.taxes for line in cart.lines]
"""
    after = converted(convert, tmp_path, MODELS.replace("LAZY", "") + body)
    assert "selectinload(Cart.lines).selectinload(Line.taxes)" in after
    assert "select(Line).options(selectinload(Line.taxes))" in after
