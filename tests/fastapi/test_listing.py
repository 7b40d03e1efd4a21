"""Lists over HTTP: what is declared works and is documented, everything else is a 422."""

from __future__ import annotations

import enum
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Annotated, Any

import httpx
import pytest
from fastapi import FastAPI
from pydantic import BaseModel
from sqlalchemy import JSON, BigInteger, DateTime, Numeric, String, Text, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from sqlawait import Database, OffsetPage, Page
from sqlawait.exceptions import ConfigurationError
from sqlawait.fastapi import Listing, OffsetListing, ReaderDep, install, listing, offset_listing
from sqlawait.fastapi.listing import MAX_IN


class Kind(enum.Enum):
    CAT = "cat"
    DOG = "dog"


class Base(DeclarativeBase):
    pass


class Pet(Base):
    """A column of each type that can be filtered by, and one that cannot."""

    __tablename__ = "pets"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50))
    note: Mapped[str | None] = mapped_column(Text)
    age: Mapped[int | None]
    chip: Mapped[int] = mapped_column(BigInteger)
    weight: Mapped[float]
    price: Mapped[Decimal] = mapped_column(Numeric(10, 2))
    kind: Mapped[Kind]
    tame: Mapped[bool]
    born: Mapped[date]
    fed: Mapped[time]
    seen: Mapped[datetime] = mapped_column(DateTime(timezone=True))
    made: Mapped[datetime]
    key: Mapped[uuid.UUID]
    secret: Mapped[str] = mapped_column(String(50))
    json: Mapped[Any] = mapped_column(JSON)


class PetRead(BaseModel):
    id: int
    name: str


Pets = Annotated[
    Listing[Pet],
    listing(
        Pet,
        filters=[
            (Pet.name, "eq", "contains", "startswith", "in"),
            (Pet.note, "null", "ne"),
            (Pet.age, "eq", "lt", "le", "gt", "ge", "in", "null"),
            Pet.chip,
            (Pet.weight, "ge"),
            (Pet.price, "eq", "ge"),
            (Pet.kind, "eq", "in"),
            Pet.tame,
            (Pet.born, "eq", "ge"),
            Pet.fed,
            (Pet.seen, "eq", "ge"),
            (Pet.made, "ge"),
            Pet.key,
        ],
        sorts=[Pet.name, Pet.age],
        max_limit=50,
    ),
]
PetOffsets = Annotated[OffsetListing[Pet], offset_listing(Pet, filters=[Pet.name], sorts=[Pet.age])]

NAMES = ["Ada", "b%d", "b_d", "bed", "Ünal", "名前", "a'b", 'a"b', "a\\b", "zed"]


def make_app(db: Database) -> FastAPI:
    app = FastAPI()
    install(app, db)

    @app.get("/pets", response_model=Page[PetRead])
    async def pets(pets: Pets, session: ReaderDep) -> Page[Pet]:
        return await pets.page(session)

    @app.get("/tame", response_model=Page[PetRead])
    async def tame(pets: Pets, session: ReaderDep) -> Page[Pet]:
        return await pets.page(session, select(Pet).where(Pet.tame))

    @app.get("/offsets", response_model=OffsetPage[PetRead])
    async def offsets(pets: PetOffsets, session: ReaderDep) -> OffsetPage[Pet]:
        return await pets.page(session)

    return app


@pytest.fixture
async def client(url: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client of an application on each database, with ten pets."""
    async with Database(url, pool_size=2, threads=1) as db:
        await db.create_all(Base.metadata)
        async with db.transaction() as session:
            for number, name in enumerate(NAMES):
                await session.create(
                    Pet,
                    id=number + 1,
                    name=name,
                    note="x" if number % 2 else None,
                    age=number % 4 or None,
                    chip=2**40 + number,
                    weight=number / 2,
                    price=Decimal(number) / 4,
                    kind=Kind.DOG if number % 2 else Kind.CAT,
                    tame=number < 3,
                    born=date(2020, 1, 1 + number),
                    fed=time(number),
                    seen=datetime(2024, 1, 1, number, tzinfo=UTC),
                    made=datetime(2024, 1, 1, number),  # noqa: DTZ001 - the column has no zone
                    key=uuid.UUID(int=number),
                    secret=str(number),
                    json={},
                )
        transport = httpx.ASGITransport(make_app(db), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            yield client


async def ids(client: httpx.AsyncClient, query: str, path: str = "/pets") -> list[int]:
    answer = await client.get(f"{path}?{query}")
    assert answer.status_code == 200, (query, answer.text)
    return [item["id"] for item in answer.json()["items"]]


GOOD = {
    "": [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
    "name=bed": [4],
    "name__contains=%25": [2],
    "name__contains=_": [3],
    "name__contains=%5C": [9],
    "name__startswith=b": [2, 3, 4],
    "name__in=bed&name__in=zed&name__in=nobody": [4, 10],
    "name=%E5%90%8D%E5%89%8D": [6],
    "name=a'b": [7],
    "note__null=true": [1, 3, 5, 7, 9],
    "note__null=false&age=1": [2, 6, 10],
    "note__ne=y": [2, 4, 6, 8, 10],
    "age=3": [4, 8],
    "age__gt=1&age__le=2": [3, 7],
    "age__ge=3": [4, 8],
    "age__lt=2": [2, 6, 10],
    "age__in=2&age__in=3": [3, 4, 7, 8],
    "age__null=1": [1, 5, 9],
    f"chip={2**40 + 4}": [5],
    f"chip={2**63 - 1}": [],
    "weight__ge=4": [9, 10],
    "price=0.5": [3],
    "price__ge=2": [9, 10],
    "kind=dog&age=1": [2, 6, 10],
    "kind__in=cat&age__null=true": [1, 5, 9],
    "tame=true": [1, 2, 3],
    "born=2020-01-02": [2],
    "born__ge=2020-01-09": [9, 10],
    "fed=03:00": [4],
    "seen=2024-01-01T03:00:00Z": [4],
    "seen=2024-01-01T05:00:00%2B02:00": [4],
    "seen__ge=2024-01-01T08:00:00Z": [9, 10],
    "made__ge=2024-01-01T08:00:00": [9, 10],
    f"key={uuid.UUID(int=3)}": [4],
    "sort=-name&limit=1": [6],
    "sort=age&sort=-name&age__ge=2": [3, 7, 4, 8],
    "limit=3": [1, 2, 3],
}


async def test_declared_filters_and_sorts_work(client: httpx.AsyncClient) -> None:
    """Each operator on each type, alone and together, text taken as it is; the same on every database."""
    for query, wanted in GOOD.items():
        assert await ids(client, query) == wanted, query


async def test_pages_follow_each_other(client: httpx.AsyncClient) -> None:
    """Cursors lead through a filtered, sorted list; offsets too, with the total."""
    seen: list[int] = []
    query = "sort=-age&note__null=false&limit=2"
    cursor = ""
    while True:
        answer = (await client.get(f"/pets?{query}{cursor}")).json()
        seen += [item["id"] for item in answer["items"]]
        if answer["next"] is None:
            break
        cursor = f"&cursor={answer['next']}"
    assert seen == [8, 4, 10, 6, 2]
    answer = (await client.get("/offsets?sort=age&limit=3&offset=9&total=true")).json()
    assert (len(answer["items"]), answer["total"], answer["more"]) == (1, 10, False)


async def test_own_conditions_join_those_of_the_request(client: httpx.AsyncClient) -> None:
    """A route's own select is filtered and sorted as asked, and never widened."""
    assert await ids(client, "sort=-name", "/tame") == [3, 2, 1]
    assert await ids(client, "name=zed", "/tame") == []


BAD = [
    "secret=1",
    "secret__eq=1",
    "sort=secret",
    "sort=-secret",
    "sort=id",
    "sort=name&sort=name&sort=name",
    "sort=",
    "sort=--name",
    "sort=name;drop",
    "name__like=a",
    "name__eq=a",
    "tame__in=true",
    "unknown=1",
    "limit=0",
    "limit=-1",
    "limit=51",
    "limit=x",
    f"limit={10**30}",
    "cursor=",
    "cursor=abc",
    "cursor=%00",
    "cursor=%F0%9F%99%82",
    f"cursor={'A' * 20_000}",
    "name=%00",
    "name=a%00b",
    "name__contains=%00",
    "name__in=%00",
    f"name={'x' * 51}",
    "age=x",
    "age=1.5",
    f"age={2**31}",
    f"age={-(2**31) - 1}",
    f"age={'9' * 5000}",
    f"chip={2**63}",
    "age__in=1&age__in=x",
    "&".join(f"age__in={n}" for n in range(MAX_IN + 1)),
    "weight__ge=nan",
    "weight__ge=inf",
    "weight__ge=1e999",
    "price=NaN",
    "price=Infinity",
    "price=1e999999999",
    f"price={'9' * 60}",
    "kind=bird",
    "kind=DOG'",
    "tame=maybe",
    "born=2020-13-01",
    "born=0000-01-01",
    "fed=25:00",
    "seen=2024-01-01T00:00:00",
    "seen=0001-01-01T00:00:00%2B23:00",
    "seen=9999-12-31T23:59:59-23:00",
    "made__ge=2024-01-01T00:00:00Z",
    "key=1",
    "note__null=",
    "offset=1",
]


async def test_everything_else_is_a_422(client: httpx.AsyncClient) -> None:
    """What is not declared, and what a column cannot hold, is the request's fault; nothing is a 500."""
    for query in BAD:
        answer = await client.get(f"/pets?{query}")
        assert answer.status_code == 422, (query[:80], answer.status_code, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
    for query in ("offset=-1", "offset=10001", "total=x", "cursor=abc", "name__contains=a"):
        assert (await client.get(f"/offsets?{query}")).status_code == 422, query


async def test_cursor_of_another_sort_is_a_422(client: httpx.AsyncClient) -> None:
    """A cursor is good for the order that it was made for."""
    cursor = (await client.get("/pets?sort=name&limit=2")).json()["next"]
    assert await ids(client, f"sort=name&cursor={cursor}")
    assert (await client.get(f"/pets?sort=age&cursor={cursor}")).status_code == 422
    assert (await client.get(f"/pets?sort=name&cursor={cursor[:-2]}AA")).status_code == 422


async def test_lone_surrogate_is_a_422(client: httpx.AsyncClient) -> None:
    """Percent-encoded surrogates decode to text that no database takes."""
    answer = await client.get("/pets?name=%ED%A0%80")
    assert answer.status_code in {200, 422}  # servers replace what is no UTF-8
    assert answer.status_code == 422 or answer.json()["items"] == []


def test_openapi_shows_what_is_allowed() -> None:
    """Sorts as an enum, filters with their types and bounds, the page's own parameters; nothing else."""
    schema = make_app(Database("sqlite://")).openapi()
    parameters = {one["name"]: one["schema"] for one in schema["paths"]["/pets"]["get"]["parameters"]}
    assert parameters["sort"]["items"]["enum"] == ["name", "-name", "age", "-age"]
    assert parameters["limit"] == {
        "type": "integer",
        "maximum": 50,
        "minimum": 1,
        "default": 20,
        "title": "Limit",
        "description": "How many rows at most.",
    }
    assert parameters["age__ge"]["anyOf"][0] == {
        "type": "integer",
        "minimum": -(2**31),
        "exclusiveMaximum": 2**31,
    }
    assert parameters["seen"]["anyOf"][0] == {"type": "string", "format": "date-time"}
    assert parameters["name__in"]["anyOf"][0]["maxItems"] == MAX_IN
    assert "secret" not in str(parameters)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"filters": [(Pet.age, "contains")]}, "not text"),
        ({"filters": [(Pet.kind, "contains")]}, "not text"),
        ({"filters": [(Pet.age, "like")]}, "filter's operator"),
        ({"filters": [Pet.json]}, "no query parameter"),
        ({"filters": [Pet.age, (Pet.age, "eq")]}, "declared twice"),
        ({"limit": 101}, "max_limit"),
    ],
)
def test_mistakes_in_a_declaration_show_at_once(options: Any, message: str) -> None:
    """What cannot work is a ConfigurationError when the module is imported, not a 500 later."""
    with pytest.raises(ConfigurationError, match=message):
        listing(Pet, **options)


def test_filter_with_the_name_of_a_page_parameter() -> None:
    """A column called ``limit`` cannot be filtered by, and says so."""

    class Rule(Base):
        __tablename__ = "rules"
        id: Mapped[int] = mapped_column(primary_key=True)
        limit: Mapped[int]

    with pytest.raises(ConfigurationError, match="parameter of the page"):
        listing(Rule, filters=[Rule.limit])
