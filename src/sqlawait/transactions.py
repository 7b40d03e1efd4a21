"""Run a function as one transaction, and again as a whole where the database asks for that."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from contextvars import ContextVar
from typing import TypeVar

import stamina

from sqlawait.backends import failure_of
from sqlawait.events import Observer, TransactionRetried
from sqlawait.session import AsyncSession

T = TypeVar("T")

_FIRST_WAIT = 0.01
_LONGEST_WAIT = 0.1
_UNLUCKY = 3  # attempts


class Retry:
    """Decides whether a failed transaction is run again, and how long to wait first.

    The wait has full jitter: anything between nothing and a bound that doubles with each attempt, so that the
    transactions that collided once do not collide again.
    """

    def __init__(self, observers: Sequence[Observer]) -> None:
        self._observers = observers
        self._attempt = 0

    def __call__(self, error: Exception) -> bool | float:
        """Seconds to wait, or False for an error that running again does not cure."""
        kind = failure_of(error)
        if kind is None or not kind.retryable:
            return False
        self._attempt += 1
        delay = random.uniform(0, min(_LONGEST_WAIT, _FIRST_WAIT * 2**self._attempt))
        for observer in self._observers:
            observer(TransactionRetried(str(kind), self._attempt, delay))
        return delay


class Lane:
    """Where transactions go that have collided: one at a time, first come, first served.

    Under SERIALIZABLE, transactions on the same few rows mostly fail each other's attempts, and jitter alone
    leaves some without luck until their deadline. In the lane each has only newcomers to collide with; one that
    collides with too many of them holds newcomers back until it is through.
    """

    def __init__(self) -> None:
        self._lock = asyncio.Lock()
        self._door = asyncio.Event()
        self._door.set()

    @asynccontextmanager
    async def enter(self, attempt: int, *, patience: float) -> AsyncIterator[None]:
        """Wait for one's turn; a transaction run inside of another that has its turn has it too.

        Parameters:
            attempt: of the transaction, counted from 1. The first is a newcomer's.
            patience: seconds that a newcomer is held back at most: it may be one inside of a transaction for
                whose locks the one in the lane is waiting.
        """
        if self in _lanes.get():
            yield
        elif attempt == 1:
            if not self._door.is_set():
                with suppress(TimeoutError):
                    async with asyncio.timeout(patience):
                        await self._door.wait()
            yield
        else:
            async with self._lock:
                token = _lanes.set(_lanes.get() | {self})
                if attempt > _UNLUCKY:
                    self._door.clear()
                try:
                    yield
                finally:
                    self._door.set()
                    _lanes.reset(token)


_lanes: ContextVar[frozenset[Lane]] = ContextVar("sqlawait_lanes", default=frozenset())


async def run_retried(
    begin: Callable[[], AbstractAsyncContextManager[AsyncSession]],
    work: Callable[[AsyncSession], Awaitable[T]],
    *,
    deadline: float,
    lane: Lane,
    observers: Sequence[Observer] = (),
) -> T:
    """Run ``work`` in a transaction of its own until it commits.

    Parameters:
        begin: opens a transaction; it is entered anew for each attempt.
        work: what to do in it. It may run several times, so it must do nothing but use its session.
        deadline: seconds after which no new attempt is made; an attempt under way is not cut off.
        lane: where attempts wait for their turn.
        observers: told of each retry.

    Raises:
        Exception: what ``work`` or the commit raised, where another run does not help or the deadline is over.
        CommitUnknown: never retried; the transaction may be in the database.
    """
    async for attempt in stamina.retry_context(on=Retry(observers), attempts=None, timeout=deadline):
        with attempt:
            async with lane.enter(attempt.num, patience=deadline / 4), begin() as session:
                result = await work(session)
            return result  # noqa: RET504 - only now is it committed
    raise AssertionError("unreachable: the last attempt returns or raises")


__all__ = ["Lane", "run_retried"]
