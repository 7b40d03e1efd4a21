"""Lanes: transactions that collide run fewer at once, the oldest first."""

from __future__ import annotations

import asyncio
import itertools
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from contextvars import ContextVar
from functools import partial
from heapq import heappop, heappush
from typing import Any, Final
from weakref import WeakKeyDictionary

from sqlawait.backends import failure_of

_WIDER: Final = 1.1
_PATIENCE: Final = 4.0
"""Seconds, less than a database waits for a lock."""
_in_turn: ContextVar[bool] = ContextVar("sqlawait_in_turn", default=False)


class Lane:
    """Where the transactions of one function run: as many at once as do not collide.

    Under SERIALIZABLE, transactions on the same few rows mostly fail each other's attempts. The more of them
    run at once the more work is done for nothing, and some have no luck until their deadline. So each collision
    halves how many may run at once, each commit widens that by a tenth, and the turn goes to whoever came
    first: one that has collided is not overtaken by newcomers. Without collisions nobody waits.
    """

    def __init__(self) -> None:
        self._width: float = math.inf
        self._running = 0
        self._tickets = itertools.count()
        self._line: list[tuple[int, asyncio.Future[None]]] = []  # a heap: the lowest ticket first

    def ticket(self) -> int:
        """A place in the line, for all attempts of a transaction."""
        return next(self._tickets)

    @asynccontextmanager
    async def turn(self, ticket: int, *, patience: float) -> AsyncIterator[None]:
        """Wait for one's turn, and have it; what is raised in it says whether it has collided.

        A transaction that is run inside of another one's turn does not wait, nor is it counted.

        Parameters:
            ticket: the transaction's.
            patience: seconds to wait at most, and not more than four: it may be run inside of a transaction for
                whose locks the ones before it are waiting.
        """
        if _in_turn.get():
            yield
            return
        if self._running + 1 > self._width:
            await self._wait(ticket, min(patience, _PATIENCE))
        else:
            self._running += 1
        token = _in_turn.set(True)
        try:
            yield
        except Exception as error:
            kind = failure_of(error)
            if kind is not None and kind.retryable:
                self._width = max(1, min(self._width, self._running) / 2)
            raise
        else:
            self._width *= _WIDER
        finally:
            _in_turn.reset(token)
            self._leave()

    async def _wait(self, ticket: int, patience: float) -> None:
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heappush(self._line, (ticket, turn))
        try:
            await asyncio.wait([turn], timeout=patience)
        except asyncio.CancelledError:
            if turn.done():  # it was handed the turn in the moment before
                self._leave()
            turn.cancel()
            raise
        if not turn.done():
            turn.cancel()
            self._running += 1

    def _leave(self) -> None:
        self._running -= 1
        while self._line and self._running + 1 <= self._width:
            _, turn = heappop(self._line)
            if not turn.done():
                turn.set_result(None)
                self._running += 1


class Lanes:
    """A lane for each function: those that do not collide do not wait for those that do."""

    def __init__(self) -> None:
        self._lanes: WeakKeyDictionary[Any, Lane] = WeakKeyDictionary()

    def of(self, work: Callable[..., Any]) -> Lane:
        """The lane of a function; its closures, bound methods and partials share it."""
        key = _code_of(work)
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = Lane()
        return lane


def _code_of(work: Any) -> Any:
    """What stays the same where a function is made anew for each call."""
    while True:
        if isinstance(work, partial):
            work = work.func
        elif hasattr(work, "__wrapped__"):
            work = work.__wrapped__
        else:
            return getattr(work, "__code__", type(work))


__all__ = ["Lane", "Lanes"]
