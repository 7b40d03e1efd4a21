"""Lanes: those that collide run fewer at once, the oldest first; nobody else waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import copy_context
from functools import partial, wraps

import pytest
from asyncpg import SerializationError

from sqlawait.lanes import Lane, Lanes

PATIENCE = 60.0


class Runs:
    """Transactions in a lane, each of which goes on until it is told what becomes of it."""

    def __init__(self, lane: Lane) -> None:
        self.lane = lane
        self.running: list[str] = []
        self._ends: dict[str, asyncio.Future[None]] = {}
        self._tickets: dict[str, int] = {}

    async def begin(self, *names: str, patience: float = PATIENCE) -> None:
        """Begin transactions; one that has been here has its ticket still."""
        for name in names:
            self._ends[name] = asyncio.get_running_loop().create_future()
            self._group.create_task(self._run(name, patience), name=name)
        await settle()

    async def _run(self, name: str, patience: float) -> None:
        ticket = self._tickets.setdefault(name, self.lane.ticket())
        try:
            async with self.lane.turn(ticket, patience=patience):
                self.running.append(name)
                try:
                    await self._ends[name]
                finally:
                    self.running.remove(name)
        except SerializationError:
            pass

    async def commit(self, *names: str) -> None:
        for name in names:
            self._ends[name].set_result(None)
        await settle()

    async def collide(self, *names: str) -> None:
        for name in names:
            self._ends[name].set_exception(SerializationError("could not serialize access"))
        await settle()

    @asynccontextmanager
    async def __call__(self) -> AsyncIterator[Runs]:
        async with asyncio.TaskGroup() as self._group:
            yield self
            while self.running:
                await self.commit(*self.running)


async def settle() -> None:
    """Let everybody go as far as they get."""
    for _ in range(10):
        await asyncio.sleep(0)


async def narrowed() -> Runs:
    """A lane whose transactions run one at a time."""
    runs = Runs(Lane())
    async with runs():
        await runs.begin("x", "y")
        await runs.collide("x", "y")
    return runs


async def test_without_collisions_nobody_waits() -> None:
    """However many there are, all run at once."""
    async with Runs(Lane())() as runs:
        names = [str(number) for number in range(100)]
        await runs.begin(*names)
        assert runs.running == names


async def test_each_collision_halves_how_many_run_at_once() -> None:
    """Of eight, one collides: four may run; those that run already are let be."""
    async with Runs(Lane())() as runs:
        await runs.begin(*"abcdefgh")
        await runs.collide("a")
        await runs.commit("b", "c")
        await runs.begin("i")
        assert runs.running == ["d", "e", "f", "g", "h"]
        await runs.commit("d", "e")
        assert runs.running == ["f", "g", "h", "i"]


async def test_the_oldest_is_the_next() -> None:
    """One that has collided waits before the newcomers, not behind them."""
    async with (await narrowed())() as runs:
        await runs.begin("old")
        await runs.begin("new", "newer")
        await runs.collide("old")
        assert runs.running == ["new"]
        await runs.begin("old")
        await runs.commit("new")
        assert runs.running == ["old"]
        await runs.commit("old")
        assert runs.running == ["newer"]


async def test_commits_widen_the_lane_again() -> None:
    """After some commits two run at once, and after some more as many as come."""
    async with (await narrowed())() as runs:
        for number in range(100):
            await runs.begin(f"{number}")
            await runs.commit(f"{number}")
        await runs.begin(*"abcdefgh")
        assert runs.running == list("abcdefgh")


async def test_a_program_s_own_error_is_no_collision() -> None:
    """What the program raises makes the lane no narrower."""
    lane = Lane()
    for _ in range(3):
        with pytest.raises(ValueError, match="mine"):
            async with lane.turn(lane.ticket(), patience=PATIENCE):
                raise ValueError("mine")
    async with Runs(lane)() as runs:
        await runs.begin(*"abcd")
        assert runs.running == list("abcd")


async def test_a_transaction_inside_of_one_that_has_its_turn_does_not_wait() -> None:
    """It would wait for the one that waits for it."""
    lane = (await narrowed()).lane
    async with (
        asyncio.timeout(1),
        lane.turn(lane.ticket(), patience=PATIENCE),
        lane.turn(lane.ticket(), patience=PATIENCE),
    ):
        pass


async def test_one_that_has_waited_long_goes_ahead() -> None:
    """Whoever has the turn may be waiting for the locks of the one that waits: after a while it does not."""
    async with (await narrowed())() as runs:
        await runs.begin("first")
        await runs.begin("impatient", patience=0)
        assert runs.running == ["first", "impatient"]
        await runs.begin("third")
        await runs.commit("first")
        assert runs.running == ["impatient"]
        await runs.commit("impatient")
        assert runs.running == ["third"]


async def test_a_cancelled_one_leaves_the_line() -> None:
    """The turn goes to the next."""
    async with (await narrowed())() as runs:
        await runs.begin("first", "cancelled", "last")
        task_named("cancelled").cancel()
        await runs.commit("first")
        assert runs.running == ["last"]


async def test_one_that_is_cancelled_when_it_is_handed_the_turn_passes_it_on() -> None:
    """In the moment between being handed the turn and waking up."""
    runs = await narrowed()
    outside = copy_context()  # where no turn is had yet
    async with runs() as runs:
        async with runs.lane.turn(runs.lane.ticket(), patience=PATIENCE):
            await outside.run(asyncio.create_task, runs.begin("cancelled", "last"))
        task_named("cancelled").cancel()
        await settle()
        assert runs.running == ["last"]


def task_named(name: str) -> asyncio.Task[object]:
    (task,) = (task for task in asyncio.all_tasks() if task.get_name() == name)
    return task


async def test_functions_do_not_wait_for_each_other() -> None:
    """Each function has a lane; what is made anew for each call shares that of what it is made of."""
    lanes = Lanes()

    def made(value: int) -> object:
        async def work() -> int:
            return value

        return work

    async def other() -> None: ...

    @wraps(other)
    async def around() -> None: ...

    class Service:
        async def work(self) -> None: ...

        async def __call__(self) -> None: ...

    assert lanes.of(made(1)) is lanes.of(made(2)) is not lanes.of(other)  # type: ignore[arg-type]
    assert lanes.of(partial(partial(other))) is lanes.of(around) is lanes.of(other)
    assert lanes.of(Service().work) is lanes.of(Service().work) is not lanes.of(other)
    assert lanes.of(Service()) is lanes.of(Service()) is not lanes.of(Service().work)
