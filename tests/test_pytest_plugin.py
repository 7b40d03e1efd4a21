"""The plugin in a test suite of its own: sandboxed, counted, guarded, with each runner and each client."""

from __future__ import annotations

import subprocess
import sys

import pytest

APPLICATION = """
from fastapi import FastAPI
from pydantic import BaseModel
from sqlalchemy import ForeignKey, String, select
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlawait import Database
from sqlawait.fastapi import ReaderDep, SessionDep, install

class Base(DeclarativeBase): ...

class User(Base):
    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50))
    posts: Mapped[list["Post"]] = relationship()

class Post(Base):
    __tablename__ = "posts"
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))

db = Database("{url}")
app = FastAPI()
install(app, db)

@app.post("/users")
async def create(name: str, session: SessionDep) -> int:
    return (await session.create(User, name=name)).id

@app.get("/users")
async def count(session: SessionDep) -> int:
    return await session.count(User)

@app.get("/lazy")
async def lazy(session: SessionDep) -> int:
    user = await session.first(select(User))
    return len(user.posts)

@app.get("/loop")
async def loop(session: SessionDep) -> int:
    for number in range(10):
        await session.get(User, number)
    return 0

@app.get("/user/{{number}}")
async def read(number: int, session: SessionDep) -> str | None:
    user = await session.get(User, number)
    return user.name if user else None

class UserOut(BaseModel):
    id: int

@app.get("/shaped/{{number}}", response_model=UserOut)
async def shaped(number: int, session: ReaderDep):
    return await session.json_one(User, UserOut, id=number)

@app.get("/sleep")
async def sleep() -> int:
    import time
    time.sleep(1)
    return 0
"""

SETTINGS = """
[pytest]
asyncio_mode = strict
asyncio_default_fixture_loop_scope = function
sqlawait_database = application:db
sqlawait_metadata = application:Base
pythonpath = .
filterwarnings =
    error
    ignore:unclosed database:ResourceWarning
"""

CLIENT = """
import pytest
from httpx import ASGITransport, AsyncClient
from application import Post, User, app
from fastapi.testclient import TestClient

def client():
    return AsyncClient(transport=ASGITransport(app), base_url="http://test")
"""


OPTIONS = (
    "-q",
    "-p",
    "no:cacheprovider",
    "-p",
    "anyio",
    "-p",
    "pytest_asyncio.plugin",
    "-p",
    "sqlawait.pytest_plugin",
)
"""Only the plugins that matter: all that are installed here take seconds to load."""


@pytest.fixture(autouse=True)
def only_the_plugins_that_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each inner run names its plugins."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")


@pytest.fixture
def suite(pytester: pytest.Pytester, url: str) -> pytest.Pytester:
    """An application and its tests' settings, on each database."""
    pytester.makepyfile(application=APPLICATION.format(url=url))
    pytester.makeini(SETTINGS)
    return pytester


@pytest.fixture
def small_suite(pytester: pytest.Pytester, sqlite_url: str) -> pytest.Pytester:
    """The same on SQLite."""
    pytester.makepyfile(application=APPLICATION.format(url=sqlite_url))
    pytester.makeini(SETTINGS)
    return pytester


pytest_plugins = ["pytester"]


def run(suite: pytest.Pytester, tests: str, **expected: int) -> pytest.RunResult:
    """Run the tests in a process of their own."""
    suite.makepyfile(test_it=CLIENT + tests)
    result = suite.runpytest_subprocess(*OPTIONS)
    result.assert_outcomes(**expected)
    return result


def test_each_test_begins_with_the_same_rows(suite: pytest.Pytester) -> None:
    """What a test and the application commit is gone in the next: both runners, TestClient, real commits."""
    run(
        suite,
        """
@pytest.fixture
def anyio_backend():
    return "asyncio"

async def with_client(db, session):
    session.add(User(name="Ada"))
    await session.commit()
    async with client() as http:
        assert (await http.post("/users", params={"name": "Bob"})).status_code == 200
        assert (await http.get("/users")).json() == 2
    assert await session.count(User) == 2
    async with db.transaction() as own:
        await own.create(User, name="Eve")

@pytest.mark.anyio
@pytest.mark.parametrize("again", range(2))
async def test_anyio(db, session, again):
    await with_client(db, session)

@pytest.mark.asyncio
@pytest.mark.parametrize("again", range(2))
async def test_asyncio(db, session, again):
    await with_client(db, session)

@pytest.mark.asyncio
async def test_open_session(session):
    await session.create(User, name="Ada")
    async with client() as http:
        assert (await http.get("/users")).json() == 1

@pytest.mark.parametrize("again", range(2))
def test_sync(db, again):
    with TestClient(app) as http:
        assert http.post("/users", params={"name": "Bob"}).status_code == 200
        assert http.get("/users").json() == 1

@pytest.mark.real_commits
@pytest.mark.parametrize("again", range(2))
def test_sync_with_real_commits(db, again):
    with TestClient(app) as http:
        assert http.post("/users", params={"name": "Bob"}).status_code == 200
        assert http.get("/users").json() == 1

@pytest.mark.asyncio
@pytest.mark.real_commits
@pytest.mark.parametrize("again", range(2))
async def test_async_with_real_commits(db, again):
    async with db.transaction() as session:
        await session.create(User, name="Ada", posts=[Post()])
    async with db.reader() as session:
        assert await session.count(User) == 1

@pytest.mark.asyncio
async def test_nothing_is_left(session):
    assert await session.count(User) == 0
""",
        passed=12,
    )


def test_mistakes_fail_the_test_with_line_and_fix(small_suite: pytest.Pytester) -> None:
    """Counts and guards, as marker and as fixture; also where the application answers 500 and nobody looks."""
    result = run(
        small_suite,
        """
asynchronous = pytest.mark.asyncio

@asynchronous
async def test_right(db, assert_statements):
    async with client() as http:
        with assert_statements(1):
            await http.get("/user/1")
        with assert_statements(at_most=12):
            await http.get("/loop")

@asynchronous
async def test_wrong(db, assert_statements):
    async with client() as http:
        with assert_statements(1):
            await http.get("/loop")

def test_sync(db, assert_statements):
    with TestClient(app) as http, assert_statements(1):
        http.get("/user/1")

@pytest.mark.real_commits
def test_shaped(db, assert_statements):
    with TestClient(app) as http:
        with assert_statements(1):
            number = http.post("/users?name=Ada").json()
        http.get(f"/shaped/{number}")  # the first one looks which server it is
        with assert_statements(1):
            assert http.get(f"/shaped/{number}").status_code == 200

@asynchronous
@pytest.mark.no_lazy_loads
async def test_lazy(session):
    await session.create(User, name="Ada")
    await session.commit()
    transport = ASGITransport(app, raise_app_exceptions=False)
    async with AsyncClient(transport=transport, base_url="http://test") as http:
        await http.get("/lazy")

@asynchronous
async def test_lazy_fixture(session, no_lazy_loads):
    await session.create(User, name="Ada")
    async with client() as http:
        await http.get("/lazy")

@asynchronous
@pytest.mark.no_n_plus_one
async def test_loop(db):
    async with client() as http:
        await http.get("/loop")

@asynchronous
@pytest.mark.no_blocking
async def test_block(db):
    async with client() as http:
        await http.get("/sleep")

@pytest.mark.no_blocking
def test_block_sync(db):
    with TestClient(app) as http:
        http.get("/sleep")

@asynchronous
@pytest.mark.no_leaks
async def test_leak(db):
    session = db.session()
    await session.get(User, 1)
    test_leak.kept = session

@asynchronous
@pytest.mark.no_shared_sessions
async def test_shared(session):
    import asyncio
    await session.connection()
    await asyncio.gather(session.get(User, 1), session.get(User, 2), return_exceptions=True)

@asynchronous
@pytest.mark.no_lazy_loads
@pytest.mark.no_n_plus_one
@pytest.mark.no_blocking
@pytest.mark.no_leaks
@pytest.mark.no_shared_sessions
async def test_good(db, session):
    await session.create(User, name="Ada")
    async with client() as http:
        for number in range(20):
            await http.get(f"/user/{number}")
""",
        passed=4,
        failed=8,
    )
    for expected in (
        "*10 statements instead of 1:*",
        "* 1. *application.py:*SELECT users.id*",
        "*relationship User.posts was not loaded; add .options(selectinload(User.posts))*",
        "*one SELECT ran * times in GET /loop*",
        "*the event loop was blocked for * ms at application.py:* in GET /sleep*",
        "*a connection is still out at the end of *test_leak*",
        "*calls get() at *on a session that task *",
    ):
        result.stdout.fnmatch_lines([expected])


def test_an_unknown_database_says_what_to_set(pytester: pytest.Pytester) -> None:
    """Without the setting the error says how to give it."""
    pytester.makepyfile("def test_it(db): ...")
    result = pytester.runpytest_subprocess(*OPTIONS)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*set sqlawait_database = *"])


def test_a_real_postgresql_for_the_asking(pytester: pytest.Pytester) -> None:
    """postgres_url is a new database on a server that the plugin starts."""
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function")
    pytester.makepyfile(
        """
import pytest
from sqlawait import Database

@pytest.mark.asyncio
async def test_it(postgres_url):
    async with Database(postgres_url) as db:
        assert db.dialect == "postgresql"
        assert (await db.health()).ok
"""
    )
    pytester.runpytest_subprocess(*OPTIONS).assert_outcomes(passed=1)


def test_it_costs_nothing_until_it_is_used() -> None:
    """Loading the plugin loads nothing else of this library, nor of what it stands on."""
    code = (
        "import sys, pytest, sqlawait; before = set(sys.modules); import sqlawait.pytest_plugin;"
        "print(sorted(name for name in set(sys.modules) - before if 'sqla' in name or 'fastapi' in name))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['sqlawait.pytest_plugin']"
