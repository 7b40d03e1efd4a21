"""Transactions of PostgreSQL begin with the first statement that does more than read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import pytest
from sqlalchemy import Select, event, func, literal_column, select, text
from sqlalchemy.exc import DBAPIError, ProgrammingError
from sqlalchemy.orm import aliased, joinedload, selectinload

from models import Base, User
from sqlawait import Database
from sqlawait.backends.late_begin import only_reads

pytestmark = pytest.mark.postgresql


@pytest.fixture
async def postgres(postgresql_url: str) -> AsyncIterator[Database]:
    db = Database(postgresql_url, pool_size=1, threads=0)
    await db.create_all(Base.metadata)
    async with db:
        yield db


@pytest.fixture
async def sent(postgres: Database) -> list[str]:
    """The first words of what the one connection sends from now on."""
    words: list[str] = []

    def add(sql: str) -> None:
        words.append(sql.split(maxsplit=1)[0].rstrip(";"))

    event.listen(postgres.engine.sync_engine, "after_cursor_execute", lambda *arguments: add(arguments[2]))
    async with postgres.engine.connect() as connection:
        driver: Any = (await connection.get_raw_connection()).driver_connection
        driver.add_query_logger(lambda record: add(record.query))  # SQLAlchemy's statements pass by it
    return words


async def test_reads_begin_nothing(postgres: Database, sent: list[str]) -> None:
    """Neither BEGIN nor ROLLBACK is sent for them, however they load."""
    async with postgres.session() as session:
        await session.execute(select(User).where(User.id == 1).options(selectinload(User.posts)))
        await session.execute(select(User).options(joinedload(User.posts)))
        await session.get(User, 1)
        await session.count(User)
        await session.commit()
    assert set(sent) == {"SELECT"}


async def test_a_write_begins(postgres: Database, sent: list[str]) -> None:
    """What follows the first write is in its transaction, reads too, and the end is COMMIT or ROLLBACK."""
    async with postgres.session() as session:
        await session.all(select(User))
        session.add(User(email="ada@example.com"))
        await session.flush()
        assert len(await session.all(select(User))) == 1
        await session.rollback()
        assert await session.all(select(User)) == []
    assert sent == ["SELECT", "BEGIN", "INSERT", "SELECT", "ROLLBACK", "SELECT"]


@pytest.mark.parametrize(
    "statement",
    [
        select(User).with_for_update(),
        select(func.now()),
        select(func.nextval("users_id_seq")),
        select(func.pg_advisory_xact_lock(1)),
        select(User).where(User.level > func.random()),
        select(literal_column("current_timestamp")),
        select(User).where(text("pg_sleep(0) IS NOT NULL")),
        text("SELECT 1"),
    ],
    ids=str,
)
async def test_what_is_more_than_a_read_begins(
    postgres: Database, sent: list[str], statement: Select[Any]
) -> None:
    """Locks, functions whose work is the transaction's, its time, and text that is not SQLAlchemy's own."""
    async with postgres.session() as session:
        await session.execute(statement)
    assert sent == ["BEGIN", "SELECT", "ROLLBACK"]


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
async def test_a_snapshot_for_all_statements_is_kept(postgres: Database, sent: list[str], level: str) -> None:
    """Where a transaction's statements see one snapshot, the first read takes it."""
    async with postgres.session(isolation_level=level) as session:
        await session.all(select(User))
    assert [word for word in sent if word != "SHOW"] == ["BEGIN", "SELECT", "ROLLBACK"]


async def test_a_stream_begins(postgres: Database, sent: list[str]) -> None:
    """A cursor lives in a transaction."""
    async with postgres.session() as session:
        async for _ in await session.stream(select(User)):
            pass
    assert "BEGIN" in sent


async def test_a_savepoint_begins(postgres: Database, sent: list[str]) -> None:
    """It is one in a transaction."""
    async with postgres.session() as session:
        await session.all(select(User))
        async with session.begin_nested():
            session.add(User(email="ada@example.com"))
        await session.commit()
    assert sent == ["SELECT", "BEGIN", "SAVEPOINT", "INSERT", "RELEASE", "COMMIT"]


async def test_a_read_that_fails_leaves_nothing_behind(postgres: Database, sent: list[str]) -> None:
    """The session has to be rolled back as ever, and the connection begins as ever afterwards."""
    async with postgres.session() as session:
        with pytest.raises(ProgrammingError):
            await session.execute(select(literal_column("nowhere")))
        await session.rollback()
        session.add(User(email="ada@example.com"))
        await session.commit()
    assert sent[-3:] == ["BEGIN", "INSERT", "COMMIT"]
    async with postgres.session() as session:
        assert await session.count(User) == 1


async def test_a_read_that_is_cancelled_poisons_no_connection(postgres: Database) -> None:
    """Whoever has the connection next begins, commits and reads what was stored."""
    many = [aliased(User) for _ in range(6)]
    alike = [one.level == other.level for one, other in pairwise(many)]
    counting = select(func.count()).select_from(*many).where(*alike)  # 60 to the power of 6 rows
    async with postgres.transaction() as session:
        session.add_all(User(email=f"{number}@example.com") for number in range(60))
    async with postgres.session() as session:
        reading = asyncio.ensure_future(session.execute(counting))
        done, _ = await asyncio.wait([reading], timeout=0.2)
        assert not done
        reading.cancel()
        with pytest.raises((asyncio.CancelledError, DBAPIError)):
            await reading
    async with postgres.transaction() as session:
        session.add(User(email="ada@example.com"))
    async with postgres.session() as session:
        assert await session.count(User) == 61


@pytest.mark.parametrize(
    ("sql", "reads"),
    [
        ("SELECT users.id \nFROM users \nWHERE users.id = $1::INTEGER AND (users.a IN ($2) OR users.b)", True),
        ("SELECT count(*) AS count_1 FROM (SELECT a FROM b) AS x WHERE lower(x.a) = $1", True),
        ("SELECT DISTINCT a, CAST(b AS VARCHAR) FROM c LEFT OUTER JOIN d ON (c.e = d.e)", True),
        ("INSERT INTO users (a) VALUES ($1)", False),
        ("WITH x AS (DELETE FROM a RETURNING b) SELECT b FROM x", False),
        ("SELECT a FROM b FOR UPDATE", False),
        ("SELECT a INTO b FROM c", False),
        ("SELECT evil.count(a)", False),
        ('SELECT "lower"(a)', False),
        ("SELECT set_config ($1, $2, true)", False),
        ("SELECT lower/**/(a), b/**/(c)", False),
        ("SELECT a OPERATOR(evil.+) b", False),
        ("SELECT 1; DROP TABLE a", False),
    ],
)
def test_what_only_reads(sql: str, reads: bool) -> None:
    """What is not sure to be harmless is taken for harmful."""
    assert only_reads(sql) is reads
