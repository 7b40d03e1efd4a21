"""The service on each of the three databases: migrated once, emptied after each test."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pymysql
import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient
from sqlalchemy import URL, delete

from sqlawait import Database
from sqlawait.commands import migrations
from sqlawait.embedded import EmbeddedPostgres
from sqlawait.events import Finding
from sqlawait.guards import blocked_loop
from sqlawait.service.main import create_app
from sqlawait.service.models import Base
from sqlawait.service.settings import Settings

Make = Callable[..., Awaitable[dict[str, Any]]]


@pytest.fixture(scope="session")
def service_on_sqlite(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A file for the run."""
    return f"sqlite:///{tmp_path_factory.mktemp('service') / 'service.db'}"


@pytest.fixture(scope="session")
def service_on_postgresql(postgres_server: EmbeddedPostgres) -> str:
    """A database for the run; it goes with its server."""
    return postgres_server.create_database(f"service_{secrets.token_hex(6)}")


@pytest.fixture(scope="session")
def service_on_mysql(mysql_server: URL) -> Iterator[str]:
    """A database for the run."""
    name = f"service_{secrets.token_hex(6)}"
    execute_on(mysql_server, f"CREATE DATABASE {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
    yield mysql_server.set(database=name).render_as_string(hide_password=False)
    execute_on(mysql_server, f"DROP DATABASE {name}")


@pytest.fixture(scope="session", params=["sqlite", "postgresql", "mysql"])
def service_url(request: pytest.FixtureRequest) -> str:
    """A migrated database: what uses it runs once on each of the three."""
    url: str = request.getfixturevalue(f"service_on_{request.param}")
    migrations.upgrade(url=url)
    return url


@pytest.fixture
async def emptied(service_url: str) -> AsyncIterator[None]:
    """Empties every table afterwards."""
    yield
    async with Database(service_url) as db, db.transaction() as session:
        for table in reversed(Base.metadata.sorted_tables):
            await session.execute(delete(table))


@pytest.fixture
async def app(service_url: str, emptied: None) -> AsyncIterator[FastAPI]:
    """The running application."""
    app = create_app(Settings(database_url=service_url, guards="raise"))
    findings: list[Finding] = []

    def keep(event: object) -> None:
        # what is found by time says as much of the machine as of the code
        if isinstance(event, Finding) and not (event.guard == "blocked-loop" and event.seconds):
            findings.append(event)

    app.state.guards.observers.append(keep)
    async with app.router.lifespan_context(app):
        yield app
    blocked_loop.unwatch()
    assert findings == []


@pytest.fixture
async def client(app: FastAPI) -> AsyncIterator[AsyncClient]:
    """A client that sees what a client sees: an exception is a 500, not a traceback."""
    transport = ASGITransport(app, raise_app_exceptions=False)
    async with AsyncClient(transport=transport, base_url="http://service") as client:
        yield client


@pytest.fixture
def make(client: AsyncClient) -> Make:
    """Post, and give what was made: ``await make("/users", email=…, name=…)``."""

    async def make(path: str, **body: Any) -> dict[str, Any]:
        answer = await client.post(path, json=body)
        assert answer.status_code == 201, answer.text
        made: dict[str, Any] = answer.json()
        return made

    return make


@pytest.fixture
async def user(make: Make) -> dict[str, Any]:
    """A user."""
    return await make("/users", email="ada@example.com", name="Ada")


def execute_on(url: URL, statement: str) -> None:
    """Run one statement on the MariaDB/MySQL server."""
    with (
        pymysql.connect(
            host=url.host, port=url.port or 3306, user=url.username, password=url.password or ""
        ) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(statement)
