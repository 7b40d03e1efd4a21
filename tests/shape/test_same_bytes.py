"""Shaped reads give the bytes that FastAPI sends, whatever the values.

``SQLAWAIT_SHAPE_CASES`` sets how many cases each test tries (default 20), ``SQLAWAIT_SHAPE_ROWS`` how many rows
of values each has (default: 1 to 3); a failure prints how to try it again.
"""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Callable, Coroutine
from datetime import date, datetime, time
from decimal import Decimal
from typing import Annotated, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import (
    BaseModel,
    BeforeValidator,
    Field,
    PlainSerializer,
    TypeAdapter,
    computed_field,
    field_serializer,
    model_validator,
)
from sqlalchemy import delete, insert, select, update
from tests.shape.oracle import page, sent, validated
from tests.shape.tables import Base, Colour, Owner, Tag, Thing, tagging

from sqlawait import Database
from sqlawait.paging import Page

CASES = int(os.environ.get("SQLAWAIT_SHAPE_CASES", "20"))
ROWS = int(os.environ.get("SQLAWAIT_SHAPE_ROWS", "0"))

thorough = settings(
    max_examples=CASES,
    deadline=None,
    database=None,
    print_blob=True,
    suppress_health_check=[
        HealthCheck.function_scoped_fixture,
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
    ],
)

TEXT = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12
) | st.sampled_from(
    [
        "",
        '"',
        "\\",
        "\x01",
        "\x01!\x01",
        "\x010:1\x01",
        "\x0b\x1f\x7f\x80",
        "\u2028\u2029",
        "é😀",
        "</script>",
        "a'b",
        "%s%%",
        ":x",
    ]
)
DOCUMENTS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)


def things(dialect: str) -> st.SearchStrategy[dict[str, Any]]:
    """Values of every column, as far as the database can hold them."""
    # Naive on purpose: that is what these columns hold. MySQL's dates begin in the year 1000.
    first = datetime(1000 if dialect == "mysql" else 1, 1, 1)  # noqa: DTZ001
    odd = dialect == "postgresql"
    return st.fixed_dictionaries(
        {
            "rank": st.integers(-5, 5),
            "integer": st.none() | st.integers(-(2**63), 2**63 - 1),
            "flag": st.none() | st.booleans(),
            "text": st.none() | TEXT,
            "loud": st.none() | TEXT,
            "number": st.none()
            | st.floats(allow_nan=odd, allow_infinity=odd, allow_subnormal=dialect != "mysql")
            | st.integers(-(2**60), 2**60).map(float)
            | st.decimals(-1000, 1000, places=4).map(float),
            "price": st.none()
            | st.decimals(-(10**10) + 1, 10**10 - 1, places=10, allow_nan=False)
            | st.decimals(Decimal("-0.00001"), Decimal("0.00001"), places=10, allow_nan=False),
            "ratio": st.none() | st.decimals(-1000, 1000, places=4).map(float),
            "moment": st.none()
            | st.datetimes(first)
            | st.datetimes(first).map(lambda value: value.replace(microsecond=0)),
            "day": st.none() | st.dates(first.date()),
            "hour": st.none() | st.times() | st.times().map(lambda value: value.replace(microsecond=0)),
            "key": st.none() | st.uuids(version=4),
            "colour": st.none() | st.sampled_from(Colour),
            "word": st.none() | st.sampled_from(["one", "two"]),
            "blob": st.none() | TEXT.map(str.encode),
            "document": st.none() | DOCUMENTS,
        }
    )


class TagOut(BaseModel):
    id: int
    label: str


class ThingOut(BaseModel):
    id: int
    rank: int
    integer: int | None
    flag: bool | None
    text: str | None
    loud: str | None
    number: float | None
    price: Decimal | None
    ratio: float | None
    moment: datetime | None
    day: date | None
    hour: time | None
    key: uuid.UUID | None
    colour: Colour | None
    word: str | None
    blob: bytes | None
    document: Any
    title: str


class Holder(BaseModel):
    """All types again, carried inside of JSON."""

    things: list[ThingOut]


class Busy(BaseModel):
    """What only Python does."""

    rank: Annotated[str, BeforeValidator(lambda rank: f"no. {rank}")]
    integer: Annotated[int | None, PlainSerializer(lambda value: [value])]
    text: str | None = Field(None, serialization_alias="words")
    moment: datetime | None = Field(exclude=True)
    tags: list[TagOut] = Field(max_length=50)
    children: list[Small] = []
    born: datetime | None = None

    @model_validator(mode="after")
    def note_when(self) -> Busy:
        self.born = self.moment
        return self

    @field_serializer("children")
    def count_children(self, children: list[Small]) -> int:
        return len(children)

    @computed_field  # type: ignore[prop-decorator]
    @property
    def loudest(self) -> str:
        return max((tag.label.upper() for tag in self.tags), default="-")


class Small(BaseModel):
    rank: int
    text: str | None
    tags: list[TagOut]


class Family(BaseModel):
    id: int
    parent: Small | None
    children: list[Small]
    tags: list[TagOut]


class OwnerOut(BaseModel):
    name: str
    things: list[Family]


async def empty(db: Database) -> None:
    async with db.transaction() as session:
        await session.execute(update(Thing).values(parent_id=None))
        for table in (tagging, Thing, Tag, Owner):
            await session.execute(delete(table))


def tried(url: str, check: Callable[[Database, st.DataObject], Coroutine[Any, Any, None]]) -> None:
    """Try a check with many data on one database, in one event loop."""
    with asyncio.Runner() as runner:
        db = Database(url)

        @thorough
        @given(data=st.data())
        def one(data: st.DataObject) -> None:
            runner.run(check(db, data))

        try:
            runner.run(db.create_all(Base.metadata))
            one()
        finally:
            runner.run(db.close())


def test_values_of_every_type(url: str) -> None:
    """Rows with any values in columns of every type are written as FastAPI writes them."""
    tried(url, check_values)


def test_families_of_every_form(url: str) -> None:
    """Rows with any parents, children and tags are nested as FastAPI nests them."""
    tried(url, check_families)


def test_pages_in_every_order(url: str) -> None:
    """Pages forward and back, by any columns, hold the rows and the cursors that pages of objects hold."""
    tried(url, check_pages)


def same(ours: bytes, theirs: bytes) -> None:
    """Fail with the place where two answers part."""
    place = next((n for n, pair in enumerate(zip(ours, theirs, strict=False)) if pair[0] != pair[1]), 0)
    assert ours == theirs, (
        f"…{ours[max(0, place - 30) : place + 30]!r} is not …{theirs[place - 10 : place + 30]!r}"
    )


def alike(ours: list[Any], theirs: list[Any]) -> None:
    """Fail where two lists of instances differ, in types too, or in what is set."""
    assert repr(ours) == repr(theirs)
    assert [one.model_fields_set for one in ours] == [one.model_fields_set for one in theirs]


async def check_values(db: Database, data: st.DataObject) -> None:
    rows = data.draw(st.lists(things(db.dialect), min_size=ROWS or 1, max_size=ROWS or 3))
    await empty(db)
    async with db.transaction() as session:
        await session.execute(insert(Owner), [{"id": 1, "name": "o"}])
        numbered = [{"id": number, "owner_id": 1, **row} for number, row in enumerate(rows, 1)]
        await session.execute(insert(Thing), numbered)
    async with db.reader() as session:
        statement = select(Thing).order_by(Thing.id)
        assert (await session.explain(statement, ThingOut)).way == "json"
        same(await session.json_all(statement, ThingOut), await sent(session, statement, ThingOut))
        alike(await session.read_all(statement, ThingOut), await validated(session, statement, ThingOut))
        owner = select(Owner)
        assert (await session.explain(owner, Holder)).way == "json"
        plan, *_ = await session._plan(owner, Holder, "rows")
        assert plan.way == "columns"
        alike(await session.read_all(owner, Holder), await validated(session, owner, Holder, Owner.things))


SORTED_BY = [
    Thing.rank,
    Thing.integer,
    Thing.text,
    Thing.loud,
    Thing.number,
    Thing.price,
    Thing.moment,
    Thing.day,
    Thing.hour,
    Thing.key,
    Thing.colour,
    Thing.title,
]


async def check_pages(db: Database, data: st.DataObject) -> None:
    rows = data.draw(st.lists(things(db.dialect), min_size=1, max_size=5))
    order = data.draw(st.lists(st.sampled_from(SORTED_BY), max_size=2, unique_by=id))
    turned = [column.desc() if data.draw(st.booleans()) else column for column in order]
    limit = data.draw(st.integers(1, 3))
    schema = data.draw(st.sampled_from([Small, Busy]))
    await empty(db)
    async with db.transaction() as session:
        await session.execute(insert(Thing), [{"id": number, **row} for number, row in enumerate(rows, 1)])
    statement = select(Thing).order_by(*turned)
    async with db.reader() as session:
        cursor, seen = None, 0
        while True:
            paths = (Thing.tags, (Thing.children, Thing.tags))
            theirs = await page(session, statement, schema, *paths, limit=limit, cursor=cursor)
            same(await session.json_page(statement, schema, limit=limit, cursor=cursor), theirs)
            instances = await session.read_page(statement, schema, limit=limit, cursor=cursor)
            same(TypeAdapter(Page[schema]).dump_json(instances, by_alias=True), theirs)  # type: ignore[valid-type]
            seen += len(instances.items)
            assert seen <= len(rows), "a page comes again, and so do all that follow"
            back = instances.previous
            if back is not None:
                expected = await page(session, statement, schema, *paths, limit=limit, cursor=back)
                same(await session.json_page(statement, schema, limit=limit, cursor=back), expected)
            if instances.next is None:
                break
            cursor = instances.next
        assert seen == len(rows)


async def check_families(db: Database, data: st.DataObject) -> None:
    ids = range(1, data.draw(st.integers(1, 6)) + 1)
    await empty(db)
    async with db.transaction() as session:
        await session.execute(insert(Owner), [{"id": n, "name": data.draw(TEXT)} for n in range(1, 3)])
        await session.execute(insert(Tag), [{"id": n, "label": data.draw(TEXT)} for n in ids])
        rows = [
            {
                "id": n,
                "rank": data.draw(st.integers(0, 3)),
                "text": data.draw(st.none() | TEXT),
                "owner_id": data.draw(st.none() | st.integers(1, 2)),
            }
            for n in ids
        ]
        await session.execute(insert(Thing), rows)
        for n in ids:
            thing = await session.get_one(Thing, n)
            thing.parent_id = data.draw(st.none() | st.sampled_from(ids))
        pair = st.tuples(st.sampled_from(ids), st.sampled_from(ids))
        pairs = data.draw(st.lists(pair, unique=True, max_size=8))
        if pairs:
            await session.execute(insert(tagging), [{"thing_id": a, "tag_id": b} for a, b in pairs])
    family = ((Thing.parent, Thing.tags), (Thing.children, Thing.tags), (Thing.tags,))
    async with db.reader() as session:
        statement = select(Thing).order_by(Thing.rank.desc(), Thing.id).limit(4)
        same(await session.json_all(statement, Family), await sent(session, statement, Family, *family))
        alike(await session.read_all(statement, Family), await validated(session, statement, Family, *family))
        assert (await session.explain(statement, Busy)).way == "columns"
        same(await session.json_all(statement, Busy), await sent(session, statement, Busy, *family))
    async with db.reader() as session:
        owners = select(Owner).where(Owner.name != "x").order_by(Owner.id)
        paths = [(Owner.things, *path) for path in family]
        same(await session.json_all(owners, OwnerOut), await sent(session, owners, OwnerOut, *paths))


@pytest.mark.parametrize("amount", [0, 1, 150])
async def test_lists_of_any_length(db: Database, amount: int) -> None:
    """An empty list, one row and many rows, more than a function has arguments, come out in order."""
    async with db.transaction() as session:
        if amount:
            await session.execute(insert(Tag), [{"id": n, "label": f"tag {n}"} for n in range(1, amount + 1)])
    async with db.reader() as session:
        statement = select(Tag).order_by(Tag.id.desc())
        assert await session.json_all(statement, TagOut) == await sent(session, statement, TagOut)
