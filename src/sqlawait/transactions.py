"""Run a function as one transaction, and again as a whole where the database asks for that."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TypeVar

import stamina

from sqlawait.backends import failure_of
from sqlawait.events import Observer, TransactionRetried
from sqlawait.lanes import Lane
from sqlawait.session import AsyncSession

T = TypeVar("T")

_FIRST_WAIT = 0.01
_LONGEST_WAIT = 0.1


class Retry:
    """Decides whether a failed transaction is run again, and how long to wait first.

    The first time it does not: in this process there are turns to wait for. After that the wait has full
    jitter, anything between nothing and a bound that doubles with each attempt, so that the transactions of
    several processes that collided once do not collide again.
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
        bound = 0.0 if self._attempt == 1 else min(_LONGEST_WAIT, _FIRST_WAIT * 2**self._attempt)
        delay = random.uniform(0, bound)
        for observer in self._observers:
            observer(TransactionRetried(str(kind), self._attempt, delay))
        return delay


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
        deadline: seconds after which a failed attempt is the last; an attempt under way is not cut off.
        lane: where attempts wait for their turn, those of one transaction with one ticket.
        observers: told of each retry.

    Raises:
        Exception: what ``work`` or the commit raised, where another run does not help or the deadline is over.
        CommitUnknown: never retried; the transaction may be in the database.
    """
    # Late but in turn an attempt succeeds; out of turn it collides, and makes those collide that have theirs.
    ticket, patience = lane.ticket(), 2 * deadline
    async for attempt in stamina.retry_context(on=Retry(observers), attempts=None, timeout=deadline):
        with attempt:
            async with lane.turn(ticket, patience=patience), begin() as session:
                result = await work(session)
            return result  # noqa: RET504 - only now is it committed
    raise AssertionError("unreachable: the last attempt returns or raises")


__all__ = ["run_retried"]
