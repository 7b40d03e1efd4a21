"""Blocking code in bounded threads, with a sync session on the same database.

The function runs in a thread, and its ``Session`` is SQLAlchemy's own. But the connection under it is one of
the async pool's, taken on the event loop before the thread starts: each time the session would block on the
database, the thread hands the waiting over to the loop. So there is one pool with one bound and no second
driver, and whatever holds for the pool's connections (time-outs, commits never abandoned) holds here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import copy_context
from typing import Any, TypeVar

import greenlet
from anyio import CapacityLimiter, to_thread
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm import Session

from sqlawait.backends.guard import to_the_end

T = TypeVar("T")


class Bridge:
    """A bounded number of threads that may use a database at once.

    Parameters:
        threads: how many functions may run at once, each with one connection of the pool.
    """

    def __init__(self, threads: int) -> None:
        self._threads = CapacityLimiter(threads)

    async def run(self, engine: AsyncEngine, work: Callable[[Session], T]) -> T:
        """Run ``work`` in a thread, in one transaction, committed when it returns.

        A thread cannot be stopped: a cancelled caller waits until ``work`` has ended, and gets its outcome.
        """
        # the thread's place first, then the connection: never more connections out than threads at work
        async with self._threads:
            connection = await engine.connect()
            loop = asyncio.get_running_loop()
            sync_connection = connection.sync_connection

            def transaction() -> T:
                with Session(sync_connection, expire_on_commit=False) as session, session.begin():
                    return work(session)

            # The limiter above has admitted this call; a limiter of one's own keeps anyio's default free. anyio
            # waits for the thread only where its own scopes cancel, not where a task is cancelled.
            try:
                result = await to_the_end(
                    to_thread.run_sync(_drive, transaction, loop, limiter=CapacityLimiter(1))
                )
            except BaseException:
                await asyncio.shield(connection.close())
                raise
            await to_the_end(connection.close())
            return result


class _Waiting(greenlet.greenlet):
    """Where the session's code runs: SQLAlchemy hands what it would await to the parent of such a greenlet."""

    __sqlalchemy_greenlet_provider__ = True


def _drive(work: Callable[[], T], loop: asyncio.AbstractEventLoop) -> T:
    """Run ``work`` in this thread; await on ``loop`` whatever it has to wait for."""
    context = _Waiting(work)
    context.gr_context = copy_context()  # a greenlet begins without the caller's context variables
    result: Any = context.switch()
    while not context.dead:
        try:
            value = asyncio.run_coroutine_threadsafe(_awaited(result), loop).result()
        except BaseException as error:  # noqa: BLE001 - it belongs to the code that waits, whatever it is
            result = context.throw(error)
        else:
            result = context.switch(value)
    return result  # type: ignore[no-any-return] # what work returned


async def _awaited(what: Awaitable[T]) -> T:
    return await what


__all__ = ["Bridge"]
