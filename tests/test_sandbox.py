"""In a sandbox the code commits as always, and nothing of it is left."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session
from tests.models import Base, Counter, User

from sqlawait import Database, Timeouts
from sqlawait.sandbox import sandbox


async def count(db: Database) -> int:
    async with db.reader() as session:
        return await session.count(User)


async def test_commits_are_visible_inside_and_gone_afterwards(db: Database) -> None:
    """A commit is seen by the sessions after it, and by none once the sandbox is closed."""
    async with sandbox(db):
        async with db.transaction() as session:
            await session.create(User, email="ada@example.com")
        assert await count(db) == 1
    assert await count(db) == 0


async def test_a_rollback_takes_back_its_own_work_only(db: Database) -> None:
    """What was committed before stays, the failed transaction's rows go."""
    async with sandbox(db):
        async with db.transaction() as session:
            await session.create(User, email="ada@example.com")
        with pytest.raises(IntegrityError):
            async with db.transaction() as session:
                await session.create(User, email="bob@example.com")
                await session.create(User, email="ada@example.com")
        assert await count(db) == 1


async def test_savepoints_of_the_application_work(db: Database) -> None:
    """A savepoint within a transaction is a savepoint within a savepoint."""
    async with sandbox(db):
        async with db.transaction() as session:
            await session.create(User, email="ada@example.com")
            with pytest.raises(IntegrityError):
                async with session.begin_nested():
                    await session.create(User, email="ada@example.com")
            await session.create(User, email="bob@example.com")
        assert await count(db) == 2


async def test_concurrent_tasks_take_turns(db: Database) -> None:
    """Twenty tasks with sessions of their own: none is lost, none sees a broken savepoint."""
    async with sandbox(db):

        async def create(number: int) -> None:
            async with db.transaction() as session:
                await session.create(User, email=f"{number}@example.com")
                await asyncio.sleep(0)
                if number % 5 == 0:
                    raise LookupError
                await session.create(Counter, id=number, value=1)

        outcomes = await asyncio.gather(*(create(number) for number in range(20)), return_exceptions=True)
        assert sum(isinstance(outcome, LookupError) for outcome in outcomes) == 4
        assert [outcome for outcome in outcomes if not isinstance(outcome, LookupError)] == [None] * 16
        assert await count(db) == 16
        async with db.reader() as session:
            assert await session.count(Counter) == 16


async def test_an_open_session_of_the_test_holds_nobody_up(db: Database) -> None:
    """The test reads with its session open while the code under test runs transactions below it."""
    async with sandbox(db), db.session() as session:
        await session.create(User, email="ada@example.com")

        async def create(number: int) -> None:
            async with db.transaction() as own:
                await own.create(User, email=f"{number}@example.com")

        await create(0)
        await asyncio.gather(create(1), create(2), create(3))
        assert await session.count(User) == 5
        await session.rollback()
        assert await count(db) == 0


async def test_nobody_waits_for_the_turn_to_write(sqlite_url: str) -> None:
    """Outside, SQLite's writers stand in line until a connection is back; here they all have the same one."""
    async with Database(sqlite_url, timeouts=Timeouts(lock=60)) as db:
        await db.create_all(Base.metadata)
        async with sandbox(db), asyncio.timeout(30):
            for number in range(2):
                async with db.transaction() as session:
                    await session.create(User, email=f"{number}@example.com")
                    async with db.transaction() as within:
                        await within.create(User, email=f"within{number}@example.com")
            assert await count(db) == 4


async def test_blocking_code_on_the_bridge_is_inside_too(db: Database) -> None:
    """run_sync works on the same connection, also when it is called within a transaction."""

    def work(session: Session) -> int:
        session.add(User(email="ada@example.com"))
        session.flush()
        return len(session.scalars(select(User)).all())

    async with sandbox(db):
        assert await db.run_sync(work) == 1
        async with db.transaction() as session:
            await session.create(User, email="bob@example.com")
            assert await session.count(User) == 2
    assert await count(db) == 0


async def test_readers_and_isolation_levels_are_accepted(db: Database) -> None:
    """Options that change a connection's mode change nothing in a sandbox, and harm nothing."""
    async with sandbox(db):
        async with db.transaction(isolation_level="SERIALIZABLE") as session:
            await session.create(User, email="ada@example.com")
        async with db.session(read_only=True) as session:
            assert await session.count(User) == 1
        assert await count(db) == 1
        assert (await db.health()).ok


async def test_the_database_works_as_before_afterwards(db: Database) -> None:
    """A sandbox is for its block only."""
    async with sandbox(db):
        pass
    async with db.transaction() as session:
        await session.create(User, email="ada@example.com")
    await db.close()
    assert await count(db) == 1
