"""Shared session: two tasks use one session at the same time.

SQLAlchemy notices that only sometimes (a session without a connection yet), and on SQLite never: the statements
run one after the other, and a commit of one task commits half of the other's work. Handing a session over is
allowed: only an operation that starts while another task's has not ended is a finding.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from functools import wraps
from types import FrameType
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from sqlawait.events import Site
from sqlawait.guards.guards import active_for
from sqlawait.guards.sites import Stack, app_site, callers, is_app, site_of, suspended_frames

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
_USER = "_sqlawait_user"
_FOUND = "_sqlawait_shared"


class _User:
    """The task that is at work in a session, and the line that called the session."""

    __slots__ = ("code", "line", "operation", "task")

    def __init__(self, task: asyncio.Task[Any] | None, operation: str, code: Any, line: int) -> None:
        self.task = task
        self.operation = operation
        self.code = code
        self.line = line

    def site(self) -> Site | None:
        """The application's line: the caller itself, or the line that awaits the library's code."""
        if is_app(self.code.co_filename):
            return site_of(self.code, self.line)
        if self.task is not None:
            for frame in suspended_frames(self.task.get_coro()):
                if is_app(frame.f_code.co_filename):
                    return site_of(frame.f_code, frame.f_lineno)
        return None

    @property
    def name(self) -> str:
        """The task's name."""
        return self.task.get_name() if self.task is not None else "no task"


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
    async def run(session: AsyncSession, user: _User, args: Any, kwargs: Any) -> Any:
        user.task = asyncio.current_task()
        state = session.__dict__
        other: _User | None = state.get(_USER)
        if other is not None:
            if other.task is not user.task and not state.get(_FOUND):
                state[_FOUND] = (
                    True  # one finding a session: what follows, its close above all, must go through
                )
                _report(other, user)
            return await operation(session, *args, **kwargs)
        state[_USER] = user
        try:
            return await operation(session, *args, **kwargs)
        finally:
            del state[_USER]

    callers[run.__code__] = _caller

    @wraps(operation)
    def watched(self: AsyncSession, *args: Any, **kwargs: Any) -> Coroutine[Any, Any, Any]:
        # Not itself async: its caller's frame is the line that made the call, which in
        # gather(session.execute(a), session.execute(b)) is on no stack once the tasks run.
        caller = sys._getframe(1)
        return run(self, _User(None, name, caller.f_code, caller.f_lineno), args, kwargs)

    return watched


def _caller(frame: FrameType) -> Stack:
    user: _User = frame.f_locals["user"]
    return ((user.code, user.line),) if is_app(user.code.co_filename) else ()


def _report(first: _User, second: _User) -> None:
    chosen = active_for("shared-session")
    if chosen is None:
        return
    guards, scope = chosen
    here, there = second.site() or app_site(), first.site()
    guards.report(
        "shared-session",
        f"task {second.name!r} calls {second.operation}() at {here or 'a library'} on a session that task"
        f" {first.name!r} is using, in {first.operation}() at {there or 'a library'};"
        " give each task a session of its own, or run independent reads with session.parallel(...)",
        fix="await session.parallel(first_statement, second_statement)",
        site=here,
        scope=scope,
        related={"in use": there} if there else {},
    )


__all__ = ["OPERATIONS", "unwatch", "watch"]
