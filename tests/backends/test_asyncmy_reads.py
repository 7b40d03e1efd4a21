"""Bounds for what asyncmy reads."""

from __future__ import annotations

import asyncio
import tracemalloc

import pytest
from sqlalchemy import event, text
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.util import await_only

from sqlawait import Database
from sqlawait.backends.asyncmy_reads import bound_reads

ROWS = """
WITH RECURSIVE counted(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counted WHERE n < 200)
SELECT a.n, REPEAT('x', 1000) FROM counted a, counted b
"""


async def test_a_slow_reader_keeps_little(mysql_url: str) -> None:
    """Forty megabytes taken slowly are never in memory at once, whoever is the driver."""
    for driver in "asyncmy", "aiomysql":
        async with Database(mysql_url.replace("mysql://", f"mysql+{driver}://")) as db, db.session() as session:
            tracemalloc.start()
            result = await session.stream(text(ROWS).execution_options(stream_results=True, max_row_buffer=100))
            seen = 0
            async for rows in result.partitions(100):
                seen += len(rows)
                await asyncio.sleep(0)  # the event loop turns: more could be read
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        assert seen == 40_000
        assert peak < 10_000_000


async def test_a_connection_that_is_lost_at_once_is_the_databases_error(mysql_url: str) -> None:
    """It ends while it is set up: an error of the driver, which has a name, not one of ours."""
    engine = create_async_engine(mysql_url.replace("mysql://", "mysql+asyncmy://"))

    @event.listens_for(engine.sync_engine, "connect")
    def lose(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
        connection.driver_connection._proto.transport.abort()
        await_only(asyncio.sleep(0.01))  # the loop sees to the end of the socket

    bound_reads(engine.sync_engine, 5)
    with pytest.raises(OperationalError):
        async with engine.connect() as connection:
            await connection.execute(text("SELECT 1"))
    await engine.dispose()


async def test_a_value_larger_than_the_bound_comes_through(mysql_url: str) -> None:
    """One value of eight megabytes, read whole; and the connection goes on."""
    async with Database(mysql_url) as db, db.session() as session:
        size = 8_000_000
        value = (await session.execute(text(f"SELECT REPEAT('y', {size})"))).scalar_one()
        assert value == "y" * size
        assert (await session.execute(text("SELECT 1"))).scalar_one() == 1


async def test_a_stream_that_is_left_early_gives_its_connection_back(mysql_url: str) -> None:
    """What was not taken is not the next user's."""
    async with Database(mysql_url, pool_size=1, threads=0) as db:
        async with db.session() as session:
            result = await session.stream(text(ROWS))
            assert len(await result.fetchmany(5)) == 5
            await result.close()
        async with db.session() as session:
            assert (await session.execute(text("SELECT 1"))).scalar_one() == 1
