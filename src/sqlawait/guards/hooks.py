"""The listeners, registered once a process on SQLAlchemy's own classes: they serve every engine and session.

Nothing is registered per request. Each listener finds its request through the ContextVar and asks its guards.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from time import perf_counter
from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.engine import Connection, ExceptionContext
from sqlalchemy.orm import ORMExecuteState, Session
from sqlalchemy.pool import Pool, PoolResetState

from sqlawait.events import StatementRan
from sqlawait.guards import blocked_loop, lazy_load, leaked_connection, n_plus_one, shared_session
from sqlawait.guards.guards import Guards, active, process_started
from sqlawait.guards.leaked_connection import Held, Waiting
from sqlawait.guards.scope import Scope, current_scope
from sqlawait.guards.sites import Stack, app_stack, innermost

_RUNNING = "_sqlawait_running"


class _Running:
    """A statement on its way."""

    __slots__ = ("began", "guards", "held", "parameters", "scope", "sql", "stack")

    def __init__(
        self, guards: Guards, scope: Scope | None, sql: str, parameters: Any, held: Held | None
    ) -> None:
        self.guards = guards
        self.scope = scope
        self.sql = sql
        self.parameters = parameters
        self.stack: Stack = app_stack()
        self.held = held
        self.began = perf_counter()


def _orm_execute(state: ORMExecuteState) -> None:
    guards = active()
    if guards is None or not state.is_orm_statement:
        return
    if guards.on("lazy-load") and not lazy_load.in_async_greenlet():
        lazy_load.execute_began(state)
    if not state.is_select:
        return
    if state.is_relationship_load:
        if state.lazy_loaded_from is None:
            state.update_execution_options(**{n_plus_one.EAGER: True})
        else:
            state.update_execution_options(**{n_plus_one.LAZY: _lazy_name(state)})
    elif not state.is_column_load:
        lazy_load.remember(state)


def _lazy_name(state: ORMExecuteState) -> tuple[str, Any, bool]:
    prop = lazy_load.relationship_of(state)
    if prop is None:
        return "of the object", None, True
    options = state.lazy_loaded_from.load_options if state.lazy_loaded_from is not None else ()
    return f"{prop.parent.class_.__name__}.{prop.key}", lazy_load.loaded_at(options), bool(prop.uselist)


def _before_flush(session: Session, *_: object) -> None:
    lazy_load.blocking_use(session)


def _before_commit(session: Session) -> None:
    lazy_load.blocking_use(session)


def _after_commit(session: Session) -> None:
    lazy_load.remember_end(session, "commit")


def _after_rollback(session: Session, *_: object) -> None:
    lazy_load.remember_end(session, "rollback")


def _pending(session: Session, instance: object) -> None:
    if active() is not None:
        lazy_load.remember_added(session, instance)


def _before_cursor(
    connection: Connection, _cursor: Any, statement: str, parameters: Any, context: Any, *_: Any
) -> None:
    guards = active()
    if guards is None:
        return
    if not connection.dialect.is_async:
        blocked_loop.blocking_call(_verb(statement))
    scope = current_scope()
    held: Held | None = connection.info.get(leaked_connection.KEY)
    running = _Running(guards, scope, statement, parameters, held)
    if scope is not None and guards.on("n-plus-one") and n_plus_one.counts(statement, context):
        tally = n_plus_one.count(scope, statement, parameters, context, running.stack)
        if (
            guards.actions["n-plus-one"] == "raise"
            and n_plus_one.too_many(scope, tally)
            and scope.first("n-plus-one", statement, running.stack)
        ):
            n_plus_one.report(scope, tally)
    if held is not None:
        held.running += 1
        held.streaming = bool(context is not None and context.execution_options.get("stream_results"))
    if scope is not None:
        scope.statement_began(running.began)
    if context is not None:
        setattr(context, _RUNNING, running)


def _after_cursor(
    connection: Connection, cursor: Any, _statement: str, _parameters: Any, context: Any, *_: Any
) -> None:
    running: _Running | None = context.__dict__.pop(_RUNNING, None) if context is not None else None
    if running is not None:
        _ended(running, connection.engine, context, rows=_rows(cursor))


def _failed(failure: ExceptionContext) -> None:
    context: Any = failure.execution_context
    running: _Running | None = context.__dict__.pop(_RUNNING, None) if context is not None else None
    if running is not None:
        _ended(running, failure.engine, context, error=type(failure.original_exception).__name__)


def _ended(
    running: _Running, engine: Any, context: Any, *, rows: int | None = None, error: str | None = None
) -> None:
    now = perf_counter()
    scope, guards, held = running.scope, running.guards, running.held
    if held is not None:
        held.running -= 1
        held.idle_since = now
    if scope is not None:
        scope.statement_ended(now)
        tally = scope.tallies.get((running.sql, running.stack))
        if tally is not None:
            tally.seconds += now - running.began
    if guards.observers:
        started = scope.started if scope is not None else process_started
        many = len(running.parameters) if context is not None and context.executemany else 1
        guards.tell(
            StatementRan(
                request=scope.id if scope is not None else None,
                sql=running.sql,
                parameters=running.parameters if guards.bind_values else None,
                dialect=engine.dialect.name,
                site=innermost(running.stack),
                offset=running.began - started,
                seconds=now - running.began,
                rows=rows,
                many=many,
                error=error,
                engine=engine,
            )
        )


def _rows(cursor: Any) -> int | None:
    buffered = getattr(cursor, "_rows", None)  # SQLAlchemy's async cursors hold all rows once they have run
    if cursor.description is not None and buffered is not None:
        with suppress(TypeError):
            return len(buffered)
    count: int = cursor.rowcount
    return count if count >= 0 else None


def _verb(statement: str) -> str:
    return statement.split(None, 1)[0].upper() if statement.strip() else "statement"


def _connect(pool: Pool) -> Any:
    """``Pool.connect``, with a clock: no event of SQLAlchemy's comes before the wait for a connection."""
    guards = active()
    if guards is None:
        return _pool_connect(pool)
    if not pool._dialect.is_async:
        blocked_loop.blocking_call("taking a connection")
    scope, stack = current_scope(), app_stack()
    waiting = Waiting(pool, scope, stack)
    leaked_connection.waits(waiting)
    try:
        fairy = _pool_connect(pool)
    finally:
        leaked_connection.waited(waiting)
        if scope is not None:
            scope.waited += perf_counter() - waiting.since
    leaked_connection.taken(fairy.info, Held(pool, scope, stack))
    return fairy


_pool_connect: Callable[[Pool], Any] = Pool.connect


def _checkin(_: Any, record: Any) -> None:
    leaked_connection.returned(record.info)


def _reset(_: Any, record: Any, state: PoolResetState) -> None:
    if not state.asyncio_safe and record is not None:
        leaked_connection.collected(record.info)


def scope_ended(scope: Scope) -> None:
    """Judge a scope as a whole, at its end.

    Raises:
        GuardError: of a guard that is set to raise.
    """
    blocked_loop.settle(scope)
    if scope.guards.actions["n-plus-one"] == "log":
        for tally in n_plus_one.worst(scope):
            n_plus_one.report(scope, tally)
    scope.tallies.clear()
    leaked_connection.scope_ended(scope)


_LISTENERS: tuple[tuple[Any, str, Callable[..., None]], ...] = (
    (Session, "do_orm_execute", _orm_execute),
    (Session, "before_flush", _before_flush),
    (Session, "before_commit", _before_commit),
    (Session, "after_commit", _after_commit),
    (Session, "after_soft_rollback", _after_rollback),
    (Session, "transient_to_pending", _pending),
    (Engine, "before_cursor_execute", _before_cursor),
    (Engine, "after_cursor_execute", _after_cursor),
    (Engine, "handle_error", _failed),
    (Pool, "checkin", _checkin),
    (Pool, "detach", _checkin),
    (Pool, "reset", _reset),
)


def listen() -> None:
    """Register the listeners."""
    for target, name, listener in _LISTENERS:
        event.listen(target, name, listener)
    Pool.connect = _connect  # type: ignore[method-assign, assignment] # see _connect
    shared_session.watch()


def unlisten() -> None:
    """Remove the listeners."""
    shared_session.unwatch()
    Pool.connect = _pool_connect  # type: ignore[method-assign, assignment] # as it was
    for target, name, listener in _LISTENERS:
        event.remove(target, name, listener)


__all__ = ["listen", "scope_ended", "unlisten"]
