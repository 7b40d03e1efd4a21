"""Where the database has ended a transaction by itself, nothing goes on as if it had not."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, PendingRollbackError

from models import Base, Counter, User
from sqlawait import AsyncSession, Database, Timeouts

_ENDLESS = (
    "UPDATE counters SET value ="
    " (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n) WHERE id = 2"
)


async def test_sqlite_does_not_go_on_after_an_interrupted_write(sqlite_url: str) -> None:
    """SQLite has rolled back and would store each statement that follows, whatever becomes of the request."""
    async with Database(sqlite_url, timeouts=Timeouts(command=0.2), pool_size=1, threads=0) as db:
        await db.create_all(Base.metadata)
        async with db.transaction() as session:
            await session.create(Counter, id=1)
            await session.create(Counter, id=2)
        with pytest.raises(PendingRollbackError, match="roll back and run it again"):
            async with db.transaction() as session:
                await session.execute(text("UPDATE counters SET value = 1"))
                with pytest.raises(DBAPIError, match="interrupted"):
                    await session.execute(text(_ENDLESS))
                await session.execute(text("INSERT INTO users (email, level, changes) VALUES ('a', 1, 0)"))
        with pytest.raises(PendingRollbackError):
            async with db.transaction() as session:
                with pytest.raises(DBAPIError, match="interrupted"):
                    await session.execute(text(_ENDLESS))
        async with db.transaction() as session:  # the same connection: it is well again
            assert [counter.value for counter in await session.find_all(Counter)] == [0, 0]
            assert await session.count(User) == 0
            await session.create(User, email="b@example.com")


async def test_a_swallowed_deadlock_stores_no_half(db: Database) -> None:
    """Who goes on after a deadlock is refused: what came before it is gone."""
    if db.dialect == "sqlite":
        pytest.skip("SQLite has one writer at a time: no deadlocks")
    await two_counters(db)
    refused = 0

    async def work(session: AsyncSession, first: int, second: int, both: asyncio.Barrier) -> None:
        await session.execute(text(f"UPDATE counters SET value = value + 1 WHERE id = {first}"))
        await both.wait()
        try:
            await session.execute(text(f"UPDATE counters SET value = value + 1 WHERE id = {second}"))
        except DBAPIError:
            nonlocal refused
            with pytest.raises(DBAPIError if db.dialect == "postgresql" else PendingRollbackError):
                await session.create(User, email="half@example.com")
            refused += 1
            raise

    both = asyncio.Barrier(2)

    async def attempt(first: int, second: int) -> None:
        async with db.transaction() as session:
            await work(session, first, second, both)

    outcomes = await asyncio.gather(attempt(1, 2), attempt(2, 1), return_exceptions=True)
    assert refused == sum(isinstance(outcome, DBAPIError) for outcome in outcomes) == 1
    async with db.session() as session:
        assert [counter.value for counter in await session.find_all(Counter)] == [1, 1]
        assert await session.count(User) == 0


async def test_a_deadlock_in_a_savepoint_is_run_again(db: Database) -> None:
    """The savepoint has gone with its transaction: what is told is the deadlock, and that is retried."""
    if db.dialect == "sqlite":
        pytest.skip("SQLite has one writer at a time: no deadlocks")
    await two_counters(db)
    both = asyncio.Barrier(2)
    attempts = 0

    async def work(session: AsyncSession, first: int, second: int) -> None:
        nonlocal attempts
        attempts += 1
        newcomer = attempts <= 2
        await session.execute(text(f"UPDATE counters SET value = value + 1 WHERE id = {first}"))
        if newcomer:
            await both.wait()
        async with session.begin_nested():
            await session.execute(text(f"UPDATE counters SET value = value + 1 WHERE id = {second}"))

    await asyncio.gather(db.run(work, 1, 2), db.run(work, 2, 1))
    assert attempts > 2
    async with db.session() as session:
        assert [counter.value for counter in await session.find_all(Counter)] == [2, 2]


async def two_counters(db: Database) -> None:
    async with db.transaction() as session:
        for number in (1, 2):
            await session.create(Counter, id=number)
