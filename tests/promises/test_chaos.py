"""The bank's promises under faults of the network, of the database and of its connections."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from random import Random

import pytest
from fastapi import FastAPI
from sqlalchemy import make_url, text
from sqlalchemy.exc import DBAPIError

from promises.bank import OPENING, Bank, careful_app, client_of, naive_app
from promises.chaos import Fault, Proxy, Schedule, heal, network_faults
from promises.effort import LONG, SECONDS, SEEDS
from sqlawait import AsyncSession, CommitUnknown, Database, Timeouts, Unavailable
from sqlawait.backends import Failure, failure_of
from sqlawait.embedded import EmbeddedPostgres
from sqlawait.service.models import Account

QUICK = Timeouts(connect=1, command=1.5, lock=1, idle_in_transaction=3)


@asynccontextmanager
async def bank(
    make_app: Callable[[Database], FastAPI], url: str, seed: int
) -> AsyncIterator[tuple[Bank, Proxy, Database]]:
    """A bank whose application reaches its database through a proxy, and whose audit does not."""
    direct = make_url(url)
    port = direct.port or 3306
    async with Proxy(direct.host or "", port) as proxy, Database(url, pool_size=4, threads=1) as straight:
        through = Database(direct.set(port=proxy.port), timeouts=QUICK)
        async with client_of(make_app(through)) as http:
            it = Bank(straight, http, seed)
            await it.open()
            try:
                yield it, proxy, through
            finally:
                heal(proxy)
                await through.close()


async def withstand(it: Bank, schedule: Schedule, proxy: Proxy, through: Database) -> None:
    """Run the faults beside the clients, then hold every promise against the database."""
    over = asyncio.Event()

    async def faults() -> None:
        try:
            await schedule.run(SECONDS)
        finally:
            heal(proxy)
            over.set()

    async with asyncio.TaskGroup() as group:
        group.create_task(faults())
        await it.run(clients=8, transfers=1, until=over)
    told = it.told
    summary = f"{schedule}; {len(schedule.done)} faults, {dict(told.answers)}"
    print(summary)
    assert await it.audit() == [], summary
    assert told.acknowledged or not LONG, summary  # a short run may be all faults on a slow machine
    assert through.engine.pool.checkedout() == 0, summary


def terminating(it: Bank) -> Fault:
    """Have the server end the connections of all others."""

    async def terminate(_: Random) -> None:
        async with it.db.session() as session:
            if it.db.dialect == "postgresql":
                await session.execute(
                    text(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
                        " AND application_name = 'sqlawait' AND random() < 0.7"
                    )
                )
                return
            listed = text(
                "SELECT ID FROM information_schema.PROCESSLIST WHERE DB = DATABASE() AND ID <> CONNECTION_ID()"
            )
            for other in (await session.scalars(listed)).all():
                await kill(session, other)

    async def kill(session: AsyncSession, other: int) -> None:
        with suppress(DBAPIError):  # it has ended meanwhile
            await session.execute(text(f"KILL {other}"))

    return terminate


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("backend", ["postgresql", "mysql"])
async def test_faults_break_no_promise(backend: str, seed: int, request: pytest.FixtureRequest) -> None:
    """Cut, silent, half-open and slow connections, lost COMMITs and replies, ended backends."""
    url = request.getfixturevalue(f"{backend}_url")
    async with bank(careful_app, url, seed) as (it, proxy, through):
        faults = network_faults(proxy) | {"terminate": terminating(it)}
        await withstand(it, Schedule(seed, faults), proxy, through)


@pytest.mark.parametrize("seed", SEEDS)
async def test_crashes_of_postgresql_break_no_promise(seed: int) -> None:
    """kill -9 and immediate restarts of the server, between them the network's own faults."""
    with EmbeddedPostgres() as server:
        server.create_database("bank")
        async with bank(careful_app, server.url("bank"), seed) as (it, proxy, through):

            async def restart(_: Random) -> None:
                await asyncio.to_thread(server.stop, mode="immediate")
                await asyncio.to_thread(server.start)

            async def crash(_: Random) -> None:
                pid = int((server.folder / "postmaster.pid").read_text().split()[0])
                os.kill(pid, signal.SIGKILL)
                await asyncio.to_thread(start_again, server)

            faults = {"kill -9": crash, "restart": restart, "cut": network_faults(proxy)["cut"]}
            await withstand(it, Schedule(seed, faults), proxy, through)


def start_again(server: EmbeddedPostgres) -> None:
    """Start after a crash: the orphans of the killed server leave within moments."""
    for _ in range(100):
        try:
            server.start()
        except RuntimeError as error:
            last = error
        else:
            return
    raise last


@pytest.mark.parametrize("backend", ["postgresql", "mysql"])
@pytest.mark.parametrize("fault", ["lose_requests", "lose_replies"])
async def test_a_lost_commit_is_commit_unknown(
    backend: str, fault: str, request: pytest.FixtureRequest
) -> None:
    """COMMIT lost and its reply lost look the same: always told, never retried, safe with the key."""
    async with bank(careful_app, request.getfixturevalue(f"{backend}_url"), 1) as (it, proxy, through):
        order = {"source_id": it.ids[0], "target_id": it.ids[1], "amount": "5"}
        setattr(proxy, fault, 1)
        first = await it.http.post("/transfers", json=order, headers={"Idempotency-Key": "k"})
        assert proxy.lost == 1
        assert (first.status_code, first.json()["type"]) == (500, "urn:sqlawait:commit-unknown")
        second = await it.http.post("/transfers", json=order, headers={"Idempotency-Key": "k"})
        assert second.status_code == 201
        assert ("Idempotent-Replayed" in second.headers) == (fault == "lose_replies")
        it.told.acknowledged["k"] = second.json()["id"]
        assert await it.audit() == []
        setattr(proxy, fault, 1)
        with pytest.raises(CommitUnknown):
            async with through.transaction() as session:
                await session.execute(text("UPDATE accounts SET balance = balance"))


@pytest.mark.parametrize("backend", ["postgresql", "mysql"])
async def test_a_write_that_commits_by_itself_may_be_unknown(
    backend: str, request: pytest.FixtureRequest
) -> None:
    """Under AUTOCOMMIT the write is the commit: its answer lost, it is not told as "nothing was stored"."""
    url = request.getfixturevalue(f"{backend}_url")
    raise_it = text("UPDATE accounts SET balance = balance + 1")
    async with bank(careful_app, url, 1) as (it, proxy, through):
        async with through.session(isolation_level="AUTOCOMMIT") as session:
            await session.execute(raise_it)  # from now on it is prepared: the next time is one message
            proxy.lose_answers()
            with pytest.raises(CommitUnknown):
                await session.execute(raise_it)
        async with it.db.session() as session:
            assert {account.balance for account in await session.find_all(Account)} == {OPENING + 2}
        async with through.session(isolation_level="AUTOCOMMIT") as session:
            await session.execute(text("SELECT 1"))
            proxy.lose_answers()
            with pytest.raises((DBAPIError, Unavailable)) as caught:
                await session.execute(text("SELECT 1"))
            assert failure_of(caught.value) is Failure.AWAY


async def test_a_black_hole_is_an_error_in_time(postgresql_url: str) -> None:
    """When nothing arrives any more, a statement fails within its time-out and two seconds, a new one too."""
    loop = asyncio.get_running_loop()
    slack = 2 if LONG else 4  # seconds; the short run shares its machine
    async with bank(careful_app, postgresql_url, 1) as (_, proxy, through), through.session() as session:
        await session.execute(text("SELECT 1"))
        async with proxy.black_hole():
            start = loop.time()
            with pytest.raises(Unavailable):
                await session.execute(text("SELECT 1"))
            assert loop.time() - start < QUICK.command + slack
            start = loop.time()
            assert not (await through.health()).ok
            assert loop.time() - start < QUICK.connect + slack
        assert (await through.health()).ok


async def test_the_naive_variant_is_caught(postgresql_url: str) -> None:
    """The tutorials' way answers 201 before the commit; when that is lost the client has been lied to."""
    async with bank(naive_app, postgresql_url, 1) as (it, proxy, _):
        proxy.lose_requests = 1
        await it.run(clients=1, transfers=3)
        found = await it.audit()
        assert any(one.startswith("acknowledged and lost") for one in found), (found, it.told)
