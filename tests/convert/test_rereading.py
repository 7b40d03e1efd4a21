"""Objects that are selected again after rows were added to what is loaded with them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sqlawait.convert.result import Result

SOURCE = """
from sqlalchemy import Column, ForeignKey, Integer, select
from sqlalchemy.orm import DeclarativeBase, Session, relationship


class Base(DeclarativeBase):
    pass


class Cart(Base):
    __tablename__ = "carts"
    id = Column(Integer, primary_key=True)
    lines = relationship("Line")


class Line(Base):
    __tablename__ = "lines"
    id = Column(Integer, primary_key=True)
    cart_id = Column(ForeignKey("carts.id"))


def read(db: Session, cart_id: int):
    cart = db.scalars(select(Cart).where(Cart.id == cart_id)).one()
    return len(cart.lines)


def only_read(db: Session, cart_id: int):
    return db.get(Cart, cart_id).lines


def add(db: Session, cart_id: int):
    before = db.get(Cart, cart_id)
    db.add(Line(cart_id=before.id))
    db.commit()
    return read(db, cart_id), db.get(Cart, cart_id)
"""

ANYWHERE = """

def anything(db: Session, given):
    db.commit()
    return given.lines
"""
"""Reads the relationship of what is not known: it is loaded with every owner."""


def test_after_a_write(convert: Callable[..., Result], tmp_path: Path) -> None:
    """What may be read after a write replaces what the session holds; an earlier read does not."""
    found = convert({"module.py": SOURCE + ANYWHERE}).changes[tmp_path / "module.py"][1]
    again = 'execution_options={"populate_existing": True}'
    assert f"(await db.scalars(select(Cart).where(Cart.id == cart_id), {again})).one()" in found
    assert "return (await db.get(Cart, cart_id)).lines" in found
    assert "before = await db.get(Cart, cart_id)\n" in found
    assert "return await read(db, cart_id), await db.get(Cart, cart_id, populate_existing=True)" in found


def test_loaded_with_a_statement(convert: Callable[..., Result], tmp_path: Path) -> None:
    """What a statement loads along is what it was, too, until it is read anew."""
    found = convert({"module.py": SOURCE}).changes[tmp_path / "module.py"][1]
    again = 'options(selectinload(Cart.lines)), execution_options={"populate_existing": True})'
    assert f"(await db.scalars(select(Cart).where(Cart.id == cart_id).{again}).one()" in found
    assert "return (await db.get(Cart, cart_id, options=[selectinload(Cart.lines)])).lines" in found


def test_without_autoflush(convert: Callable[..., Result], tmp_path: Path) -> None:
    """Where a session does not flush before it reads, nothing replaces what is not flushed yet."""
    source = SOURCE + "\n\ndef make(engine):\n    return Session(engine, autoflush=False)\n"
    found = convert({"module.py": source}).changes[tmp_path / "module.py"][1]
    assert "populate_existing" not in found


def test_new_row_whose_commit_may_fail(convert: Callable[..., Result], tmp_path: Path) -> None:
    """A new row is refreshed where its commit went well, though its name is None where it did not."""
    source = (
        SOURCE
        + ANYWHERE
        + (
            "\n\ndef create(db: Session):\n    cart = Cart(id=1)\n    db.add(cart)\n"
            "    try:\n        db.commit()\n"
            "    except Exception:\n        cart = None\n    return cart\n"
        )
    )
    found = convert({"module.py": source}).changes[tmp_path / "module.py"][1]
    assert "        await db.commit()\n        await db.refresh(cart)\n    except Exception:" in found
