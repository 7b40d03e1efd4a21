"""Cancel an operation at each of its await points, one after the other, and look what is left behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any


class Stepped:
    """An awaitable that counts its suspensions and cancels its task at some of them.

    The cancellation reaches the task where it waits, as it does when a client goes away or a time-out ends;
    ``late``: in the moment in which what it waits for has come.
    """

    def __init__(
        self, work: Awaitable[Any], cancel_at: frozenset[int] = frozenset(), *, late: bool = False
    ) -> None:
        self._work = work
        self._cancel_at = cancel_at
        self._late = late
        self.count = 0

    def __await__(self) -> Generator[Any, Any, Any]:
        steps = self._work.__await__()
        resume: Callable[[], Any] = lambda: steps.send(None)  # noqa: E731 - replaced below
        while True:
            try:
                waiting_for = resume()
            except StopIteration as end:
                return end.value
            self.count += 1
            if self.count in self._cancel_at:
                task = asyncio.current_task()
                assert task is not None
                if self._late and isinstance(waiting_for, asyncio.Future):
                    waiting_for.add_done_callback(lambda _, task=task: task.cancel())
                else:
                    task.cancel()
            try:
                yield waiting_for
            except BaseException as error:  # noqa: BLE001 - it goes to the work, whatever it is
                resume = lambda error=error: steps.throw(error)  # noqa: E731
            else:
                resume = lambda: steps.send(None)  # noqa: E731


@dataclass(frozen=True)
class Outcome:
    """How an operation ended that was cancelled."""

    points: int
    """How many suspensions it had."""
    error: BaseException | None

    @property
    def completed(self) -> bool:
        return self.error is None

    @property
    def allowed(self) -> bool:
        """Cancelled, or done before the cancellation could stop it."""
        return self.error is None or isinstance(self.error, asyncio.CancelledError)


async def step(work: Awaitable[Any], *cancel_at: int, late: bool = False) -> Outcome:
    """Run work in a task of its own, cancelled at these suspensions; wait for all that it leaves running."""
    before = asyncio.all_tasks()
    stepped = Stepped(work, frozenset(cancel_at), late=late)

    async def run() -> None:
        await stepped

    (result,) = await asyncio.gather(asyncio.create_task(run()), return_exceptions=True)
    while rest := asyncio.all_tasks() - before:
        await asyncio.wait(rest)
    return Outcome(stepped.count, result)


@asynccontextmanager
async def in_time(seconds: float, what: str) -> AsyncIterator[None]:
    """Fail, saying what hung, instead of hanging."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise AssertionError(f"{what} did not come back within {seconds} s") from error
