"""Fixtures and checks for the tests of applications; loaded by pytest, it costs nothing until one is used.

Fixtures: ``db``, ``session``, ``assert_statements``, ``embedded_postgres``, ``postgres_url``, and one a guard.
Markers: ``real_commits``, and one a guard: ``no_lazy_loads``, ``no_n_plus_one``, ``no_shared_sessions``,
``no_blocking``, ``no_leaks``. They work with the runners of anyio and pytest-asyncio and in plain functions.

In ``pytest.ini`` or ``pyproject.toml``: ``sqlawait_database = "shop.database:db"`` names the Database, and
``sqlawait_metadata = "shop.models:Base"`` what tables it shall have.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterator
from contextlib import AbstractContextManager, AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, Protocol

import pytest

if TYPE_CHECKING:  # nothing of this is imported before a fixture asks for it
    from sqlawait.database import Database
    from sqlawait.embedded import EmbeddedPostgres
    from sqlawait.events import Finding
    from sqlawait.guards import Guards
    from sqlawait.sandbox import Nesting
    from sqlawait.session import AsyncSession

MARKERS = {
    "no_lazy_loads": ("lazy-load", "fail where an unloaded attribute is touched outside of await"),
    "no_n_plus_one": ("n-plus-one", "fail where one request runs the same SELECT again and again"),
    "no_shared_sessions": ("shared-session", "fail where two tasks use one session at once"),
    "no_blocking": ("blocked-loop", "fail where the event loop is blocked"),
    "no_leaks": ("leaked-connection", "fail where a connection is kept beyond its request"),
}


class _Care:
    """What one test asked for."""

    def __init__(self) -> None:
        self.db: Database | None = None
        self.nesting: Nesting | None = None
        self.real_commits = False
        self.sessions: list[AsyncSession] = []
        self.guards: set[str] = set()
        self.findings: list[Finding] = []


_CARE = pytest.StashKey[_Care]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the two settings."""
    parser.addini("sqlawait_database", "the Database under test, as module:attribute", default="")
    parser.addini("sqlawait_metadata", "whose tables it shall have, as module:attribute", default="")


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers."""
    config.addinivalue_line("markers", "real_commits: no sandbox; the tables are emptied after the test")
    for marker, (_, meaning) in MARKERS.items():
        config.addinivalue_line("markers", f"{marker}: {meaning}")


def _care(node: pytest.Item) -> _Care:
    return node.stash.setdefault(_CARE, _Care())


@pytest.fixture(scope="session")
def sqlawait_database(request: pytest.FixtureRequest) -> Database:
    """The Database under test. Override it, or name it in the setting ``sqlawait_database``."""
    from sqlawait.exceptions import ConfigurationError

    name = str(request.config.getini("sqlawait_database"))
    if not name:
        raise ConfigurationError(
            'the tests do not know the Database; set sqlawait_database = "package.module:db" in the settings of'
            " pytest, or override the fixture sqlawait_database"
        )
    database: Database = _named(name)
    metadata = str(request.config.getini("sqlawait_metadata"))
    if metadata:
        tables = _named(metadata)
        asyncio.run(_create(database, getattr(tables, "metadata", tables)))
    return database


@pytest.fixture
def db(request: pytest.FixtureRequest) -> Iterator[Database]:
    """The Database in a sandbox: what the test and the application commit is rolled back at its end.

    With ``@pytest.mark.real_commits`` they commit really, and all tables are emptied afterwards.
    """
    from sqlawait.sandbox import sandboxed

    database: Database = request.getfixturevalue("sqlawait_database")
    care = _care(request.node)
    care.db = database
    care.real_commits = request.node.get_closest_marker("real_commits") is not None
    if care.real_commits:
        yield database
        if not _is_async(request.node):
            asyncio.run(_empty(database))
        return
    with sandboxed(database) as care.nesting:
        yield database
        database._abandon()


@pytest.fixture
def session(db: Database, request: pytest.FixtureRequest) -> AsyncSession:
    """A session in the sandbox, for asynchronous tests: closed at the test's end."""
    session = db.session()
    _care(request.node).sessions.append(session)
    return session


@pytest.fixture(scope="session")
def embedded_postgres() -> Iterator[EmbeddedPostgres]:
    """A real PostgreSQL server for the run (extra ``postgres-server``)."""
    from sqlawait.embedded import EmbeddedPostgres

    with EmbeddedPostgres() as server:
        yield server


@pytest.fixture
def postgres_url(embedded_postgres: EmbeddedPostgres) -> Iterator[str]:
    """The URL of a new, empty database on a real PostgreSQL, dropped after the test."""
    import secrets

    name = f"test_{secrets.token_hex(6)}"
    yield embedded_postgres.create_database(name)
    embedded_postgres.drop_database(name)


class AssertStatements(Protocol):
    """What the fixture ``assert_statements`` is."""

    def __call__(
        self, exactly: int | None = None, /, *, at_most: int | None = None
    ) -> AbstractContextManager[list[str]]: ...


@pytest.fixture
def assert_statements() -> AssertStatements:
    """Count the statements of a block: ``with assert_statements(2): await client.get("/users/1")``.

    ``at_most=`` sets a bound instead. BEGIN, COMMIT and savepoints are not counted. The block gets the list of
    statements, each with the line that ran it.
    """
    return _counting


def _guard_fixture(marker: str) -> Any:
    def guard(request: pytest.FixtureRequest) -> list[Finding]:
        care = _care(request.node)
        care.guards.add(MARKERS[marker][0])
        return care.findings

    guard.__doc__ = f"{MARKERS[marker][1].capitalize()}; gives the list of findings."
    return pytest.fixture(name=marker)(guard)


no_lazy_loads = _guard_fixture("no_lazy_loads")
no_n_plus_one = _guard_fixture("no_n_plus_one")
no_shared_sessions = _guard_fixture("no_shared_sessions")
no_blocking = _guard_fixture("no_blocking")
no_leaks = _guard_fixture("no_leaks")


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Put the test into its sandbox and under its guards, in its own event loop and task."""
    marked = {guard for marker, (guard, _) in MARKERS.items() if item.get_closest_marker(marker)}
    if marked:
        _care(item).guards |= marked
    care = item.stash.get(_CARE, None)
    if care is None or not isinstance(item, pytest.Function):
        return (yield)
    if not _is_async(item):
        with _guarded(care, item.nodeid):
            return (yield)
    test = item.obj
    item.obj = _cared_for(test, care, item.nodeid)
    try:
        return (yield)
    finally:
        item.obj = test


def _cared_for(test: Callable[..., Awaitable[Any]], care: _Care, name: str) -> Callable[..., Awaitable[Any]]:
    @functools.wraps(test)
    async def run(*args: Any, **kwargs: Any) -> Any:
        with _guarded(care, name):
            async with _closed_afterwards(care):
                return await test(*args, **kwargs)

    return run


@asynccontextmanager
async def _closed_afterwards(care: _Care) -> AsyncIterator[None]:
    """End the sandbox in the loop in which its connection was made."""
    if care.nesting is not None:
        care.nesting.running = True
    async with AsyncExitStack() as stack:
        if care.db is not None:
            stack.push_async_callback(_empty if care.real_commits else _close, care.db)
        for session in care.sessions:
            stack.push_async_callback(session.close)
        yield


@contextmanager
def _guarded(care: _Care, name: str) -> Iterator[None]:
    """Judge a test; each request in it is judged by itself."""
    if not care.guards:
        yield
        return
    from sqlawait.guards import Guards, blocked_loop

    actions: dict[str, Any] = {
        guard.replace("-", "_"): "raise" if guard in care.guards else "off" for guard, _ in MARKERS.values()
    }
    guards: Guards = Guards(**actions, observers=[lambda event: _keep(care, event)])
    with ExitStack() as stack:
        stack.enter_context(guards)
        stack.enter_context(_each_request(guards))
        if "blocked-loop" in care.guards and blocked_loop.watch(guards) is not None:
            stack.callback(blocked_loop.unwatch)
        with guards.scope(name):
            yield
    if care.findings:  # raised where the application answered with an error, or noticed too late to raise
        pytest.fail("\n".join(finding.message for finding in care.findings), pytrace=False)


@contextmanager
def _each_request(guards: Guards) -> Iterator[None]:
    """Give every request to any Starlette application a scope of its own; an N+1 is one request's."""
    from starlette.applications import Starlette

    from sqlawait.guards import Scope, blocked_loop, current_scope, hooks
    from sqlawait.guards.scope import entered

    original = Starlette.__call__

    async def call(self: Starlette, scope: Any, receive: Any, send: Any) -> None:
        outer = current_scope()
        if scope["type"] != "http" or (outer is not None and outer.method):  # a mounted application
            await original(self, scope, receive, send)
            return
        blocked_loop.watch(guards)
        request = Scope(guards, scope)
        request.strict = True
        with entered(request):
            await original(self, scope, receive, send)
        hooks.scope_ended(request)

    Starlette.__call__ = call  # type: ignore[method-assign] # for the length of a test
    try:
        yield
    finally:
        Starlette.__call__ = original  # type: ignore[method-assign] # as it was


def _keep(care: _Care, event: object) -> None:
    from sqlawait.events import Finding

    if isinstance(event, Finding):
        care.findings.append(event)


@contextmanager
def _counting(exactly: int | None = None, /, *, at_most: int | None = None) -> Iterator[list[str]]:
    from sqlalchemy import Engine, event

    from sqlawait.guards.sites import app_site

    seen: list[str] = []

    def count(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.split(None, 1)[0].upper() not in {
            "BEGIN",
            "PRAGMA",
            "SAVEPOINT",
            "RELEASE",
            "ROLLBACK",
            "SET",
        }:
            seen.append(f"{app_site() or 'a library'}: {' '.join(statement.split())}")

    event.listen(Engine, "before_cursor_execute", count)
    try:
        yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", count)
    wrong = len(seen) != exactly if at_most is None else len(seen) > at_most
    if wrong:
        expected = f"{exactly}" if at_most is None else f"at most {at_most}"
        lines = "".join(f"\n  {number}. {line}" for number, line in enumerate(seen, 1))
        pytest.fail(f"{len(seen)} statements instead of {expected}:{lines}", pytrace=False)


def _is_async(item: pytest.Item) -> bool:
    return inspect.iscoroutinefunction(getattr(item, "obj", None))


def _named(name: str) -> Any:
    from importlib import import_module

    module, _, attribute = name.partition(":")
    return getattr(import_module(module), attribute)


async def _close(database: Database) -> None:
    await database.close()


async def _create(database: Database, metadata: Any) -> None:
    async with database:
        await database.create_all(metadata)


async def _empty(database: Database) -> None:
    """Delete all rows of all tables, those that others refer to last."""
    from sqlalchemy import MetaData

    metadata = MetaData()
    async with database.engine.begin() as connection:
        await connection.run_sync(metadata.reflect)
        for table in reversed(metadata.sorted_tables):
            if table.name != "alembic_version":
                await connection.execute(table.delete())
    await database.close()
