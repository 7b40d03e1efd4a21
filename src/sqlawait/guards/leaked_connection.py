"""Leaked connection: kept beyond its use, or never given back.

Three ways: still out when its request has ended, collected as garbage because its session was never closed, and
held while its task waits for something that is not the database. A task that outlives its request may keep its
own.
"""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import Any

from sqlawait.events import Site
from sqlawait.guards.held import Held, held_now
from sqlawait.guards.scope import Scope, active_for
from sqlawait.guards.sites import is_app, is_database, is_standard, site_of, suspended_frames


def collected(held: Held) -> None:
    """Judge a connection that the garbage collector found: nobody closed its session."""
    if held.scope is not None:
        guards = held.scope.guards
        if not guards.on("leaked-connection"):
            return
    else:
        chosen = active_for("leaked-connection")
        if chosen is None:
            return
        guards = chosen[0]
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
        if not guards.on("leaked-connection") or held.task.done() or held.task.get_loop() is not loop:
            continue
        # Pending at two looks in a row: the task waits. Under load a task that is ready may come late as well.
        waiter, before = getattr(held.task, "_fut_waiter", None), held.waiter
        held.waiter = waiter
        if waiter is None or waiter.done() or waiter is not before:
            continue
        if now - held.idle_since < guards.limits.idle_after:
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
            return site_of(frame.f_code, frame.f_lasti)
        if not is_standard(filename):
            continue  # a client library: the application's line is further out
    return None


def _taken(held: Held) -> str:
    where = f"taken at {held.site}" if held.site else "taken by a library"
    return f"{where} in {held.scope.label}" if held.scope is not None else where


__all__ = ["collected", "look", "scope_ended"]
