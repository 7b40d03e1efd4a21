"""Rows that are held while rows of what hangs on them are added, deleted or moved."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sqlawait.convert.result import Result

MODELS = """
from sqlalchemy import Column, ForeignKey, Integer, Table, delete, select
from sqlalchemy.orm import DeclarativeBase, Session, relationship


class Base(DeclarativeBase):
    pass


line_id, tag_id = Column("line_id", ForeignKey("lines.id")), Column("tag_id", ForeignKey("tags.id"))
marks = Table("marks", Base.metadata, line_id, tag_id)


class Shop(Base):
    __tablename__ = "shops"
    id = Column(Integer, primary_key=True)


class Tag(Base):
    __tablename__ = "tags"
    id = Column(Integer, primary_key=True)


class Cart(Base):
    __tablename__ = "carts"
    id = Column(Integer, primary_key=True)
    shop_id = Column(ForeignKey("shops.id"))
    shop = relationship(Shop)
    lines = relationship("Line", back_populates="cart")


class Line(Base):
    __tablename__ = "lines"
    id = Column(Integer, primary_key=True)
    cart_id = Column(ForeignKey("carts.id"))
    cart = relationship(Cart, back_populates="lines")
    tags = relationship(Tag, secondary=marks)


def add(db: Session, cart_id: int):
    db.add(Line(cart_id=cart_id))
    db.commit()


"""
REFRESH = "await db.refresh(cart, "


def converted(convert: Callable[..., Result], tmp_path: Path, body: str, head: str = MODELS) -> str:
    """A function that holds a cart, converted."""
    lines = [
        "def work(db: Session, given, cart_id: int):",
        "cart = db.get_one(Cart, cart_id)",
        *body.split("; "),
    ]
    source = head + "\n    ".join(lines) + "\n"
    return convert({"module.py": source}).changes[tmp_path / "module.py"][1].partition("async def work")[2]


@pytest.mark.parametrize(
    "body",
    [
        "db.add(Line(cart_id=cart.id)); db.commit(); return len(cart.lines)",
        "line = Line(cart_id=cart.id); db.add(line); db.flush(); return len(cart.lines)",
        "add(db, cart.id); return len(cart.lines)",
        "db.delete(db.get_one(Line, 1)); db.commit(); return len(cart.lines)",
        "db.execute(delete(Line).where(Line.cart_id == cart.id)); db.commit(); return len(cart.lines)",
        "db.query(Line).filter(Line.cart_id == cart.id).delete(); db.commit(); return len(cart.lines)",
    ],
)
def test_lines_come_and_go(body: str, convert: Callable[..., Result], tmp_path: Path) -> None:
    """A collection is loaded again where rows were added or deleted by their foreign key."""
    after = converted(convert, tmp_path, body)
    assert f'    {REFRESH}["lines"])\n    return len(cart.lines)' in after


@pytest.mark.parametrize(
    "change", ["cart.shop_id = 2", 'setattr(cart, "shop_id", 2)', "setattr(cart, given, 2)"]
)
def test_key_is_set(change: str, convert: Callable[..., Result], tmp_path: Path) -> None:
    """What a foreign key leads to is loaded again where the key was set."""
    after = converted(convert, tmp_path, f"{change}; db.commit(); return cart.shop.id")
    assert f'    {REFRESH}["shop"])\n    return cart.shop.id' in after


@pytest.mark.parametrize(
    "body",
    [
        "db.commit(); return len(cart.lines)",
        "db.add(Line(cart_id=cart.id)); return len(cart.lines)",
        "db.add(Line(cart=cart)); db.commit(); return len(cart.lines)",
        "cart.lines.append(Line()); db.commit(); return len(cart.lines)",
        "cart.lines = [Line()]; db.commit(); return len(cart.lines)",
        "db.add(Shop()); db.commit(); return len(cart.lines)",
        "number = len(cart.lines); db.add(Line(cart_id=cart.id)); db.commit(); return number",
        "cart.shop = db.get_one(Shop, 1); db.commit(); return cart.shop.id",
        'setattr(cart, "id", 2); db.commit(); return cart.shop.id',
        "line = db.get_one(Line, 1); db.add(Tag()); db.commit(); return line.tags",
    ],
)
def test_nothing_has_changed(body: str, convert: Callable[..., Result], tmp_path: Path) -> None:
    """Nothing is loaded again where nothing was written, or what was is seen by who holds the row."""
    after = converted(convert, tmp_path, body)
    assert "selectinload(" in after
    assert ".refresh(" not in after


def test_refreshed_by_the_code(convert: Callable[..., Result], tmp_path: Path) -> None:
    """A row that the code refreshes itself, with all it had loaded, is not refreshed twice."""
    body = "db.add(Line(cart_id=cart.id)); db.commit(); db.refresh(cart); return len(cart.lines)"
    after = converted(convert, tmp_path, body)
    assert after.count(".refresh(") == 1


def test_once(convert: Callable[..., Result], tmp_path: Path) -> None:
    """What is read twice is refreshed once, until it is written again."""
    once = "add(db, 1); print(cart.lines); print(cart.lines)"
    assert converted(convert, tmp_path, once).count(".refresh(") == 1
    assert converted(convert, tmp_path, f"{once}; add(db, 1); print(cart.lines)").count(".refresh(") == 2


def test_returned(convert: Callable[..., Result], tmp_path: Path) -> None:
    """A row that is returned has its collections anew, those behind others too: who reads them is not known."""
    head = (
        MODELS + "def anything(db: Session, given):\n    db.commit()\n    return given.lines, given.tags\n\n\n"
    )
    after = converted(convert, tmp_path, "add(db, cart.id); return cart, None", head)
    assert f'    {REFRESH}["lines"])\n    return cart, None' in after
    body = "shop = db.get(Shop, 1); add(db, cart.id); return shop"
    nested = head.replace(
        '    __tablename__ = "shops"\n', '    __tablename__ = "shops"\n    carts = relationship("Cart")\n'
    )
    after = converted(convert, tmp_path, body, nested.replace("given.tags", "given.carts"))
    assert (
        "    if shop is not None:\n"
        '        await db.refresh(shop, ["carts"])\n'
        "        for each_carts in shop.carts:\n"
        '            await db.refresh(each_carts, ["lines"])\n'
        "    return shop"
    ) in after


def test_a_row_named_like_a_collection(convert: Callable[..., Result], tmp_path: Path) -> None:
    """A relationship to one row is not walked through where another model has a collection of that name."""
    body = "shop = db.get(Shop, 1); add(db, cart.id); return shop"
    head = (
        MODELS + "def anything(db: Session, given):\n    db.commit()\n    return given.lines, given.cart\n\n\n"
    )
    shop = '    __tablename__ = "shops"\n'
    tag = '    __tablename__ = "tags"\n'
    one = '    cart = relationship("Cart", foreign_keys=[cart_id])\n'
    several = '    cart: Mapped[list[Cart]] = relationship("Cart", secondary="other")\n'
    named = head.replace(shop, f'{shop}    cart_id = Column(ForeignKey("carts.id"))\n{one}')
    named = named.replace(tag, tag + several)
    after = converted(convert, tmp_path, body, named)
    assert (
        '        await db.refresh(shop, ["cart"])\n'
        "        if shop.cart is not None:\n"
        '            await db.refresh(shop.cart, ["lines"])\n'
    ) in after
