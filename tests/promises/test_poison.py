"""Whatever was done to a session, nobody after it gets its connection with its transaction still open."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from random import Random
from typing import Any

import pytest
from sqlalchemy import make_url, select, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession as PlainSession
from sqlalchemy.ext.asyncio import create_async_engine

from models import Base, Counter
from promises.effort import LONG, SEEDS
from sqlawait import Database, Timeouts
from sqlawait.exceptions import SqlawaitError

ROUNDS = 200 if LONG else 4
INNOCENT = 5
SLOW = {
    "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) SELECT 1 FROM n",
    "postgresql": "SELECT pg_sleep(0.01)",
    "mysql": "SELECT SLEEP(0.01)",
}
Open = Callable[[], Any]
pytestmark = pytest.mark.usefixtures("lost_connections")


async def poison(session: Any, slow: str, random: Random) -> None:
    """Write, and then commit while another statement of the session still runs, or be cancelled somewhere."""

    async def work() -> None:
        await session.execute(text("UPDATE counters SET value = value + 1000"))
        await asyncio.gather(session.execute(text(slow)), session.rollback(), return_exceptions=True)

    task = asyncio.create_task(work())
    if random.random() < 0.5:
        await asyncio.sleep(random.uniform(0, 0.02))
        task.cancel()
    await asyncio.wait([task])
    if not task.cancelled():
        task.exception()
    with suppress(Exception):
        await session.rollback()
    with suppress(Exception):
        await session.close()


async def innocent(open_session: Open) -> str | None:
    """A request that has done nothing wrong; gives what went wrong all the same."""
    try:
        async with open_session() as session:
            await session.execute(text("UPDATE counters SET amount = amount + 1"))
            await session.commit()
    except (SQLAlchemyError, SqlawaitError, OSError) as error:
        return f"{type(error).__name__}: {error}"
    return None


async def rounds(open_session: Open, slow: str, seed: int) -> list[str]:
    """Poison the pool again and again, each time with innocent requests behind."""
    random = Random(seed)
    found: list[str] = []
    for _ in range(ROUNDS):
        await asyncio.gather(*(poison(open_session(), slow, random) for _ in range(2)))
        found += [wrong for _ in range(INNOCENT) if (wrong := await innocent(open_session))]
    return found


@pytest.mark.parametrize("seed", SEEDS)
async def test_no_poisoned_connection_is_handed_out(url: str, seed: int) -> None:
    """Every innocent request succeeds, and what was never committed is never stored."""
    # asyncmy waits for what its rival has read: until the time-out of a statement
    async with Database(url, pool_size=2, threads=1, timeouts=Timeouts(command=1.0)) as db:
        await db.create_all(Base.metadata)
        async with db.transaction() as session:
            await session.create(Counter, id=1)
        found = await rounds(db.session, SLOW[db.dialect], seed)
        async with db.session() as session:
            counter = await session.get_one(Counter, 1)
            assert found == []
            assert (counter.value, counter.amount) == (0, ROUNDS * INNOCENT)
            if db.dialect == "postgresql":
                idle = (
                    "SELECT count(*) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND state LIKE 'idle in%'"
                )
                assert await session.scalar(text(idle)) <= 1  # this session itself
        assert db.engine.pool.checkedout() == 0


@asynccontextmanager
async def plain(url: str) -> AsyncIterator[Open]:
    engine = create_async_engine(
        make_url(url).set(drivername="postgresql+asyncpg"),
        pool_size=2,
        max_overflow=0,
        pool_timeout=1,
        connect_args={"command_timeout": 1},
    )

    def open_session() -> AbstractAsyncContextManager[PlainSession]:
        return PlainSession(engine)

    yield open_session
    await engine.dispose()


@pytest.mark.filterwarnings("ignore")
async def test_the_naive_variant_is_caught(postgresql_url: str) -> None:
    """SQLAlchemy's own pool takes a connection back in mid-transaction and hands it to the next."""
    async with Database(postgresql_url) as db:
        await db.create_all(Base.metadata)
        async with db.transaction() as session:
            await session.create(Counter, id=1)
        async with plain(postgresql_url) as open_session:
            found = await rounds(open_session, SLOW["postgresql"], 1)
        async with db.session() as session:
            value = await session.scalar(select(Counter.value))
    assert found or value
