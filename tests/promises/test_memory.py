"""Memory is flat, however many requests are served and however many rows are exported."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from promises.effort import REQUESTS, ROWS
from promises.servers import Workers
from sqlawait import Database
from sqlawait.service.models import Base, User

WORKLOADS = ("one", "nested", "one", "nested", "insert", "one", "nested", "update")
CHUNK = 5.0 if REQUESTS > 100_000 else 0.5
"""Seconds of load between two looks at the memory."""
FLAT = 0.10


def rows(count: int) -> Iterator[dict[str, Any]]:
    return ({"email": f"{number}@example.com", "name": f"User {number}"} for number in range(count))


@asynccontextmanager
async def served(url: str, users: int) -> AsyncIterator[Workers]:
    """The service in one process, on a database with this many users."""
    async with Database(url) as db:
        await db.create_all(Base.metadata)
        async with db.transaction() as session:
            await session.bulk_insert(User, rows(users))
    async with Workers("sqlawait.service.main:app", count=1, DATABASE_URL=url, EMBEDDER="none") as server:
        yield server


@asynccontextmanager
async def load() -> AsyncIterator[asyncio.subprocess.Process]:
    """The bench's load generator, a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "sqlawait.bench.load",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 20,
    )
    try:
        assert process.stdout is not None
        await process.stdout.readline()  # it is ready
        yield process
    finally:
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()


async def test_a_million_requests_leave_memory_flat(sqlite_url: str) -> None:
    """Reads, lists, inserts and updates, 32 at once; what the first tenth needs is what all need."""
    async with served(sqlite_url, 1000) as server, load() as generator:
        assert generator.stdin is not None
        assert generator.stdout is not None
        done, turn = 0, 0
        seen: list[tuple[int, int]] = []
        while done < REQUESTS:
            order = {
                "port": server.port,
                "workload": WORKLOADS[turn % len(WORKLOADS)],
                "concurrency": 32,
                "seconds": CHUNK,
                "seed": str(turn),
            }
            generator.stdin.write(json.dumps(order).encode() + b"\n")
            told = json.loads(await generator.stdout.readline())
            assert not told["errors"], told
            done += told["answers"]
            turn += 1
            seen.append((done, server.rss()))
            if turn % 20 == 0:
                print(f"{done} requests: {server.rss() >> 20} MB", file=sys.stderr, flush=True)
    settled = next(rss for count, rss in seen if count >= REQUESTS / 10 and count >= 4 * seen[0][0])
    worst = max(rss for count, rss in seen if count >= REQUESTS / 10)
    print(f"{done} requests: {settled / 1e6:.1f} MB after a tenth, at most {worst / 1e6:.1f} MB since")
    assert worst <= settled * (1 + FLAT), seen


async def test_an_export_leaves_memory_flat(url: str) -> None:
    """What an export needs for its first tenth is what it needs for all."""
    async with served(url, ROWS) as server:
        seen: list[tuple[int, int]] = []
        async with (
            httpx.AsyncClient(base_url=server.base, timeout=60) as http,
            http.stream("GET", "/users/export") as answer,
        ):
            lines = 0
            async for piece in answer.aiter_raw():
                lines += piece.count(b"\n")
                seen.append((lines, server.rss()))
        assert lines == ROWS
    settled = next(rss for count, rss in seen if count >= ROWS / 10)
    worst = max(rss for _, rss in seen)
    print(f"{ROWS} rows: {settled / 1e6:.1f} MB after a tenth, at most {worst / 1e6:.1f} MB")
    assert worst <= settled * (1 + FLAT)
