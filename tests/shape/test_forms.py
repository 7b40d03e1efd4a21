"""Mapped classes and schemas of every form are read as FastAPI would send their objects."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Annotated, Any

import pytest
from pydantic import (
    AfterValidator,
    AliasPath,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    RootModel,
    TypeAdapter,
    ValidationError,
    computed_field,
    field_serializer,
    model_validator,
)
from sqlalchemy import ARRAY, Integer, Numeric, String, Uuid, event, inspect, select, text, update
from sqlalchemy.orm import (
    DeclarativeBase,
    Mapped,
    mapped_column,
    noload,
    relationship,
    with_expression,
    with_loader_criteria,
)
from tests.shape.forms import Base, Boss, Expert, Heard, Person, Seat, Sticker, Team
from tests.shape.oracle import sent

from sqlawait import ConfigurationError, Database
from sqlawait.session import AsyncSession
from sqlawait.shape import load_for


class Named(BaseModel):
    name: str


class StickerOut(BaseModel):
    id: int
    text: str


class SeatOut(BaseModel):
    number: int
    stickers: list[StickerOut]


class PersonOut(BaseModel):
    id: int
    name: str
    label: str


class TeamOut(BaseModel):
    name: str
    size: int
    people: list[PersonOut]
    seats: list[SeatOut]


class BossOut(BaseModel):
    name: str
    boss: Named | None
    reports: list[PersonOut]
    teams: list[TeamOut]


class Loud(TeamOut):
    """Needs Python, but not the objects."""

    @computed_field  # type: ignore[prop-decorator]
    @property
    def loud(self) -> str:
        return self.name.upper()


@pytest.fixture
async def office(url: str) -> AsyncIterator[Database]:
    """A boss with two reports, one an expert, in two teams, one with seats and stickers."""
    async with Database(url) as db:
        await db.create_all(Base.metadata)
        async with db.transaction() as session:
            boss = Boss(id=1, name="Ann", car="red", pay=1.5)
            people = [
                boss,
                Person(id=2, name="Bob", boss=boss),
                Expert(id=3, name="Cy", boss=boss, field="law"),
            ]
            seats = [Seat(number=n, stickers=[Sticker(text=f"s{n}{m}") for m in range(n)]) for n in (1, 2)]
            session.add_all(
                [Team(id=1, name="a", people=people, seats=seats), Team(id=2, name="b", people=[boss])]
            )
            session.add(Heard(id=1, name="quiet"))
        yield db


PEOPLE = [
    (Person.boss,),
    (Person.reports,),
    (Person.teams, Team.people),
    (Person.teams, Team.seats, Seat.stickers),
]
TEAMS = [(Team.people,), (Team.seats, Seat.stickers)]


async def agree(session: AsyncSession, statement: Any, schema: Any, *paths: Any, way: str) -> bytes:
    """All that reads a schema agrees with the judge, by the way that is expected."""
    explanation = await session.explain(statement, schema)
    assert explanation.way == way, explanation.reason
    assert explanation.sql.lstrip().startswith(("SELECT", "SET STATEMENT"))
    expected = await sent(session, statement, schema, *paths)
    assert await session.json_all(statement, schema) == expected
    instances = await session.read_all(statement, schema)
    assert TypeAdapter(list[schema]).dump_json(instances, by_alias=True) == expected
    page = await session.json_page(statement, schema, limit=50)
    assert page == b'{"items":' + expected + b',"next":null,"previous":null}'
    return expected


async def test_relationships_of_every_kind(office: Database) -> None:
    """To one and to many, through a secondary table, to itself, by a key of two columns, nested four deep."""
    async with office.reader() as session:
        teams = select(Team).order_by(Team.id)
        answer = await agree(session, teams, TeamOut, *TEAMS, way="json")
        assert b'"seats":[{"number":2,"stickers":[{"id":2,"text":"s20"},{"id":3,"text":"s21"}]},' in answer
        assert b'"people":[{"id":3,"name":"Cy","label":"Cy!"},{"id":2,' in answer
        people = select(Person).order_by(Person.id)
        await agree(session, people, BossOut, *PEOPLE, way="json")
        await agree(session, teams, Loud, *TEAMS, way="columns")


class AnyPerson(BaseModel):
    name: str
    car: str | None = None
    field: str | None = None


class BossHolder(BaseModel):
    boss: AnyPerson | None


async def test_inheritance(office: Database) -> None:
    """A class selects its own rows; what only some of the classes have is read from the objects."""
    async with office.reader() as session:
        for model in (Person, Boss, Expert):
            statement = select(model).order_by(model.id)
            await agree(session, statement, PersonOut, way="json")
        assert await session.json_all(Boss, Named) == b'[{"name":"Ann"}]'
        people = select(Person).order_by(Person.id)
        assert (await session.explain(people, AnyPerson)).way == "objects"
        assert await session.json_all(people, AnyPerson) == (
            b'[{"name":"Ann","car":"red","field":null},{"name":"Bob","car":null,"field":null},'
            b'{"name":"Cy","car":null,"field":"law"}]'
        )
        assert await session.json_all(people.where(Person.id == 2), BossHolder) == (
            b'[{"boss":{"name":"Ann","car":"red","field":null}}]'
        )


class Doubled(BaseModel):
    double: float


class HeardOut(BaseModel):
    name: str


async def test_what_python_may_compute_otherwise_is_left_to_the_objects(office: Database) -> None:
    """A hybrid property of a float, and a class to whose objects something is done when they are loaded."""
    async with office.reader() as session:
        await agree(session, select(Person).order_by(Person.id), Doubled, way="objects")
        await agree(session, select(Heard), HeardOut, way="objects")
        assert await session.json_all(Heard, HeardOut) == b'[{"name":"QUIET"}]'


class Settings(BaseModel):
    theme: str = "light"
    sizes: list[int] = []


class WithSettings(BaseModel):
    name: str
    settings: Settings


class BossWithSettings(BaseModel):
    reports: list[WithSettings]


async def test_a_document_may_be_a_schema(office: Database) -> None:
    """A JSON column whose field is a model is validated by Pydantic, at any depth."""
    async with office.transaction() as session:
        await session.update(Person, 2, settings={"theme": "dark", "sizes": [1, 2**70]})
        people = select(Person).order_by(Person.id)
        await agree(session, people, WithSettings, way="columns")
        answer = await agree(session, people, BossWithSettings, (Person.reports,), way="columns")
        assert b'{"theme":"dark","sizes":[1,1180591620717411303424]}' in answer


class Checked(BaseModel):
    """Read and checked, though not written."""

    id: int
    name: str = Field(exclude=True, max_length=3)
    reports: list[Named] = Field(default=[], exclude=True)


class Plainly(BaseModel):
    id: int
    name: str = Field(exclude=True)


async def test_excluded_fields_are_checked(office: Database) -> None:
    """Leaving a field out of the answer does not leave out its limits."""
    people = select(Person).order_by(Person.id)
    async with office.transaction() as session:
        await agree(session, people, Plainly, way="json")
        await agree(session, people, Checked, (Person.reports,), way="columns")
        await session.update(Person, 2, name="Robert")
        with pytest.raises(ValidationError, match="at most 3"):
            await session.json_all(people, Checked)


class Counted(BaseModel):
    reports: list[Named] = []
    name: str | None = None

    @field_serializer("reports")
    def count(self, reports: list[Named]) -> int:
        return len(reports)


class Limited(BaseModel):
    reports: Annotated[list[Named], AfterValidator(lambda reports: reports[:1])]


class Summed(BaseModel):
    name: str
    reports: list[Named]
    told: str = ""

    @model_validator(mode="after")
    def tell(self) -> Summed:
        self.told = f"{self.name} and {len(self.reports)}"
        return self


class Given(BaseModel):
    """Looks at the object itself."""

    name: str

    @model_validator(mode="before")
    @classmethod
    def look(cls, given: Any) -> Any:
        assert isinstance(given, Person)
        return {"name": f"{type(given).__name__} {given.name}"}


class Names(RootModel[list[str]]): ...


class Tree(BaseModel):
    name: str
    reports: list[Tree]


class Odd(BaseModel):
    theme: Any = Field(None, validation_alias=AliasPath("settings", "theme"))


async def test_python_of_every_kind(office: Database) -> None:
    """Serializers and validators have columns where they are given values, and else objects."""
    people = select(Person).order_by(Person.id)
    path = (Person.reports,)
    async with office.reader() as session:
        await agree(session, people, Counted, path, way="columns")
        await agree(session, people, Limited, path, way="columns")
        await agree(session, people, Summed, path, way="columns")
        await agree(session, people, Odd, way="objects")
        assert (await session.explain(people, Given)).way == "objects"
        assert await session.json_all(people.limit(1), Given) == b'[{"name":"Boss Ann"}]'
        assert (await session.explain(people, Tree)).reason == "Tree contains itself"
        assert (await session.json_one(Person, Tree, id=1)).startswith(
            b'{"name":"Ann","reports":[{"name":"Bob"'
        )


counter = itertools.count()


class Numbered(BaseModel):
    boss_id: Annotated[int, BeforeValidator(lambda value: next(counter) if value is None else value)]


async def test_a_validator_is_asked_each_time(office: Database) -> None:
    """What a validator makes of NULL is not remembered from one read to the next."""
    async with office.reader() as session:
        answers = {await session.json_one(Person, Numbered, id=1) for _ in range(3)}
        assert len(answers) == 3


class Strict(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", from_attributes=True)

    id: int
    name: str
    pay: float
    teams: list[Named]


async def test_strict_schemas(office: Database) -> None:
    """Strictness and forbidden extras say nothing against columns."""
    async with office.reader() as session:
        people = select(Person).order_by(Person.id)
        await agree(session, people, Strict, (Person.teams,), way="json")


async def test_an_error_of_validation_says_where(office: Database) -> None:
    """The same errors at the same places as of objects, by each way."""

    class Short(BaseModel):
        name: Annotated[str, Field(max_length=2)]

    class Outer(BaseModel):
        id: int
        reports: list[Short]

    people = select(Person).order_by(Person.id)
    async with office.reader() as session:
        with pytest.raises(ValidationError) as expected:
            await sent(session, people, Outer, (Person.reports,))
        for read in (session.json_all, session.read_all):
            with pytest.raises(ValidationError) as found:
                await read(people, Outer)
            assert [error["loc"] for error in found.value.errors()] == [
                error["loc"] for error in expected.value.errors()
            ]


@pytest.mark.parametrize("schema", [TeamOut, Loud])
async def test_filters_of_the_session_are_heard(office: Database, schema: Any) -> None:
    """A listener that adds a condition to every statement, as for tenants, has its say in shaped reads too."""
    async with office.session() as session:

        @event.listens_for(session.sync_session, "do_orm_execute")
        def hide(state: Any) -> None:
            state.statement = state.statement.options(with_loader_criteria(Team, Team.name != "a"))

        statement = select(Team).order_by(Team.id)
        explanation = await session.explain(statement, schema)
        assert (explanation.way, "do_orm_execute" in str(explanation.reason)) == ("objects", True)
        assert b'"name":"a"' not in await session.json_all(statement, schema)
        assert [team.name for team in await session.read_all(statement, schema)] == ["b"]
        assert [team.name for team in (await session.read_page(statement, schema, limit=5)).items] == ["b"]
        assert b'"name":"a"' not in await session.json_page(statement, schema, limit=5)


async def test_a_read_sees_the_rows_and_leaves_the_objects_alone(office: Database) -> None:
    """Objects that the session has loaded before are neither what is answered nor changed by it."""
    for schema in (TeamOut, Loud):
        async with office.session() as session:
            team = await session.one(select(Team).where(Team.id == 2).options(*load_for(Team, TeamOut)))
            await session.execute(
                update(Team).where(Team.id == 2).values(name="new"),
                execution_options={"synchronize_session": False},
            )
            session.add(Seat(team_id=2, number=7))
            answer = await session.json_one(Team, schema, id=2)
            assert b'"name":"new"' in answer
            assert b'"seats":[{"number":7' in answer
            assert (team.name, team.seats) == ("b", [])
    async with office.session() as session:
        boss = await session.one(select(Person).where(Person.id == 2).options(*load_for(Person, Tree)))
        session.add(Person(id=9, name="Di", boss_id=2))
        tree = await session.read_one(Person, Tree, id=2)
        assert [report.name for report in tree.reports] == ["Di"]
        assert boss.reports == []
        assert inspect(boss).session is session.sync_session


@pytest.mark.filterwarnings("ignore:The noload:DeprecationWarning")
async def test_options_that_change_the_answer_are_refused(office: Database) -> None:
    """What would leave something out of the answer is told and not dropped."""
    async with office.reader() as session:
        for statement in (
            select(Team).options(noload(Team.people)),
            select(Team).options(with_expression(Team.name, Team.name)),
            select(Team).execution_options(schema_translate_map={None: "other"}),
        ):
            for read in (session.json_all, session.read_all):
                with pytest.raises(ConfigurationError, match="cannot honour"):
                    await read(statement, TeamOut)
        with pytest.raises(ConfigurationError, match="one mapped class"):
            await session.json_all(select(Team).from_statement(text("SELECT * FROM team")), TeamOut)
        with pytest.raises(ConfigurationError, match="one mapped class"):
            await session.json_page(select(Team.id), TeamOut, limit=2)


async def test_load_for_loads_what_is_named(office: Database) -> None:
    """The relationships that the schema names, and no other, even where the class would load it."""
    async with office.session() as session:
        team = (await session.all(select(Team).options(*load_for(Team, Named)).order_by(Team.id)))[0]
        assert {"people", "seats", "hidden"} <= inspect(team).unloaded
    async with office.session() as session:
        team = (await session.all(select(Team).options(*load_for(Team, TeamOut)).order_by(Team.id)))[0]
        assert inspect(team).unloaded == {"hidden"}
        assert TeamOut.model_validate(team, from_attributes=True).seats[0].number == 2


async def test_a_schema_of_another_name_is_translated(postgresql_url: str) -> None:
    """An engine that puts tables into another schema is obeyed."""
    async with Database(postgresql_url) as db:
        await db.create_all(Base.metadata)
        async with db.engine.begin() as connection:
            await connection.execute(text("CREATE SCHEMA other"))
            translated = await connection.execution_options(schema_translate_map={None: "other"})
            await translated.run_sync(Base.metadata.create_all)
        async with db.transaction() as session:
            await session.create(Team, id=1, name="here")
        other = db.engine.execution_options(schema_translate_map={None: "other"})
        async with AsyncSession(other) as session:
            session.add(Team(id=1, name="there"))
            await session.flush()
            for schema in (Named, TeamOut, Loud):
                assert b'"name":"there"' in await session.json_all(Team, schema)
                assert (await session.read_one(Team, schema, id=1)).name == "there"


class ArrayBase(DeclarativeBase): ...


class Shelf(ArrayBase):
    __tablename__ = "shelf"

    id: Mapped[int] = mapped_column(primary_key=True)
    boxes: Mapped[list[Box]] = relationship(primaryjoin="Shelf.id == foreign(Box.shelf_id)", order_by="Box.id")


class Box(ArrayBase):
    __tablename__ = "box"

    id: Mapped[int] = mapped_column(primary_key=True)
    shelf_id: Mapped[int] = mapped_column()
    sizes: Mapped[list[int] | None] = mapped_column(ARRAY(Integer))
    words: Mapped[list[str | None] | None] = mapped_column(ARRAY(String))
    grid: Mapped[list[list[int]] | None] = mapped_column(ARRAY(Integer, dimensions=2))
    keys: Mapped[list[uuid.UUID] | None] = mapped_column(ARRAY(Uuid))
    prices: Mapped[list[Decimal] | None] = mapped_column(ARRAY(Numeric(10, 2)))


class BoxOut(BaseModel):
    sizes: list[int] | None
    words: list[str | None] | None
    grid: list[list[int]] | None
    keys: list[uuid.UUID] | None
    prices: list[Decimal] | None


class ShelfOut(BaseModel):
    boxes: list[BoxOut]


async def test_arrays(postgresql_url: str) -> None:
    """PostgreSQL's arrays, of a row's own and nested, with NULLs, quotes and dimensions."""
    async with Database(postgresql_url) as db:
        await db.create_all(ArrayBase.metadata)
        async with db.transaction() as session:
            await session.create(Shelf, id=1)
            await session.create(Box, id=1, shelf_id=1)
            await session.create(
                Box,
                id=2,
                shelf_id=1,
                sizes=[1, -(2**31)],
                words=['a"b', None, "{x,y}", "", "\x01é😀"],
                grid=[[1, 2], [3, 4]],
                keys=[uuid.UUID(int=7)],
                prices=[Decimal("1.50"), Decimal("-0.01")],
            )
            await session.create(Box, id=3, shelf_id=1, sizes=[], words=[])
        async with db.reader() as session:
            await agree(session, select(Box).order_by(Box.id), BoxOut, way="json")
            await agree(session, select(Shelf), ShelfOut, (Shelf.boxes,), way="json")
