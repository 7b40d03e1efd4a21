"""What a route asks for: a session to write, to read, to stream; or the database itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from sqlawait.database import Database
from sqlawait.exceptions import ConfigurationError
from sqlawait.fastapi.sessions import RequestSession
from sqlawait.session import AsyncSession, ReaderSession

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})


def database(connection: HTTPConnection) -> Database:
    """The Database that was installed in the application.

    Raises:
        ConfigurationError: none was.
    """
    found = getattr(connection.app.state, "sqlawait", None)
    if found is None:
        raise ConfigurationError(
            "this application has no Database; call sqlawait.fastapi.install(app, db) first"
        )
    assert isinstance(found, Database)
    return found


async def _database(connection: HTTPConnection) -> Database:  # FastAPI would run a plain function in a thread
    return database(connection)


DatabaseDep = Annotated[Database, Depends(_database)]
"""The Database itself: for ``db.run``, ``db.run_sync``, ``db.transaction`` in a route."""


# The sessions below ask the connection itself, not DatabaseDep: a dependency of a dependency costs each request
# about 40 µs in FastAPI.


async def _session(connection: HTTPConnection) -> AsyncSession:
    # On SQLite a request that by its method should only read must not wait for the writer's lock. If it writes
    # all the same, the lock is taken then.
    deferred = connection.scope.get("method") in _SAFE
    engine = database(connection).bind(deferred=deferred)
    return _ended_with(connection, RequestSession(engine, commits=True))


async def _reader(connection: HTTPConnection) -> AsyncSession:
    engine = database(connection).reader_bind()
    return _ended_with(connection, RequestSession(engine, kind=ReaderSession, commits=False))


def _ended_with(connection: HTTPConnection, session: RequestSession) -> AsyncSession:
    """End the session where dependencies with ``scope="function"`` end: before the response is sent.

    A dependency with ``yield`` would do the same through two generators, two context managers and their
    exits: as much as a shaped read costs.
    """
    connection.scope["fastapi_function_astack"].push_async_exit(session.end)
    return session


async def _stream_session(connection: HTTPConnection) -> AsyncIterator[AsyncSession]:
    async with database(connection).session(read_only=True) as session:
        yield session


SessionDep = Annotated[AsyncSession, Depends(_session)]
"""One transaction for the request: committed before the response is sent, rolled back on any exception.

It is closed when a background task or a streamed body begins: those need a session of their own.
"""

ReaderDep = Annotated[AsyncSession, Depends(_reader)]
"""For routes that only read: no transaction, so a read is one round trip on PostgreSQL. Writing raises."""

StreamSessionDep = Annotated[AsyncSession, Depends(_stream_session, scope="request")]
"""For a streamed body: read-only, open until the last byte is sent. Not beside ``SessionDep`` in one route."""
