"""Reads from a real streaming standby: never older than one's own writes, never from one that is unwell."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text

from models import Base, User
from sqlawait import Database, Unsupported
from sqlawait.embedded import EmbeddedPostgres
from sqlawait.exceptions import InvalidRequest, ReadOnly
from sqlawait.replicas import Replicas


@pytest.fixture(scope="module")
def primary() -> Iterator[EmbeddedPostgres]:
    """A primary of its own: its standbys are promoted and stopped."""
    with EmbeddedPostgres() as server:
        yield server


@pytest.fixture(scope="module")
def standby(primary: EmbeddedPostgres) -> Iterator[EmbeddedPostgres]:
    """A standby made with pg_basebackup, which streams from the primary until the last test promotes it."""
    folder = Path(f"{primary.folder}-standby")
    address = ("-h", "127.0.0.1", "-p", str(primary.port), "-U", "postgres")
    primary.run("pg_basebackup", *address, "-D", str(folder), "-R", "-X", "stream", "-c", "fast")
    server = EmbeddedPostgres(folder)
    server._temporary = True  # removed at the end
    with server:
        yield server


@pytest.fixture
async def replicas(primary: EmbeddedPostgres, standby: EmbeddedPostgres) -> AsyncIterator[Replicas]:
    """The pair of them, with a table."""
    async with (
        Database(primary.url(), pool_size=2, threads=1) as db,
        Replicas(db, [standby.url()], patience=0, pool_size=2, threads=1) as replicas,
    ):
        async with db.engine.begin() as connection:
            await connection.run_sync(Base.metadata.drop_all)
        await db.create_all(Base.metadata)
        yield replicas


async def on_standby(replicas: Replicas, after: str | None = None) -> bool:
    async with replicas.reader(after=after) as session:
        return bool(await session.scalar(text("SELECT pg_is_in_recovery()")))


async def write(replicas: Replicas, email: str) -> str:
    async with replicas.primary.transaction() as session:
        await session.create(User, email=email)
    return await replicas.position()


async def caught_up(replicas: Replicas) -> None:
    """Wait until the standby has replayed what was written so far."""
    position = await replicas.position()
    while not await on_standby(replicas, position):
        pass


async def test_reads_go_to_the_standby_and_see_ones_own_writes(replicas: Replicas) -> None:
    """Whatever serves a read that comes after a write, the write is there; in the end it is the standby."""
    for number in range(20):
        position = await write(replicas, f"{number}@example.com")
        async with replicas.reader(after=position) as session:
            assert await session.count(User) == number + 1
    await caught_up(replicas)
    async with replicas.reader() as session:
        with pytest.raises(ReadOnly):
            await session.create(User, email="x@example.com")


async def test_a_standby_that_lags_serves_only_who_may_read_old_rows(
    replicas: Replicas, standby: EmbeddedPostgres
) -> None:
    """While replay is paused, a client that has written reads from the primary, others from the standby."""
    await write(replicas, "first@example.com")
    await caught_up(replicas)
    async with Database(standby.url(), pool_size=2, threads=1) as direct:
        async with direct.reader() as session:
            await session.execute(text("SELECT pg_wal_replay_pause()"))
            while await session.scalar(text("SELECT pg_get_wal_replay_pause_state()")) != "paused":
                pass
        position = await write(replicas, "second@example.com")
        assert not await on_standby(replicas, position)
        assert await on_standby(replicas)
        replicas.max_lag = 0
        async with direct.reader() as session:
            received = text("SELECT pg_last_wal_receive_lsn() > pg_last_wal_replay_lsn()")
            while not await session.scalar(received):
                pass
        assert not await on_standby(replicas)
        replicas.max_lag = 5
        async with direct.reader() as session:
            await session.execute(text("SELECT pg_wal_replay_resume()"))
        await caught_up(replicas)


async def test_a_standby_that_stops_drops_out_and_comes_back(
    replicas: Replicas, standby: EmbeddedPostgres
) -> None:
    """The primary serves meanwhile."""
    await caught_up(replicas)
    standby.stop(mode="immediate")
    assert not await on_standby(replicas)
    standby.start()
    await caught_up(replicas)


async def test_mistakes_are_named(sqlite_url: str, postgresql_url: str) -> None:
    """Replicas of a database that has none here, and positions that are none."""
    with pytest.raises(Unsupported):
        Replicas(Database(sqlite_url), [])
    async with Replicas(Database(postgresql_url), []) as none:
        for position in ("", "x", "1", "1/", "é/1", "1/g"):
            with pytest.raises(InvalidRequest):
                async with none.reader(after=position):
                    pass


async def test_a_promoted_standby_is_no_replica_any_more(replicas: Replicas, standby: EmbeddedPostgres) -> None:
    """What it holds from now on is not the primary's."""
    await caught_up(replicas)
    standby.run("pg_ctl", "-w", "-D", str(standby.folder), "promote")
    assert not await on_standby(replicas)
