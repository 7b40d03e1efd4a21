"""What every engine does, whatever its database, so that its connections and its answers can be trusted."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable
from typing import Any, TypeVar

from sqlalchemy import event
from sqlalchemy.engine import Engine, ExceptionContext
from sqlalchemy.engine.interfaces import DBAPIConnection, Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.util import await_only, greenlet_spawn

from sqlawait.backends.base import Backend
from sqlawait.backends.hush import hush
from sqlawait.exceptions import CommitUnknown, DatabaseAway, InvalidRequest, InvalidValue

T = TypeVar("T")


def guard(engine: Engine, backend: Backend) -> None:
    """Guard a new engine: its errors and its commits. Its connections are the pool's care."""
    _keep_values_back(engine, backend)
    _name_errors(engine, backend)
    _finish_commits(engine.dialect, backend)


def _keep_values_back(engine: Engine, backend: Backend) -> None:
    @event.listens_for(engine, "handle_error")
    def keep_back(context: ExceptionContext) -> None:
        for error in (context.original_exception, context.sqlalchemy_exception):
            if isinstance(error, (engine.dialect.loaded_dbapi.Error, DBAPIError)):
                hush(error, backend.without_values)


def _name_errors(engine: Engine, backend: Backend) -> None:
    """Give the errors that drivers let through as Python's own a name that says they are the database's."""

    @event.listens_for(engine, "do_connect")
    def connect(
        dialect: Dialect, entry: ConnectionPoolEntry, cargs: tuple[Any, ...], cparams: dict[str, Any]
    ) -> DBAPIConnection:
        del entry
        try:
            return dialect.connect(*cargs, **cparams)
        except (OSError, TimeoutError) as error:
            raise DatabaseAway(_reason(error, "no connection in time")) from error

    @event.listens_for(engine, "handle_error")
    def name(context: ExceptionContext) -> BaseException | None:
        error = context.original_exception
        if isinstance(error, CommitUnknown):
            context.is_disconnect = True  # whatever state that connection is in, nobody shall have it
        if isinstance(error, (OSError, TimeoutError)) or context.is_disconnect:
            return _lost(context, backend)
        if isinstance(error, InvalidRequest):
            return error  # a column type of ours refused a value: it needs no wrapping
        if isinstance(error, (OverflowError, UnicodeEncodeError)) and context.statement is not None:
            return InvalidValue(type(error).__name__)
        return None


def _lost(context: ExceptionContext, backend: Backend) -> BaseException | None:
    """Name the error of a connection that is gone."""
    error = context.original_exception
    context.is_disconnect = True
    away = isinstance(error, (OSError, TimeoutError))
    if away and context.connection is not None and not context.connection.closed:
        backend.abort(context.connection.connection.driver_connection)
    if _may_be_stored(context):
        return CommitUnknown(f"{type(error).__name__}, at a statement that commits by itself")
    return DatabaseAway(_reason(error, "no answer in time")) if away else None


_READS = re.compile(
    r"\s*(SELECT|SHOW|EXPLAIN|VALUES|TABLE|WITH(?!.*\b(INSERT|UPDATE|DELETE|MERGE)\b))\b",
    re.IGNORECASE | re.DOTALL,
)


def _may_be_stored(context: ExceptionContext) -> bool:
    """Whether the statement whose answer was lost is a write outside of any transaction: under AUTOCOMMIT."""
    connection, statement = context.connection, context.statement
    return (
        connection is not None
        and statement is not None
        and connection.get_execution_options().get("isolation_level") == "AUTOCOMMIT"
        and _READS.match(statement) is None
    )


def _finish_commits(dialect: Dialect, backend: Backend) -> None:
    """Never abandon a COMMIT, and say so where its outcome cannot be known.

    It is done on the dialect because every way to commit ends there: ``session.commit()``, the end of
    ``session.begin()``, an engine's own ``begin()``, a sync session on the bridge.
    """
    commit = dialect.do_commit

    def do_commit(connection: Any) -> None:
        if not backend.in_transaction(connection.driver_connection):
            commit(connection)  # nothing to commit: no outcome that could be unknown
            return
        try:
            await_only(to_the_end(greenlet_spawn(commit, connection)))
        except Exception as error:
            if backend.refused(error):
                raise
            raise CommitUnknown(type(error).__name__) from error

    dialect.do_commit = do_commit  # type: ignore[method-assign, assignment] # every commit passes here


async def to_the_end(work: Awaitable[T]) -> T:
    """Await ``work`` to its end even when the caller is cancelled meanwhile.

    Once COMMIT is on its way the database decides; a cancellation that arrives after that is too late, also
    while the session is being closed. The outcome is returned, not the cancellation: "committed" must not be
    told as an error. What is cancelled is whatever the caller waits for next.
    """
    task = asyncio.ensure_future(work)
    ended = asyncio.Event()  # a third of what asyncio.wait and asyncio.shield cost
    task.add_done_callback(lambda _: ended.set())
    cancelled = False
    while not task.done():
        try:
            await ended.wait()
        except asyncio.CancelledError:
            cancelled = True
    if cancelled:
        _cancel_next(asyncio.current_task())
    return task.result()


def _cancel_next(task: asyncio.Task[Any] | None) -> None:
    """Cancel what a task waits for next, if whoever has cancelled it still means it: a time-out may be over."""
    if task is None:
        return
    asked = task.cancelling()

    def cancel() -> None:
        if task.cancelling() >= asked and task.cancel():
            task.uncancel()  # it is the same cancellation, and counts once

    asyncio.get_running_loop().call_soon(cancel)


def _reason(error: BaseException, timeout: str) -> str:
    # the text of an OSError may name hosts and ports, never a password
    return timeout if isinstance(error, TimeoutError) else f"{type(error).__name__}: {error}"


__all__ = ["guard", "to_the_end"]
