"""Ten times the pool's capacity: slower, refused in part, never stuck, and well again at once."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from decimal import Decimal
from itertools import cycle
from typing import Annotated

import httpx
import pytest
from fastapi import Depends, FastAPI
from sqlalchemy import make_url, select, text
from sqlalchemy.ext.asyncio import AsyncSession as PlainSession
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import Session

from promises.effort import LONG, in_one_of_three
from promises.requests import send
from sqlawait import Database
from sqlawait.fastapi import DatabaseDep, ReaderDep, SessionDep, install
from sqlawait.service.models import Account, Base, LedgerEntry, Post, User

POOL = 4
CROWD = 10 * POOL
SECONDS = 5.0 if LONG else 1.0
PATHS = ["/write", "/parallel", "/bridge", "/read"]


def careful(db: Database) -> FastAPI:
    """A route that writes, one of parallel reads, one of blocking code, one that reads."""
    app = FastAPI()
    install(app, db)

    @app.get("/write")
    async def write(session: SessionDep) -> int:
        user = await session.get_one(User, 1)
        await session.create(Post, user_id=user.id, title="T", body="")
        return 1

    @app.get("/parallel")
    async def parallel(session: ReaderDep) -> int:
        found = await session.parallel(select(User), select(Account), select(LedgerEntry).limit(5))
        return len(found)

    @app.get("/bridge")
    async def bridge(db: DatabaseDep) -> int:
        def work(session: Session) -> int:
            return len(session.scalars(select(User)).all())

        return await db.run_sync(work)

    @app.get("/read")
    async def read(session: ReaderDep) -> int:
        return (await session.get_one(User, 1)).id

    return app


async def crowd(app: FastAPI, size: int, seconds: float) -> tuple[float, Counter[int]]:
    """So many clients at once; gives good answers a second, and how often each status came."""
    answers: Counter[int] = Counter()
    start = time.perf_counter()
    paths = cycle(PATHS)

    async def client() -> None:
        while time.perf_counter() - start < seconds:
            answers[await send(app, "GET", next(paths))] += 1

    await asyncio.gather(*(client() for _ in range(size)))
    return answers[200] / (time.perf_counter() - start), answers


async def fill(db: Database) -> None:
    await db.create_all(Base.metadata)
    async with db.transaction() as session:
        user = await session.create(User, email="ada@example.com", name="Ada")
        await session.create(Account, user_id=user.id, balance=Decimal(1))


async def test_an_overload_is_borne(url: str) -> None:
    """Only 200 and 503, at 80 % of the rate without contention or better, and a second later as before."""
    db = Database(url, pool_size=POOL, threads=2, pool_timeout=1)
    app = careful(db)
    async with app.router.lifespan_context(app):
        await fill(db)
        await crowd(app, POOL, 0.3)  # warm

        async def attempt() -> str | None:
            usual, _ = await crowd(app, POOL, SECONDS)
            async with asyncio.timeout(SECONDS + 60):
                rate, answers = await crowd(app, CROWD, SECONDS)
            start = time.perf_counter()
            first = await send(app, "GET", "/write")
            took = time.perf_counter() - start
            assert answers.keys() <= {200, 503}, answers
            assert first == 200
            assert db.engine.pool.checkedout() == 0
            print(f"{db.dialect}: {rate:.0f} of {usual:.0f} a second, {dict(answers)}, then {took:.3f} s")
            return f"{rate=:.0f} {usual=:.0f} {took=:.2f}" if rate < 0.8 * usual or took > 1 else None

        await in_one_of_three(attempt)


async def test_a_refusal_says_when_to_come_again(url: str) -> None:
    """With every connection out, the answer is a 503 with Retry-After once the patience is over."""
    db = Database(url, pool_size=POOL, threads=2, pool_timeout=0.2)
    app = careful(db)
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://service") as http,
    ):
        await fill(db)
        held = [await db.engine.connect() for _ in range(POOL)]
        answers = await asyncio.gather(*(http.get(path) for path in PATHS))
        for connection in held:
            await connection.close()
        assert [answer.status_code for answer in answers] == [503] * len(PATHS)
        assert all(answer.headers["Retry-After"] == "1" for answer in answers)
        again = [await http.get(path) for path in PATHS]
        assert [answer.status_code for answer in again] == [200] * len(PATHS)


@pytest.mark.filterwarnings("ignore")
async def test_the_naive_variant_is_caught(postgresql_url: str) -> None:
    """A request that holds one connection and asks for another: all hold one, none gets a second."""
    engine = create_async_engine(
        make_url(postgresql_url).set(drivername="postgresql+asyncpg"),
        pool_size=POOL,
        max_overflow=0,
        pool_timeout=1,
    )
    make_session = async_sessionmaker(engine, expire_on_commit=False)
    app = FastAPI()

    async def get_session() -> AsyncIterator[PlainSession]:
        async with make_session() as session:
            yield session

    @app.get("/read")
    async def read(session: Annotated[PlainSession, Depends(get_session)]) -> int:
        await session.execute(text("SELECT 1"))
        async with make_session() as audit:
            await audit.execute(text("SELECT 1"))
        return 1

    async def client() -> int:
        try:
            return await send(app, "GET", "/read")
        except Exception:  # noqa: BLE001 - a 500 to a client
            return 500

    answers = Counter(await asyncio.gather(*(client() for _ in range(CROWD))))
    await engine.dispose()
    assert answers[500]
