"""Leaked connection: kept beyond its use, or never given back.

Three ways: still out when its request has ended, collected as garbage because its session was never closed, and
held while its task waits for something that is not the database. A task that outlives its request may keep its
own.
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from time import perf_counter
from typing import Any

from sqlawait.events import Site
from sqlawait.guards.guards import active_for
from sqlawait.guards.scope import Scope
from sqlawait.guards.sites import Stack, innermost, is_app, is_database, is_standard, site_of, suspended_frames

KEY = "sqlawait.held"


class Held:
    """A connection that is out of its pool."""

    __slots__ = (
        "__weakref__",
        "found",
        "idle_since",
        "pool",
        "running",
        "scope",
        "since",
        "stack",
        "streaming",
        "task",
        "waiter",
    )

    def __init__(self, pool: Any, scope: Scope | None, stack: Stack) -> None:
        self.pool = weakref.ref(pool)
        self.scope = scope
        self.stack = stack
        self.since = self.idle_since = perf_counter()
        self.running = 0
        """Statements that run on it now."""
        self.streaming = False
        """Its last statement's rows are read from the server as they are needed."""
        self.found = False
        self.waiter: Any = None
        try:
            self.task = asyncio.current_task()
        except RuntimeError:  # taken in a thread
            self.task = None

    @property
    def site(self) -> Site | None:
        """The application's line that took it."""
        return innermost(self.stack)


class Waiting:
    """Someone who waits for a connection."""

    __slots__ = ("pool", "scope", "since", "stack")

    def __init__(self, pool: Any, scope: Scope | None, stack: Stack) -> None:
        self.pool = weakref.ref(pool)
        self.scope = scope
        self.stack = stack
        self.since = perf_counter()

    @property
    def site(self) -> Site | None:
        """The application's line that waits."""
        return innermost(self.stack)


_held: set[Held] = set()
_waiting: set[Waiting] = set()
_lock = threading.Lock()


def waits(entry: Waiting) -> None:
    """Note that someone asks for a connection."""
    with _lock:
        _waiting.add(entry)


def waited(entry: Waiting) -> None:
    """Note that someone has got a connection, or given up."""
    with _lock:
        _waiting.discard(entry)


def taken(info: dict[Any, Any], held: Held) -> None:
    """Note that a connection has left its pool; ``info`` stays with the connection."""
    with _lock:
        _held.discard(info.get(KEY, held))
        _held.add(held)
    info[KEY] = held


def returned(info: dict[Any, Any]) -> None:
    """Note that a connection is back."""
    held = info.pop(KEY, None)
    if held is not None:
        with _lock:
            _held.discard(held)


def held_now() -> list[Held]:
    """The connections that are out."""
    with _lock:
        return list(_held)


def waiting_now() -> list[Waiting]:
    """Who waits for one."""
    with _lock:
        return list(_waiting)


def collected(info: dict[Any, Any]) -> None:
    """Judge a connection that the garbage collector found: nobody closed its session."""
    held: Held | None = info.get(KEY)
    chosen = active_for("leaked-connection")
    if held is None or chosen is None:
        return
    guards = held.scope.guards if held.scope is not None else chosen[0]
    if not guards.on("leaked-connection"):
        return
    guards.report(
        "leaked-connection",
        f"a session or connection was never closed: {_taken(held)}; use async with, which always closes it",
        fix="async with Session() as session:",
        site=held.site,
        scope=held.scope,
        may_raise=False,  # within the garbage collector an exception reaches no one
    )


def scope_ended(scope: Scope) -> None:
    """Judge the connections that are still out when their request has ended.

    Raises:
        LeakedConnection: there is one, and the guard is set to raise.
    """
    if not scope.guards.on("leaked-connection"):
        return
    for held in held_now():
        if held.scope is not scope or held.found:
            continue
        if held.task is not scope.task and held.task is not None and not held.task.done():
            continue  # a task that outlives the request, with a connection of its own
        held.found = True
        scope.guards.report(
            "leaked-connection",
            f"a connection is still out at the end of {scope.label}: {_taken(held)};"
            " close the session: async with, or a yield dependency",
            fix="async with Session() as session:",
            site=held.site,
            scope=scope,
            seconds=perf_counter() - held.since,
        )


def look(loop: asyncio.AbstractEventLoop) -> None:
    """Judge the connections whose tasks wait for something else; called on the loop now and then."""
    now = perf_counter()
    for held in held_now():
        if held.found or held.running or held.streaming or held.scope is None or held.task is None:
            continue
        guards = held.scope.guards
        if not guards.on("leaked-connection") or now - held.idle_since < guards.limits.idle_after:
            continue
        if held.task.done() or held.task.get_loop() is not loop:
            continue
        # Pending at two looks in a row: the task waits. Under load a task that is ready may come late as well.
        waiter = getattr(held.task, "_fut_waiter", None)
        if waiter is None or waiter.done() or held.waiter is not waiter:
            held.waiter = waiter
            continue
        waits_at = _external_wait(held.task)
        if waits_at is not None:
            held.found = True
            _report_idle(held, waits_at, now - held.idle_since)


def _report_idle(held: Held, waits_at: Site, seconds: float) -> None:
    scope = held.scope
    if scope is None:
        return
    scope.guards.report(
        "leaked-connection",
        f"a connection was held for {seconds:.1f} s while {scope.label} waited for something else at {waits_at}"
        f" ({_taken(held)}); commit and end the session before the wait, or do the waiting first",
        fix="await session.commit()  # or leave the async with block, before the wait",
        site=waits_at,
        scope=scope,
        seconds=seconds,
        related={"taken": held.site} if held.site else {},
        may_raise=False,  # it is the task's timer that notices, not the task
    )


def _external_wait(task: asyncio.Task[Any]) -> Site | None:
    """The application's line at which a task waits for something that is not the database."""
    for frame in suspended_frames(task.get_coro()):
        filename = frame.f_code.co_filename
        if is_database(filename):
            return None
        if is_app(filename):
            return site_of(frame.f_code, frame.f_lineno)
        if not is_standard(filename):
            continue  # a client library: the application's line is further out
    return None


def _taken(held: Held) -> str:
    where = f"taken at {held.site}" if held.site else "taken by a library"
    return f"{where} in {held.scope.label}" if held.scope is not None else where


__all__ = [
    "KEY",
    "Held",
    "Waiting",
    "collected",
    "held_now",
    "look",
    "returned",
    "scope_ended",
    "taken",
    "waited",
    "waiting_now",
    "waits",
]
