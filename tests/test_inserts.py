"""One new object by one statement: it ends as a flush would end."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import ForeignKey, String, event, func, inspect, select
from sqlalchemy.exc import IntegrityError, PendingRollbackError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, deferred, mapped_column, relationship, validates

from sqlawait import AsyncSession, Database, ReadOnly
from sqlawait.inserts import store


class Base(DeclarativeBase):
    pass


numbers = itertools.count(1)


class Item(Base):
    __tablename__ = "item"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50), unique=True)
    number: Mapped[int] = mapped_column(default=lambda: next(numbers))
    state: Mapped[str | None] = mapped_column("status", String(20), server_default="new")
    note: Mapped[str | None] = mapped_column(String(50))
    blob: Mapped[str | None] = deferred(mapped_column(String(50)))
    parts: Mapped[list[Part]] = relationship(back_populates="item")

    @validates("name")
    def strip(self, _: str, name: str) -> str:
        return name.strip()


class Part(Base):
    __tablename__ = "part"

    id: Mapped[int] = mapped_column(primary_key=True)
    item_id: Mapped[int] = mapped_column(ForeignKey(Item.id))
    item: Mapped[Item] = relationship(back_populates="parts")


@pytest.fixture
async def db(url: str) -> AsyncIterator[Database]:
    async with Database(url) as database:
        await database.create_all(Base.metadata)
        yield database


async def flushed(session: AsyncSession, **values: Any) -> Item:
    """The same by way of a flush."""
    item = Item(**values)
    session.add(item)
    await session.flush()
    await session._load_generated(item)
    return item


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"note": "n"},
        {"state": "old", "number": 7},
        {"state": None, "note": None},
        {"id": 90},
        {"blob": "b"},
    ],
)
async def test_it_ends_in_the_state_of_a_flush(db: Database, values: dict[str, Any]) -> None:
    """The same columns loaded with the same values, persistent, unmodified, and the same row."""
    async with db.transaction() as session:
        first = await session.create(Item, name=" one ", **{**values, "number": 5})
        values = values | ({"id": 91} if "id" in values else {})
        second = await flushed(session, name=" two ", **{**values, "number": 5})
        for item in (first, second):
            state = inspect(item)
            assert state.persistent
            assert not state.modified
        assert inspect(first).unloaded - {"blob"} == inspect(second).unloaded - {"blob"}
        assert (first.state, first.note, first.name) == (second.state, second.note, "one")
        assert await session.get(Item, first.id) is first
    async with db.session() as session:
        rows = await session.all(select(Item).order_by(Item.name))
        assert [(row.number, row.note) for row in rows] == [(5, second.note)] * 2
        assert rows[0].state == rows[1].state == first.state


async def test_a_rollback_forgets_it(db: Database) -> None:
    """After a rollback the object is no longer in the session, and neither is its row in the database."""
    async with db.session() as session:
        item = await session.create(Item, name="gone")
        await session.rollback()
        assert inspect(item).transient
        assert item not in session
        assert await session.count(Item) == 0


async def test_a_refused_row_ends_the_transaction_as_a_flush_does(db: Database) -> None:
    """What came before it in the transaction cannot be committed by mistake; after a rollback all works."""
    async with db.session() as session:
        await session.create(Item, name="once")
        with pytest.raises(IntegrityError):
            await session.create(Item, name="once")
        with pytest.raises(PendingRollbackError):
            await session.commit()
        await session.rollback()
        await session.create(Item, name="once")
        await session.commit()
        assert await session.count(Item) == 1


async def test_a_savepoint_can_be_left(db: Database) -> None:
    """A refused row inside a savepoint takes nothing with it."""
    async with db.transaction() as session:
        await session.create(Item, name="kept")
        with pytest.raises(IntegrityError):
            async with session.begin_nested():
                await session.create(Item, name="kept")
        await session.create(Item, name="also kept")
    async with db.session() as session:
        assert await session.count(Item) == 2


async def test_relationships_and_waiting_changes_go_through_a_flush(db: Database) -> None:
    """Children cascade, and what waited before is stored first."""
    async with db.transaction() as session:
        item = await session.create(Item, name="whole", parts=[Part(), Part()])
        session.add(Part(item=item))
        await session.create(Item, name="next")
        assert await session.count(Part) == 3
        assert not session.new


async def test_sql_values_are_computed_by_the_database(db: Database) -> None:
    """An expression as a value goes through a flush and is loaded."""
    async with db.transaction() as session:
        item = await session.create(Item, name="sql", note=func.lower("LOUD"))
        assert item.note == "loud"


async def test_listeners_are_told(db: Database) -> None:
    """A listener of flushes or of the class's inserts is called as ever."""
    told: list[str] = []

    def before_flush(*_: object) -> None:
        told.append("flush")

    def after_insert(*_: object) -> None:
        told.append("insert")

    event.listen(Item, "after_insert", after_insert)
    try:
        async with db.transaction() as session:
            event.listen(session.sync_session, "before_flush", before_flush)
            await session.create(Item, name="heard")
    finally:
        event.remove(Item, "after_insert", after_insert)
    assert told == ["flush", "insert"]


async def test_a_reader_refuses(db: Database) -> None:
    """A session that only reads stores nothing."""
    async with db.reader() as session:
        with pytest.raises(ReadOnly):
            await session.create(Item, name="no")


async def test_it_is_one_statement_where_the_database_gives_rows_back(db: Database) -> None:
    """INSERT … RETURNING, and nothing else."""
    statements: list[str] = []
    async with db.transaction() as session:
        await session.connection()
        engine = db.engine.sync_engine
        event.listen(engine, "before_cursor_execute", lambda *a: statements.append(a[2]))
        item = await session.create(Item, name="single")
        assert (item.state, item.note) == ("new", None)
    if db.engine.dialect.insert_returning:
        assert len(statements) == 1
        assert "RETURNING" in statements[0]


def test_classes_that_need_more_are_left_to_the_flush() -> None:
    """Polymorphic classes and version counters need the unit of work, and nothing is done to the object."""

    class Versioned(Base):
        __tablename__ = "versioned"
        id: Mapped[int] = mapped_column(primary_key=True)
        version: Mapped[int] = mapped_column()
        __mapper_args__ = {"version_id_col": version}  # noqa: RUF012 - SQLAlchemy's way

    class Animal(Base):
        __tablename__ = "animal"
        id: Mapped[int] = mapped_column(primary_key=True)
        kind: Mapped[str] = mapped_column()
        __mapper_args__ = {"polymorphic_on": kind, "polymorphic_identity": "animal"}  # noqa: RUF012 - SQLAlchemy's way

    with Session() as session:
        for instance in (Versioned(), Animal()):
            assert store(session, instance) is False
            assert inspect(instance).transient
