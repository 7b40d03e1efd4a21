"""Where the guards look: listeners and wrappers, registered once a process on SQLAlchemy's own classes.

They serve every engine and session; nothing is registered per request. Each finds its request through the
ContextVar and asks its guards. All of it is on every statement's way: what is not needed there is not done.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from sqlalchemy import event
from sqlalchemy.orm import Session
from sqlalchemy.pool import Pool
from sqlalchemy.pool.base import _finalize_fairy

from sqlawait.guards import (
    blocked_loop,
    lazy_load,
    leaked_connection,
    loads,
    n_plus_one,
    shared_session,
    statements,
)
from sqlawait.guards.held import HELD, Held
from sqlawait.guards.scope import Scope, active, current_scope, judges
from sqlawait.guards.sites import Stack, app_stack, current_call

# -- sessions


def _execute(session: Session, statement: Any, params: Any = None, **options: Any) -> Any:
    """``Session._execute_internal``, which all of a session's statements pass.

    A listener to ``do_orm_execute`` would be the public way. It makes SQLAlchemy prepare each statement twice,
    a tenth of a small select, so only what is a mistake is sent that way.
    """
    call = current_call.get()
    if call is not None and not call.walks and isinstance(getattr(statement, "_compile_options", None), type):
        loads.remember(session, call.stack)  # a select of the application's own: SQLAlchemy's default options
        return _session_execute(session, statement, params, **options)
    if (
        (current_scope() is None and not judges)
        or options.get("_parent_execute_state") is not None
        or options.get("_add_event")
        or getattr(statement, "_propagate_attrs", _NONE).get("compile_state_plugin") != "orm"
    ):
        return _session_execute(session, statement, params, **options)
    if (
        (call is None or call.walks)
        and not lazy_load.in_async_greenlet()
        and lazy_load.is_async(session, options.get("bind_arguments"))
    ):
        options["_add_event"] = lazy_load.execute_began
        with lazy_load.told():
            return _session_execute(session, statement, params, **options)
    loads.remember(session, _loads_for(session, statement, options))
    return _session_execute(session, statement, params, **options)


_NONE: dict[str, Any] = {}


def _loads_for(session: Session, statement: Any, options: dict[str, Any]) -> Stack:
    """The lines on whose behalf a statement loads; what else there is to say of it goes to its options."""
    asked: Any = getattr(statement, "_compile_options", None)
    if asked is None or isinstance(asked, type):  # SQLAlchemy's defaults: the application asks for it
        return app_stack()
    path = getattr(asked, "_current_path", None)
    is_root = path is None or path.is_root
    if is_root and not getattr(asked, "_for_refresh_state", False):
        return app_stack()
    given = options.get("execution_options")
    load_options = given.get("_sa_orm_load_options") if given else None
    if not is_root:  # it loads a relationship
        parent = getattr(load_options, "_lazy_loaded_from", None)
        if parent is None:
            options["execution_options"] = {**(given or {}), n_plus_one.EAGER: True}
            return app_stack()
        stack = loads.stack_of(session, parent)
        prop = lazy_load.relationship_in(path)
        options["execution_options"] = {**(given or {}), n_plus_one.LAZY: (prop, stack)}
        return stack
    state = getattr(load_options, "_refresh_state", None)  # of an object that is loaded already
    return loads.stack_of(session, state) if state is not None else ()


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
    scope = current_scope()
    if scope is None and not judges:
        return _pool_connect(pool)
    call = current_call.get()
    if call is not None and not call.walks and pool._dialect.is_async:
        held = Held(pool, scope, call.stack)
    else:
        if not pool._dialect.is_async:
            blocked_loop.blocking_call("taking a connection")
        elif not lazy_load.in_async_greenlet():
            lazy_load.used_directly("taking a connection")
        held = Held(pool, scope, app_stack())
    try:
        fairy = _pool_connect(pool)
    except BaseException:
        held.not_taken()
        raise
    held.taken()
    info = fairy._connection_record.info  # the fairy's own is worked out anew each time
    before = info.get(HELD)
    if before is not None:
        before.returned()
    info[HELD] = held
    return fairy


def _return_connection(pool: Pool, record: Any) -> None:
    """``Pool._return_conn``: a listener to ``checkin`` would send shaped reads the long way."""
    held: Held | None = record.info.pop(HELD, None)
    if held is not None:
        held.returned()
    _pool_return(pool, record)


def _detached(_: Any, record: Any) -> None:
    """A connection leaves its pool: by ``detach()``, or because the garbage collector found it."""
    held: Held | None = record.info.pop(HELD, None)
    if held is None:
        return
    held.returned()
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code is not _finalize_fairy.__code__:
        frame = frame.f_back
    if frame is not None and frame.f_locals.get("is_gc_cleanup"):
        leaked_connection.collected(held)


# -- the whole


def scope_ended(scope: Scope) -> None:
    """Judge a scope as a whole, at its end.

    Raises:
        GuardError: of a guard that is set to raise.
    """
    blocked_loop.settle(scope)
    if scope.repeats and scope.guards.actions["n-plus-one"] == "log":
        n_plus_one.scope_ended(scope)
    if scope.out:
        leaked_connection.scope_ended(scope)


_LISTENERS: tuple[tuple[Any, str, Callable[..., Any]], ...] = (
    (Session, "before_commit", _before_commit),
    (Session, "after_commit", _after_commit),
    (Session, "after_soft_rollback", _after_rollback),
    (Session, "transient_to_pending", _pending),
    (Pool, "detach", _detached),
)
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
        for target, name, listener in _LISTENERS:
            event.listen(target, name, listener)
        Session._execute_internal = _execute  # type: ignore[method-assign, assignment] # see _execute
        Pool.connect = _connect  # type: ignore[method-assign, assignment] # see _connect
        Pool._return_conn = _return_connection  # type: ignore[method-assign, assignment] # see _return_connection
        statements.watch()
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
        statements.unwatch()
        Pool._return_conn = _pool_return  # type: ignore[method-assign, assignment] # as it was
        Pool.connect = _pool_connect  # type: ignore[method-assign, assignment] # as it was
        Session._execute_internal = _session_execute  # type: ignore[method-assign] # as it was
        for target, name, listener in _LISTENERS:
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
