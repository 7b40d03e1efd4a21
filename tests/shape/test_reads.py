"""What shaped reads do besides giving the right bytes."""

from __future__ import annotations

from typing import Annotated

import pytest
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, computed_field
from sqlalchemy import bindparam, event, func, select
from sqlalchemy.exc import ArgumentError, MultipleResultsFound
from sqlalchemy.orm import aliased, contains_eager, joinedload, selectinload, with_loader_criteria
from tests.shape.oracle import sent
from tests.shape.tables import Owner, Tag, Thing

from sqlawait import ConfigurationError, Database, NotFound
from sqlawait.paging import Page
from sqlawait.pool import FairPool


class TagOut(BaseModel):
    id: int
    label: str


class ThingOut(BaseModel):
    rank: int
    text: str | None
    tags: list[TagOut]


class OwnerOut(BaseModel):
    id: int
    name: str
    things: list[ThingOut]


class NameOut(BaseModel):
    name: str


@pytest.fixture
async def shop(db: Database) -> Database:
    """Two owners, the first with three things and two tags."""
    async with db.transaction() as session:
        tags = [Tag(id=1, label="b"), Tag(id=2, label="a")]
        things = [Thing(id=n, rank=n, text=f"t{n}", tags=tags[: n - 1]) for n in (1, 2, 3)]
        session.add_all([Owner(id=1, name="Ann", things=things), Owner(id=2, name="Bob")])
    return db


class TagLess(BaseModel):
    rank: int


async def test_one_row_by_select_by_equality_and_by_parameter(shop: Database) -> None:
    """A select, a class with equalities, and a select with parameters all give the same bytes."""
    expected = b'{"id":2,"name":"Bob","things":[]}'
    async with shop.reader() as session:
        assert await session.json_one(select(Owner).where(Owner.name == "Bob"), OwnerOut) == expected
        assert await session.json_one(Owner, OwnerOut, id=2) == expected
        assert await session.json_one(select(Owner), OwnerOut, id=2) == expected
        statement = select(Owner).where(Owner.id == bindparam("key"))
        assert await session.json_one(statement, OwnerOut, {"key": 2}) == expected
        assert await session.json_all(Thing, TagLess, owner_id=None) == b"[]"
        with pytest.raises(ArgumentError, match="'key'"):
            await session.json_one(statement, OwnerOut)
        with pytest.raises(TypeError, match="no mapped attribute 'nope'"):
            await session.json_one(Owner, OwnerOut, nope=1)


async def test_none_and_several_rows_are_errors(shop: Database) -> None:
    """json_one and read_one want one row, as SQLAlchemy's one() does."""
    async with shop.reader() as session:
        for read in (session.json_one, session.read_one):
            with pytest.raises(NotFound, match="the Owner asked for"):
                await read(Owner, OwnerOut, id=9)
            with pytest.raises(MultipleResultsFound):
                await read(select(Owner), OwnerOut)


async def test_instances_of_the_schema(shop: Database) -> None:
    """read_one and read_all give what Pydantic would make of the objects."""
    async with shop.reader() as session:
        owner = await session.read_one(Owner, OwnerOut, id=1)
        assert [thing.rank for thing in owner.things] == [3, 2, 1]
        assert [owner.name for owner in await session.read_all(select(Owner).order_by(Owner.id), NameOut)] == [
            "Ann",
            "Bob",
        ]


async def test_filters_joins_order_and_limits_stay(shop: Database) -> None:
    """Whatever the statement does to the rows, the shaped read does too."""
    other = aliased(Owner)
    statements = [
        select(Thing).where(Thing.rank.in_([1, 3])).order_by(Thing.id),
        select(Thing).where(Thing.rank.in_([])),
        select(Thing).join(Thing.owner).where(Owner.name == "Ann").order_by(Thing.rank.desc()).limit(2),
        select(Thing).join(Thing.tags).order_by(Thing.id, Tag.id),
        select(Thing).order_by(Thing.id).offset(1).limit(1),
        select(Thing).where(Thing.tags.any(Tag.label == "a")),
        select(Thing).where(func.coalesce(Thing.text, "") == "t1").execution_options(anything=1),
        select(Thing).with_only_columns(Thing).order_by(Thing.id),
        select(Thing).options(with_loader_criteria(Thing, Thing.rank > 1)).order_by(Thing.id),
        select(Thing).options(joinedload(Thing.owner), selectinload(Thing.tags)).order_by(Thing.id),
    ]
    async with shop.reader() as session:
        for statement in statements:
            expected = await sent(session, statement, ThingOut, Thing.tags)
            assert await session.json_all(statement, ThingOut) == expected, str(statement)
        renamed = select(other).where(other.name == "Ann")
        assert await session.json_all(renamed, OwnerOut) == await session.json_all(Owner, OwnerOut, name="Ann")
        assert [owner.id for owner in await session.read_all(renamed, OwnerOut)] == [1]


async def test_options_that_cannot_be_honoured_are_refused(shop: Database) -> None:
    """An option that would change what is in a collection is an error, not dropped in silence."""
    async with shop.reader() as session:
        for option in (contains_eager(Owner.things), selectinload(Owner.things.and_(Thing.rank > 1))):
            with pytest.raises(ConfigurationError, match="cannot honour"):
                await session.json_all(select(Owner).join(Owner.things).options(option), OwnerOut)


async def test_statements_of_anything_else_are_refused(shop: Database) -> None:
    """Columns, several classes or none at all have no shape."""
    async with shop.reader() as session:
        for statement in (select(Owner.id), select(Owner, Thing), select(func.now())):
            with pytest.raises(ConfigurationError, match="one mapped class"):
                await session.json_all(statement, OwnerOut)


async def test_pending_changes_are_seen(shop: Database) -> None:
    """In a session with changes the read flushes them and runs in the session's own transaction."""
    async with shop.session() as session:
        owner = await session.one(select(Owner).where(Owner.id == 2))
        owner.name = "Bea"
        assert await session.json_one(Owner, NameOut, id=2) == b'{"name":"Bea"}'
        session.add(Owner(id=3, name="Cy"))
        assert await session.json_all(select(Owner).order_by(Owner.id), NameOut) == (
            b'[{"name":"Ann"},{"name":"Bea"},{"name":"Cy"}]'
        )
    async with shop.reader() as session:
        assert await session.json_one(Owner, NameOut, id=2) == b'{"name":"Bob"}'


@pytest.mark.parametrize("driver", ["sqlite", "postgresql", "mysql+asyncmy", "mysql+aiomysql"])
async def test_it_costs_one_round_trip_and_no_transaction(driver: str, request: pytest.FixtureRequest) -> None:
    """Outside of a transaction the text goes to the driver alone; the session has not begun anything."""
    backend, _, name = driver.partition("+")
    url: str = request.getfixturevalue(f"{backend}_url")
    async with Database(url.replace(backend, driver, 1) if name else url) as db:
        await db.create_all(Owner.metadata)
        async with db.session() as session:
            assert await session.json_all(Owner, OwnerOut) == b"[]"
            assert not session.in_transaction()
            pool = db.engine.pool
            assert isinstance(pool, FairPool)
            assert (pool.checkedout(), pool.checkedin()) == (0, 1)
            lease = await pool.take()
            assert not db.backend.in_transaction(lease.driver)
            await pool.give(lease)


async def test_listeners_see_the_statement(shop: Database) -> None:
    """Where somebody listens to statements, the read passes them."""
    seen: list[str] = []
    event.listen(shop.engine.sync_engine, "after_cursor_execute", lambda *args: seen.append(args[2]))
    async with shop.reader() as session:
        await session.json_one(Owner, OwnerOut, id=1)
    assert len([statement for statement in seen if "owners" in statement]) == 1


class Loud(NameOut):
    @computed_field  # type: ignore[prop-decorator]
    @property
    def loud(self) -> str:
        return self.name.upper()


class Tree(BaseModel):
    id: int
    children: list[Tree]


class Shouting(BaseModel):
    shout: str


async def test_what_needs_python_takes_the_other_way_to_the_same_bytes(shop: Database) -> None:
    """Computed fields are made of columns, properties and recursive schemas of objects; explain says so."""
    async with shop.reader() as session:
        for model, schema, way, reason in (
            (Owner, Loud, "columns", "Loud.loud is a computed field"),
            (Thing, Shouting, "objects", "Shouting.shout is read from Thing.shout, which is Python's"),
            (Thing, Tree, "objects", "Tree contains itself"),
        ):
            statement = select(model).order_by(model.id)
            explanation = await session.explain(statement, schema)
            assert (explanation.way, explanation.reason) == (way, reason)
        assert await session.json_one(Owner, Loud, id=2) == b'{"name":"Bob","loud":"BOB"}'
        assert await session.json_one(Thing, Shouting, id=1) == b'{"shout":"T1"}'
        assert await session.json_one(Thing, Tree, id=1) == b'{"id":1,"children":[]}'
        assert (await session.explain(select(Owner), OwnerOut)).way == "json"


class Renamed(BaseModel):
    model_config = ConfigDict(populate_by_name=True)

    identity: int = Field(validation_alias="id", serialization_alias="@id")
    label: Annotated[str, AfterValidator(str.upper)] = Field(alias="name")
    secret: str = Field(default="s", exclude=True)
    kind: str = "owner"
    short: str = Field(validation_alias="name", max_length=3)
    words: list[str] | None = None


async def test_aliases_defaults_exclusions_validators_and_limits(shop: Database) -> None:
    """Fields are looked up, named, defaulted, validated and left out as Pydantic does it."""
    statement = select(Owner).order_by(Owner.id)
    async with shop.reader() as session:
        assert (await session.explain(statement, Renamed)).way == "json"
        expected = await sent(session, statement, Renamed)
        assert await session.json_all(statement, Renamed) == expected
        assert b'{"@id":1,"name":"ANN","kind":"owner","short":"Ann","words":null}' in expected
    async with shop.transaction() as session:
        session.add(Owner(id=3, name="Longer"))
    async with shop.reader() as session:
        with pytest.raises(ValidationError, match="at most 3"):
            await session.json_all(statement, Renamed)


async def test_what_the_class_has_not_got_is_an_error(shop: Database) -> None:
    """A required field that nothing maps is told at once, with the remedy."""

    class Wrong(BaseModel):
        nmae: str

    async with shop.reader() as session:
        with pytest.raises(ConfigurationError, match=r"Owner\.nmae, which does not exist"):
            await session.json_all(Owner, Wrong)


async def test_a_null_that_the_schema_refuses_is_an_error(shop: Database) -> None:
    """NULL where the schema has no None fails, as it does in FastAPI."""

    class Strict(BaseModel):
        text: str

    async with shop.transaction() as session:
        session.add(Thing(id=9, rank=0))
    async with shop.reader() as session:
        with pytest.raises(ValidationError):
            await session.json_all(Thing, Strict)


async def test_a_failed_read_gives_its_connection_back(shop: Database) -> None:
    """An error of the database is SQLAlchemy's, and the connection can be used again."""
    from sqlalchemy.exc import DBAPIError

    async with shop.session() as session:
        bad = select(Owner).where(func.no_such_function(Owner.id) == 1)
        with pytest.raises(DBAPIError):
            await session.json_all(bad, OwnerOut)
    pool = shop.engine.pool
    assert isinstance(pool, FairPool)
    assert pool.checkedout() == 0
    async with shop.reader() as session:
        assert await session.json_one(Owner, NameOut, id=1) == b'{"name":"Ann"}'


async def test_a_page_has_the_same_rows_as_instances_and_as_json(shop: Database) -> None:
    """Keyset pages of a schema: each row once, relationships loaded, and the JSON of the page's own model."""
    statement = select(Owner).order_by(Owner.name.desc())
    async with shop.session() as session:
        first = await session.read_page(statement, OwnerOut, limit=1)
        assert [owner.name for owner in first.items] == ["Bob"]
        second = await session.read_page(statement, OwnerOut, limit=1, cursor=first.next)
        assert [[thing.rank for thing in owner.things] for owner in second.items] == [[3, 2, 1]]
        assert second.next is None
        sent = await session.json_page(statement, OwnerOut, limit=1, cursor=first.next)
        assert sent == second.model_dump_json(by_alias=True).encode()
        assert Page[OwnerOut].model_validate_json(sent) == second
