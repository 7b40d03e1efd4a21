"""db.run, commits that are not abandoned, outcomes that cannot be known."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from models import Base, Counter, User
from sqlawait import AsyncSession, CommitUnknown, Database, failure_of
from sqlawait.events import TransactionRetried

SLOW_COMMIT = """
CREATE FUNCTION wait_at_commit() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN PERFORM pg_sleep(0.4); RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON users DEFERRABLE INITIALLY DEFERRED
FOR EACH ROW EXECUTE FUNCTION wait_at_commit()
"""


async def slow_commits(db: Database) -> None:
    """Make each COMMIT that follows an insert into users take 0.4 s."""
    await db.create_all(Base.metadata)
    async with db.transaction() as session:
        for statement in SLOW_COMMIT.split(";\nCREATE CONSTRAINT"):
            prefix = "" if statement.lstrip().startswith("CREATE FUNCTION") else "CREATE CONSTRAINT"
            await session.execute(text(prefix + statement))


async def test_run_commits_and_gives_the_result(db: Database) -> None:
    """A function runs as one transaction, with the arguments it was given."""

    async def register(session: AsyncSession, email: str) -> int:
        return (await session.create(User, email=email)).id

    identity = await db.run(register, "ada@example.com")
    async with db.session() as session:
        assert (await session.find(User, email="ada@example.com")).id == identity


async def test_run_does_not_repeat_what_cannot_be_cured(db: Database) -> None:
    """A constraint, or an error of the program, is raised at once."""
    calls = 0

    async def twice(session: AsyncSession) -> None:
        nonlocal calls
        calls += 1
        await session.create(User, email="ada@example.com")
        await session.create(User, email="ada@example.com")

    with pytest.raises(IntegrityError):
        await db.run(twice)
    assert calls == 1


@pytest.mark.parametrize("level", [None, "SERIALIZABLE"])
async def test_run_repeats_on_conflicts_until_all_are_done(url: str, level: str | None) -> None:
    """Transactions that lock two rows in opposite orders all come through, and each counts once."""
    told: list[object] = []
    async with Database(url, observers=[told.append]) as db:
        await db.create_all(Base.metadata)
        async with db.transaction() as session:
            await session.create(Counter, id=1)
            await session.create(Counter, id=2)

        async def bump(session: AsyncSession, first: int, second: int) -> None:
            for identity in (first, second):
                value = await session.one(select(Counter.value).where(Counter.id == identity))
                del value  # read first: that is what makes serializable transactions collide
                await session.execute(
                    update(Counter).where(Counter.id == identity).values(value=Counter.value + 1)
                )

        await asyncio.gather(
            *(
                db.run(bump, *((1, 2) if number % 2 else (2, 1)), isolation_level=level, deadline=20)
                for number in range(16)
            )
        )
        async with db.session() as session:
            assert await session.all(select(Counter.value).order_by(Counter.id)) == [16, 16]
    retried = [event for event in told if isinstance(event, TransactionRetried)]
    if db.dialect == "sqlite":
        assert not retried  # writers stand in line for the one lock
    else:
        assert retried, "the test did not provoke a conflict"


async def test_a_deferred_reader_that_turns_writer_is_retried(sqlite_url: str) -> None:
    """SQLite refuses a reader that writes after another has: a serialization failure, which run repeats."""
    async with Database(sqlite_url) as db:
        await db.create_all(Base.metadata)
        async with db.transaction() as session:
            await session.create(Counter, id=1)
        async with db.session(deferred=True) as late:
            await late.one(select(Counter.value))
            async with db.transaction() as session:
                await session.execute(update(Counter).values(value=7))
            with pytest.raises(DBAPIError) as caught:
                await late.execute(update(Counter).values(value=8))
            kind = failure_of(caught.value)
            assert kind is not None
            assert kind.retryable


async def test_run_gives_up_after_its_deadline(postgresql_url: str) -> None:
    """When the conflict does not go away, the last error is raised."""
    async with Database(postgresql_url) as db:

        async def collide(session: AsyncSession) -> None:
            await session.execute(text("DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '40001'; END $$"))

        with pytest.raises(DBAPIError) as caught:
            await db.run(collide, deadline=0.2)
        assert failure_of(caught.value) == "serialization"


async def test_a_transaction_inside_of_one_that_was_unlucky_does_not_wait_for_it(postgresql_url: str) -> None:
    """A retried transaction that runs another one in its work is not in its own way."""
    async with Database(postgresql_url) as db:
        attempts = 0

        async def inner(session: AsyncSession) -> None:
            if attempts < 6:
                await session.execute(text("DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '40001'; END $$"))

        async def outer(session: AsyncSession) -> None:
            nonlocal attempts
            attempts += 1
            await session.execute(text("SELECT 1"))
            await db.run(inner, deadline=0.001)

        async with asyncio.timeout(10):
            await db.run(outer, deadline=10)
        assert attempts == 6


async def test_a_time_out_during_commit_waits_for_the_outcome(postgresql_url: str) -> None:
    """COMMIT is on its way when the time is over: the outcome is told, which is that it was committed."""
    async with Database(postgresql_url) as db:
        await slow_commits(db)
        async with asyncio.timeout(0.2):
            async with db.transaction() as session:
                await session.create(User, email="ada@example.com")
        async with db.session() as session:
            assert await session.exists(User, email="ada@example.com")


async def test_a_cancelled_commit_is_finished(postgresql_url: str) -> None:
    """A task cancelled while it commits has committed, and its connection is back and clean."""
    async with Database(postgresql_url, pool_size=1, threads=0) as db:
        await slow_commits(db)

        async def work() -> str:
            async with db.session() as session, session.begin():
                await session.create(User, email="ada@example.com")
            return "done"

        task = asyncio.create_task(work())
        while not await _committing(postgresql_url):
            pass
        task.cancel()
        assert await task == "done"
        async with db.session() as session:
            assert await session.exists(User, email="ada@example.com")


async def test_a_connection_lost_at_commit_is_commit_unknown(postgresql_url: str) -> None:
    """When the server goes away during COMMIT nobody knows, and the error says so; it is not retried."""
    async with Database(postgresql_url, pool_size=1, threads=0) as db, Database(postgresql_url) as other:
        await slow_commits(db)
        attempts = 0

        async def work(session: AsyncSession) -> None:
            nonlocal attempts
            attempts += 1
            await session.create(User, email="ada@example.com")

        task = asyncio.create_task(db.run(work))
        while not (pid := await _committing(postgresql_url)):
            pass
        async with other.session() as session:
            await session.execute(text("SELECT pg_terminate_backend(:pid)"), {"pid": pid})
        with pytest.raises(CommitUnknown):
            await task
        assert attempts == 1
        assert failure_of(CommitUnknown("x")) is None
        assert (await db.health()).ok  # the lost connection was not handed out again


async def _committing(url: str) -> int | None:
    """The process that is in COMMIT now."""
    async with Database(url, pool_size=2, threads=1) as db, db.reader() as session:
        return await session.scalar(
            text("SELECT pid FROM pg_stat_activity WHERE query LIKE 'COMMIT%' AND state = 'active'")
        )
