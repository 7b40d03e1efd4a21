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

    out = False
    """It has left its pool; until then somebody waits for it."""
    running = 0
    """Statements that run on it now."""
    streaming = False
    """Its last statement's rows are read from the server as they are needed."""
    idle_since = 0.0
    found = False
    waiter: Any = None

    def __init__(self, pool: Pool, scope: Scope | None, stack: Stack) -> None:
        self.pool = pool
        self.scope = scope
        self._stack = stack
        self.since = perf_counter()
        self.task: asyncio.Task[Any] | None = current_task()
        _known.add(self)

    @property
    def site(self) -> Site | None:
        """The application's line that asked for it."""
        return innermost(self._stack)

    def taken(self) -> None:
        """It has left its pool."""
        self.out = True
        scope, asked = self.scope, self.since
        self.since = self.idle_since = now = perf_counter()
        if scope is not None:
            scope.waited += now - asked
            scope.out += 1

    def statement_began(self) -> None:
        """It is at work."""
        self.running += 1

    def statement_ended(self) -> None:
        """It has nothing to do, if no other statement runs on it."""
        self.running -= 1
        self.idle_since = perf_counter()

    def not_taken(self) -> None:
        """The wait has ended without one."""
        _known.discard(self)
        if self.scope is not None:
            self.scope.waited += perf_counter() - self.since

    def returned(self) -> None:
        """It is back."""
        _known.discard(self)
        if self.scope is not None:
            self.scope.out -= 1


# To add to a set, and to copy it, is one step for the interpreter: threads need no lock.
_known: set[Held] = set()


def held_now() -> list[Held]:
    """The connections that are out."""
    return [held for held in list(_known) if held.out]


def waiting_now() -> list[Held]:
    """Who waits for one."""
    return [held for held in list(_known) if not held.out]


__all__ = ["HELD", "Held", "held_now", "waiting_now"]
