"""Memory is flat, however many requests are served and however many rows are exported."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections import Counter
from random import Random

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


async def fill(url: str, users: range) -> None:
    """Make the tables, and users with these numbers."""
    async with Database(url, timeouts=Timeouts(command=3600)) as db:
        await db.create_all(Base.metadata)
        rows = ({"email": f"{number}@example.com", "name": f"User {number}"} for number in users)
        async with db.transaction() as session:
            await session.bulk_insert(User, rows)


async def test_a_million_requests_leave_memory_flat(sqlite_url: str) -> None:
    """Reads, lists, inserts and updates, 16 at once; what the first tenth needs is what all need."""
    await fill(sqlite_url, range(1, USERS + 1))
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


async def growth(url: str, app: str, **environ: str) -> tuple[int, int]:
    """The most memory that an application has needed after exporting a tenth of the rows, and after all."""
    few = ROWS // 10
    await fill(url, range(1, few + 1))
    async with Workers(app, count=1, DATABASE_URL=url, EMBEDDER="none", **environ) as server:
        await export(server, few)
        first = server.peak()
        await fill(url, range(few + 1, ROWS + 1))
        await export(server, ROWS)
        return first, server.peak()


async def export(server: Workers, count: int) -> None:
    """Take an export of so many rows."""
    users, mark, rest = 0, b"@example.com", b""
    async with (
        httpx.AsyncClient(base_url=server.base, timeout=None) as http,
        http.stream("GET", "/users/export") as answer,
    ):
        async for piece in answer.aiter_raw():
            users += (rest + piece).count(mark)
            rest = (rest + piece)[1 - len(mark) :]  # a mark may be cut in two
    assert users == count


async def test_an_export_leaves_memory_flat(url: str) -> None:
    """What an export of a tenth of the rows needs is what one of all needs."""
    first, last = await growth(url, "sqlawait.service.main:app")
    print(f"{ROWS} rows: {first / 1e6:.1f} MB for a tenth, {last / 1e6:.1f} MB for all")
    assert last <= first * (1 + FLAT)


async def test_the_naive_variant_is_caught(sqlite_url: str) -> None:
    """An export that loads all rows and then sends them: the more rows, the more memory."""
    first, last = await growth(sqlite_url, "promises.hoarding:app", UVICORN_FACTORY="1")
    print(f"{ROWS} rows: {first / 1e6:.1f} MB for a tenth, {last / 1e6:.1f} MB for all")
    assert last > first * (1 + FLAT)
