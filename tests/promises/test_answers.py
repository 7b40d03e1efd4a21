"""No success is sent before its commit: on every route that writes, a COMMIT that fails is told."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI
from sqlalchemy import func, make_url, select, text
from sqlalchemy.ext.asyncio import AsyncSession as PlainSession
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

from promises.bank import client_of
from promises.chaos import Proxy
from sqlawait import Database
from sqlawait.service.main import create_app
from sqlawait.service.models import Base, User
from sqlawait.service.schemas import UserCreate, UserRead
from sqlawait.service.settings import Settings

WRITING: dict[tuple[str, str], tuple[str, Any]] = {
    ("POST", "/users"): ("/users", {"email": "new@example.com", "name": "New"}),
    ("PATCH", "/users/{user_id}"): ("/users/1", {"name": "Renamed"}),
    ("POST", "/users/{user_id}/posts"): ("/users/1/posts", {"title": "T"}),
    ("POST", "/categories"): ("/categories", {"name": "new"}),
    ("PUT", "/categories/{category_id}"): ("/categories/1", {"name": "other"}),
    ("POST", "/items"): ("/items", {"name": "new", "price": "1"}),
    ("PUT", "/items/{item_id}"): ("/items/1", {"name": "other", "price": "2"}),
    ("POST", "/accounts"): ("/accounts", {"user_id": 1, "balance": "5"}),
    ("POST", "/transfers"): ("/transfers", {"source_id": 1, "target_id": 2, "amount": "5"}),
    ("POST", "/documents"): ("/documents", {"title": "new", "text": "new"}),
    ("DELETE", "/documents/{document_id}"): ("/documents/1", None),
    ("DELETE", "/items/{item_id}"): ("/items/1", None),
    ("DELETE", "/categories/{category_id}"): ("/categories/1", None),
    ("DELETE", "/users/{user_id}"): ("/users/2", None),
}
"""A request that works, for each route that writes."""

READING = {("POST", "/documents/search")}
FIRST: list[tuple[str, Any]] = [
    ("/users", {"email": "ada@example.com", "name": "Ada"}),
    ("/users", {"email": "bob@example.com", "name": "Bob"}),
    ("/categories", {"name": "first"}),
    ("/items", {"name": "first", "price": "1"}),
    ("/accounts", {"user_id": 1, "balance": "100"}),
    ("/accounts", {"user_id": 1, "balance": "100"}),
    ("/documents", {"title": "first", "text": "first"}),
]


@asynccontextmanager
async def service(url: str, db: Database) -> AsyncIterator[tuple[FastAPI, httpx.AsyncClient]]:
    """The service, with one row of everything."""
    await db.create_all(Base.metadata)
    app = create_app(Settings(database_url=url, guards="off"))
    async with client_of(app) as http:
        for path, body in FIRST:
            answer = await http.post(path, json=body)
            assert answer.status_code == 201, answer.text
        yield app, http


def writing_routes(app: FastAPI) -> set[tuple[str, str]]:
    """What the OpenAPI document says can be sent."""
    return {
        (method.upper(), path)
        for path, operations in app.openapi()["paths"].items()
        for method in operations
        if method in {"post", "put", "patch", "delete"}
    } - READING


async def contents(db: Database) -> dict[str, list[Any]]:
    """Every row of every table, but for the vectors."""
    async with db.session() as session:
        found = {}
        for table in Base.metadata.sorted_tables:
            columns = [column for column in table.columns if column.name != "embedding"]
            rows = await session.execute(select(*columns).order_by(*table.primary_key.columns))
            found[table.name] = [tuple(row) for row in rows]
        return found


async def refuse_commits(db: Database) -> None:
    """From now on each change of a row makes a deferred constraint fail, at COMMIT."""
    statements = [
        "CREATE TABLE parents (id INTEGER PRIMARY KEY)",
        "CREATE TABLE doom (id INTEGER REFERENCES parents (id) DEFERRABLE INITIALLY DEFERRED)",
    ]
    if db.dialect == "postgresql":
        statements.append(
            "CREATE FUNCTION doom() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN INSERT INTO doom VALUES (1); RETURN NULL; END $$"
        )
    for table in Base.metadata.tables:
        if db.dialect == "postgresql":
            statements.append(
                f"CREATE TRIGGER doom AFTER INSERT OR UPDATE OR DELETE ON {table} EXECUTE FUNCTION doom()"
            )
        else:
            statements += [
                f"CREATE TRIGGER doom_{table}_{what} AFTER {what} ON {table}"
                " BEGIN INSERT INTO doom VALUES (1); END"
                for what in ("INSERT", "UPDATE", "DELETE")
            ]
    async with db.transaction() as session:
        for statement in statements:
            await session.execute(text(statement))


@pytest.mark.parametrize("backend", ["sqlite", "postgresql"])
async def test_a_commit_that_fails_is_never_a_success(backend: str, request: pytest.FixtureRequest) -> None:
    """A deferred constraint fails at COMMIT: on each writing route the client is told, nothing is stored."""
    url = request.getfixturevalue(f"{backend}_url")
    async with Database(url) as db, service(url, db) as (app, http):
        assert writing_routes(app) == WRITING.keys()
        await refuse_commits(db)
        before = await contents(db)
        for (method, route), (path, body) in WRITING.items():
            answer = await http.request(method, path, json=body)
            assert answer.status_code == 409, (method, route, answer.text)
            assert answer.json()["type"] == "urn:sqlawait:foreign-key"
            assert await contents(db) == before, (method, route)


@pytest.mark.parametrize("backend", ["sqlite", "postgresql", "mysql"])
async def test_those_requests_are_successes_otherwise(backend: str, request: pytest.FixtureRequest) -> None:
    """What the other tests send is right: with nothing in its way it is stored."""
    url = request.getfixturevalue(f"{backend}_url")
    async with Database(url) as db, service(url, db) as (_, http):
        for (method, route), (path, body) in WRITING.items():
            before = await contents(db)
            answer = await http.request(method, path, json=body)
            assert answer.status_code in {200, 201, 204}, (method, route, answer.text)
            assert await contents(db) != before, (method, route)


async def test_a_commit_that_is_lost_is_never_a_success(mysql_url: str) -> None:
    """MariaDB defers nothing: there COMMIT itself is lost, on each writing route."""
    direct = make_url(mysql_url)
    async with Database(mysql_url) as db, Proxy(direct.host or "", direct.port or 3306) as proxy:
        through = direct.set(port=proxy.port).render_as_string(hide_password=False)
        async with service(through, db) as (app, http):
            assert writing_routes(app) == WRITING.keys()
            before = await contents(db)
            for (method, route), (path, body) in WRITING.items():
                proxy.lose_requests = 1
                answer = await http.request(method, path, json=body)
                assert answer.status_code == 500, (method, route, answer.text)
                assert answer.json()["type"] == "urn:sqlawait:commit-unknown"
                assert await contents(db) == before, (method, route)


async def test_the_naive_variant_is_caught(postgresql_url: str) -> None:
    """The tutorials' dependency commits after its yield, when the 201 has been sent."""
    engine = create_async_engine(make_url(postgresql_url).set(drivername="postgresql+asyncpg"))
    make_session = async_sessionmaker(engine, expire_on_commit=False)
    app = FastAPI()

    async def get_session() -> AsyncIterator[PlainSession]:
        async with make_session() as session:
            yield session
            await session.commit()

    @app.post("/users", status_code=201)
    async def create_user(body: UserCreate, session: Annotated[PlainSession, Depends(get_session)]) -> UserRead:
        user = User(**body.model_dump())
        session.add(user)
        await session.flush()
        return UserRead.model_validate(user)

    async with Database(postgresql_url) as db, client_of(app) as http:
        await db.create_all(Base.metadata)
        await refuse_commits(db)
        answer = await http.post("/users", json={"email": "new@example.com", "name": "New"})
        async with db.session() as session:
            stored = await session.scalar(select(func.count()).select_from(User))
        await engine.dispose()
    assert (answer.status_code, stored) == (201, 0)
