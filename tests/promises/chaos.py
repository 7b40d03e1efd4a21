"""Faults on the way to a database, and a seeded schedule of them that a failure prints and a seed replays."""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Self

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from promises.bank import Bank
from promises.effort import LONG, SECONDS
from sqlawait import AsyncSession

_COMMIT = re.compile(rb"(?<!AUTO)COMMIT(?!TED)")

Fault = Callable[[Random], Awaitable[None]]


class Proxy:
    """A TCP proxy that misbehaves when told to.

    It reads the databases' own protocols only so far as to see a COMMIT go by, which both PostgreSQL and MySQL
    get as text.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = host, port
        self._server: asyncio.Server | None = None
        self._links: set[_Link] = set()
        self.port = 0
        self.delay = 0.0
        """Seconds that each piece of data is held back."""
        self.lose_requests = 0
        """How many of the next COMMITs never reach the database: the connection breaks before."""
        self.lose_replies = 0
        """How many of the next COMMITs are done, and their replies lost: the connection breaks after."""
        self.lost = 0
        """How many COMMITs were lost either way."""
        self._flowing = asyncio.Event()
        self._flowing.set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self._flowing.set()
        self.cut()
        while self._links:  # each ends as soon as the loop has told it that its sockets are gone
            await asyncio.gather(*(link.task for link in list(self._links)), return_exceptions=True)
        await self._server.wait_closed()

    def cut(self) -> None:
        """Break every connection, as a crashed router does: both sides see a reset."""
        for link in list(self._links):
            link.abort()

    def half_open(self) -> None:
        """Break every connection towards the database; the other side sees nothing, not even an end."""
        for link in list(self._links):
            link.silent = True
            link.upstream.transport.abort()

    def lose_answers(self) -> None:
        """Let what is asked next on today's connections be done, and break them before they can tell."""
        for link in self._links:
            link.deaf = True

    @asynccontextmanager
    async def black_hole(self) -> AsyncIterator[None]:
        """While inside, nothing arrives on either side, and nobody is told."""
        self._flowing.clear()
        try:
            yield
        finally:
            self._flowing.set()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            upstream_reader, upstream = await asyncio.open_connection(*self._target)
        except OSError:
            writer.transport.abort()
            return
        task = asyncio.current_task()
        assert task is not None
        link = _Link(writer, upstream, task)
        self._links.add(link)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(link, reader, upstream, to_database=True))
                group.create_task(self._pump(link, upstream_reader, writer, to_database=False))
        finally:
            link.abort()
            self._links.discard(link)

    async def _pump(
        self, link: _Link, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, to_database: bool
    ) -> None:
        with suppress(OSError):
            while data := await source.read(65536):
                if self.delay:
                    await asyncio.sleep(self.delay)
                await self._flowing.wait()
                if to_database and _COMMIT.search(data):
                    if self.lose_requests > 0:
                        self.lose_requests -= 1
                        self.lost += 1
                        break
                    if self.lose_replies > 0:
                        self.lose_replies -= 1
                        self.lost += 1
                        link.deaf = True
                elif not to_database and link.deaf:
                    break
                sink.write(data)
                await sink.drain()
        if not (link.silent and not to_database):
            link.abort()


class _Link:
    def __init__(
        self, downstream: asyncio.StreamWriter, upstream: asyncio.StreamWriter, task: asyncio.Task[None]
    ) -> None:
        self.downstream = downstream
        self.upstream = upstream
        self.task = task
        self.deaf = False
        self.silent = False

    def abort(self) -> None:
        self.downstream.transport.abort()
        self.upstream.transport.abort()


@dataclass
class Schedule:
    """Faults one after another, chosen and timed by a seed."""

    seed: int
    faults: dict[str, Fault]
    pause: tuple[float, float] = (0.05, 0.5)
    """Seconds between two faults, at least and at most."""
    done: list[tuple[float, str]] = field(default_factory=list)

    async def run(self, seconds: float) -> None:
        """Let faults happen for a time."""
        random = Random(self.seed)
        loop = asyncio.get_running_loop()
        start = loop.time()
        while (at := loop.time() - start) < seconds:
            name = random.choice(list(self.faults))
            self.done.append((at, name))
            await self.faults[name](random)
            await asyncio.sleep(random.uniform(*self.pause))

    def __str__(self) -> str:
        return f"seed {self.seed}: " + ", ".join(f"{at:.2f} s {name}" for at, name in self.done)


def network_faults(proxy: Proxy) -> dict[str, Fault]:
    """What a network does to connections."""

    async def cut(_: Random) -> None:
        proxy.cut()

    async def half_open(_: Random) -> None:
        proxy.half_open()

    async def black_hole(random: Random) -> None:
        async with proxy.black_hole():
            await asyncio.sleep(random.uniform(0.1, 1.5))

    async def delay(random: Random) -> None:
        proxy.delay = random.uniform(0.005, 0.05)
        await asyncio.sleep(random.uniform(0.1, 0.4))
        proxy.delay = 0

    async def lose_requests(random: Random) -> None:
        proxy.lose_requests = random.randint(1, 3)

    async def lose_replies(random: Random) -> None:
        proxy.lose_replies = random.randint(1, 3)

    return {
        "cut": cut,
        "half-open": half_open,
        "black hole": black_hole,
        "delay": delay,
        "COMMIT lost": lose_requests,
        "reply to COMMIT lost": lose_replies,
    }


def heal(proxy: Proxy) -> None:
    """No fault from here on."""
    proxy.delay = 0
    proxy.lose_requests = proxy.lose_replies = 0


async def withstand(it: Bank, schedule: Schedule, *, healed: Callable[[], None] = lambda: None) -> None:
    """Run the faults beside the clients, then hold every promise against the database.

    Parameters:
        healed: called when the faults are over: it ends those that last.
    """
    over = asyncio.Event()

    async def faults() -> None:
        try:
            await schedule.run(SECONDS)
        finally:
            healed()
            over.set()

    async with asyncio.TaskGroup() as group:
        group.create_task(faults())
        await it.run(clients=8, transfers=1, until=over)
    told = it.told
    summary = f"{schedule}; {len(schedule.done)} faults, {dict(told.answers)}"
    found = await it.audit()
    report(it, schedule, found)
    assert found == [], summary
    assert told.acknowledged or not LONG, summary  # a short run may be all faults on a slow machine


def report(it: Bank, schedule: Schedule, found: list[str]) -> None:
    """Add a line to the file that ``PROMISES_REPORT`` names: what was done, told and found."""
    told = it.told
    line = {
        "test": os.environ.get("PYTEST_CURRENT_TEST", ""),
        "seed": schedule.seed,
        "seconds": SECONDS,
        "faults": Counter(name for _, name in schedule.done),
        "answers": told.answers,
        "acknowledged": len(told.acknowledged),
        "refused": len(told.refused),
        "given up": len(told.failed),
        "in doubt": len(told.doubtful),
        "violations": found,
    }
    print(json.dumps(line))
    if path := os.environ.get("PROMISES_REPORT"):
        with Path(path).open("a") as file:
            print(json.dumps(line), file=file)


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
