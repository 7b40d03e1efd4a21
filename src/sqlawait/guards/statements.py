"""Each statement on its way to the database: counted, and timed where somebody wants to know.

SQLAlchemy has events for this. With a listener to one of them it does more for every statement than the guards
themselves, so the methods behind the events are wrapped instead. They are private: the tests know them all.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from time import perf_counter
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.engine import Connection
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.pool.base import _AdhocProxiedConnection

from sqlawait import watching
from sqlawait.events import StatementRan
from sqlawait.exceptions import GuardError
from sqlawait.guards import blocked_loop, lazy_load, n_plus_one
from sqlawait.guards.held import HELD, Held
from sqlawait.guards.judge import Judge
from sqlawait.guards.scope import Execution, Scope, active, current_scope, judges
from sqlawait.guards.sites import app_stack, current_call, innermost, stack_from

_started = perf_counter()


class _Timed:
    """A statement that somebody wants to know the time of."""

    __slots__ = ("_began", "_engine", "_execution", "_guards", "_held", "_many", "_scope")

    def __init__(
        self,
        guards: Judge,
        scope: Scope | None,
        engine: Engine,
        execution: Execution,
        *,
        many: int = 1,
        held: Held | None = None,
    ) -> None:
        self._guards = guards
        self._scope = scope
        self._engine = engine
        self._execution = execution
        self._many = many
        self._held = held
        """A shaped read's connection: nothing else tells when that is taken and given back."""
        self._began = 0.0

    def sent(self) -> None:
        """It has its connection."""
        if self._held is not None:
            self._held.taken()
        self._began = began = perf_counter()
        if self._scope is not None:
            self._scope.statement_began(began)

    def ended(self, rows: int | None, error: BaseException | None) -> None:
        """It was answered, or has failed."""
        if not self._began:
            if self._held is not None:
                self._held.not_taken()
            return
        now = perf_counter()
        guards, scope, execution = self._guards, self._scope, self._execution
        seconds = now - self._began
        if scope is not None:
            scope.statement_ended(now)
        execution.took(seconds)
        if self._held is not None:
            self._held.returned()
        if guards.observers:
            guards.tell(
                StatementRan(
                    request=scope.id if scope is not None else None,
                    sql=execution.sql,
                    parameters=execution.parameters if guards.bind_values else None,
                    dialect=self._engine.dialect.name,
                    site=innermost(execution.stack),
                    offset=self._began - (scope.started if scope is not None else _started),
                    seconds=seconds,
                    rows=rows,
                    many=self._many,
                    error=type(getattr(error, "orig", None) or error).__name__ if error is not None else None,
                    engine=self._engine,
                )
            )


# -- through SQLAlchemy's connection


def _single(connection: Connection, dialect: Any, context: Any, statement: Any, parameters: Any) -> Any:
    """``Connection._exec_single_context``: one execution of a cursor.

    The usual one, in a request, from an AsyncSession, and nobody wants to know its time, is dealt with here.
    """
    scope, call, proxy = current_scope(), current_call.get(), connection._dbapi_connection
    if (
        scope is None
        or call is None
        or call.walks
        or scope.timed
        or scope.guards.observers
        or not dialect.is_async
        or isinstance(proxy, _AdhocProxiedConnection)
    ):
        return _any_single(connection, dialect, context, statement, parameters)
    if not scope.endless and scope.guards.counts:
        try:
            n_plus_one.count_execution(scope, context.statement, context.parameters[0], context, call.stack)
        except GuardError:
            connection._safe_close_cursor(context.cursor)
            raise
    scope.statements += 1
    record = proxy._connection_record  # type: ignore[union-attr] # it has a cursor
    held: Held | None = record.info.get(HELD) if record is not None else None
    if held is None:
        return _connection_single(connection, dialect, context, statement, parameters)
    held.running += 1
    held.streaming = "stream_results" in context.execution_options
    try:
        return _connection_single(connection, dialect, context, statement, parameters)
    finally:
        held.running -= 1
        held.idle_since = perf_counter()


def _any_single(connection: Connection, dialect: Any, context: Any, statement: Any, parameters: Any) -> Any:
    guards = active()
    if guards is None or _is_setting_up(connection):
        return _connection_single(connection, dialect, context, statement, parameters)
    sent = context.parameters
    if context.executemany:
        held, timed = _begin(guards, connection, context, context.statement, sent, many=len(sent))
    else:
        held, timed = _begin(guards, connection, context, context.statement, sent[0])
    try:
        result = _connection_single(connection, dialect, context, statement, parameters)
    except BaseException as error:
        _end(held, timed, None, error)
        raise
    _end(held, timed, _rows(context.cursor) if timed is not None else None, None)
    return result


def _default(connection: Connection, cursor: Any, statement: str, parameters: Any, context: Any = None) -> None:
    """``Connection._cursor_execute``: a default's value, fetched before its row is stored."""
    guards = active()
    if guards is None or _is_setting_up(connection):
        return _connection_default(connection, cursor, statement, parameters, context)
    held, timed = _begin(guards, connection, None, statement, parameters)
    error: BaseException | None = None
    try:
        return _connection_default(connection, cursor, statement, parameters, context)
    except BaseException as failure:
        error = failure
        raise
    finally:
        _end(held, timed, None, error)


def _insert_many(connection: Connection, dialect: Any, context: Any) -> Any:
    """``Connection._exec_insertmany_context``: several rows with RETURNING, a batch after the other."""
    try:
        return _connection_insert_many(connection, dialect, context)
    except BaseException as error:
        held, timed = context.__dict__.pop(_BATCH, (None, None))
        _end(held, timed, None, error)
        raise


def _batches(  # noqa: PLR0917 # as it is called
    dialect: Any, connection: Connection, cursor: Any, statement: str, parameters: Any, sizes: Any, context: Any
) -> Iterator[Any]:
    """``DefaultDialect._deliver_insertmanyvalues_batches``: a batch is executed between two of its steps."""
    for batch in _dialect_batches(dialect, connection, cursor, statement, parameters, sizes, context):
        guards = active()
        if guards is None:
            yield batch
            continue
        held, timed = _begin(
            guards, connection, context, batch.replaced_statement, batch.replaced_parameters,
            many=batch.current_batch_size,
        )  # fmt: skip
        context.__dict__[_BATCH] = held, timed
        yield batch
        del context.__dict__[_BATCH]
        _end(held, timed, _rows(cursor), None)


_BATCH = "_sqlawait_batch"


def _counts(scope: Scope) -> bool:
    return scope.guards.counts and not scope.endless


def _is_setting_up(connection: Connection) -> bool:
    """Whether SQLAlchemy asks a new engine's first connection what server it has met."""
    return isinstance(connection._dbapi_connection, _AdhocProxiedConnection)


def _begin(
    guards: Judge,
    connection: Connection,
    context: Any,
    sql: str,
    parameters: Any,
    *,
    many: int | None = None,
) -> tuple[Held | None, _Timed | None]:
    """Judge a statement that is about to run; gives what is to be told of its end."""
    try:
        if not connection.dialect.is_async:
            blocked_loop.blocking_call(_verb(sql))
        elif not lazy_load.in_async_greenlet():
            lazy_load.used_directly("execute")
        scope = current_scope()
        execution: Execution | None = None
        if scope is not None:
            if many is None and context is not None and _counts(scope):
                execution = n_plus_one.count_execution(scope, sql, parameters, context, app_stack())
            scope.statements += 1
    except GuardError:
        if context is not None and context.cursor is not None:
            connection._safe_close_cursor(context.cursor)
        raise
    held: Held | None = None
    if scope is not None:
        held = connection.info.get(HELD)
        if held is not None:
            held.statement_began()
            held.streaming = context is not None and "stream_results" in context.execution_options
    if not (guards.observers or (scope is not None and scope.timed)):
        return held, None
    if execution is None:
        execution = Execution(sql, parameters, app_stack())
    timed = _Timed(guards, scope, connection.engine, execution, many=1 if many is None else many)
    timed.sent()
    return held, timed


def _end(held: Held | None, timed: _Timed | None, rows: int | None, error: BaseException | None) -> None:
    if held is not None:
        held.statement_ended()
    if timed is not None:
        timed.ended(rows, error)


def _rows(cursor: Any) -> int | None:
    buffered = getattr(cursor, "_rows", None)  # SQLAlchemy's async cursors hold all rows once they have run
    if cursor.description is not None and buffered is not None:
        with suppress(TypeError):
            return len(buffered)
    count: int = cursor.rowcount
    return count if count >= 0 else None


def _verb(statement: str) -> str:
    return statement.split(None, 1)[0].upper() if statement.strip() else "statement"


# -- past it


def _direct(engine: Engine, sql: str, arguments: Sequence[Any], statement: Any) -> _Timed | None:
    """A statement that a shaped read sends to the driver itself."""
    scope = current_scope()
    if scope is None:
        if not judges:
            return None
        guards, execution = judges[-1], None
    else:
        guards, execution = scope.guards, None
        if guards.counts and not scope.endless:
            call = current_call.get()
            # Five frames are the library's own: to make objects of them would cost more than all the rest.
            stack = stack_from(sys._getframe(5)) if call is None else app_stack()
            execution = Execution(sql, arguments, stack, statement)
            if scope.tallies.setdefault(sql, execution) is not execution:
                n_plus_one.count(scope, execution)
        scope.statements += 1
    if not guards.observers and (scope is None or not scope.timed):
        return None
    if execution is None:
        execution = Execution(sql, arguments, app_stack(), statement)
    held = Held(engine.pool, scope, execution.stack)
    return _Timed(guards, scope, engine, execution, held=held)


# -- the whole

_connection_single: Callable[..., Any] = Connection._exec_single_context
_connection_default: Callable[..., None] = Connection._cursor_execute
_connection_insert_many: Callable[..., Any] = Connection._exec_insertmany_context
_dialect_batches: Callable[..., Iterator[Any]] = DefaultDialect._deliver_insertmanyvalues_batches

_WRAPPED: tuple[tuple[type[Any], str, Callable[..., Any], Callable[..., Any]], ...] = (
    (Connection, "_exec_single_context", _single, _connection_single),
    (Connection, "_cursor_execute", _default, _connection_default),
    (Connection, "_exec_insertmany_context", _insert_many, _connection_insert_many),
    (DefaultDialect, "_deliver_insertmanyvalues_batches", _batches, _dialect_batches),
)


def watch() -> None:
    """Begin to see the statements of every engine."""
    for owner, name, wrapper, _ in _WRAPPED:
        setattr(owner, name, wrapper)
    watching.watch(_direct)


def unwatch() -> None:
    """Undo :func:`watch`."""
    watching.unwatch(_direct)
    for owner, name, _, original in _WRAPPED:
        setattr(owner, name, original)


__all__ = ["unwatch", "watch"]
