"""Where the guards look: listeners and wrappers, registered once a process on SQLAlchemy's own classes.

They serve every engine and session; nothing is registered per request. Each finds its request through the
ContextVar and asks its guards. All of it is on every statement's way: what is not needed there is not done.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from time import perf_counter
from typing import Any

from sqlalchemy import Engine, Select, event
from sqlalchemy.engine import Connection, ExceptionContext
from sqlalchemy.orm import FromStatement, ORMExecuteState, Session
from sqlalchemy.pool import Pool, PoolResetState

from sqlawait import watching
from sqlawait.events import StatementRan
from sqlawait.guards import blocked_loop, lazy_load, leaked_connection, n_plus_one, shared_session
from sqlawait.guards.held import Held
from sqlawait.guards.judge import Judge
from sqlawait.guards.scope import Scope, Tally, active, current_scope
from sqlawait.guards.sites import Stack, app_stack, innermost

_HELD = "sqlawait.held"
_RUNNING = "_sqlawait_running"
_started = perf_counter()


class _Running:
    """A statement on its way."""

    __slots__ = ("began", "guards", "held", "parameters", "scope", "sql", "stack", "tally")

    def __init__(
        self, guards: Judge, scope: Scope | None, sql: str, parameters: Any, held: Held | None
    ) -> None:
        self.guards = guards
        self.scope = scope
        self.sql = sql
        self.parameters = parameters
        self.stack: Stack = app_stack()
        self.held = held
        self.tally: Tally | None = None
        self.began = 0.0

    def start(self) -> None:
        """It is on its way to the database."""
        self.began = began = perf_counter()
        if self.held is not None:
            self.held.running += 1
        if self.scope is not None:
            self.scope.statement_began(began)

    def end(
        self, engine: Engine, *, rows: int | None = None, many: int = 1, error: BaseException | None = None
    ) -> None:
        """It was answered, or has failed."""
        now = perf_counter()
        scope, held, guards = self.scope, self.held, self.guards
        if held is not None:
            held.running -= 1
            held.idle_since = now
        if scope is not None:
            scope.statement_ended(now)
            if self.tally is not None:
                self.tally.seconds += now - self.began
        if guards.observers:
            guards.tell(
                StatementRan(
                    request=scope.id if scope is not None else None,
                    sql=self.sql,
                    parameters=self.parameters if guards.bind_values else None,
                    dialect=engine.dialect.name,
                    site=innermost(self.stack),
                    offset=self.began - (scope.started if scope is not None else _started),
                    seconds=now - self.began,
                    rows=rows,
                    many=many,
                    error=type(error).__name__ if error is not None else None,
                    engine=engine,
                )
            )


# -- statements


def _before_cursor(
    connection: Connection, _cursor: Any, statement: str, parameters: Any, context: Any, _many: bool
) -> tuple[str, Any]:
    guards = active()
    if guards is None:
        return statement, parameters
    if not connection.dialect.is_async:
        blocked_loop.blocking_call(_verb(statement))
    elif not lazy_load.in_async_greenlet():
        lazy_load.used_directly("execute")
    scope = current_scope()
    held: Held | None = connection.info.get(_HELD)
    running = _Running(guards, scope, statement, parameters, held)
    if scope is not None and n_plus_one.watches(scope) and n_plus_one.counts(statement, context):
        running.tally = n_plus_one.count_execution(scope, statement, parameters, context, running.stack)
    if held is not None:
        held.streaming = bool(context is not None and context.execution_options.get("stream_results"))
    running.start()
    if context is not None:
        context.__dict__[_RUNNING] = running
    return statement, parameters


def _after_cursor(
    connection: Connection, cursor: Any, _statement: str, _parameters: Any, context: Any, many: bool
) -> None:
    running: _Running | None = context.__dict__.pop(_RUNNING, None) if context is not None else None
    if running is None:
        return
    if running.guards.observers:
        running.end(connection.engine, rows=_rows(cursor), many=len(running.parameters) if many else 1)
    else:
        running.end(connection.engine)


def _failed(failure: ExceptionContext) -> None:
    context: Any = failure.execution_context
    if context is None or failure.engine is None:
        return
    running: _Running | None = context.__dict__.pop(_RUNNING, None)
    if running is not None:
        many = len(running.parameters) if context.executemany else 1
        running.end(failure.engine, many=many, error=failure.original_exception)


def _rows(cursor: Any) -> int | None:
    buffered = getattr(cursor, "_rows", None)  # SQLAlchemy's async cursors hold all rows once they have run
    if cursor.description is not None and buffered is not None:
        with suppress(TypeError):
            return len(buffered)
    count: int = cursor.rowcount
    return count if count >= 0 else None


def _verb(statement: str) -> str:
    return statement.split(None, 1)[0].upper() if statement.strip() else "statement"


class _Direct:
    """A statement that a shaped read sends to the driver itself."""

    __slots__ = ("_engine", "_held", "_running")

    def __init__(self, engine: Engine, running: _Running, held: Held) -> None:
        self._engine = engine
        self._running = running
        self._held = held

    def sent(self) -> None:
        """It has its connection."""
        self._held.taken()
        self._running.start()

    def ended(self, rows: int | None, error: BaseException | None) -> None:
        """It was answered, or has failed."""
        if self._running.began:
            self._running.end(self._engine, rows=rows, error=error)
            self._held.returned()
        else:
            self._held.not_taken()


def _direct(engine: Engine, sql: str, arguments: Sequence[Any], statement: Any) -> _Direct | None:
    guards = active()
    if guards is None:
        return None
    scope = current_scope()
    running = _Running(guards, scope, sql, arguments, None)
    if scope is not None and n_plus_one.watches(scope):
        running.tally = n_plus_one.count(scope, sql, arguments, running.stack, statement=statement)
    running.held = held = Held(weakref.ref(engine.pool), scope, running.stack)
    return _Direct(engine, running, held)


# -- sessions


def _execute(session: Session, statement: Any, params: Any = None, **options: Any) -> Any:
    """``Session._execute_internal``, which all of a session's statements pass.

    A listener to ``do_orm_execute`` would be the public way. It makes SQLAlchemy prepare each statement twice,
    a tenth of a small select, so only what may be a mistake or a relationship's load is sent that way.
    """
    if active() is None or options.get("_parent_execute_state") is not None or options.get("_add_event"):
        return _session_execute(session, statement, params, **options)
    attributes = getattr(statement, "_propagate_attrs", None)
    if not attributes or attributes.get("compile_state_plugin") != "orm":
        return _session_execute(session, statement, params, **options)
    can_wait = lazy_load.in_async_greenlet() or not lazy_load.is_async(session, options.get("bind_arguments"))
    if can_wait and isinstance(statement, (Select, FromStatement)) and _is_asked_for(statement):
        return _session_execute(session, lazy_load.marked(statement), params, **options)
    options["_add_event"] = _orm_execute
    if can_wait:
        return _session_execute(session, statement, params, **options)
    with lazy_load.told():
        return _session_execute(session, statement, params, **options)


def _is_asked_for(statement: Any) -> bool:
    """Whether the application asks for a select, not a relationship or an attribute that loads itself."""
    options = statement._compile_options
    path = getattr(options, "_current_path", None)
    return (path is None or path.is_root) and not getattr(options, "_for_refresh_state", False)


def _orm_execute(state: ORMExecuteState) -> None:
    guards = active()
    if guards is None or not state.is_orm_statement:
        return
    if not lazy_load.in_async_greenlet():
        lazy_load.execute_began(state)
    if not state.is_select:
        return
    if state.is_relationship_load:
        if state.lazy_loaded_from is None:
            state.update_execution_options(**{n_plus_one.EAGER: True})
        else:
            state.update_execution_options(**{n_plus_one.LAZY: _lazy_name(state)})
    elif not state.is_column_load:
        state.statement = lazy_load.marked(state.statement)


def _lazy_name(state: ORMExecuteState) -> tuple[str, Any, bool]:
    prop = lazy_load.relationship_of(state)
    if prop is None:
        return "of the object", None, True
    options = state.lazy_loaded_from.load_options if state.lazy_loaded_from is not None else ()
    return f"{prop.parent.class_.__name__}.{prop.key}", lazy_load.loaded_at(options), bool(prop.uselist)


def _before_commit(session: Session) -> None:
    lazy_load.blocking_use(session)


def _after_commit(session: Session) -> None:
    lazy_load.remember_end(session, "commit")


def _after_rollback(session: Session, *_: object) -> None:
    lazy_load.remember_end(session, "rollback")


def _pending(session: Session, instance: object) -> None:
    if active() is not None:
        lazy_load.remember_added(session, instance)


# -- connections


def _connect(pool: Pool) -> Any:
    """``Pool.connect``, with a clock: no event of SQLAlchemy's comes before the wait for a connection."""
    guards = active()
    if guards is None:
        return _pool_connect(pool)
    if not pool._dialect.is_async:
        blocked_loop.blocking_call("taking a connection")
    elif not lazy_load.in_async_greenlet():
        lazy_load.used_directly("taking a connection")
    held = Held(weakref.ref(pool), current_scope(), app_stack())
    try:
        fairy = _pool_connect(pool)
    except BaseException:
        held.not_taken()
        raise
    held.taken()
    before = fairy.info.get(_HELD)
    if before is not None:
        before.returned()
    fairy.info[_HELD] = held
    return fairy


def _return_connection(pool: Pool, record: Any) -> None:
    """``Pool._return_conn``: a listener to ``checkin`` would send shaped reads the long way."""
    _checkin(None, record)
    _pool_return(pool, record)


def _checkin(_: Any, record: Any) -> None:
    held: Held | None = record.info.pop(_HELD, None)
    if held is not None:
        held.returned()


def _reset(_: Any, record: Any, state: PoolResetState) -> None:
    if not state.asyncio_safe and record is not None:
        held: Held | None = record.info.get(_HELD)
        if held is not None:
            leaked_connection.collected(held)


# -- the whole


def scope_ended(scope: Scope) -> None:
    """Judge a scope as a whole, at its end.

    Raises:
        GuardError: of a guard that is set to raise.
    """
    blocked_loop.settle(scope)
    if scope.tallies and scope.guards.actions["n-plus-one"] == "log":
        n_plus_one.scope_ended(scope)
    scope.tallies = {}
    if scope.held:
        leaked_connection.scope_ended(scope)


_LISTENERS: tuple[tuple[Any, str, Callable[..., Any], dict[str, bool]], ...] = (
    (Session, "before_commit", _before_commit, {}),
    (Session, "after_commit", _after_commit, {}),
    (Session, "after_soft_rollback", _after_rollback, {}),
    (Session, "transient_to_pending", _pending, {}),
    (Engine, "before_cursor_execute", _before_cursor, {"retval": True}),  # as it is, without a wrapper
    (Engine, "after_cursor_execute", _after_cursor, {}),
    (Engine, "handle_error", _failed, {}),
    (Pool, "detach", _checkin, {}),
    (Pool, "reset", _reset, {}),
)
_INSTEAD = (_before_cursor, _after_cursor)
_session_execute: Callable[..., Any] = Session._execute_internal
_pool_connect: Callable[[Pool], Any] = Pool.connect
_pool_return: Callable[[Pool, Any], None] = Pool._return_conn

_lock = threading.RLock()
_wanted = 0
_listening = False


def listen() -> None:
    """Begin to look, once however often it is called."""
    global _wanted, _listening  # noqa: PLW0603 # what they look at is the process's
    with _lock:
        _wanted += 1
        if _listening:
            return
        _listening = True
        for target, name, listener, options in _LISTENERS:
            event.listen(target, name, listener, **options)
        Session._execute_internal = _execute  # type: ignore[method-assign, assignment] # see _execute
        Pool.connect = _connect  # type: ignore[method-assign, assignment] # see _connect
        Pool._return_conn = _return_connection  # type: ignore[method-assign, assignment] # see _return_connection
        watching.watch(_direct, instead_of=_INSTEAD)
        shared_session.watch()


def unlisten() -> None:
    """Undo one :func:`listen`."""
    global _listening  # noqa: PLW0603 # as above
    with _lock:
        lose_interest()
        if _wanted or not _listening:
            return
        _listening = False
        shared_session.unwatch()
        watching.unwatch(_direct, instead_of=_INSTEAD)
        Pool._return_conn = _pool_return  # type: ignore[method-assign, assignment] # as it was
        Pool.connect = _pool_connect  # type: ignore[method-assign, assignment] # as it was
        Session._execute_internal = _session_execute  # type: ignore[method-assign] # as it was
        for target, name, listener, _ in _LISTENERS:
            event.remove(target, name, listener)


def lose_interest() -> None:
    """Undo one :func:`listen`, from within the garbage collector.

    It may strike while SQLAlchemy goes through its listeners, so they are left where they are: with nobody to
    judge they return at once, and the next :func:`unlisten` takes them away.
    """
    global _wanted  # noqa: PLW0603 # as above
    with _lock:
        _wanted -= 1


__all__ = ["listen", "lose_interest", "scope_ended", "unlisten"]
