"""Memory is flat, however many requests are served and however many rows are exported."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import httpx
import psutil

from promises.effort import REQUESTS, ROWS
from promises.requests import send
from promises.servers import Workers
from sqlawait import Database, Timeouts
from sqlawait.service.main import create_app
from sqlawait.service.models import Base, User
from sqlawait.service.settings import Settings

USERS = 1000
FLAT = 0.10


def rows(count: int) -> Iterator[dict[str, Any]]:
    return ({"email": f"{number}@example.com", "name": f"User {number}"} for number in range(1, count + 1))


async def fill(url: str, users: int) -> None:
    async with Database(url, timeouts=Timeouts(command=3600)) as db:
        await db.create_all(Base.metadata)
        async with db.transaction() as session:
            await session.bulk_insert(User, rows(users))


async def test_a_million_requests_leave_memory_flat(sqlite_url: str) -> None:
    """Reads, lists, inserts and updates, 16 at once; what the first tenth needs is what all need."""
    await fill(sqlite_url, USERS)
    app = create_app(Settings(database_url=sqlite_url, embedder="none"))
    process = psutil.Process()
    seen: list[tuple[int, int]] = []
    answers: Counter[int] = Counter()
    numbers = iter(range(1, REQUESTS + 1))

    async def client(name: int) -> None:
        random = Random(name)
        for number in numbers:
            user, dice = random.randint(1, USERS), random.random()
            if dice < 0.80:
                answers[await send(app, "GET", f"/users/{user}")] += 1
            elif dice < 0.97:
                answers[await send(app, "GET", f"/users/{user}/combined")] += 1
            elif dice < 0.98:
                answers[await send(app, "GET", "/users")] += 1
            elif dice < 0.99:
                new = {"email": f"{name}.{number}@example.com", "name": "Newcomer"}
                answers[await send(app, "POST", "/users", new)] += 1
            else:
                answers[await send(app, "PATCH", f"/users/{user}", {"name": f"Renamed {number}"})] += 1
            if number % max(REQUESTS // 100, 1) == 0:
                gc.collect()
                seen.append((number, process.memory_info().rss))
                print(f"{number} requests: {seen[-1][1] >> 20} MB", file=sys.stderr, flush=True)

    async with app.router.lifespan_context(app):
        await asyncio.gather(*(client(name) for name in range(16)))
        assert app.state.sqlawait.engine.pool.checkedout() == 0
    app.state.guards.remove()
    settled = next(rss for count, rss in seen if count >= REQUESTS / 10)
    worst = max(rss for count, rss in seen if count >= REQUESTS / 10)
    print(f"{dict(answers)}: {settled / 1e6:.1f} MB after a tenth, then at most {worst / 1e6:.1f} MB")
    assert answers.keys() <= {200, 201}
    assert worst <= settled * (1 + FLAT), seen


@asynccontextmanager
async def served(url: str, users: int, app: str, **environ: str) -> AsyncIterator[Workers]:
    """An application in a process of its own, on a database with this many users."""
    await fill(url, users)
    async with Workers(app, count=1, DATABASE_URL=url, EMBEDDER="none", **environ) as server:
        yield server


async def export(server: Workers, count: int) -> list[int]:
    """Take an export; gives the server's memory at each piece that came, from a tenth of the bytes on."""
    seen: list[tuple[int, int]] = [(0, server.rss())]
    async with (
        httpx.AsyncClient(base_url=server.base, timeout=None) as http,
        http.stream("GET", "/users/export") as answer,
    ):
        size = lines = 0
        async for piece in answer.aiter_raw():
            size += len(piece)
            lines += piece.count(b"@example.com")
            seen.append((size, server.rss()))
    assert lines == count
    return [rss for at, rss in seen if at >= size / 10 or len(seen) < 10]


async def test_an_export_leaves_memory_flat(url: str) -> None:
    """What an export needs for its first tenth is what it needs for all."""
    async with served(url, ROWS, "sqlawait.service.main:app") as server:
        settled, *rest = await export(server, ROWS)
    print(f"{ROWS} rows: {settled / 1e6:.1f} MB after a tenth, at most {max(rest) / 1e6:.1f} MB")
    assert max(rest) <= settled * (1 + FLAT)


async def test_the_naive_variant_is_caught(sqlite_url: str) -> None:
    """An export that loads all rows and then sends them: the more rows, the more memory."""
    rows = max(ROWS, 20_000)
    async with served(sqlite_url, rows, "promises.hoarding:app", UVICORN_FACTORY="1") as server:
        before = server.rss()
        seen = await export(server, rows)
    print(f"{rows} rows: {before / 1e6:.1f} MB before, at most {max(seen) / 1e6:.1f} MB")
    assert max(seen) > before * (1 + FLAT)
