"""``session.query(…)`` becomes ``select(…)``: the tables in docs/convert.md, and what is refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from sqlawait.convert.conversion import Result

DOCS = Path(__file__).parents[2] / "docs" / "convert.md"
HEAD = """
from sqlalchemy import String, ForeignKey, func
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, joinedload, mapped_column, relationship

class Base(DeclarativeBase):
    pass

class User(Base):
    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    items: Mapped[list["Item"]] = relationship(lazy="selectin")

class Item(Base):
    __tablename__ = "items"
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
"""


def lines_of_tables() -> list[tuple[str, str]]:
    """The pairs of code in the documentation's tables."""
    rows = re.findall(r"^\| `([^`]+)` \| `([^`]+)` \|$", DOCS.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(rows) > 30
    return rows


@pytest.mark.parametrize(("before", "after"), lines_of_tables())
def test_tables(before: str, after: str, convert: Callable[..., Result], tmp_path: Path) -> None:
    """Each line of the documentation's tables is what the command does."""
    source = f"{HEAD}\n\ndef function(db: Session, user: User, user_id: int):\n    {before}\n"
    result = convert({"module.py": source})
    assert result.todos == []
    found = result.changes[tmp_path / "module.py"][1]
    assert found.split("user_id: int):\n    ")[1].rstrip("\n") == after


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("return db.query(User).paginate(1)", "SAW901"),
        ("return db.query(User).join('items').all()", "SAW901"),
        ("return db.query(User).order_by(User.id).delete()", "SAW901"),
        ("return db.query(user_id).union(db.query(user_id)).all()", "SAW902"),
        ("return db.query(User)[-1]", "SAW901"),
        ("return user_id(lambda: db.query(User).count())", "SAW904"),
    ],
)
def test_refused(line: str, code: str, convert: Callable[..., Result], tmp_path: Path) -> None:
    """What has no counterpart is left as it was, under a comment that says why."""
    result = convert({"module.py": f"{HEAD}\n\ndef function(db: Session, user_id):\n    {line}\n"})
    assert [todo.code for todo in result.todos] == [code]
    found = result.changes[tmp_path / "module.py"][1]
    assert f"    # TODO(sqlawait {code}): {result.todos[0].reason}\n    {line}\n" in found


def test_stored_and_refined(check_transformed: Callable[..., None]) -> None:
    """A query that is stored, refined in branches and run later is one statement all along."""
    check_transformed(
        """
        from sqlalchemy.orm import Session
        from somewhere import User


        def find(db: Session, name: str | None):
            query = db.query(User)
            if name:
                query = query.filter(User.name == name)  # by name
            return query.all()
        """,
        """
        from sqlalchemy import select
        from sqlalchemy.ext.asyncio import AsyncSession
        from somewhere import User


        async def find(db: AsyncSession, name: str | None):
            query = select(User)
            if name:
                query = query.where(User.name == name)  # by name
            return (await db.scalars(query)).all()
        """,
    )
