"""A connection kept beyond its use is found with the line that took it; a task's own is left alone."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, suppress
from typing import Any, Literal

import pytest
from sqlalchemy import make_url, select, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.pool import AsyncAdaptedQueuePool
from tests.guards.conftest import stocked
from tests.guards.shop import Customer, Findings

from sqlawait.events import Finding
from sqlawait.exceptions import LeakedConnection
from sqlawait.guards import Guards, Limits, blocked_loop, leaked_connection

quick = Limits(blocked_after=0.02, idle_after=0.1)


Case = Callable[[AsyncEngine, AsyncExitStack], Awaitable[Any]]
"""What a request does, and where the test puts what it has to clean up."""


async def a_session_left_open(engine: AsyncEngine, later: AsyncExitStack) -> None:
    session = AsyncSession(engine)
    later.push_async_callback(session.close)
    await session.get(Customer, 1)


async def a_transaction_left_open(engine: AsyncEngine, later: AsyncExitStack) -> None:
    session = AsyncSession(engine)
    later.push_async_callback(session.close)
    await session.begin()
    await session.connection()


async def used_again_after_its_commit(engine: AsyncEngine, later: AsyncExitStack) -> None:
    session = AsyncSession(engine)
    later.push_async_callback(session.close)
    session.add(Customer(id=100))
    await session.commit()
    await session.refresh(await session.get_one(Customer, 100))


async def a_connection_left_open(engine: AsyncEngine, later: AsyncExitStack) -> None:
    connection = await engine.connect()
    later.push_async_callback(connection.close)


async def a_stream_read_halfway(engine: AsyncEngine, later: AsyncExitStack) -> None:
    session = AsyncSession(engine)
    later.push_async_callback(session.close)
    async for _row in await session.stream(select(Customer)):
        break


async def left_open_by_an_error(engine: AsyncEngine, later: AsyncExitStack) -> None:
    session = AsyncSession(engine)
    later.push_async_callback(session.close)
    with suppress(DBAPIError):
        await session.execute(text("SELECT nothing_here"))


async def left_open_by_a_task_that_has_ended(engine: AsyncEngine, later: AsyncExitStack) -> None:
    await asyncio.create_task(a_session_left_open(engine, later))


CAUGHT = [
    a_session_left_open, a_transaction_left_open, used_again_after_its_commit, a_connection_left_open,
    a_stream_read_halfway, left_open_by_an_error, left_open_by_a_task_that_has_ended,
]  # fmt: skip


@pytest.mark.parametrize("case", CAUGHT, ids=lambda case: case.__name__)
async def test_still_out_at_the_end_of_its_request(
    any_engine: AsyncEngine, findings: Findings, case: Case
) -> None:
    """What is open when its request has ended is found with the line that took the connection."""
    still_out = pytest.raises(LeakedConnection, match="still out at the end of GET /customers: taken at")
    with Guards(leaked_connection="raise", observers=[findings]) as guards:
        async with AsyncExitStack() as later:
            with still_out, guards.scope("GET /customers"):
                await case(any_engine, later)
    (finding,) = findings
    assert finding.site is not None
    assert finding.site.function in {case.__name__, "a_session_left_open"}
    assert "async with" in finding.fix


async def closed(engine: AsyncEngine, _: AsyncExitStack) -> None:
    async with AsyncSession(engine) as session:
        await session.get(Customer, 1)


async def committed_and_not_closed(engine: AsyncEngine, later: AsyncExitStack) -> None:
    session = AsyncSession(engine)
    later.push_async_callback(session.close)
    await session.get(Customer, 1)
    await session.commit()


async def rolled_back_and_not_closed(engine: AsyncEngine, later: AsyncExitStack) -> None:
    session = AsyncSession(engine)
    later.push_async_callback(session.close)
    await session.get(Customer, 1)
    await session.rollback()


async def never_used(engine: AsyncEngine, later: AsyncExitStack) -> None:
    session = AsyncSession(engine)
    later.push_async_callback(session.close)
    session.add(Customer(id=100))


async def streamed_to_the_end(engine: AsyncEngine, _: AsyncExitStack) -> None:
    async with AsyncSession(engine) as session, session.begin():
        async for _row in await session.stream(select(Customer)):
            pass


async def failed_and_closed(engine: AsyncEngine, _: AsyncExitStack) -> None:
    with suppress(DBAPIError):
        async with engine.connect() as connection:
            await connection.execute(text("SELECT nothing_here"))


async def handed_to_a_task_that_works_on(engine: AsyncEngine, later: AsyncExitStack) -> None:
    go_on, working = asyncio.Event(), asyncio.Event()

    async def job() -> None:
        async with AsyncSession(engine) as session:
            await session.get(Customer, 1)
            working.set()
            await go_on.wait()

    later.push_async_callback(asyncio.gather, asyncio.create_task(job()))
    later.callback(go_on.set)
    await working.wait()


SILENT = [
    closed, committed_and_not_closed, rolled_back_and_not_closed, never_used, streamed_to_the_end,
    failed_and_closed, handed_to_a_task_that_works_on,
]  # fmt: skip


@pytest.mark.parametrize("case", SILENT, ids=lambda case: case.__name__)
async def test_silent_where_everything_is_given_back(
    any_engine: AsyncEngine, findings: Findings, case: Case
) -> None:
    """The connection is back in time, or in the hands of somebody who still works."""
    with Guards(leaked_connection="raise", observers=[findings]) as guards:
        async with AsyncExitStack() as later:
            for _ in range(2):
                with guards.scope("GET /customers"):
                    await case(any_engine, later)
    assert findings == []


@pytest.mark.filterwarnings("ignore:The garbage collector is trying to clean up:sqlalchemy.exc.SAWarning")
async def test_never_closed(postgresql_url: str, findings: Findings) -> None:
    """A session that is dropped without being closed is found when the garbage collector comes to it."""
    engine = create_async_engine(postgresql_url.replace("postgresql:", "postgresql+asyncpg:"))
    await stocked(engine)
    with Guards(leaked_connection="raise", observers=[findings]) as guards, guards.scope("GET /customers"):
        session = AsyncSession(engine)
        await session.get(Customer, 1)
        del session
        gc.collect()
    await engine.dispose()
    assert ["never closed" in finding.message for finding in findings] == [True]
    assert findings[0].site is not None
    assert findings[0].site.function == "test_never_closed"


async def test_held_while_waiting_for_something_else(any_engine: AsyncEngine, findings: Findings) -> None:
    """A connection that is held across an await of something else is found while that wait still lasts."""
    found = asyncio.Event()

    def note(event: object) -> None:
        if isinstance(event, Finding) and event.guard == "leaked-connection":
            found.set()

    with Guards(leaked_connection="log", observers=[findings, note], limits=quick) as guards:
        blocked_loop.watch(guards)
        with guards.scope("GET /customers"):
            async with AsyncSession(any_engine) as session:
                await session.get(Customer, 1)
                await asyncio.wait_for(found.wait(), 30)
        blocked_loop.unwatch()
    (finding,) = findings.of("leaked-connection")
    assert "while GET /customers waited for something else" in finding.message
    assert finding.seconds >= quick.idle_after
    assert finding.site is not None
    assert finding.site.line == finding.related["taken"].line + 1


Wait = Callable[[AsyncSession, asyncio.Event], Awaitable[Any]]
"""What a task does with a connection in its hands, until the event."""


async def for_an_event(_: AsyncSession, go_on: asyncio.Event) -> None:
    await go_on.wait()


async def for_a_thread(_: AsyncSession, go_on: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    await asyncio.to_thread(lambda: asyncio.run_coroutine_threadsafe(go_on.wait(), loop).result())


async def for_a_queue(_: AsyncSession, go_on: asyncio.Event) -> None:
    queue: asyncio.Queue[None] = asyncio.Queue()
    feeder = asyncio.create_task(go_on.wait())
    feeder.add_done_callback(lambda _: queue.put_nowait(None))
    await queue.get()


async def between_two_statements(session: AsyncSession, go_on: asyncio.Event) -> None:
    await session.get(Customer, 2)
    await go_on.wait()
    await session.get(Customer, 3)


async def for_a_connection(session: AsyncSession, go_on: asyncio.Event) -> None:
    """There is one, and it has it: its turn comes never."""
    with suppress(TimeoutError):
        async with asyncio.timeout(None) as timeout, AsyncSession(session.bind) as other:
            expiry = asyncio.create_task(go_on.wait())
            expiry.add_done_callback(lambda _: timeout.reschedule(0))
            await other.get(Customer, 1)


async def for_nothing(_: AsyncSession, go_on: asyncio.Event) -> None:
    """Its turn comes again at once, each time."""
    while not go_on.is_set():  # noqa: ASYNC110 # that is the case
        await asyncio.sleep(0)


async def with_the_connection_given_back(session: AsyncSession, go_on: asyncio.Event) -> None:
    await session.commit()
    await go_on.wait()


class Gate(asyncio.Event):
    """An event that tells when somebody waits for it."""

    def __init__(self) -> None:
        super().__init__()
        self.reached = asyncio.Event()

    # Not a coroutine function: its line would be the one that waits. The checkers name its result in two ways.
    def wait(self) -> Coroutine[Any, Any, Literal[True]]:  # pyright: ignore[reportIncompatibleMethodOverride]
        self.reached.set()
        return super().wait()


WAITS: dict[Wait, bool] = {
    for_an_event: True,
    for_a_thread: True,
    for_a_queue: True,
    between_two_statements: True,
    for_a_connection: False,
    for_nothing: False,
    with_the_connection_given_back: False,
}


@pytest.mark.parametrize("case", WAITS, ids=lambda case: case.__name__)
async def test_which_waits_with_a_connection_are_found(sqlite_url: str, findings: Findings, case: Wait) -> None:
    """Those for something that is not the database, with the line that waits."""
    url = make_url(sqlite_url).set(drivername="sqlite+aiosqlite")
    engine = create_async_engine(url, poolclass=AsyncAdaptedQueuePool, pool_size=1, max_overflow=0)
    await stocked(engine)
    limits = Limits(idle_after=0)
    go_on, holding = Gate(), asyncio.Event()
    with Guards(leaked_connection="log", observers=[findings], limits=limits) as guards:

        async def request() -> None:
            with guards.scope("GET /customers"):
                async with AsyncSession(engine) as session:
                    await session.get(Customer, 1)
                    holding.set()
                    await case(session, go_on)

        task = asyncio.create_task(request())
        await holding.wait()
        if case is not for_nothing:
            await go_on.reached.wait()
        for _ in range(100):  # from there to its own wait
            await asyncio.sleep(0)
        for _ in range(3):
            leaked_connection.look(asyncio.get_running_loop())
            await asyncio.sleep(0)
        found = list(findings)
        go_on.set()
        await task
    await engine.dispose()
    assert [finding.site and finding.site.function for finding in found] == [case.__name__] * WAITS[case]


async def test_silent_while_the_database_itself_is_slow(postgresql_url: str, findings: Findings) -> None:
    """Waiting for the database is what a connection is for."""
    engine = create_async_engine(postgresql_url.replace("postgresql:", "postgresql+asyncpg:"))
    with Guards(leaked_connection="raise", observers=[findings], limits=quick) as guards:
        blocked_loop.watch(guards)
        with guards.scope("GET /report"):
            async with AsyncSession(engine) as session:
                await session.execute(text("SELECT pg_sleep(0.5)"))
        blocked_loop.unwatch()
    await engine.dispose()
    assert findings.of("leaked-connection") == []


async def test_silent_between_two_statements_on_a_busy_loop(engine: AsyncEngine, findings: Findings) -> None:
    """A task that could go on but does not get its turn is not one that waits."""

    async def request(guards: Guards) -> None:
        with guards.scope("GET /customers"):
            async with AsyncSession(engine) as session:
                for _ in range(5):
                    await session.get(Customer, 1)
                    await asyncio.sleep(0)

    async def busy(stop: asyncio.Event) -> Any:
        while not stop.is_set():
            sum(range(20_000))
            await asyncio.sleep(0)

    limits = Limits(blocked_after=0.02, idle_after=0.02)
    with Guards(leaked_connection="log", observers=[findings], limits=limits) as guards:
        blocked_loop.watch(guards)
        stop = asyncio.Event()
        noise = [asyncio.create_task(busy(stop)) for _ in range(20)]
        await asyncio.gather(*(request(guards) for _ in range(5)))
        stop.set()
        await asyncio.gather(*noise)
        blocked_loop.unwatch()
    assert findings.of("leaked-connection") == []
