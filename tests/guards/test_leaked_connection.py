"""A connection kept beyond its use is found with the line that took it; a task's own is left alone."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from tests.guards.conftest import stocked
from tests.guards.shop import Customer, Findings

from sqlawait.events import Finding
from sqlawait.exceptions import LeakedConnection
from sqlawait.guards import Guards, Limits, blocked_loop

quick = Limits(blocked_after=0.02, idle_after=0.1)


async def test_still_out_at_the_end_of_its_request(any_engine: AsyncEngine, findings: Findings) -> None:
    """A session that is open when its request has ended is found with the line that took the connection."""
    with Guards(leaked_connection="raise", observers=[findings]) as guards:
        session = AsyncSession(any_engine)
        still_out = pytest.raises(LeakedConnection, match="still out at the end of GET /customers: taken at")
        with still_out, guards.scope("GET /customers"):
            await session.get(Customer, 1)
        await session.close()
    (finding,) = findings
    assert finding.site is not None
    assert finding.site.function == "test_still_out_at_the_end_of_its_request"
    assert "async with" in finding.fix


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


async def test_silent_where_everything_is_given_back(any_engine: AsyncEngine, findings: Findings) -> None:
    """Closed, committed, streamed and failed: the connection is back in time."""
    with Guards(leaked_connection="raise", observers=[findings]) as guards:
        for _ in range(3):
            with guards.scope("GET /customers"):
                async with AsyncSession(any_engine) as session:
                    await session.get(Customer, 1)
                    await session.commit()
                async with AsyncSession(any_engine) as session, session.begin():
                    async for _row in await session.stream(select(Customer)):
                        pass
                async with any_engine.connect() as connection:
                    with pytest.raises(Exception, match="nothing_here"):
                        await connection.execute(text("SELECT nothing_here"))
    assert findings == []


async def test_silent_for_a_task_that_outlives_its_request(engine: AsyncEngine, findings: Findings) -> None:
    """A job that a request starts may work on when the request has ended."""
    go_on, working = asyncio.Event(), asyncio.Event()

    async def job() -> None:
        async with AsyncSession(engine) as session:
            await session.get(Customer, 1)
            working.set()
            await go_on.wait()

    with Guards(leaked_connection="raise", observers=[findings]) as guards:
        with guards.scope("POST /jobs"):
            task = asyncio.create_task(job())
            await working.wait()
        go_on.set()
        await task
    assert findings == []


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
