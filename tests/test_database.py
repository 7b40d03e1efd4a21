"""The Database's lifecycle, sessions and trustworthiness, on all three databases."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from sqlalchemy import make_url, select, text
from sqlalchemy.exc import DBAPIError, InvalidRequestError, PendingRollbackError

from models import Base, Counter, Post, User
from sqlawait import Database, DatabaseAway, Failure, Timeouts, failure_of
from sqlawait.events import ConnectionDiscarded
from sqlawait.exceptions import WrongLoop


async def test_what_a_block_does_is_committed_at_its_end(db: Database) -> None:
    """transaction() commits; an exception rolls back; session() keeps nothing of its own accord."""
    async with db.transaction() as session:
        await session.create(User, email="ada@example.com")
    with pytest.raises(ZeroDivisionError):
        async with db.transaction() as session:
            await session.create(User, email="bob@example.com")
            raise ZeroDivisionError
    async with db.session() as session:
        await session.create(User, email="eve@example.com")
    async with db.session() as session:
        assert [user.email for user in await session.find_all(User)] == ["ada@example.com"]


async def test_a_closed_session_stays_closed(db: Database) -> None:
    """Using it again is an error and not a silent leak."""
    async with db.session() as session:
        await session.count(User)
    with pytest.raises(InvalidRequestError, match="closed"):
        await session.count(User)


async def test_objects_can_be_read_after_commit(db: Database) -> None:
    """Nothing expires at commit."""
    async with db.transaction() as session:
        user = await session.create(User, email="ada@example.com")
    assert user.email == "ada@example.com"


async def test_a_savepoint_undoes_its_own_part_only(db: Database) -> None:
    """begin_nested() rolls back to where it began."""
    async with db.transaction() as session:
        await session.create(User, email="ada@example.com")
        with pytest.raises(ZeroDivisionError):
            async with session.begin_nested():
                await session.create(User, email="bob@example.com")
                raise ZeroDivisionError
    async with db.session() as session:
        assert await session.count(User) == 1


async def test_the_database_refuses_writes_in_a_read_only_session(db: Database) -> None:
    """read_only is enforced by the database, and ends with the session."""
    async with db.session(read_only=True) as session:
        with pytest.raises(DBAPIError):
            await session.create(User, email="ada@example.com")
    async with db.transaction() as session:
        await session.create(User, email="ada@example.com")


async def test_an_isolation_level_holds_for_its_session(db: Database) -> None:
    """A serializable transaction reads one snapshot, whatever others commit meanwhile."""
    async with db.transaction() as session:
        await session.create(Counter, id=1, value=1)
    async with db.session(isolation_level="SERIALIZABLE", read_only=True) as reading:
        assert await reading.one(select(Counter.value)) == 1
        if db.dialect != "mysql":  # its serializable reads lock the row: the writer would wait for them
            async with db.transaction() as writing:
                await writing.execute(text("UPDATE counters SET value = 2"))
        assert await reading.one(select(Counter.value)) == 1


async def test_concurrent_increments_are_not_lost(db: Database) -> None:
    """One hundred read-modify-write transactions on a locked row make one hundred."""
    async with db.transaction() as session:
        await session.create(Counter, id=1)

    async def increment() -> None:
        async with db.transaction() as session:
            (counter,) = await session.lock(Counter, [1])
            await session.update(counter, value=counter.value + 1)

    await asyncio.gather(*(increment() for _ in range(100)))
    async with db.session() as session:
        assert await session.one(select(Counter.value)) == 100


async def test_sqlite_writers_come_in_the_order_in_which_they_asked(sqlite_url: str) -> None:
    """Nobody overtakes: with SQLite's own waiting, late arrivals would, and some would never get the lock."""
    async with Database(sqlite_url, pool_size=20) as db:
        await db.create_all(Base.metadata)
        done: list[int] = []

        async def write(number: int) -> None:
            async with db.transaction() as session:
                await session.create(Counter, id=number)
                done.append(number)

        async with AsyncExitStack() as stack:  # open the connections, so that only the lock is waited for
            for _ in range(20):
                await (await stack.enter_async_context(db.session(deferred=True))).count(Counter)
        async with db.transaction() as first:
            await first.create(Counter, id=100)
            tasks = [asyncio.create_task(write(number)) for number in range(15)]
            for _ in range(20):
                await first.count(Counter)
        await asyncio.gather(*tasks)
        assert done == sorted(done)


async def test_a_failed_commit_leaves_nothing_for_the_next(sqlite_url: str) -> None:
    """A COMMIT that a deferred constraint refuses does not keep its transaction open for the next request."""
    async with Database(sqlite_url, pool_size=1) as db:
        await db.create_all(Base.metadata)
        with pytest.raises(DBAPIError) as caught:
            async with db.transaction() as session:
                await session.execute(text("PRAGMA defer_foreign_keys = ON"))
                await session.create(User, email="ada@example.com")
                await session.create(Post, user_id=999, title="orphan")
        assert failure_of(caught.value) is Failure.FOREIGN_KEY
        async with db.transaction() as session:
            await session.create(User, email="bob@example.com")
        async with db.session() as session:
            assert [user.email for user in await session.find_all(User)] == ["bob@example.com"]


async def test_a_cancelled_write_gives_its_lock_back(sqlite_url: str) -> None:
    """After a task is cancelled in mid-INSERT, others can write at once."""
    async with Database(sqlite_url, timeouts=Timeouts(lock=2)) as db:
        await db.create_all(Base.metadata)
        started = asyncio.Event()
        slow = text(
            "INSERT INTO counters (id, value, amount) WITH RECURSIVE n(i) AS"
            " (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50000000) SELECT max(i), 1, 1 FROM n"
        )

        async def write() -> None:
            async with db.transaction() as session:
                await session.count(Counter)
                started.set()
                await session.execute(slow)

        task = asyncio.create_task(write())
        await started.wait()
        await asyncio.sleep(0.05)  # the statement is on its way into aiosqlite's thread
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(1):
            async with db.transaction() as session:
                await session.create(Counter, id=1)


@pytest.mark.usefixtures("lost_connections")
async def test_a_poisoned_connection_is_not_handed_out(postgresql_url: str) -> None:
    """A commit that raced with a statement on one session leaves no open transaction in the pool."""
    told: list[object] = []
    async with Database(postgresql_url, pool_size=1, threads=0, observers=[told.append]) as db:
        for _ in range(5):
            session = db.session()
            await session.execute(text("SELECT 1"))
            await asyncio.gather(
                session.execute(text("SELECT pg_sleep(0.02)")), session.commit(), return_exceptions=True
            )
            await asyncio.gather(session.close(), return_exceptions=True)
        for _ in range(5):
            async with db.session() as session:
                connection = await session.connection()
                raw = await connection.get_raw_connection()
                assert raw.driver_connection is not None
                state = await session.scalar(
                    text("SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'")
                )
                assert state == 0
    assert all(isinstance(event, ConnectionDiscarded) for event in told)


@pytest.mark.parametrize("driver", ["postgresql", "mysql+asyncmy", "mysql+aiomysql"])
async def test_a_connection_that_the_server_has_ended_is_not_handed_out(
    driver: str, request: pytest.FixtureRequest
) -> None:
    """A restart, or an idle time-out of the server, costs nobody an error."""
    backend = driver.partition("+")[0]
    url = make_url(request.getfixturevalue(f"{backend}_url")).set(drivername=driver)
    own = {"postgresql": "pg_backend_pid()", "mysql": "CONNECTION_ID()"}[backend]
    kill = {"postgresql": "SELECT pg_terminate_backend({})", "mysql": "KILL {}"}[backend]
    async with Database(url, pool_size=3, threads=1) as db, Database(url, pool_size=1, threads=0) as other:
        sessions = [db.session() for _ in range(3)]
        ids = [await session.scalar(text(f"SELECT {own}")) for session in sessions]
        for session in sessions:
            await session.close()
        async with other.session() as session:
            for number in ids:
                await session.execute(text(kill.format(number)))
        async with asyncio.timeout(10):
            idle = [record.driver_connection for record in db.engine.pool._idle]
            while not all(map(db.backend.closed, idle)):  # noqa: ASYNC110 - nothing tells of a socket's end
                await asyncio.sleep(0.01)
        for _ in ids:
            async with db.transaction() as session:
                assert await session.scalar(text(f"SELECT {own}")) not in ids


async def test_a_swallowed_error_cannot_be_committed(postgresql_url: str) -> None:
    """PostgreSQL would answer COMMIT with ROLLBACK and no error; here that is an error."""
    async with Database(postgresql_url) as db:
        await db.create_all(Base.metadata)
        with pytest.raises(PendingRollbackError, match="nothing of it can be stored"):
            async with db.transaction() as session:
                await session.create(User, email="ada@example.com")
                with pytest.raises(DBAPIError):
                    await session.execute(text("SELECT 1 / 0"))
        async with db.transaction() as session:
            with pytest.raises(DBAPIError):
                async with session.begin_nested():
                    await session.execute(text("SELECT 1 / 0"))
            await session.create(User, email="bob@example.com")
        async with db.session() as session:
            assert [user.email for user in await session.find_all(User)] == ["bob@example.com"]


async def test_a_commit_that_fails_does_not_follow_its_connection(url: str) -> None:
    """What a refused COMMIT leaves behind is not taken for a failure of the next transaction."""
    if url.startswith("mysql"):
        pytest.skip("MariaDB has no deferred constraints: nothing fails at COMMIT")
    async with Database(url, pool_size=1, threads=0) as db:
        async with db.transaction() as session:
            await session.execute(text("CREATE TABLE a (id INTEGER PRIMARY KEY)"))
            await session.execute(
                text("CREATE TABLE b (a INTEGER REFERENCES a (id) DEFERRABLE INITIALLY DEFERRED)")
            )
        for _ in range(3):
            with pytest.raises(DBAPIError) as caught:
                async with db.transaction() as session:
                    await session.execute(text("INSERT INTO b VALUES (9)"))
            assert failure_of(caught.value) is Failure.FOREIGN_KEY
        async with db.transaction() as session:
            await session.execute(text("INSERT INTO a VALUES (1)"))


async def test_a_statement_is_bounded(url: str) -> None:
    """A statement over the command time-out is a failure of that name, and the next one works."""
    slow = {
        "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n",
        "postgresql": "SELECT pg_sleep(30)",
        "mysql": "SELECT SLEEP(30)",
    }
    async with Database(url, timeouts=Timeouts(command=0.3), pool_size=1, threads=0) as db:
        async with db.session() as session:
            with pytest.raises(DBAPIError) as caught:
                await session.execute(text(slow[db.dialect]))
            assert failure_of(caught.value) is Failure.STATEMENT_TIMEOUT
        assert (await db.health()).ok


async def test_a_stream_runs_for_as_long_as_its_rows_are_taken(url: str) -> None:
    """The time-out of a statement bounds what the database does, not how slowly a client reads."""
    rows = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)"
        " SELECT a.i, 'x…………………………………………………………………………………………' FROM n a, n b"
    )
    streamed = text(rows).execution_options(stream_results=True, max_row_buffer=1000)
    async with Database(url, timeouts=Timeouts(command=0.5)) as db, db.session(read_only=True) as session:
        seen = 0
        async for part in (await session.stream(streamed)).partitions(1000):
            seen += len(part)
            await asyncio.sleep(0.01)  # a client that reads slowly: for 0.9 s in all
        assert seen == 90_000


async def test_a_lock_is_bounded(db: Database) -> None:
    """A row that stays locked is a failure of that name after the lock time-out."""
    impatient = Database(db._url, timeouts=Timeouts(lock=1), pool_size=2, threads=1)
    async with db.transaction() as session:
        await session.create(Counter, id=1)
    async with impatient, db.transaction() as holding:
        await holding.lock(Counter, [1])
        with pytest.raises(DBAPIError) as caught:
            async with impatient.transaction() as waiting:
                await waiting.lock(Counter, [1])
        assert failure_of(caught.value) is Failure.LOCK_TIMEOUT


@pytest.mark.parametrize(
    "away", ["postgresql://u@127.0.0.1:1/d", "mysql://u@127.0.0.1:1/d", "sqlite:////nowhere/at/all.db"]
)
async def test_a_database_away_is_told_as_such(away: str) -> None:
    """A refused connection is one kind of failure whatever the driver raises, and health says so."""
    db = Database(away)
    health = await db.health()
    assert (health.ok, health.error) == (False, "away")
    with pytest.raises((DatabaseAway, DBAPIError)) as caught:
        await db.open()
    assert failure_of(caught.value) is Failure.AWAY
    await db.close()


async def test_health_is_good_when_the_database_answers(db: Database) -> None:
    """A healthy database answers within the time that health tells."""
    health = await db.health()
    assert health.ok
    assert health.error is None
    assert 0 < health.seconds < 5


async def test_lifespan_opens_and_closes(sqlite_url: str) -> None:
    """As FastAPI(lifespan=db.lifespan)."""
    db = Database(sqlite_url)
    async with db.lifespan(object()):
        assert (await db.health()).ok
        assert db.engine.pool.checkedin() == 1
    assert db._engine is None


def test_a_new_loop_gets_a_fresh_engine(sqlite_url: str) -> None:
    """A Database at module level serves one asyncio.run after another."""
    db = Database(sqlite_url)

    async def use() -> bool:
        async with db:
            return (await db.health()).ok

    assert asyncio.run(use())
    assert asyncio.run(use())


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # what this test leaves open on purpose
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_new_loop_gets_a_fresh_engine_even_when_the_last_was_not_closed(sqlite_url: str) -> None:
    """Connections of a loop that has ended are let go, not awaited."""
    db = Database(sqlite_url)

    async def use() -> bool:
        return (await db.health()).ok

    async def use_and_close() -> bool:
        async with db:
            return await use()

    assert asyncio.run(use())
    assert asyncio.run(use_and_close())
    gc.collect()


async def test_another_running_loop_is_an_error(db: Database) -> None:
    """Connections of one loop cannot be used in another that runs beside it."""

    def other() -> None:
        with pytest.raises(WrongLoop):
            asyncio.run(db.open())

    await asyncio.to_thread(other)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_starts_with_a_fresh_engine(postgresql_url: str) -> None:
    """A worker forked after the parent has connected does not use the parent's sockets."""
    program = f"""
import asyncio, os
from sqlawait import Database
db = Database({postgresql_url!r})
async def parent():
    await db.open()
    child = os.fork()
    if child == 0:
        os._exit(0 if db._engine is None else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert (await db.health()).ok
    await db.close()
asyncio.run(parent())
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", program], check=True, timeout=60)


async def test_memory_is_one_database(tmp_path: Path) -> None:
    """sqlite:// is one database however many sessions ask, one after another."""
    async with Database("sqlite://") as db:
        await db.create_all(Base.metadata)

        async def create(number: int) -> None:
            async with db.transaction() as session:
                await session.create(User, email=f"{number}@example.com")

        await asyncio.gather(*(create(number) for number in range(10)))
        async with db.session() as session:
            assert await session.count(User) == 10


@pytest.mark.mysql
async def test_aiomysql_serves_as_well(mysql_url: str) -> None:
    """The second MySQL driver does the same."""
    async with Database(mysql_url.replace("mysql://", "mysql+aiomysql://")) as db:
        await db.create_all(Base.metadata)
        async with db.transaction() as session:
            await session.create(User, email="ada@example.com")
        async with db.session() as session:
            assert await session.count(User) == 1


async def test_values_are_not_in_the_text_of_an_error(db: Database) -> None:
    """SQLAlchemy's message has the statement without its parameters."""
    async with db.session() as session:
        await session.execute(select(1))
        with pytest.raises(DBAPIError) as caught:
            await session.execute(text("SELECT nonsense FROM nowhere WHERE x = :secret"), {"secret": "canary"})
    assert "canary" not in str(caught.value)
