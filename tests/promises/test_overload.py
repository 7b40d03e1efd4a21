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

from promises.effort import LONG
from promises.requests import send
from sqlawait import Database
from sqlawait.fastapi import DatabaseDep, ReaderDep, SessionDep, install
from sqlawait.service.models import Account, Base, LedgerEntry, Post, User

POOL = 4
CROWD = 10 * POOL
ROUNDS = 10 if LONG else 3
SECONDS = 0.5
"""Of a round."""
ROUTES = [("POST", "/write"), ("GET", "/parallel"), ("GET", "/bridge"), ("GET", "/read")]


def careful(db: Database) -> FastAPI:
    """A route that writes, one of parallel reads, one of blocking code, one that reads."""
    app = FastAPI()
    install(app, db)

    @app.post("/write")
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


class Crowd:
    """So many clients at once, in rounds; how often each status came, in how many seconds."""

    def __init__(self, app: FastAPI, size: int) -> None:
        self._app = app
        self._size = size
        self._routes = cycle(ROUTES)
        self._seconds = 0.0
        self.answers: Counter[int] = Counter()

    async def ask(self) -> None:
        """A round."""
        start = time.perf_counter()

        async def client() -> None:
            while time.perf_counter() - start < SECONDS:
                self.answers[await send(self._app, *next(self._routes))] += 1

        await asyncio.gather(*(client() for _ in range(self._size)))
        self._seconds += time.perf_counter() - start

    @property
    def rate(self) -> float:
        """Good answers a second."""
        return self.answers[200] / self._seconds


async def fill(db: Database) -> None:
    await db.create_all(Base.metadata)
    async with db.transaction() as session:
        user = await session.create(User, email="ada@example.com", name="Ada")
        await session.create(Account, user_id=user.id, balance=Decimal(1))


async def test_an_overload_is_borne(url: str) -> None:
    """Only 200 and 503, at 80 % of the rate without contention or better, and within a second as before.

    The rounds with and without contention take turns: what else runs on the machine slows both.
    """
    db = Database(url, pool_size=POOL, threads=2, pool_timeout=1)
    app = careful(db)
    async with app.router.lifespan_context(app):
        await fill(db)
        await Crowd(app, POOL).ask()  # warm
        few, many, slowest = Crowd(app, POOL), Crowd(app, CROWD), 0.0
        async with asyncio.timeout(ROUNDS * SECONDS * 2 + 60):
            for _ in range(ROUNDS):
                await few.ask()
                await many.ask()
                start = time.perf_counter()
                assert await send(app, "POST", "/write") == 200
                slowest = max(slowest, time.perf_counter() - start)
                await many.ask()
                await few.ask()
        print(
            f"{db.dialect}: {many.rate:.0f} a second for {few.rate:.0f}: {many.rate / few.rate:.0%},"
            f" {dict(many.answers)}, then {slowest:.3f} s"
        )
        assert many.answers.keys() <= {200, 503}
        assert db.engine.pool.checkedout() == 0
        assert many.rate >= 0.8 * few.rate
        assert slowest <= 1


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
        answers = await asyncio.gather(*(http.request(*route) for route in ROUTES))
        for connection in held:
            await connection.close()
        assert [answer.status_code for answer in answers] == [503] * len(ROUTES)
        assert all(answer.headers["Retry-After"] == "1" for answer in answers)
        again = [await http.request(*route) for route in ROUTES]
        assert [answer.status_code for answer in again] == [200] * len(ROUTES)


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
