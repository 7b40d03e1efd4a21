"""The bank's promises under faults of the network, of the database and of its connections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from random import Random
from typing import Any

import asyncmy
import asyncpg
import pytest
from fastapi import FastAPI
from sqlalchemy import make_url, text
from sqlalchemy.exc import DBAPIError

from promises.bank import OPENING, Bank, careful_app, client_of, naive_app
from promises.chaos import Proxy, Schedule, heal, network_faults, terminating, withstand
from promises.effort import LONG, SEEDS, lateness
from promises.servers import CRASHING, Crashing
from sqlawait import CommitUnknown, Database, Timeouts, Unavailable
from sqlawait.backends import Failure, failure_of
from sqlawait.service.models import Account

pytestmark = pytest.mark.usefixtures("lost_connections")
QUICK = Timeouts(connect=1, command=1.5, lock=1, idle_in_transaction=3)
OURS = ["postgresql", "mysql"] if LONG else ["postgresql"]
"""Servers that a test starts for itself, to kill them: that takes seconds each."""


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


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("backend", ["postgresql", "mysql"])
async def test_faults_break_no_promise(backend: str, seed: int, request: pytest.FixtureRequest) -> None:
    """Cut, silent, half-open and slow connections, lost COMMITs and replies, ended backends."""
    url = request.getfixturevalue(f"{backend}_url")
    async with bank(careful_app, url, seed) as (it, proxy, through):
        faults = network_faults(proxy) | {"terminate": terminating(it)}
        await withstand(it, Schedule(seed, faults), healed=partial(heal, proxy))
        assert through.engine.pool.checkedout() == 0


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("backend", OURS)
async def test_crashes_of_the_server_break_no_promise(backend: str, seed: int) -> None:
    """kill -9 and immediate restarts of the server, between them the network's own faults."""
    with crashing(backend) as server:
        async with bank(careful_app, server.new_database("bank"), seed) as (it, proxy, through):

            async def restart(_: Random) -> None:
                await asyncio.to_thread(server.restart)

            async def crash(_: Random) -> None:
                await asyncio.to_thread(server.crash)
                await asyncio.to_thread(server.start)

            faults = {"kill -9": crash, "restart": restart, "cut": network_faults(proxy)["cut"]}
            await withstand(it, Schedule(seed, faults), healed=partial(heal, proxy))
            assert through.engine.pool.checkedout() == 0


@contextmanager
def crashing(backend: str) -> Iterator[Crashing]:
    """A server of our own."""
    server = CRASHING[backend]()
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.mark.parametrize("backend", OURS)
async def test_service_is_back_with_its_database(backend: str) -> None:
    """The first success comes within a second of the database's own, and two seconds later no error does.

    How long a client without the library takes in the same time is given on top.
    """
    with crashing(backend) as server:
        url = server.new_database("bank")
        async with Database(url, timeouts=QUICK) as db, client_of(careful_app(db)) as http:
            it = Bank(db, http, 1)
            await it.open()

            await asyncio.to_thread(server.crash)
            answers: list[tuple[float, int]] = []
            async with asyncio.TaskGroup() as group:
                asking = [group.create_task(ask(it, number, answers)) for number in range(8)]
                group.create_task(asyncio.to_thread(server.start))
                since = await connected(url)
                loop, slowest = asyncio.get_running_loop(), 0.0
                while (start := loop.time()) < since + (6 if LONG else 2.5) + slowest:
                    slowest = max(slowest, await connected(url) - start)
                for task in asking:
                    task.cancel()
            first = min((at for at, status in answers if status == 200), default=since + 99) - since
            errors = [status for at, status in answers if at > since + 2 + slowest and status != 200]
            print(f"{backend}: first success after {first:.3f} s, a plain client took {slowest:.3f} s at most")
            assert answers[-1][0] > since + 2 + slowest
            assert first <= 1 + slowest
            assert errors == []


async def ask(it: Bank, number: int, answers: list[tuple[float, int]]) -> None:
    """A client that reads and does not tire; when each answer came goes into ``answers``."""
    loop = asyncio.get_running_loop()
    while True:
        answer = await it.http.get(f"/accounts/{it.ids[number % len(it.ids)]}")
        answers.append((loop.time(), answer.status_code))
        await asyncio.sleep(0.01)


async def connected(url: str) -> float:
    """When the database has let in a client that has nothing to do with the library."""
    parsed = make_url(url)
    where: dict[str, Any] = {"host": parsed.host, "port": parsed.port, "user": parsed.username}
    while True:
        try:
            if parsed.get_backend_name() == "postgresql":
                await (await asyncpg.connect(database=parsed.database, **where)).close()
            else:
                (await asyncmy.connect(db=parsed.database, **where)).close()
        except (OSError, asyncpg.PostgresError, asyncmy.errors.Error):
            await asyncio.sleep(0.01)
        else:
            return asyncio.get_running_loop().time()


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


@pytest.mark.parametrize("driver", ["postgresql", "mysql+asyncmy", "mysql+aiomysql"])
async def test_a_black_hole_is_an_error_in_time(driver: str, request: pytest.FixtureRequest) -> None:
    """When nothing arrives any more, a statement fails within its time-out and two seconds, a new one too."""
    backend = driver.partition("+")[0]
    url = make_url(request.getfixturevalue(f"{backend}_url")).set(drivername=driver)
    loop = asyncio.get_running_loop()
    async with bank(careful_app, url.render_as_string(hide_password=False), 1) as (_, proxy, through):
        async with lateness() as late, through.session() as session:
            await session.execute(text("SELECT 1"))
            async with proxy.black_hole():
                start = loop.time()
                with pytest.raises((Unavailable, DBAPIError)) as caught:
                    await session.execute(text("SELECT 1"))
                assert failure_of(caught.value) is Failure.AWAY
                statement = loop.time() - start - QUICK.command
                start = loop.time()
                assert not (await through.health()).ok
                connect = loop.time() - start - QUICK.connect
        assert (await through.health()).ok
        print(f"{driver}: over its time-out: a statement {statement:.2f} s, a new connection {connect:.2f} s")
        assert max(statement, connect) <= 2 + late.worst


async def test_the_naive_variant_is_caught(postgresql_url: str) -> None:
    """The tutorials' way answers 201 before the commit; when that is lost the client has been lied to."""
    async with bank(naive_app, postgresql_url, 1) as (it, proxy, _):
        proxy.lose_requests = 1
        await it.run(clients=1, transfers=3)
        found = await it.audit()
        assert any(one.startswith("acknowledged and lost") for one in found), (found, it.told)
