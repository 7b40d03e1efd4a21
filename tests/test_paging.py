"""Pages on the three databases: every row exactly once, in order, both ways; cursors that cannot be abused."""

from __future__ import annotations

import enum
import math
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from random import Random
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel
from sqlalchemy import (
    JSON,
    Date,
    DateTime,
    Float,
    ForeignKey,
    LargeBinary,
    Numeric,
    Select,
    String,
    Time,
    TypeDecorator,
    Uuid,
    func,
    insert,
    select,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, aliased, joinedload, mapped_column, relationship

from sqlawait.cursors import MAX_LENGTH
from sqlawait.database import Database
from sqlawait.exceptions import ConfigurationError, InvalidCursor, InvalidRequest
from sqlawait.paging import MAX_OFFSET, OffsetPage, Page, keyset, offset
from sqlawait.session import AsyncSession

NAMES = ["", "a", "A", "ä", "Zoë", "zz", "名前", "🙂", "a b", "a_b", "%", "'", '"', "\\", "e\u0301", "é"]


class Colour(enum.Enum):
    """Declared out of alphabetical order, which is how PostgreSQL sorts it."""

    RED = "r"
    BLUE = "b"
    GREEN = "g"


class Shouted(TypeDecorator[str]):
    """What Python makes of a value does not lead back to the one that is stored."""

    impl = String(50)
    cache_ok = True

    def process_result_value(self, value: str | None, dialect: Any) -> str | None:
        return None if value is None else f"{value.upper()}!"


class Base(DeclarativeBase):
    pass


class Thing(Base):
    """One column of each type that people sort by; most can be NULL and all have ties."""

    __tablename__ = "things"

    id: Mapped[int] = mapped_column(primary_key=True)
    number: Mapped[int | None]
    rank: Mapped[int]
    name: Mapped[str | None] = mapped_column(String(50))
    title: Mapped[str] = mapped_column(String(50))
    loud: Mapped[str | None] = mapped_column(Shouted)
    price: Mapped[Decimal | None] = mapped_column(Numeric(12, 4))
    weight: Mapped[float | None] = mapped_column(Float)
    flag: Mapped[bool | None]
    colour: Mapped[Colour | None]
    made: Mapped[datetime | None] = mapped_column(DateTime)
    seen: Mapped[datetime | None] = mapped_column(DateTime(timezone=True))
    day: Mapped[date | None] = mapped_column(Date)
    hour: Mapped[time | None] = mapped_column(Time)
    took: Mapped[timedelta | None]
    key: Mapped[UUID | None] = mapped_column(Uuid)
    blob: Mapped[bytes | None] = mapped_column(LargeBinary(20))
    parts: Mapped[list[Part]] = relationship(order_by="Part.id")


class Part(Base):
    """With a key of two columns, and no order of its own."""

    __tablename__ = "parts"

    thing_id: Mapped[int] = mapped_column(ForeignKey("things.id"), primary_key=True)
    id: Mapped[int] = mapped_column(primary_key=True)
    label: Mapped[str | None] = mapped_column(String(20))
    extra: Mapped[Any] = mapped_column(JSON)


COLUMNS = [column.key for column in Thing.__table__.columns]


def things(count: int = 60) -> list[dict[str, Any]]:
    """The same rows at each run: many ties, one in five values NULL."""
    random = Random(7)

    def maybe(value: Any) -> Any:
        return None if random.random() < 0.2 else value

    when = datetime(2024, 2, 29, 12)  # noqa: DTZ001 - the column has no zone
    return [
        {
            "id": number,
            "number": maybe(random.randint(-3, 3)),
            "rank": random.randint(0, 3),
            "name": maybe(random.choice(NAMES)),
            "title": random.choice(NAMES),
            "loud": ("a", "b", "B", None)[number % 4],
            "price": maybe((Decimal(random.randint(-30, 30)) / 7).quantize(Decimal("0.0001"))),
            "weight": maybe(random.choice([0.1, 0.2, 0.1 + 0.2, 1e-7, 123456.789, -1.5])),
            "flag": maybe(random.random() < 0.5),
            "colour": maybe(random.choice(list(Colour))),
            "made": maybe(when + timedelta(seconds=random.randint(0, 5))),
            "seen": maybe((when + timedelta(seconds=random.randint(0, 5))).replace(tzinfo=UTC)),
            "day": maybe(when.date() + timedelta(days=random.randint(0, 5))),
            "hour": maybe(time(random.randint(0, 5))),
            "took": maybe(timedelta(seconds=random.randint(0, 5))),
            "key": maybe(UUID(int=random.randint(0, 5) << 100)),
            "blob": maybe(bytes([random.randint(0, 255), 0, 255])),
        }
        for number in range(1, count + 1)
    ]


@pytest.fixture
async def session(url: str) -> AsyncIterator[AsyncSession]:
    """A session on a database that holds the things."""
    async with Database(url, pool_size=1) as db:
        await db.create_all(Base.metadata)
        async with db.transaction() as writer:
            await writer.execute(insert(Thing), things())
            parts = [{"thing_id": n % 20 + 1, "id": n, "label": f"p{n}", "extra": {"n": n}} for n in range(50)]
            await writer.execute(insert(Part), parts)
        async with db.session() as session:
            yield session


def dialect(session: AsyncSession) -> str:
    return session.get_bind().dialect.name


async def walk(session: AsyncSession, statement: Select[Any], limit: int) -> list[Any]:
    """Every item, by ``next`` to the end; on the way back, ``previous`` must give the same pages."""
    forward: list[list[Any]] = []
    current = await session.page(statement, limit=limit)
    assert current.previous is None
    while True:
        assert len(current.items) <= limit
        forward.append(current.items)
        if current.next is None:
            break
        assert len(current.items) == limit
        current = await session.page(statement, limit=limit, cursor=current.next)
    backward = [current.items]
    while current.previous is not None:
        current = await session.page(statement, limit=limit, cursor=current.previous)
        backward.append(current.items)
    backward.reverse()
    # pages are cut from the end on the way back: the rows are the same, the cuts may differ
    flat = [item for items in forward for item in items]
    assert [item for items in backward for item in items] == flat
    return flat


orders = st.lists(
    st.tuples(st.sampled_from(COLUMNS), st.booleans(), st.sampled_from([None, "first", "last"])),
    max_size=3,
    unique_by=lambda term: term[0],
)


@given(order=orders, limit=st.integers(1, 70))
@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
async def test_walk_visits_every_row_once_in_order(
    session: AsyncSession, order: list[tuple[str, bool, str | None]], limit: int
) -> None:
    """Any order, any mix of directions and NULL placements, any page size, forward and back."""
    terms = []
    for name, descending, nulls in order:
        term = getattr(Thing, name)
        term = term.desc() if descending else term.asc()
        terms.append({None: term, "first": term.nulls_first(), "last": term.nulls_last()}[nulls])
    seen = await walk(session, select(Thing.id).order_by(*terms), limit)

    if dialect(session) == "mysql":  # has no NULLS FIRST to compare with: say the same in its own words
        plain: list[Any] = []
        for name, descending, nulls in order:
            column = getattr(Thing, name)
            if nulls is not None:
                plain.append(column.is_(None).desc() if nulls == "first" else column.is_(None).asc())
            plain.append(column.desc() if descending else column.asc())
    else:
        plain = terms
    tie = Thing.id.desc() if order and order[-1][1] else Thing.id.asc()
    assert seen == list(await session.scalars(select(Thing.id).order_by(*plain, tie)))


async def test_walk_by_each_type(session: AsyncSession) -> None:
    """Each type of column survives the way through a cursor: small pages make it cross every pair of rows."""
    for name in COLUMNS:
        for column in (getattr(Thing, name).asc(), getattr(Thing, name).desc()):
            seen = await walk(session, select(Thing.id).order_by(column), 2)
            assert sorted(seen) == [row["id"] for row in things()], name


async def test_pages_hold_what_was_selected(session: AsyncSession) -> None:
    """An entity is an item, several columns are a named tuple, and the sort values do not show."""
    entities = await session.page(select(Thing).order_by(Thing.rank.desc()), limit=3)
    assert all(isinstance(item, Thing) for item in entities.items)
    columns = await session.page(select(Thing.id, Thing.title.label("heading")).order_by(Thing.title), limit=3)
    first, *_ = columns.items
    assert (first.id, first.heading) == tuple(first)


async def test_eager_collections_do_not_change_the_pages(session: AsyncSession) -> None:
    """joinedload multiplies rows; a page still holds ``limit`` entities with whole collections."""
    seen = await walk(session, select(Thing).options(joinedload(Thing.parts)).order_by(Thing.rank), 7)
    assert len(seen) == len(set(seen)) == 60
    assert sum(len(thing.parts) for thing in seen) == 50


async def test_joins_aliases_and_composite_keys(session: AsyncSession) -> None:
    """All selected entities' keys break ties, aliased ones too; an outer join makes every column nullable."""
    other = aliased(Part)
    pairs = select(Thing.id, other.id).join(other, Thing.parts.of_type(other)).order_by(Thing.rank)
    assert len(set(await walk(session, pairs, 4))) == 50
    outer = select(Thing.id, Part.id).outerjoin(Part).order_by(Part.label.desc(), Thing.rank)
    assert len(set(await walk(session, outer, 4))) == 90  # 50 pairs, 40 things without parts


async def test_tables_subqueries_and_expressions(session: AsyncSession) -> None:
    """A Core table, a grouped subquery with a key, and an expression can all be paged by."""
    table = Thing.__table__
    assert len(await walk(session, select(table.c.id).order_by(table.c.name), 9)) == 60
    lowered = select(Thing.id).order_by(func.lower(Thing.name).label("lowered").desc())
    assert len(set(await walk(session, lowered, 9))) == 60
    sizes = select(Part.thing_id, func.count().label("n")).group_by(Part.thing_id).subquery()
    grouped = select(Thing.id, sizes.c.n).join(sizes, sizes.c.thing_id == Thing.id).order_by(sizes.c.n)
    with pytest.raises(ConfigurationError, match="primary key"):
        keyset(select(func.count()), dialect="sqlite", limit=1)
    assert len(set(await walk(session, grouped, 3))) == 20


async def test_page_is_stable_while_rows_come_and_go(session: AsyncSession) -> None:
    """A row added or deleted before the place moves nothing; offset pages would skip or repeat."""
    statement = select(Thing.id).order_by(Thing.id)
    first = await session.page(statement, limit=10)
    await session.execute(text("DELETE FROM parts"))
    await session.execute(text("DELETE FROM things WHERE id <= 5"))
    second = await session.page(statement, limit=10, cursor=first.next)
    assert second.items == list(range(11, 21))
    back = await session.page(statement, limit=10, cursor=second.previous)
    assert back.items == [6, 7, 8, 9, 10]


async def test_empty_page_leads_back(session: AsyncSession) -> None:
    """When every row after the place is gone, ``previous`` still gives the whole last page."""
    statement = select(Thing.id).order_by(Thing.id)
    first = await session.page(statement, limit=10)
    await session.execute(text("DELETE FROM parts"))
    await session.execute(text("DELETE FROM things WHERE id > 10"))
    second = await session.page(statement, limit=10, cursor=first.next)
    assert (second.items, second.next) == ([], None)
    assert (await session.page(statement, limit=10, cursor=second.previous)).items == first.items


async def test_offset_pages(session: AsyncSession) -> None:
    """Offset pages follow each other in a stable order, count the total, and say whether more follow."""
    statement = select(Thing.id).order_by(Thing.rank)
    seen: list[int] = []
    while True:
        result = await session.offset_page(statement, limit=25, offset=len(seen), total=True)
        seen += result.items
        assert (result.total, result.limit) == (60, 25)
        if not result.more:
            break
    assert sorted(seen) == list(range(1, 61))


async def test_forged_values_are_refused_or_harmless(session: AsyncSession) -> None:
    """Whoever knows the format can make up a cursor: it is a place like any other, or an InvalidCursor."""
    from sqlawait.cursors import Cursor, encode

    values: list[Any] = [
        None,
        "x",
        "\0",
        2**63,
        -1,
        True,
        1.5,
        math.nan,
        math.inf,
        Decimal("1e200000"),
        b"\xff",
    ]
    values += [
        date(1, 1, 1),
        datetime(9999, 12, 31),  # noqa: DTZ001 - the column has no zone
        time(1),
        timedelta.max,
        UUID(int=0),
        Colour.RED,
        Decimal("NaN"),
    ]
    for name in ("id", "name", "price", "made", "colour", "key", "flag"):
        statement = select(Thing.id).order_by(getattr(Thing, name), Thing.id)
        query = keyset(statement, dialect=dialect(session), limit=3)
        for value in values:
            forged = encode(Cursor((value, 1)[: len(query.keys)]), query.place)
            try:
                await session.page(statement, limit=3, cursor=forged)
            except InvalidCursor:
                continue


# Without a database


def ids(**options: Any) -> Any:
    return keyset(select(Thing).order_by(Thing.name), dialect="sqlite", limit=2, **options)


def cursor_of(query: Any) -> str:
    made = query.page([("first", "a", 1), ("second", "b", 2), ("third", "c", 3)])
    assert made.next is not None
    return str(made.next)


@given(position=st.integers(0, 10_000), replacement=st.text(min_size=0, max_size=3))
@settings(deadline=None)
def test_changed_cursor_is_refused(position: int, replacement: str) -> None:
    """A cursor with anything cut, added or replaced is an InvalidCursor."""
    cursor = cursor_of(ids())
    position %= len(cursor)
    changed = cursor[:position] + replacement + cursor[position + 1 :]
    if changed == cursor:
        assert ids(cursor=changed).cursor is not None
    else:
        with pytest.raises(InvalidCursor):
            ids(cursor=changed)


@given(st.text() | st.binary().map(lambda data: data.decode("latin-1")))
def test_any_text_is_a_cursor_or_refused(text: str) -> None:
    """Garbage is an InvalidCursor, whatever it is made of."""
    with pytest.raises(InvalidCursor):
        ids(cursor=text)


@pytest.mark.parametrize(
    "other",
    [
        select(Thing).order_by(Thing.title),
        select(Thing).order_by(Thing.name.desc()),
        select(Thing).order_by(Thing.name.nulls_last()),
        select(Thing).order_by(Thing.name, Thing.rank),
        select(Part).order_by(Part.label),
    ],
    ids=["column", "direction", "nulls", "more", "table"],
)
def test_cursor_of_another_query_is_refused(other: Select[Any]) -> None:
    """A cursor made for one order is not a place in another."""
    with pytest.raises(InvalidCursor, match="another query"):
        keyset(other, dialect="sqlite", limit=2, cursor=cursor_of(ids()))


def test_signed_cursor_needs_the_secret() -> None:
    """With a secret, cursors made without it, or with an older one, are refused."""
    signed = cursor_of(ids(secret=b"one"))
    assert ids(secret=b"one", cursor=signed).cursor.values == ("b", 2)
    for foreign in (cursor_of(ids()), cursor_of(ids(secret=b"two"))):
        with pytest.raises(InvalidCursor):
            ids(secret=b"one", cursor=foreign)


def test_too_long_to_be_a_cursor() -> None:
    """Values too long for a URL are the request's fault, and so is a cursor too long to be one."""
    with pytest.raises(InvalidRequest, match="shorter column"):
        ids().page([("x", "a" * MAX_LENGTH, 1)] * 3)
    with pytest.raises(InvalidCursor, match="too long"):
        ids(cursor="A" * (MAX_LENGTH + 1))


@pytest.mark.parametrize(
    "statement",
    [
        select(Thing).distinct(),
        select(Thing).limit(5),
        select(Thing).offset(5),
        select(Thing.rank).group_by(Thing.rank),
        select(Thing).order_by("name"),
        select(Thing).order_by(text("name")),
    ],
    ids=["distinct", "limit", "offset", "group_by", "name", "text"],
)
def test_selects_that_cannot_be_paged(statement: Select[Any]) -> None:
    """What would make wrong pages is refused when the statement is built, with the remedy."""
    with pytest.raises(ConfigurationError):
        keyset(statement, dialect="sqlite", limit=2)


@pytest.mark.parametrize("place", [-1, MAX_OFFSET + 1])
def test_offset_is_capped(place: int) -> None:
    """An offset below zero or far in is the request's fault."""
    with pytest.raises(InvalidRequest):
        offset(select(Thing), dialect="sqlite", limit=1, offset=place)


def test_uniform_order_uses_one_row_comparison() -> None:
    """PostgreSQL and SQLite get (a, b) > (x, y), which an index on (a, b) answers; MySQL a range on a."""
    statement = select(Thing).order_by(Thing.rank)
    for name, wanted in (("postgresql", "(things.rank, things.id) >"), ("mysql", "things.rank >=")):
        first = keyset(statement, dialect=name, limit=1).page([("x", 1, 1), ("y", 2, 2)])
        assert wanted in str(keyset(statement, dialect=name, limit=1, cursor=first.next).statement)


def test_pages_are_response_models() -> None:
    """A page of objects becomes a page of schemas: what FastAPI does with ``response_model=Page[Read]``."""

    class Read(BaseModel):
        id: int

    made = Page[Read].model_validate(Page.model_construct(items=[Part(id=1), Part(id=2)]), from_attributes=True)
    assert made.model_dump() == {"items": [{"id": 1}, {"id": 2}], "next": None, "previous": None}
    counted = OffsetPage.model_construct(items=[Part(id=1)], offset=0, limit=1, more=False, total=None)
    assert OffsetPage[Read].model_validate(counted, from_attributes=True).items == [Read(id=1)]
