"""The collector keeps requests apart, however many run at once, and its memory is bounded."""

from __future__ import annotations

import asyncio

from fastapi import FastAPI
from sqlalchemy import text
from tests.inspector.conftest import started
from tests.models import User

from sqlawait import Database
from sqlawait.events import RequestFinished, RequestStarted, StatementRan
from sqlawait.fastapi import SessionDep, install
from sqlawait.guards import GuardMiddleware, Guards
from sqlawait.inspector import Collector


async def test_200_requests_at_once_never_see_each_others_statements(db: Database) -> None:
    """Each request has exactly its own statements, in sessions, tasks and threads."""
    collector = Collector()
    app = FastAPI()
    install(app, db)

    @app.get("/{number}")
    async def read(number: int, session: SessionDep) -> int:
        found = await session.scalar(text(f"SELECT {number} /* mine: {number}. */"))
        await asyncio.create_task(own(number))
        if number % 20 == 0:
            await db.run_sync(lambda sync: sync.execute(text(f"SELECT 1 /* mine: {number}. */")))
        return int(found or 0)

    async def own(number: int) -> None:
        async with db.reader() as session:
            await session.execute(text(f"SELECT 2 /* mine: {number}. */"))

    app.add_middleware(GuardMiddleware, guards=Guards(observers=[collector]))
    async with started(app) as client:
        gate = asyncio.Semaphore(4)  # each holds a connection and asks for one more

        async def call(number: int) -> None:
            async with gate:
                assert (await client.get(f"/{number}")).json() == number

        await asyncio.gather(*(call(number) for number in range(200)))
    traces = collector.requests()
    assert len(traces) == 200
    for trace in traces:
        number = int(trace.started.path[1:])
        mine = [statement for statement in trace.statements if "/*" in statement.sql]
        assert len(mine) == (3 if number % 20 == 0 else 2)
        assert all(f"mine: {number}." in statement.sql for statement in mine)
        assert trace.finished is not None
        assert trace.finished.route == "/{number}"
        assert trace.finished.database > 0


def test_memory_is_bounded() -> None:
    """Old requests, and statements and texts beyond the bounds, are forgotten."""
    collector = Collector(requests=10, statements=5, findings=20)
    engine = Database("sqlite:///:memory:").engine.sync_engine
    for number in range(100):
        name = str(number)
        collector(RequestStarted(name, "GET", "/", 0.0))
        for part in range(8):
            sql = f"SELECT {number} + {part}"
            collector(StatementRan(name, sql, None, "sqlite", None, 0, 0.1, 1, 1, None, engine))
        if number % 2:
            collector(RequestFinished(name, "GET", "/", "/", 200, 0, 1, 0, 0, 0, 8, None))
    assert len(collector.requests()) == 19  # ten that have ended, nine that never will
    assert len(collector._by_id) == 19
    assert len(collector.slowest(1_000)) == 20
    newest = collector.requests()[-10]
    assert (len(newest.statements), newest.dropped) == (5, 3)


async def test_a_subscriber_who_does_not_read_holds_nobody_up() -> None:
    """Its queue is bounded: it misses events."""
    collector = Collector()
    subscriber = collector.subscribe()
    for number in range(1_000):
        collector(RequestStarted(str(number), "GET", "/", 0.0))
    await asyncio.sleep(0)
    assert subscriber.queue.full()
    collector.unsubscribe(subscriber)


async def test_a_statement_names_its_line(db: Database) -> None:
    """A statement's record names the application's line, rows and time."""
    collector = Collector()
    with Guards(observers=[collector]) as guards, guards.scope("a job"):
        async with db.transaction() as session:
            await session.create(User, email="ada@example.com")
            await session.count(User)
    total = next(total for total in collector.slowest(50) if "count(" in total.sql.lower())
    assert total.site is not None
    assert total.site.file.endswith("test_collector.py")
