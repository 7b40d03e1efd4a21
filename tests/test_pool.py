"""The fair pool, on each database."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import event, exc, make_url, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.util import greenlet_spawn

from sqlawait.backends import resolve
from sqlawait.events import ConnectionDiscarded, ConnectionWaited
from sqlawait.exceptions import PoolTimeout
from sqlawait.pool import FairPool

DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "mysql": "mysql+asyncmy"}


@asynccontextmanager
async def engine_of(url: str, **options: Any) -> AsyncIterator[AsyncEngine]:
    """An engine on a fair pool, disposed of at the end, when no connection may be out or missing."""
    target = make_url(url)
    options = {"pool_size": 2, "pool_timeout": 5, **options}
    engine = create_async_engine(
        target.set(drivername=DRIVERS[target.drivername]), poolclass=FairPool, **options
    )
    try:
        yield engine
        pool = pool_of(engine)
        assert (pool.checkedout(), pool.waiting()) == (0, 0), pool.status()
    finally:
        await engine.dispose()


def pool_of(engine: AsyncEngine) -> FairPool:
    assert isinstance(engine.pool, FairPool)
    return engine.pool


async def until(condition: Any) -> None:
    """Let the loop run until the condition holds."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - the pool has no event to wait for, and needs none
            await asyncio.sleep(0)


async def connection_of(engine: AsyncEngine, order: list[int], number: int) -> None:
    async with engine.connect() as connection:
        order.append(number)
        await connection.execute(text("select 1"))


async def test_hands_out_in_the_order_of_asking(url: str) -> None:
    """Those who wait are served strictly in the order in which they came, with late arrivals behind them."""
    order: list[int] = []
    async with engine_of(url, pool_size=1) as engine, asyncio.TaskGroup() as group:
        async with engine.connect():
            for number in range(20):
                group.create_task(connection_of(engine, order, number))
                await until(lambda n=number: pool_of(engine).waiting() == n + 1)
        late = [group.create_task(connection_of(engine, order, 20 + number)) for number in range(20)]
        await asyncio.wait(late)
        assert order == list(range(40))


async def test_a_late_arrival_does_not_overtake(url: str) -> None:
    """A connection given back belongs to the first in the line, even before that one wakes up."""
    async with engine_of(url, pool_size=1) as engine:
        pool = pool_of(engine)
        holder = await engine.connect()
        order: list[int] = []
        first = asyncio.create_task(connection_of(engine, order, 1))
        await until(lambda: pool.waiting() == 1)
        await holder.close()
        assert pool.checkedin() == 0
        await connection_of(engine, order, 2)
        await first
        assert order == [1, 2]


async def test_never_opens_more_than_its_size(url: str) -> None:
    """However many ask at once, there are never more connections than the pool's size."""
    opened: list[Any] = []
    async with engine_of(url, pool_size=3) as engine:
        event.listen(engine.sync_engine, "connect", lambda connection, record: opened.append(connection))
        async with asyncio.TaskGroup() as group:
            for number in range(30):
                group.create_task(connection_of(engine, [], number))
        assert len(opened) <= 3
        assert pool_of(engine).checkedin() == len(opened)


async def test_gives_up_after_the_timeout(url: str) -> None:
    """Who waits too long gets a PoolTimeout, which is SQLAlchemy's TimeoutError, and leaves the line."""
    async with engine_of(url, pool_size=1, pool_timeout=0.01) as engine:
        async with engine.connect():
            with pytest.raises(PoolTimeout, match=r"no connection came free in 0\.01 s") as caught:
                await engine.connect()
            assert isinstance(caught.value, exc.TimeoutError)
            assert pool_of(engine).waiting() == 0
        await connection_of(engine, [], 1)


async def test_tells_of_each_wait(sqlite_url: str) -> None:
    """An observer hears how long one waited and how many stood before, also of a wait in vain."""
    seen: list[ConnectionWaited] = []
    async with engine_of(sqlite_url, pool_size=1, pool_timeout=0.01, observers=[seen.append]) as engine:
        await connection_of(engine, [], 0)
        assert seen == []
        async with engine.connect():
            with pytest.raises(PoolTimeout):
                await engine.connect()
    async with engine_of(sqlite_url, pool_size=1, observers=[seen.append]) as engine:
        holder = await engine.connect()
        waiter = asyncio.create_task(connection_of(engine, [], 1))
        await until(lambda: pool_of(engine).waiting() == 1)
        await holder.close()
        await waiter
    assert [wait.waiting for wait in seen] == [0, 0]
    assert seen[0].seconds >= 0.01


async def test_an_observer_that_raises_loses_no_connection(sqlite_url: str) -> None:
    """A faulty observer fails the request, and its connection goes back."""

    def faulty(_: object) -> None:
        raise RuntimeError("observer")

    async with engine_of(sqlite_url, pool_size=1, observers=[faulty]) as engine:
        holder = await engine.connect()
        waiter = asyncio.create_task(connection_of(engine, [], 1))
        await until(lambda: pool_of(engine).waiting() == 1)
        await holder.close()
        with pytest.raises(RuntimeError):
            await waiter


@pytest.mark.usefixtures("lost_connections")
async def test_cancellation_loses_no_connection(url: str) -> None:
    """Wherever a task is cancelled on its way through the pool, all connections can be had again afterwards."""
    async with engine_of(url, pool_size=1) as engine:
        for steps in range(25):
            holder = await engine.connect()
            first, second = (asyncio.create_task(connection_of(engine, [], number)) for number in (1, 2))
            await until(lambda: pool_of(engine).waiting() == 2)
            await holder.close()  # from here on the first is on its way
            for _ in range(steps):
                await asyncio.sleep(0)
            first.cancel()
            await asyncio.wait([first])
            await second
            async with asyncio.timeout(5), engine.connect() as connection:
                assert await connection.scalar(text("select 1")) == 1


@pytest.mark.usefixtures("lost_connections")
async def test_cancellation_of_a_lease_loses_no_connection(url: str) -> None:
    """The same for those who lease the driver's connection, from before there is any connection."""

    async def lease() -> None:
        taken = await pool.take()
        try:
            await asyncio.sleep(0)
        finally:
            await pool.give(taken)

    async with engine_of(url, pool_size=1) as engine:
        pool = pool_of(engine)
        for steps in range(25):
            first, second = (asyncio.create_task(lease()) for _ in range(2))
            for _ in range(steps):
                await asyncio.sleep(0)
            first.cancel()
            await asyncio.wait([first])
            await second
            if steps % 2:
                await engine.dispose()
                pool = pool_of(engine)
        async with asyncio.timeout(5), engine.connect() as connection:
            assert await connection.scalar(text("select 1")) == 1


async def test_a_failed_connect_frees_its_place(sqlite_url: str) -> None:
    """Where connecting fails, the next in the line tries, and nobody waits for ever."""
    async with engine_of(sqlite_url, pool_size=1) as engine:
        failures = iter([True, True, False])

        def refuse(*_: Any) -> None:
            if next(failures, False):
                raise ConnectionRefusedError

        event.listen(engine.sync_engine, "do_connect", refuse)
        results = await asyncio.gather(
            *(connection_of(engine, [], number) for number in range(4)), return_exceptions=True
        )
        assert [isinstance(result, ConnectionRefusedError) for result in results] == [True, True, False, False]


async def test_leases_and_connections_share_one_line(url: str) -> None:
    """A lease counts as checked out, waits its turn, and is the connection that sessions use."""
    async with engine_of(url, pool_size=1) as engine:
        pool = pool_of(engine)
        async with engine.connect() as connection:
            driver = (await connection.get_raw_connection()).driver_connection
        lease = await pool.take()
        assert lease.driver is driver
        assert (pool.checkedout(), pool.checkedin(), pool.free()) == (1, 0, 0)
        order: list[int] = []
        waiter = asyncio.create_task(connection_of(engine, order, 1))
        await until(lambda: pool.waiting() == 1)
        await pool.give(lease)
        second = await pool.take()
        assert order == [1]
        await pool.give(second)
        await waiter


async def test_a_broken_lease_is_closed(url: str) -> None:
    """A lease given back as broken is closed; its place is used for a new connection."""
    async with engine_of(url, pool_size=1) as engine:
        pool = pool_of(engine)
        lease = await pool.take()
        broken = lease.driver
        await pool.give(lease, broken=RuntimeError("cut"))
        lease = await pool.take()
        assert lease.driver is not broken
        await pool.give(lease)


async def test_a_lease_respects_ping_events_and_invalidation(url: str) -> None:
    """With pre-ping or listeners, or after an invalidation, a lease takes SQLAlchemy's whole way."""
    events: list[str] = []
    # SQLAlchemy 2.0 cannot ping through asyncmy: it passes an argument too few.
    async with engine_of(url, pool_size=1, pool_pre_ping=not url.startswith("mysql")) as engine:
        pool = pool_of(engine)
        event.listen(pool, "checkout", lambda *_: events.append("out"))
        event.listen(pool, "checkin", lambda *_: events.append("in"))
        lease = await pool.take()
        await pool.give(lease)
        assert events == ["out", "in"]
        lease = await pool.take()
        await pool.give(lease, broken=RuntimeError("cut"))
        assert events == ["out", "in", "out", "in"]
    async with engine_of(url, pool_size=1) as engine:
        pool = pool_of(engine)
        async with engine.connect() as connection:
            before = (await connection.get_raw_connection()).driver_connection
            pool._invalidate(await connection.get_raw_connection(), _checkin=False)
        lease = await pool.take()
        assert lease.driver is not before
        await pool.give(lease)


async def test_invalidated_and_recycled_connections_are_replaced(url: str) -> None:
    """Invalidation and recycling work as in SQLAlchemy's pools."""
    async with engine_of(url, pool_size=1, pool_recycle=0) as engine:
        first = await driver_of(engine)
        assert await driver_of(engine) is not first
    async with engine_of(url, pool_size=1) as engine:
        async with engine.connect() as connection:
            first = (await connection.get_raw_connection()).driver_connection
            await connection.invalidate()
        assert await driver_of(engine) is not first


async def test_dispose_closes_what_is_free_and_later_what_is_out(url: str) -> None:
    """After dispose() the engine has a new pool; the old one closes its connections as they come back."""
    async with engine_of(url) as engine:
        old = pool_of(engine)
        closed: list[Any] = []
        event.listen(old, "close", lambda connection, record: closed.append(connection))
        out = await engine.connect()
        await connection_of(engine, [], 1)
        await engine.dispose()
        assert len(closed) == 1
        assert pool_of(engine) is not old
        assert pool_of(engine).size() == old.size()
        await out.close()
        assert len(closed) == 2
        assert (old.checkedin(), old.checkedout()) == (0, 0)


@pytest.mark.filterwarnings(  # SQLAlchemy 2.0 drops it where 2.1 terminates it
    "ignore:.*deleted before being closed:ResourceWarning",
    "ignore:Exception ignored in:pytest.PytestUnraisableExceptionWarning",
)
async def test_a_lost_connection_comes_back(sqlite_url: str) -> None:
    """A connection that was never closed comes back through the garbage collector, to the first in line."""
    async with engine_of(sqlite_url, pool_size=1) as engine:

        async def lose() -> AsyncConnection:
            return await engine.connect()

        lost = [await lose()]
        waiter = asyncio.create_task(connection_of(engine, [], 1))
        await until(lambda: pool_of(engine).waiting() == 1)
        with pytest.warns(exc.SAWarning, match="garbage collector"):
            lost.clear()
        await waiter


async def test_a_connection_returned_from_another_thread_wakes_the_waiter(sqlite_url: str) -> None:
    """The garbage collector may run in any thread; the waiter's own loop is the one that is told."""
    async with engine_of(sqlite_url, pool_size=1) as engine:
        pool = pool_of(engine)
        lease = await pool.take()
        waiter = asyncio.create_task(connection_of(engine, [], 1))
        await until(lambda: pool.waiting() == 1)
        thread = threading.Thread(target=pool._do_return_conn, args=[lease._holder])
        thread.start()
        thread.join()
        await waiter


def test_waiters_of_a_loop_that_is_gone_are_passed_over(sqlite_url: str) -> None:
    """Waiters left behind by a closed loop do not swallow connections."""
    engine = create_async_engine(
        sqlite_url.replace("sqlite", "sqlite+aiosqlite", 1), poolclass=FairPool, pool_size=1
    )
    pool = pool_of(engine)
    loop = asyncio.new_event_loop()
    lease = loop.run_until_complete(pool.take())
    waiter = loop.create_task(pool.take())
    loop.run_until_complete(asyncio.sleep(0))
    assert pool.waiting() == 1
    loop.run_until_complete(lease.driver.close())
    waiter._log_destroy_pending = False  # left behind on purpose
    loop.close()
    pool._do_return_conn(lease._holder)
    assert (pool.checkedin(), pool.waiting()) == (1, 0)
    del waiter
    gc.collect()


async def test_churn_leaves_the_pool_whole(url: str) -> None:
    """Cancellations, time-outs and returns at random leave the pool whole."""
    async with engine_of(url, pool_size=2, pool_timeout=0.02) as engine:
        for round_ in range(10):
            tasks = [asyncio.create_task(connection_of(engine, [], number)) for number in range(12)]
            for number, task in enumerate(tasks):
                if (number + round_) % 3 == 0:
                    for _ in range(number):
                        await asyncio.sleep(0)
                    task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        async with asyncio.timeout(5), engine.connect(), engine.connect():
            assert pool_of(engine).checkedout() == 2


def test_a_pool_without_bound_is_refused(sqlite_url: str) -> None:
    """A size of nothing or an endless overflow is an error, with the remedy."""
    for options in ({"pool_size": 0}, {"max_overflow": -1}):
        with pytest.raises(exc.ArgumentError, match="sets no bound"):
            FairPool(lambda: None, **options)
    assert FairPool(lambda: None, pool_size=5, max_overflow=10).size() == 15


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork on Windows")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
async def test_a_forked_child_leaves_the_parents_connections_alone(postgresql_url: str) -> None:
    """After ``dispose(close=False)`` in a child, the parent's connections still work."""
    async with engine_of(postgresql_url, pool_size=1) as engine:
        await connection_of(engine, [], 1)
        child = os.fork()
        if child == 0:  # pragma: no cover
            engine.sync_engine.dispose(close=False)
            ok = pool_of(engine).checkedin() == 0 and pool_of(engine).checkedout() == 0
            os._exit(0 if ok else 1)
        _, status = await asyncio.to_thread(os.waitpid, child, 0)
        assert os.waitstatus_to_exitcode(status) == 0, status
        await connection_of(engine, [], 2)


async def driver_of(engine: AsyncEngine) -> Any:
    async with engine.connect() as connection:
        return (await connection.get_raw_connection()).driver_connection


async def test_a_connection_with_an_open_transaction_is_discarded(url: str) -> None:
    """With a backend to ask, a connection that comes back in a transaction is closed and reported."""
    seen: list[object] = []
    backend = resolve(url)[1]
    async with engine_of(
        url, pool_size=1, observers=[seen.append], backend=backend, pool_reset_on_return=None
    ) as engine:
        pool = pool_of(engine)
        for way in ("connection", "lease"):
            if way == "lease":
                lease = await pool.take()
                first = lease.driver
                await greenlet_spawn(_begin, lease.adapted)
                await pool.give(lease)
            else:
                async with engine.connect() as connection:
                    raw = await connection.get_raw_connection()
                    first = raw.driver_connection
                    await greenlet_spawn(_begin, raw.dbapi_connection)
            assert await driver_of(engine) is not first
        assert seen == [ConnectionDiscarded("it came back with a transaction open")] * 2


async def test_a_connection_that_has_ended_is_not_handed_out(postgresql_url: str) -> None:
    """With a backend to ask, a connection that the server has closed is replaced, also for a lease."""
    async with engine_of(postgresql_url, pool_size=1, backend=resolve(postgresql_url)[1]) as engine:
        pool = pool_of(engine)
        for way in ("connection", "lease"):
            await connection_of(engine, [], 1)
            driver = await driver_of(engine)
            driver.terminate()
            if way == "lease":
                lease = await pool.take()
                assert await lease.driver.fetchval("select 1") == 1
                await pool.give(lease)
            else:
                await connection_of(engine, [], 2)


def _begin(connection: Any) -> None:
    cursor = connection.cursor()
    cursor.execute("BEGIN")
    cursor.execute("SELECT 1")
    cursor.close()
