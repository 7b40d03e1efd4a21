"""Reads from two real streaming standbys: never older than one's own writes, never from one that is unwell."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import Context
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import text

from models import Base, User
from sqlawait import Database, Unsupported
from sqlawait.embedded import EmbeddedPostgres
from sqlawait.events import ReplicaChanged
from sqlawait.exceptions import ReadOnly

SECRET = "a secret of more than sixteen"


@pytest.fixture(scope="module")
def primary() -> Iterator[EmbeddedPostgres]:
    """A primary of its own: it and its standbys are stopped, and one is promoted."""
    with EmbeddedPostgres() as server:
        yield server


@pytest.fixture(scope="module")
def standbys(primary: EmbeddedPostgres) -> Iterator[list[EmbeddedPostgres]]:
    """Two standbys made with pg_basebackup, which stream from the primary."""
    with standby_of(primary, "one") as one, standby_of(primary, "two") as two:
        yield [one, two]


@contextmanager
def standby_of(primary: EmbeddedPostgres, name: str) -> Iterator[EmbeddedPostgres]:
    folder = Path(f"{primary.folder}-{name}")
    address = ("-h", "127.0.0.1", "-p", str(primary.port), "-U", "postgres")
    primary.run("pg_basebackup", *address, "-D", str(folder), "-R", "-X", "stream", "-c", "fast")
    server = EmbeddedPostgres(folder)
    server._temporary = True  # removed at the end
    with server:
        yield server


@pytest.fixture(scope="module")
def tables(primary: EmbeddedPostgres) -> None:
    """The tests' tables, made once: the standbys get them like any other write."""

    async def create() -> None:
        async with Database(primary.url()) as db:
            await db.create_all(Base.metadata)

    asyncio.run(create())


@pytest.fixture
async def db(
    primary: EmbeddedPostgres, standbys: list[EmbeddedPostgres], tables: None
) -> AsyncIterator[Database]:
    """A Database with both standbys, up to date at the beginning."""
    async with replicated(primary, standbys) as db:
        await caught_up(db, standbys)
        yield db


@asynccontextmanager
async def replicated(
    primary: EmbeddedPostgres, standbys: list[EmbeddedPostgres], **options: Any
) -> AsyncIterator[Database]:
    """Made in a task of its own, so that no write of the test's own is known to the context."""
    urls = [standby.url() for standby in standbys]
    async with Database(primary.url(), replicas=urls, pool_size=2, threads=1, **options) as db:
        yield db


async def port(db: Database, after: int | None = None) -> int:
    """Where somebody reads who has written nothing."""

    async def ask() -> int:
        async with db.reader(after=after) as session:
            return int((await session.execute(text("SELECT inet_server_port()"))).scalar_one())

    return await asyncio.create_task(ask(), context=Context())


async def ports(db: Database, after: int | None = None) -> set[int]:
    return {await port(db, after) for _ in range(4)}


async def sees(db: Database, email: str, after: int | None = None) -> bool:
    async def ask() -> bool:
        async with db.reader(after=after) as session:
            return await session.exists(User, email=email)

    return await asyncio.create_task(ask(), context=Context())


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while not await condition():
            pass


async def caught_up(db: Database, standbys: list[EmbeddedPostgres]) -> None:
    """Wait until each standby serves who has seen all that was written so far."""
    position = await db.position()

    async def serve() -> bool:
        return await ports(db, position) == {standby.port for standby in standbys}

    await until(serve)


async def write(db: Database, email: str) -> int:
    async with db.transaction() as session:
        await session.create(User, email=email)
    return await db.position()


@asynccontextmanager
async def paused(*standbys: EmbeddedPostgres) -> AsyncIterator[None]:
    """Standbys that receive the log and do not replay it."""
    await asyncio.gather(*(replay(standby, "pause", "paused") for standby in standbys))
    try:
        yield
    finally:
        await asyncio.gather(*(replay(standby, "resume", "not paused") for standby in standbys))


async def replay(standby: EmbeddedPostgres, verb: str, state: str) -> None:
    async with Database(standby.url(), pool_size=1) as db, db.reader() as session:
        await session.execute(text(f"SELECT pg_wal_replay_{verb}()"))

        async def reached() -> bool:
            return bool(await session.scalar(text("SELECT pg_get_wal_replay_pause_state()")) == state)

        await until(reached)


async def test_reads_take_turns_and_writes_go_to_the_primary(
    db: Database, primary: EmbeddedPostgres, standbys: list[EmbeddedPostgres]
) -> None:
    """Each standby has its share; a session that may write, and one that streams, is the primary's."""
    assert [await port(db) for _ in range(6)] in (
        [standbys[0].port, standbys[1].port] * 3,
        [standbys[1].port, standbys[0].port] * 3,
    )
    where = text("SELECT inet_server_port()")
    async with db.transaction() as session:
        assert await session.scalar(where) == primary.port
    async with db.session(read_only=True) as session:
        assert await session.scalar(where) == primary.port
    assert (await db.health()).ok
    async with db.reader(after=0) as session:
        with pytest.raises(ReadOnly):
            await session.create(User, email="x@example.com")


async def test_what_was_written_is_read_though_no_standby_has_replayed_it(
    db: Database, standbys: list[EmbeddedPostgres]
) -> None:
    """By the task itself, and by whoever has the position. Who has none reads old rows: it matters."""
    async with paused(*standbys):
        position = await write(db, "paused@example.com")
        async with db.reader() as session:
            assert await session.exists(User, email="paused@example.com")
        assert await sees(db, "paused@example.com", after=position)
        assert not await sees(db, "paused@example.com")
    await caught_up(db, standbys)
    assert await sees(db, "paused@example.com")


async def test_a_position_chooses_the_standby_that_has_it(
    db: Database, standbys: list[EmbeddedPostgres]
) -> None:
    """Of one that has replayed a write and one that has not, the first serves its writer."""
    slow, quick = standbys
    async with paused(slow):
        position = await write(db, "quick@example.com")

        async def quick_serves() -> bool:
            return await ports(db, position) == {quick.port}

        await until(quick_serves)
        assert await ports(db) == {slow.port, quick.port}


async def test_a_standby_that_is_too_far_behind_is_left_out(
    primary: EmbeddedPostgres, standbys: list[EmbeddedPostgres], db: Database
) -> None:
    """Once the primary has gone on for longer than max_lag; one that has nothing to replay is never late."""
    slow, quick = standbys
    events: list[object] = []
    async with replicated(primary, standbys, max_lag=0.5, observers=[events.append]) as strict:
        await caught_up(strict, standbys)
        async with paused(slow):
            assert await ports(strict) == {slow.port, quick.port}
            await write(db, "late@example.com")

            async def only_quick() -> bool:
                return await ports(strict) == {quick.port}

            async def told() -> bool:
                await asyncio.sleep(0)
                return ReplicaChanged(f"127.0.0.1:{slow.port}", False, "more than 0.5 s behind") in events

            await until(only_quick)
            await until(told)
        await caught_up(strict, standbys)


async def test_a_standby_that_stops_drops_out_and_comes_back(
    db: Database, standbys: list[EmbeddedPostgres]
) -> None:
    """Reads that were under way may fail; the others go on at the one that is left, then at the primary."""
    first, second = standbys
    first.stop(mode="immediate")

    async def only_second() -> bool:
        try:
            return await ports(db) == {second.port}
        except Exception:  # noqa: BLE001 - until it is known
            return False

    await until(only_second)
    first.start()
    await caught_up(db, standbys)


async def test_without_the_primary_the_standbys_still_serve(
    db: Database, primary: EmbeddedPostgres, standbys: list[EmbeddedPostgres]
) -> None:
    """Reads go on, health tells, and who has to see what only the primary can have waits for it."""
    primary.stop(mode="immediate")
    try:
        health = await db.health()
        assert not health.ok
        assert await ports(db) == {standby.port for standby in standbys}
    finally:
        primary.start()

    async def healthy() -> bool:
        return (await db.health()).ok

    await until(healthy)
    await caught_up(db, standbys)


async def test_a_server_of_another_cluster_is_no_replica(
    postgresql_url: str, standbys: list[EmbeddedPostgres]
) -> None:
    """A URL taken for another's: the primary serves."""
    async with Database(postgresql_url, replicas=[standbys[0].url()], pool_size=2, threads=1) as db:
        assert standbys[0].port not in await ports(db)


def test_nothing_is_left_behind(
    primary: EmbeddedPostgres, standbys: list[EmbeddedPostgres], tables: None
) -> None:
    """Closed, no task is left; and the same Database works again, in another event loop too, opened or not."""
    db = Database(primary.url(), replicas=[standby.url() for standby in standbys], pool_size=2, threads=1)

    async def use(*, opened: bool) -> None:
        if opened:
            await db.open()
        await caught_up(db, standbys)
        await db.close()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    for opened in (True, False, True):
        asyncio.run(use(opened=opened))


async def test_mistakes_are_named(sqlite_url: str, postgresql_url: str) -> None:
    """Replicas of a database that has none here, and positions where there are none."""
    with pytest.raises(Unsupported, match="streaming replication"):
        Database(sqlite_url, replicas=["postgresql://one/shop"])
    async with Database(postgresql_url) as db:
        with pytest.raises(Unsupported, match="replicas"):
            await db.position()


@pytest.fixture(scope="module")
def processes(
    primary: EmbeddedPostgres, standbys: list[EmbeddedPostgres], tables: None
) -> Iterator[tuple[str, str]]:
    """Two processes that serve the same application, as two machines would."""
    with served(primary, standbys) as one, served(primary, standbys) as two:
        yield one, two


@contextmanager
def served(primary: EmbeddedPostgres, standbys: list[EmbeddedPostgres]) -> Iterator[str]:
    folder = str(Path(__file__).parent)
    process = subprocess.Popen(
        [sys.executable, "-m", "uvicorn", "replicated:app", "--port", "0", "--app-dir", folder],
        env=os.environ
        | {
            "DATABASE_URL": primary.url(),
            "REPLICAS": " ".join(standby.url() for standby in standbys),
            "SECRET": SECRET,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    try:
        log = ""
        while "running on" not in log:
            line = process.stdout.readline()
            assert line, log
            log += line
        yield log.rpartition("running on ")[2].split()[0]
    finally:
        process.terminate()
        process.communicate()


async def test_a_client_reads_its_writes_in_another_process(
    db: Database, standbys: list[EmbeddedPostgres], processes: tuple[str, str]
) -> None:
    """Written by one process, read by another: by the cookie. Without it the read is old."""
    one, two = processes
    async with httpx2.AsyncClient() as client, httpx2.AsyncClient() as stranger:
        async with paused(*standbys):
            for number in range(3):
                email = f"http{number}@example.com"
                assert (await client.post(f"{one}/users/{email}")).status_code == 201
                assert (await client.get(f"{two}/users/{email}")).status_code == 200
                assert (await stranger.get(f"{two}/users/{email}")).status_code == 404
        await caught_up(db, standbys)

        async def served_by_standby() -> bool:
            return (await client.get(f"{two}/port")).json() in {standby.port for standby in standbys}

        assert client.cookies
        await until(served_by_standby)
        assert (await stranger.get(f"{two}/users/http0@example.com")).status_code == 200


async def test_a_cookie_that_was_changed_reads_from_the_primary(
    primary: EmbeddedPostgres, processes: tuple[str, str]
) -> None:
    """And is taken back."""
    one, two = processes
    async with httpx2.AsyncClient() as client:
        await client.post(f"{one}/users/cookie@example.com")
        (cookie,) = client.cookies.jar
        forged = {"cookie": f"{cookie.name}=0{cookie.value}"}
        async with httpx2.AsyncClient() as forger:
            answer = await forger.get(f"{two}/port", headers=forged)
    assert answer.json() == primary.port
    assert "Max-Age=0" in answer.headers["set-cookie"]


async def test_a_promoted_standby_is_no_replica_any_more(
    db: Database, primary: EmbeddedPostgres, standbys: list[EmbeddedPostgres]
) -> None:
    """What it holds from now on is not the primary's."""
    promoted, loyal = standbys
    promoted.run("pg_ctl", "-w", "-D", str(promoted.folder), "promote")

    async def only_loyal() -> bool:
        return await ports(db) == {loyal.port}

    await until(only_loyal)
    position = await write(db, "promoted@example.com")
    assert await sees(db, "promoted@example.com", after=position)
