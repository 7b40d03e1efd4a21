"""The three databases that the suite runs on.

SQLite is a file of its own for each test. PostgreSQL is one server for the run, with a new
database for each test. MariaDB/MySQL is the server at ``SQLAWAIT_TEST_MYSQL_URL`` or on 127.0.0.1:3306; without
one its tests are skipped with the reason, but fail where ``CI`` is set.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import asyncpg
import pymysql
import pytest
from anyio.from_thread import start_blocking_portal
from sqlalchemy import URL, make_url

from models import Base
from sqlawait import Database
from sqlawait.embedded import EmbeddedPostgres
from sqlawait.pool import FairPool

BACKENDS = ("sqlite", "postgresql", "mysql")
BACKENDS_OF = {
    "postgresql": "SELECT count(*) FROM pg_stat_activity WHERE datname = '{}'",
    "mysql": "SELECT count(*) FROM information_schema.processlist WHERE db = '{}'",
}
"""How many connections a database has, as its server sees it."""

Ask = Callable[[str], Sequence[Any]]


@pytest.fixture
def anyio_backend() -> str:
    """Tests run on asyncio: SQLAlchemy knows no other loop."""
    return "asyncio"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[EmbeddedPostgres]:
    """A PostgreSQL 18 with pgvector for the run."""
    with EmbeddedPostgres(settings={"max_connections": "300", "deadlock_timeout": "50ms"}) as server:
        yield server


@pytest.fixture(scope="session")
def ask_postgresql(postgres_server: EmbeddedPostgres) -> Iterator[Ask]:
    """Runs one statement on that server, past the library."""
    with start_blocking_portal() as portal:
        connection = portal.call(asyncpg.connect, postgres_server.url())
        yield lambda statement: portal.call(connection.fetch, statement)
        portal.call(connection.close)


@pytest.fixture(scope="session")
def ask_mysql(mysql_server: URL) -> Ask:
    """Runs one statement on that server, past the library."""

    def ask(statement: str) -> Sequence[Any]:
        with _mysql(mysql_server) as connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall()

    return ask


@pytest.fixture(scope="session")
def mysql_server() -> URL:
    """Where MariaDB or MySQL answers."""
    url = make_url(os.environ.get("SQLAWAIT_TEST_MYSQL_URL", "mysql://root@127.0.0.1:3306"))
    try:
        _mysql(url).close()
    except pymysql.err.OperationalError as error:
        reason = f"no MariaDB/MySQL at {url.host}:{url.port or 3306} ({error.args[1]})"
        if os.environ.get("CI"):
            pytest.fail(f"{reason}; CI needs all three databases")
        pytest.skip(f"{reason}; set SQLAWAIT_TEST_MYSQL_URL to run this group")
    return url


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """A new SQLite file."""
    return f"sqlite:///{tmp_path / 'test.db'}"


@pytest.fixture
def postgresql_url(
    postgres_server: EmbeddedPostgres, ask_postgresql: Ask, request: pytest.FixtureRequest
) -> Iterator[str]:
    """A new PostgreSQL database, dropped at the end, when nobody is connected to it any more."""
    name = f"test_{secrets.token_hex(6)}"
    ask_postgresql(f"CREATE DATABASE {name}")
    yield postgres_server.url(name)
    pooled = "pgbouncer" in request.fixturenames  # which keeps its own connections open for the next client
    left = 0 if pooled else settled(ask_postgresql, BACKENDS_OF["postgresql"].format(name))
    ask_postgresql(f"DROP DATABASE {name} WITH (FORCE)")
    assert left == 0, f"{left} backends were left behind"


@pytest.fixture
def mysql_url(mysql_server: URL, ask_mysql: Ask) -> Iterator[str]:
    """A new MariaDB/MySQL database, dropped at the end, when nobody is connected to it any more."""
    name = f"test_{secrets.token_hex(6)}"
    ask_mysql(f"CREATE DATABASE {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
    yield mysql_server.set(database=name).render_as_string(hide_password=False)
    left = settled(ask_mysql, BACKENDS_OF["mysql"].format(name))
    ask_mysql(f"DROP DATABASE {name}")
    assert left == 0, f"{left} connections were left behind"


def settled(ask: Ask, count: str, at_most: int = 0) -> int:
    """A count, once it is low enough or 10 s are over: a server takes a moment to see a connection end."""
    deadline = time.monotonic() + 10
    while (found := int(ask(count)[0][0])) > at_most and time.monotonic() < deadline:
        time.sleep(0.01)
    return found


@pytest.fixture(params=BACKENDS)
def url(request: pytest.FixtureRequest) -> str:
    """The URL of a new, empty database, without a driver: the test runs once on each of the three databases."""
    value: str = request.getfixturevalue(f"{request.param}_url")
    return value


@pytest.fixture
async def db(url: str, request: pytest.FixtureRequest) -> AsyncIterator[Database]:
    """A Database on a new database that has the tests' tables, on each of the three."""
    kind = make_url(url).get_backend_name()
    ask: Ask | None = request.getfixturevalue(f"ask_{kind}") if kind in BACKENDS_OF else None
    async with Database(url) as database:
        await database.create_all(Base.metadata)
        yield database
        pool = database.engine.pool
        assert isinstance(pool, FairPool)
        assert pool.checkedout() == 0, "a connection was not given back"
        if ask is not None:
            backends = settled(ask, BACKENDS_OF[kind].format(database.engine.url.database), at_most=pool.size())
            assert backends <= pool.size(), "more connections than the pool may have"


@pytest.fixture
async def lost_connections() -> None:
    """For tests that cut asyncpg off while it connects: it tells the loop of that, besides raising."""
    loop = asyncio.get_running_loop()
    tell = loop.get_exception_handler()

    def ignore(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if "unexpected connection_lost() call" not in str(context.get("exception")) and tell is not None:
            tell(loop, context)

    loop.set_exception_handler(ignore)


def _mysql(url: URL) -> pymysql.Connection[pymysql.cursors.Cursor]:
    return pymysql.connect(
        host=url.host,
        port=url.port or 3306,
        user=url.username,
        password=url.password or "",
        connect_timeout=5,
    )
