"""Who holds a connection, and who waits for one."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import Any

from sqlalchemy import Pool

from sqlawait.events import Site
from sqlawait.guards.scope import Scope, current_task
from sqlawait.guards.sites import Stack, innermost

HELD = "sqlawait.held"
"""Key of a connection's ``info``."""


class Held:
    """A connection that is out of its pool, from the moment in which it was asked for."""

    __slots__ = (
        "_stack",
        "found",
        "idle_since",
        "pool",
        "running",
        "scope",
        "since",
        "streaming",
        "task",
        "waiter",
    )

    def __init__(self, pool: Pool, scope: Scope | None, stack: Stack) -> None:
        self.pool = pool
        self.scope = scope
        self._stack = stack
        self.since = perf_counter()
        self.task: asyncio.Task[Any] | None = current_task()
        self.running = 0
        """Statements that run on it now."""
        self.streaming = False
        """Its last statement's rows are read from the server as they are needed."""
        self.found = False
        self.waiter: Any = None
        _waiting.add(self)

    @property
    def site(self) -> Site | None:
        """The application's line that asked for it."""
        return innermost(self._stack)

    def taken(self) -> None:
        """It has left its pool."""
        _waiting.discard(self)
        _held.add(self)
        scope, asked = self.scope, self.since
        self.since = self.idle_since = now = perf_counter()
        if scope is not None:
            scope.waited += now - asked
            scope.held.add(self)

    def statement_began(self) -> None:
        """It is at work."""
        self.running += 1

    def statement_ended(self) -> None:
        """It has nothing to do, if no other statement runs on it."""
        self.running -= 1
        self.idle_since = perf_counter()

    def not_taken(self) -> None:
        """The wait has ended without one."""
        _waiting.discard(self)
        if self.scope is not None:
            self.scope.waited += perf_counter() - self.since

    def returned(self) -> None:
        """It is back."""
        _held.discard(self)
        if self.scope is not None:
            self.scope.held.discard(self)


# To add to a set, and to copy it, is one step for the interpreter: threads need no lock.
_held: set[Held] = set()
_waiting: set[Held] = set()


def held_now() -> list[Held]:
    """The connections that are out."""
    return list(_held)


def waiting_now() -> list[Held]:
    """Who waits for one."""
    return list(_waiting)


__all__ = ["HELD", "Held", "held_now", "waiting_now"]
