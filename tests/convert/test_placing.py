"""Where what is loaded on access is loaded from now on, told by the code alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sqlawait.convert.result import Result

MODELS = """
from sqlalchemy import Column, ForeignKey, Integer, select
from sqlalchemy.orm import DeclarativeBase, Session, relationship


class Base(DeclarativeBase):
    pass


class Cart(Base):
    __tablename__ = "carts"
    id = Column(Integer, primary_key=True)
    owner_id = Column(ForeignKey("owners.id"))
    lines = relationship("Line", back_populates="cart")
    label = relationship("Label", uselist=False)
    owner = relationship("Owner")


class Line(Base):
    __tablename__ = "lines"
    id = Column(Integer, primary_key=True)
    cart_id = Column(ForeignKey("carts.id"))
    cart = relationship("Cart", back_populates="lines")


class Label(Base):
    __tablename__ = "labels"
    id = Column(Integer, primary_key=True)
    cart_id = Column(ForeignKey("carts.id"))


class Owner(Base):
    __tablename__ = "owners"
    id = Column(Integer, primary_key=True)

"""


@pytest.fixture
def converted(convert: Callable[..., Result], tmp_path: Path) -> Callable[[str], str]:
    """The functions of a module behind the models, converted."""

    def run(source: str) -> str:
        return convert({"module.py": MODELS + source}).changes[tmp_path / "module.py"][1]

    return run


@pytest.mark.parametrize("name", ["lines", "label"])
def test_set_of_a_loaded_row(converted: Callable[[str], str], name: str) -> None:
    """A new value for what other tables point from needs the old one: it comes with the statement."""
    found = converted(
        f"\ndef change(db: Session, new):\n    cart = db.get(Cart, 1)\n    cart.{name} = new\n    db.commit()\n"
    )
    assert f"cart = await db.get(Cart, 1, options=[selectinload(Cart.{name})])" in found
    assert 'lazy="selectin"' not in found


def test_set_of_what_the_row_points_to(converted: Callable[[str], str]) -> None:
    """What the row itself points to is replaced without a look at what it was."""
    found = converted(
        "\ndef change(db: Session, new):\n    cart = db.get(Cart, 1)\n    cart.owner = new\n    db.commit()\n"
    )
    assert "cart = await db.get(Cart, 1)\n" in found
    assert "selectin" not in found


def test_set_of_a_new_row(converted: Callable[[str], str]) -> None:
    """Before a new row is written there is nothing to load; afterwards it is refreshed."""
    found = converted(
        "\ndef make(db: Session, new):\n    cart = Cart()\n    cart.lines = new\n    db.add(cart)\n"
        "    db.commit()\n"
        "\n\ndef late(db: Session, new):\n    cart = Cart()\n    db.add(cart)\n    db.commit()\n"
        "    cart.lines = new\n    db.commit()\n"
    )
    assert "selectin" not in found
    assert found.count("refresh(") == 1
    assert '    await db.refresh(cart, ["lines"])\n    cart.lines = new\n    await db.commit()\n' in found


def test_way_back(converted: Callable[[str], str]) -> None:
    """A mapper stops where its loading comes back to a model: the statement has to say the rest."""
    found = converted(
        "\ndef siblings(db: Session):\n    line = db.scalars(select(Line)).first()\n"
        "    return len(line.cart.lines)\n\n\ndef anything(db: Session, given):\n    db.commit()\n"
        "    return given.lines, given.cart\n"
    )
    assert 'relationship("Line", back_populates="cart", lazy="selectin")' in found
    assert "select(Line).options(selectinload(Line.cart).selectinload(Cart.lines))" in found


def test_way_back_after_a_write(converted: Callable[[str], str]) -> None:
    """What comes back to the rows that it began with does not replace them: they would lose what they hold."""
    found = converted(
        "\ndef siblings(db: Session):\n    db.add(Line(cart_id=1))\n    db.commit()\n"
        "    line = db.scalars(select(Line)).first()\n    return len(line.cart.lines)\n"
    )
    assert "select(Line).options(selectinload(Line.cart).selectinload(Cart.lines))" in found
    assert "populate_existing" not in found
