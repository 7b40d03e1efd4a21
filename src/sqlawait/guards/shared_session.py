"""Shared session: two tasks use one session at the same time.

SQLAlchemy notices that only sometimes (a session without a connection yet), and on SQLite never: the statements
run one after the other, and a commit of one task commits half of the other's work. Handing a session over is
allowed: only an operation that starts while another task's has not ended is a finding.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from sqlawait.events import Site
from sqlawait.guards.scope import active_for, current_task
from sqlawait.guards.sites import Call, current_call, innermost, is_app, site_of, suspended_frames

OPERATIONS = (
    "close",
    "commit",
    "connection",
    "delete",
    "execute",
    "flush",
    "get",
    "get_one",
    "merge",
    "refresh",
    "rollback",
    "run_sync",
    "scalar",
    "scalars",
    "stream",
    "stream_scalars",
)
_CALL = "_sqlawait_call"
_FOUND = "_sqlawait_shared"

_END = AsyncSession.__aexit__.__code__

_originals: dict[str, Any] = {}


def watch() -> None:
    """Put the watch around the operations of every AsyncSession, subclasses included."""
    for name in OPERATIONS:
        original = AsyncSession.__dict__.get(name)
        if original is not None:
            _originals[name] = original
            setattr(AsyncSession, name, _watched(name, original))


def unwatch() -> None:
    """Take the watch away."""
    for name, original in _originals.items():
        setattr(AsyncSession, name, original)
    _originals.clear()


def _watched(name: str, operation: Callable[..., Coroutine[Any, Any, Any]]) -> Callable[..., Any]:
    walks = name == "run_sync"
    later = name == "close"

    async def run(session: AsyncSession, call: Call, args: Any, kwargs: Any) -> Any:
        state = session.__dict__
        call.task = current_task()
        other: Call = state.setdefault(_CALL, call)
        if other is not call:
            if other.task is not call.task and _FOUND not in state:
                # one finding a session: what follows, its close above all, must go through
                state[_FOUND] = True
                _report(other, call)
            return await operation(session, *args, **kwargs)
        outer = current_call.get()
        current_call.set(call)
        try:
            return await operation(session, *args, **kwargs)
        finally:
            current_call.set(outer)  # no token: the garbage collector ends a coroutine in any context
            del state[_CALL]

    @wraps(operation)
    def watched(self: AsyncSession, *args: Any, **kwargs: Any) -> Coroutine[Any, Any, Any]:
        # Not itself async: its caller's frame is the line that made the call, which in
        # gather(session.execute(a), session.execute(b)) is on no stack once the tasks run.
        state, caller = self.__dict__, sys._getframe(1)
        if _CALL not in state:
            if later and caller.f_code is _END:  # of "async with", and nobody else is at work
                return operation(self, *args, **kwargs)
        elif state[_CALL] is current_call.get():
            return operation(self, *args, **kwargs)  # one operation calls another
        return run(self, Call(name, caller, later=later, walks=walks), args, kwargs)

    return watched


def _report(first: Call, second: Call) -> None:
    chosen = active_for("shared-session")
    if chosen is None:
        return
    guards, scope = chosen
    here, there = _site(second), _site(first)
    guards.report(
        "shared-session",
        f"task {_name(second)} calls {second.operation}() at {here or 'a library'} on a session that task"
        f" {_name(first)} is using, in {first.operation}() at {there or 'a library'};"
        " give each task a session of its own, or run independent reads with session.parallel(...)",
        fix="await session.parallel(first_statement, second_statement)",
        site=here,
        scope=scope,
        related={"in use": there} if there else {},
    )


def _name(call: Call) -> str:
    return repr(call.task.get_name()) if call.task is not None else "'no task'"


def _site(call: Call) -> Site | None:
    """The application's line: the caller itself, or the line that awaits the library's code."""
    if call.stack and is_app(call.stack[0][0].co_filename):
        return site_of(*call.stack[0])
    if call.task is not None:
        for frame in suspended_frames(call.task.get_coro()):
            if is_app(frame.f_code.co_filename):
                return site_of(frame.f_code, frame.f_lasti)
    return innermost(call.stack)


__all__ = ["OPERATIONS", "unwatch", "watch"]
