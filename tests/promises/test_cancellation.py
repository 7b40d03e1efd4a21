"""Cancelled anywhere, an operation is done or undone, and leaves nothing behind: no connection, no lock."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from pydantic import BaseModel
from sqlalchemy import func, make_url, select, text
from sqlalchemy.ext.asyncio import AsyncSession as PlainSession
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.orm import Session, selectinload

from models import Base, Counter, Post, User
from promises.effort import LONG
from promises.sweep import in_time, step
from sqlawait import AsyncSession, Database, Timeouts


class UserOut(BaseModel):
    email: str


Operation = Callable[[Database], Awaitable[Any]]

OPERATIONS: dict[str, Operation] = {}
DRIVERS = ["sqlite", "postgresql", "mysql+asyncmy", "mysql+aiomysql"]
PATIENCE = Timeouts(connect=5, command=5, lock=2)


def operation(work: Operation) -> Operation:
    OPERATIONS[work.__name__] = work
    return work


@operation
async def read(db: Database) -> None:
    async with db.session() as session:
        await session.find(User, email="1@example.com")
        await session.find_all(User, level=1)
        await session.count(User)
        await session.exists(User, User.level > 3)


@operation
async def read_without_transaction(db: Database) -> None:
    async with db.reader() as session:
        await session.one(select(User).where(User.email == "1@example.com").options(selectinload(User.posts)))
        await session.first(select(User.name))


@operation
async def read_shaped(db: Database) -> None:
    """Past SQLAlchemy's connection, and through it."""
    async with db.reader() as session:
        await session.json_all(User, UserOut)
        await session.read_page(select(User).order_by(User.email), UserOut, limit=1)
    async with db.transaction() as session:
        await session.json_all(User, UserOut)


@operation
async def write_at_once(db: Database) -> None:
    """Each statement commits by itself."""
    async with db.session(isolation_level="AUTOCOMMIT") as session:
        await session.scalar(text("SELECT 1"))


@operation
async def page(db: Database) -> None:
    async with db.reader() as session:
        first = await session.page(select(User).order_by(User.name), limit=2)
        await session.page(select(User).order_by(User.name), limit=2, cursor=first.next)
        await session.offset_page(select(User), limit=2, total=True)


@operation
async def stream(db: Database) -> None:
    async with db.session(read_only=True) as session:
        result = await session.stream(select(User).execution_options(yield_per=2))
        async for _ in result:
            pass


@operation
async def create(db: Database) -> None:
    async with db.transaction() as session:
        await session.create(User, email="new@example.com")


@operation
async def update_and_delete(db: Database) -> None:
    async with db.transaction() as session:
        user = await session.find(User, email="1@example.com")
        assert user is not None
        await session.update(user, name="other")
        post = await session.create(Post, user_id=user.id, title="x")
        await session.delete(post)
        await session.flush()


@operation
async def upsert(db: Database) -> None:
    async with db.transaction() as session:
        await session.upsert(User, email="1@example.com", name="again", on=User.email)


@operation
async def bulk_insert(db: Database) -> None:
    async with db.transaction() as session:
        await session.bulk_insert(User, ({"email": f"bulk{n}@example.com", "level": 1} for n in range(20)))


@operation
async def lock(db: Database) -> None:
    async with db.transaction() as session:
        one, other = await session.lock(Counter, [2, 1])
        one.value += 1
        other.value += 1


@operation
async def savepoint(db: Database) -> None:
    async with db.transaction() as session:
        await session.create(User, email="outer@example.com")
        async with session.begin_nested():
            await session.create(User, email="inner@example.com")


@operation
async def isolated(db: Database) -> None:
    async with db.transaction(isolation_level="SERIALIZABLE") as session:
        (counter,) = await session.lock(Counter, [1])
        counter.value += 1


@operation
async def run(db: Database) -> None:
    async def work(session: AsyncSession) -> None:
        (counter,) = await session.lock(Counter, [1])
        counter.value += 1

    await db.run(work)


@operation
async def run_sync(db: Database) -> None:
    def work(session: Session) -> None:
        counter = session.get_one(Counter, 1)
        counter.value += 1

    await db.run_sync(work)


@operation
async def health(db: Database) -> None:
    await db.health()


@operation
async def reconnect(db: Database) -> None:
    await db.close()
    await db.open()


async def fill(db: Database) -> None:
    """The tables, and a few rows."""
    await db.create_all(Base.metadata)
    async with db.transaction() as session:
        for number in range(5):
            await session.create(User, email=f"{number}@example.com", name="x")
        for number in (1, 2):
            await session.create(Counter, id=number)


async def footprint(db: Database) -> tuple[Any, ...]:
    """What the operations change, as another session sees it."""
    async with db.session() as session:
        users = await session.execute(select(func.count(), func.min(User.name), func.max(User.name)))
        posts = await session.count(Post)
        counters = await session.execute(select(func.sum(Counter.value)))
        return (*users.one(), posts, *counters.one())


async def left_behind(db: Database) -> list[str]:
    """What a cancelled operation must not leave."""
    found = []
    pool: Any = db.engine.pool
    if pool.checkedout():
        found.append(f"{pool.checkedout()} connections are still out")
    if db.dialect == "postgresql":
        async with db.session() as session:
            idle = await session.scalar(
                text(
                    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                    " AND pid <> pg_backend_pid() AND state LIKE 'idle in transaction%'"
                )
            )
            if idle:
                found.append(f"{idle} backends are idle in transaction")
    return found


def address(driver: str, request: pytest.FixtureRequest) -> Any:
    backend = driver.partition("+")[0]
    return make_url(request.getfixturevalue(f"{backend}_url")).set(drivername=driver)


@pytest.mark.parametrize("driver", DRIVERS)
async def test_cancelled_anywhere(driver: str, request: pytest.FixtureRequest) -> None:
    """Every operation, at every await point, then twice in a row: all or nothing, and the next one works."""
    url = address(driver, request)
    ignore_lost_connects()
    failures: list[str] = []
    async with Database(url, pool_size=2, threads=1, timeouts=PATIENCE) as db:
        await fill(db)
        for name, work in OPERATIONS.items():
            before = await footprint(db)
            points = (await step(work(db))).points
            assert points > 0
            changes = await footprint(db) != before
            cancels: list[tuple[int, ...]] = [(point,) for point in range(1, points + 1)]
            cancels += [(point, point + 1) for point in range(1, points + 1, 1 if LONG else 5)]
            for cancel_at in cancels:
                try:
                    found = await cancelled(db, work, cancel_at, changes=changes)
                except Exception as error:  # noqa: BLE001 - that the next use fails is a finding
                    found = [f"afterwards {type(error).__name__}: {str(error)[:200]}"]
                    await db.close()
                failures += [f"{name} cancelled at {cancel_at} of {points}: {one}" for one in found]
                assert len(failures) < 5, "\n".join(failures)
    assert failures == [], "\n".join(failures)


def ignore_lost_connects() -> None:
    """A cancelled connect of asyncpg leaves a future with this error behind that nobody can have asked for."""
    loop = asyncio.get_running_loop()
    handle = loop.get_exception_handler()

    def ignore(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        if "unexpected connection_lost() call" not in str(context.get("exception")):
            assert handle is not None
            handle(loop, context)

    loop.set_exception_handler(ignore)


async def cancelled(db: Database, work: Operation, cancel_at: tuple[int, ...], *, changes: bool) -> list[str]:
    """Cancel an operation and say what is wrong afterwards."""
    async with in_time(10, "the operation before"):
        await undo(db)
    before = await footprint(db)
    async with in_time(20, "the operation"):
        outcome = await step(work(db), *cancel_at)
    found = []
    if not outcome.allowed:
        found.append(f"raised {outcome.error!r}")
    async with in_time(10, "the next operation"):
        found += await left_behind(db)
        after = await footprint(db)
    if outcome.completed and changes and after == before:
        found.append("told as done, and nothing was stored")
    if not outcome.completed and after != before:
        found.append("told as cancelled, and it was stored")
    return found


async def undo(db: Database) -> None:
    """Back to the rows of the beginning; it writes, so a lock that was left would show."""
    async with db.transaction() as session:
        for statement in (
            "DELETE FROM posts",
            "DELETE FROM users WHERE id > 5",
            "UPDATE users SET name = 'x'",
            "UPDATE counters SET value = 0",
        ):
            await session.execute(text(statement))


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("driver", DRIVERS)
async def test_a_cancelled_worker_ends(driver: str, late: bool, request: pytest.FixtureRequest) -> None:
    """One that works on and on ends at its first cancellation, and has told what is stored.

    Where that comes during COMMIT, it is the next thing that the worker waits for which is cancelled.
    """
    ignore_lost_connects()
    async with Database(address(driver, request), pool_size=2, threads=1, timeouts=PATIENCE) as db:
        await fill(db)
        told = 0

        async def by_transaction() -> None:
            nonlocal told
            async with db.transaction() as session:
                await session.create(Post, user_id=1, title="x")
            told += 1

        async def by_hand() -> None:
            nonlocal told
            async with db.session() as session:
                session.add(Post(user_id=1, title="x"))
                await session.commit()
                told += 1

        async def by_thread() -> None:
            nonlocal told
            await db.run_sync(lambda session: session.add(Post(user_id=1, title="x")))
            told += 1

        async def by_reading() -> None:
            async with db.reader() as session:
                await session.find(User, email="1@example.com")

        for work in (by_transaction, by_hand, by_thread, by_reading):

            async def again_and_again(work: Callable[[], Awaitable[None]] = work) -> None:
                for _ in range(5):
                    await work()

            for point in range(1, (await step(work())).points + 1):
                await undo(db)
                told = 0
                async with in_time(20, f"{work.__name__} cancelled at {point}"):
                    outcome = await step(again_and_again(), point, late=late)
                assert isinstance(outcome.error, asyncio.CancelledError), (work.__name__, point, outcome, told)
                assert await left_behind(db) == []
                async with db.session() as session:
                    assert await session.count(Post) == told, (work.__name__, point, outcome)


async def test_a_time_out_that_is_over_cancels_nobody(postgresql_url: str) -> None:
    """Where COMMIT outlasts a time-out, the outcome is told, and what comes after it runs on."""
    async with Database(postgresql_url, pool_size=1, threads=0) as db:
        await fill(db)

        async def work() -> str:
            session = db.session()
            session.add(Post(user_id=1, title="x"))
            await session.flush()
            async with asyncio.timeout(0):
                await session.commit()
            await session.close()
            await asyncio.sleep(0)
            return "went on"

        assert await work() == "went on"
        async with db.session() as session:
            assert await session.count(Post) == 1


async def test_the_naive_variant_is_caught(sqlite_url: str) -> None:
    """SQLAlchemy's own engine on aiosqlite keeps the write lock of a cancelled INSERT; the sweep sees it."""
    url = make_url(sqlite_url).set(drivername="sqlite+aiosqlite")
    engine = create_async_engine(url, connect_args={"timeout": 0.2})
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)

    async def work() -> None:
        async with PlainSession(engine) as session:
            session.add(User(email="new@example.com"))
            await session.flush()
            await session.rollback()

    points = (await step(work())).points
    locked = 0
    for point in range(1, points + 1):
        await step(work(), point)
        try:
            async with engine.begin() as connection:
                await connection.execute(text("INSERT INTO counters (id, value, amount) VALUES (1, 1, 1)"))
                await connection.rollback()
        except Exception as error:  # noqa: BLE001 - what is expected here
            locked += "locked" in str(error)
    await engine.dispose()
    await asyncio.sleep(0)
    assert locked
