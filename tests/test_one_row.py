"""One object by one statement: it ends as a flush would end."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import ForeignKey, String, delete, event, func, inspect, select
from sqlalchemy.exc import IntegrityError, PendingRollbackError
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, deferred, mapped_column, relationship, validates
from sqlalchemy.orm.exc import StaleDataError

from sqlawait import AsyncSession, Database, NotFound, ReadOnly
from sqlawait.one_row import store


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


# -- changes


class Dated(Base):
    """What an UPDATE changes by itself."""

    __tablename__ = "dated"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50), unique=True)
    touched: Mapped[int] = mapped_column(default=0, onupdate=lambda: 7)
    size: Mapped[int] = mapped_column(default=0, onupdate=func.length("12345"))


class Versioned(Base):
    __tablename__ = "versioned"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50))
    version: Mapped[int] = mapped_column()
    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012 - SQLAlchemy's way


class Animal(Base):
    __tablename__ = "animal"

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(20))
    name: Mapped[str | None] = mapped_column(String(50))
    __mapper_args__ = {"polymorphic_on": kind, "polymorphic_identity": "animal"}  # noqa: RUF012 - SQLAlchemy's way


class Dog(Animal):
    __tablename__ = "dog"

    id: Mapped[int] = mapped_column(ForeignKey(Animal.id), primary_key=True)
    trick: Mapped[str | None] = mapped_column(String(50))
    __mapper_args__ = {"polymorphic_identity": "dog"}  # noqa: RUF012 - SQLAlchemy's way


class Seat(Base):
    """A key of two columns, and one that the schema does not load."""

    __tablename__ = "seat"

    row: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    guest: Mapped[str | None] = mapped_column(String(50))


class Note(Base):
    """Nothing hangs on it."""

    __tablename__ = "note"

    id: Mapped[int] = mapped_column(primary_key=True)
    item_id: Mapped[int | None] = mapped_column(ForeignKey(Item.id))
    text: Mapped[str] = mapped_column(String(50))
    item: Mapped[Item | None] = relationship()


class Statements:
    """What is sent to an engine from now on."""

    def __init__(self, db: Database) -> None:
        self.sent: list[str] = []
        event.listen(db.engine.sync_engine, "before_cursor_execute", lambda *a: self.sent.append(a[2]))

    def words(self) -> list[str]:
        return [word for word in (statement.split()[0] for statement in self.sent) if word != "BEGIN"]


async def changed(session: AsyncSession, instance: Any, **values: Any) -> Any:
    """The same by way of a flush."""
    for name, value in values.items():
        setattr(instance, name, value)
    await session.flush()
    await session._load_generated(instance)
    return instance


async def test_a_change_ends_in_the_state_of_a_flush(db: Database) -> None:
    """The same values loaded, the same row, nothing left modified; what the database computes comes along."""
    async with db.transaction() as session:
        first, second = [await session.create(Dated, name=name) for name in ("a", "b")]
        await session.update(first, name="aa")
        await changed(session, second, name="bb")
        for dated in (first, second):
            state = inspect(dated)
            assert state.persistent
            assert not state.modified
            assert not state.unloaded
        assert (first.touched, first.size) == (second.touched, second.size) == (7, 5)
    async with db.session() as session:
        rows = [(row.name, row.touched, row.size) for row in await session.find_all(Dated)]
        assert rows == [("aa", 7, 5), ("bb", 7, 5)]


async def test_a_change_is_one_statement(db: Database) -> None:
    """UPDATE, with RETURNING where something is to be brought back; none where nothing is changed."""
    async with db.transaction() as session:
        item = await session.create(Item, name="one", number=1)
        seen = Statements(db)
        await session.update(item, name=" two ", note=None)
        assert seen.words() == ["UPDATE"]
        assert item.name == "two"
        await session.update(item, name="two")
        assert seen.words() == ["UPDATE"]
        dated = await session.create(Dated, name="d")
        seen = Statements(db)
        await session.update(dated, name="dd")
        assert seen.words() == (["UPDATE"] if db.engine.dialect.update_returning else ["UPDATE", "SELECT"])


async def test_a_change_is_undone_by_a_rollback(db: Database) -> None:
    """The object has the old value again, and so has the row."""
    async with db.transaction() as session:
        await session.create(Item, id=1, name="old", number=1)
    async with db.session() as session:
        item = await session.get_one(Item, 1)
        await session.update(item, name="new")
        await session.rollback()
        await session.refresh(item)
        assert item.name == "old"


async def test_a_change_of_a_row_that_is_gone_is_an_error(db: Database) -> None:
    """As in a flush, with or without something to bring back."""
    for model in (Dated, Note):
        async with db.transaction() as session:
            values = {"name": "a"} if model is Dated else {"text": "a"}
            instance = await session.create(model, **values)
            await session.execute(delete(model).execution_options(synchronize_session=False))
            with pytest.raises(StaleDataError, match="0 were matched"):
                await session.update(instance, **dict.fromkeys(values, "b"))
            await session.rollback()


async def test_a_refused_change_ends_the_transaction_as_a_flush_does(db: Database) -> None:
    """Nothing that came before it can be committed by mistake."""
    async with db.session() as session:
        await session.create(Dated, name="taken")
        dated = await session.create(Dated, name="mine")
        with pytest.raises(IntegrityError):
            await session.update(dated, name="taken")
        with pytest.raises(PendingRollbackError):
            await session.commit()


async def test_changes_that_need_more_go_through_a_flush(db: Database) -> None:
    """Versions count, joined tables are both written, relationships and keys follow, listeners are told."""
    told: list[str] = []

    def before_update(*_: object) -> None:
        told.append("update")

    async with db.transaction() as session:
        versioned = await session.create(Versioned, name="v")
        await session.update(versioned, name="w")
        assert versioned.version == 2
        dog = await session.create(Dog, name="d", trick="sit")
        await session.update(dog, name="e", trick="roll")
        item = await session.create(Item, name="i", number=1)
        note = await session.create(Note, text="n")
        await session.update(note, item=item)
        assert note.item_id == item.id
        await session.update(item, number=Item.number + 1)
        assert item.number == 2
        event.listen(Note, "before_update", before_update)
        try:
            await session.update(note, text="m")
        finally:
            event.remove(Note, "before_update", before_update)
        assert told == ["update"]
    async with db.session() as session:
        assert (await session.find_all(Dog))[0].trick == "roll"


# -- rows by key


async def test_a_row_is_changed_by_its_key(db: Database) -> None:
    """Without loading it first, by one statement where the database gives rows back; the object is whole."""
    async with db.transaction() as session:
        await session.create(Dated, id=1, name="a")
        await session.create(Seat, row=1, number=2)
        await session.create(Versioned, id=1, name="v")
        await session.create(Dog, id=1, name="d")
    async with db.transaction() as session:
        seen = Statements(db)
        dated = await session.update(Dated, 1, name="b", size=Dated.size + 1)
        assert seen.words() == (
            ["UPDATE"] if db.engine.dialect.update_returning else ["SELECT", "UPDATE", "SELECT"]
        )
        assert (dated.name, dated.touched, dated.size) == ("b", 7, 1)
        assert await session.get(Dated, 1) is dated
        assert (await session.update(Seat, (1, 2), guest="Ann")).guest == "Ann"
        assert (await session.update(Versioned, 1, name="w")).version == 2
        assert (await session.update(Dog, 1, trick="sit", name="e")).name == "e"
        assert (await session.update(Dated, 1, name="c")) is dated
        assert dated.name == "c"
        for model, key in ((Dated, 9), (Seat, (9, 9)), (Versioned, 9)):
            with pytest.raises(NotFound):
                await session.update(model, key, **({"guest": "x"} if model is Seat else {"name": "x"}))
        with pytest.raises(TypeError, match="no mapped attribute 'nope'"):
            await session.update(Dated, 1, nope=1)
    async with db.session() as session:
        assert [seat.guest for seat in await session.find_all(Seat)] == ["Ann"]
        assert (await session.find_all(Dated))[0].name == "c"


async def test_a_row_changed_by_its_key_is_validated(db: Database) -> None:
    """What the class does to a value that is set is done here too, and changes that wait are stored first."""
    async with db.transaction() as session:
        item = Item(id=1, name="one", number=1)
        session.add(item)
        assert (await session.update(Item, 1, name=" two ")) is item
        assert item.name == "two"
    async with db.transaction() as session:
        assert (await session.update(Item, 1, name=" three ")).name == "three"


async def test_a_row_is_deleted_by_its_key(db: Database) -> None:
    """By one statement where nothing hangs on it, and else as its object would be."""
    async with db.transaction() as session:
        item = await session.create(Item, id=1, name="one", number=1, parts=[Part()])
        await session.create(Note, id=1, text="a")
        await session.create(Note, id=2, text="b")
        await session.create(Seat, row=1, number=2)
        await session.create(Dog, id=1, name="d")
        await session.update(item.parts[0], item=await session.create(Item, id=2, name="two", number=1))
    async with db.transaction() as session:
        seen = Statements(db)
        await session.delete(Note, 1)
        assert seen.words() == ["DELETE"]
        note = await session.get_one(Note, 2)
        await session.delete(Note, 2)
        assert note not in session
        await session.delete(Seat, (1, 2))
        await session.delete(Dog, 1)
        await session.delete(Item, 1)
        for model, key in ((Note, 1), (Item, 1), (Dog, 1)):
            with pytest.raises(NotFound):
                await session.delete(model, key)
    async with db.session() as session:
        for model in (Note, Seat, Dog, Animal):
            assert await session.count(model) == 0
        assert [row.id for row in await session.find_all(Item)] == [2]


async def test_a_reader_changes_and_deletes_nothing(db: Database) -> None:
    """By key or by object."""
    async with db.transaction() as session:
        await session.create(Note, id=1, text="a")
    async with db.reader() as session:
        with pytest.raises(ReadOnly):
            await session.update(Note, 1, text="b")
        with pytest.raises(ReadOnly):
            await session.delete(Note, 1)
        with pytest.raises(ReadOnly):
            await session.update(await session.get_one(Note, 1), text="b")


def test_classes_that_need_more_are_left_to_the_flush() -> None:
    """Polymorphic classes and version counters need the unit of work, and nothing is done to the object."""

    with Session() as session:
        for instance in (Versioned(), Animal()):
            assert store(session, instance) is False
            assert inspect(instance).transient
