"""``session.query(…)`` becomes ``select(…)``: the tables in docs/convert.md, and what is refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from sqlawait.convert.conversion import Conversion, Phase
from sqlawait.convert.result import Result

DOCS = Path(__file__).parents[2] / "docs" / "convert.md"
HEAD = """
from sqlalchemy import String, ForeignKey, delete, func, select, update
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


def lines_of_tables(columns: int, *sections: str) -> list[tuple[str, ...]]:
    """The lines of the documentation's tables that have so many columns of code."""
    text = DOCS.read_text(encoding="utf-8")
    parts = [part for part in text.split("\n### ") if part.startswith(sections)]
    row = re.compile(r"^\|" + r" `([^`]+)` \|" * columns + "$", re.MULTILINE)
    rows = [line for part in parts for line in row.findall(part.partition("\n## ")[0])]
    assert len(rows) > 9
    return rows


def written(line: str, convert: Callable[..., Conversion], phase: Phase = "tests") -> str:
    """What a line in a function becomes."""
    source = f"{HEAD}\n\ndef function(db: Session, user: User, user_id: int):\n    {line}\n"
    result = convert({"module.py": source}).run(phase)
    assert result.todos == []
    module = next((after for _, after in result.changes.values()), source)
    return module.split("user_id: int):\n    ")[1].rstrip("\n")


@pytest.mark.parametrize(("legacy", "modern", "awaited"), lines_of_tables(3, "Reading", "Writing"))
def test_tables(legacy: str, modern: str, awaited: str, conversion: Callable[..., Conversion]) -> None:
    """Each line of the documentation's tables is what the command does, and all its ways lead to the same."""
    assert written(legacy, conversion, "queries") == modern
    assert written(legacy, conversion) == awaited
    assert written(modern, conversion) == awaited


@pytest.mark.parametrize(("before", "after"), lines_of_tables(2, "Sessions"))
def test_modern(before: str, after: str, conversion: Callable[..., Conversion]) -> None:
    """Statements that are 2.0 already are awaited."""
    assert written(before, conversion) == after


SESSIONS = """from collections.abc import Iterator

from fastapi import Depends
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Session, sessionmaker

engine = create_engine("sqlite://")
SessionLocal = sessionmaker(engine)


class Base(DeclarativeBase):
    pass


def get_db():
    with SessionLocal() as session:
        yield session


async def route(db: Session = Depends(get_db)):
    connection = db.connection()
"""


@pytest.mark.parametrize(("before", "after"), lines_of_tables(2, "Engine"))
def test_engine_and_session(before: str, after: str, convert: Callable[..., Result], tmp_path: Path) -> None:
    """Each line that makes or enters an engine or a session."""
    name = before.partition(" ")[0]
    if before.startswith("def "):
        source = SESSIONS.replace("def get_db():", before)
    elif name in ("engine", "SessionLocal"):
        source = re.sub(rf"^{name} = .*$", before, SESSIONS, flags=re.MULTILINE)
    else:
        source = f"{SESSIONS}    {before}\n{'        ' if before.endswith(':') else '    '}print(db)\n"
    result = convert({"module.py": source})
    assert result.todos == []
    assert after in [line.strip() for line in result.changes[tmp_path / "module.py"][1].splitlines()]


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


@pytest.mark.parametrize("groupby", ["groupby", "itertools.groupby"])
def test_grouped(groupby: str, conversion: Callable[..., Conversion]) -> None:
    """``groupby`` walks through the query that it is given."""
    line = f"return {groupby}(db.query(User.name).order_by(User.name), key=len)"
    assert written(line, conversion) == (
        f"return {groupby}(await db.execute(select(User.name).order_by(User.name)), key=len)"
    )
