"""A real PgBouncer in transaction mode: each transaction may get another of a few server connections."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel
from sqlalchemy import make_url, select, text
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from models import Base, User
from sqlawait import Database
from sqlawait.embedded import EmbeddedPostgres

SETTINGS = """
[databases]
* = host=127.0.0.1 port={server} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 3
max_client_conn = 200
"""

CLIENTS = 8
REQUESTS = 10


class UserRead(BaseModel):
    id: int
    email: str
    level: int


@pytest.fixture(scope="module")
def pgbouncer(postgres_server: EmbeddedPostgres) -> Iterator[int]:
    """The port of a PgBouncer before the suite's PostgreSQL."""
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin")
    if program is None:
        pytest.skip(
            "no pgbouncer on this machine; install it (Debian: apt-get install pgbouncer) to run this group"
        )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    folder = Path(tempfile.mkdtemp(prefix="sqlawait-pgbouncer-"))
    folder.chmod(0o755)
    settings = folder / "pgbouncer.ini"
    settings.write_text(SETTINGS.format(server=postgres_server.port, port=port))
    process = subprocess.Popen(
        [program, str(settings)],
        stderr=subprocess.PIPE,
        text=True,
        user="nobody" if os.geteuid() == 0 else None,  # it refuses to run as root
    )
    assert process.stderr is not None
    try:
        log = ""
        while "process up" not in log:
            line = process.stderr.readline()
            assert line, log
            log += line
        yield port
    finally:
        process.terminate()
        process.communicate()
        shutil.rmtree(folder)


@pytest.fixture
def bounced(pgbouncer: int, postgresql_url: str) -> str:
    """A new database, by way of PgBouncer."""
    return make_url(postgresql_url).set(port=pgbouncer).render_as_string(hide_password=False)


@pytest.fixture
async def db(bounced: str) -> AsyncIterator[Database]:
    """A Database that knows about it."""
    async with Database(bounced, pgbouncer=True, pool_size=CLIENTS) as db:
        await db.create_all(Base.metadata)
        yield db


async def failures(request: Callable[[str], Awaitable[None]]) -> list[BaseException]:
    """Many requests by several clients; gives what went wrong."""

    wrong: list[BaseException] = []

    async def client(number: int) -> None:
        for turn in range(REQUESTS):
            try:
                await request(f"{number}-{turn}@example.com")
            except Exception as error:  # noqa: BLE001 - it is counted
                wrong.append(error)

    await asyncio.gather(*(client(number) for number in range(CLIENTS)))
    return wrong


async def test_every_way_to_read_and_write_passes(db: Database) -> None:
    """Transactions, reads that open none, shaped reads, pages, parallel reads, retried and blocking work."""

    async def request(email: str) -> None:
        async with db.transaction() as session:
            user = await session.create(User, email=email)
            assert await session.find(User, email=email) is user
        async with db.reader() as session:
            found = await session.find(User, email=email)
            assert found is not None
            assert (await session.read_one(User, UserRead, email=email)).id == user.id
            assert str(user.id).encode() in await session.json_one(User, UserRead, email=email)
            await session.page(select(User).order_by(User.id), limit=3)
            first, second = await session.parallel(
                select(User).where(User.email == email), select(User.id).where(User.email == email)
            )
            assert (len(first), second) == (1, [user.id])

    assert await failures(request) == []


async def test_blocking_and_retried_work_passes(db: Database) -> None:
    """The bridge and db.run."""

    async def request(email: str) -> None:
        await db.run_sync(lambda session: session.add(User(email=email)))

        async def raise_level(session: AsyncSession) -> None:
            user = (await session.scalars(select(User).where(User.email == email).with_for_update())).one()
            user.level += 1

        await db.run(raise_level)

    assert await failures(request) == []
    async with db.reader() as session:
        assert await session.count(User, level=2) == CLIENTS * REQUESTS


async def test_time_outs_are_in_force_and_copy_works(db: Database) -> None:
    """They are set in each transaction: a server connection is anybody's."""
    async with db.transaction() as session:
        assert await session.scalar(text("SHOW statement_timeout")) == "30s"
        assert await session.scalar(text("SHOW lock_timeout")) == "5s"
        assert await session.bulk_insert(User, [{"email": f"{n}@copy"} for n in range(100)]) == 100


async def test_it_has_to_be_said_that_there_is_one(bounced: str) -> None:
    """Otherwise it is refused at once; and the engine of the tutorials fails now and then, which is worse."""
    with pytest.raises(Exception, match="unsupported startup parameter"):
        await Database(bounced).open()
    engine = create_async_engine(bounced.replace("postgresql:", "postgresql+asyncpg:"), pool_size=CLIENTS)
    try:

        async def request(email: str) -> None:
            async with AsyncSession(engine) as session:
                await session.execute(text("SELECT :email, pg_sleep(0.001)"), {"email": email})

        assert await failures(request)
    finally:
        await engine.dispose()
