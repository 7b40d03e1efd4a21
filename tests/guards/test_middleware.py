"""The guards of an application begin and end with it, and judge nothing but what is its own."""

from __future__ import annotations

import asyncio
import gc
import threading
from typing import Any

from httpx import ASGITransport, AsyncClient
from sqlalchemy import create_engine, text
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool, Pool
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient
from tests.guards.shop import Customer, Findings

from sqlawait.guards import GuardMiddleware, Guards, hooks, statements
from sqlawait.guards.scope import active, current_scope


def make_app(guards: Guards) -> Starlette:
    """One route with a blocking session, which only a guard that raises does not let through."""
    engine = create_engine("sqlite://", poolclass=NullPool)  # nothing is left open once it is garbage

    async def block(_: Request) -> PlainTextResponse:
        with Session(engine) as session:
            session.execute(text("SELECT 1"))
        return PlainTextResponse("")

    app = Starlette(routes=[Route("/customers/{id}", block)])
    app.add_middleware(GuardMiddleware, guards=guards)
    return app


def watched() -> bool:
    """Whether SQLAlchemy is watched."""
    return Connection._exec_single_context is statements._single


async def get(app: Any) -> int:
    """One request, of a client that tells the application of no start."""
    async with AsyncClient(
        transport=ASGITransport(app, raise_app_exceptions=False), base_url="http://x"
    ) as client:
        return (await client.get("/customers/1")).status_code


async def test_without_a_lifespan_it_judges_its_own_requests_only(findings: Findings) -> None:
    """Code outside of its requests is not its business, though it lives on."""
    app = make_app(Guards.development(observers=[findings]))
    assert await get(app) == 500
    assert [finding.where for finding in findings] == ["GET /customers/{id}"]
    assert active() is None
    engine = create_engine("sqlite://", poolclass=NullPool)  # nothing is left open once it is garbage
    with Session(engine) as session:
        session.execute(text("SELECT 1"))
    engine.dispose()
    assert len(findings) == 1


async def test_without_a_lifespan_it_ends_when_it_is_garbage() -> None:
    """Nothing of it is left once the application is gone and the next one has ended."""
    app = make_app(Guards.production())
    assert await get(app) == 200
    assert watched()
    del app
    gc.collect()
    Guards().install().remove()
    assert not watched()
    assert Pool.connect is hooks._pool_connect
    assert Session._execute_internal is hooks._session_execute


def test_with_a_lifespan_it_ends_with_the_application() -> None:
    """At its stop the listeners, the wrappers and the watching thread are gone."""

    async def nothing(_: Request) -> PlainTextResponse:
        return PlainTextResponse("")

    app = Starlette(routes=[Route("/", nothing)])
    app.add_middleware(GuardMiddleware, guards=Guards.production())
    before = set(threading.enumerate())
    for _ in range(2):  # it may start again
        with TestClient(app) as client:
            client.get("/")
            assert watched()
            begun = set(threading.enumerate()) - before
            assert "sqlawait-loop-watch" in {thread.name for thread in begun}
        assert not watched()
        assert not any(thread.is_alive() for thread in begun)


def test_where_all_are_off_nothing_is_wrapped() -> None:
    """SQLAlchemy is as it was, from the application's start to its stop, and its requests are in no scope."""
    seen: list[tuple[bool, object]] = []

    async def look(_: Request) -> PlainTextResponse:
        seen.append((watched(), current_scope()))
        return PlainTextResponse("")

    app = Starlette(routes=[Route("/", look)])
    app.add_middleware(GuardMiddleware, guards=Guards.parse("off"))
    with TestClient(app) as client:
        assert client.get("/").status_code == 200
    assert seen == [(False, None)]


async def test_two_applications_keep_their_own_settings(findings: Findings) -> None:
    """One logs what the other raises, in one process and at the same time."""
    strict = make_app(Guards.development())
    lenient = make_app(Guards.production(observers=[findings]))
    answers = await asyncio.gather(*(get(app) for _ in range(5) for app in (strict, lenient)))
    assert answers == [500, 200] * 5
    assert [finding.guard for finding in findings] == ["blocked-loop"] * 5


async def test_a_task_of_the_lifespan_may_go_on_for_ever(engine: AsyncEngine, findings: Findings) -> None:
    """What it does again and again over days is not added up, and its blocks are told."""
    polled = asyncio.Event()
    blocking = create_engine("sqlite://")
    tasks: list[asyncio.Task[None]] = []

    async def poll() -> None:
        for number in range(1, 12):
            async with AsyncSession(engine) as session:
                await session.get(Customer, number)
        with Session(blocking) as session:
            session.execute(text("SELECT 1"))
        polled.set()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "lifespan.startup.complete"})
        tasks.append(asyncio.create_task(poll()))
        await polled.wait()
        await receive()

    async def receive() -> dict[str, str]:
        return {"type": "lifespan.startup" if not polled.is_set() else "lifespan.shutdown"}

    async def send(_: object) -> None:
        pass

    await GuardMiddleware(app, Guards(observers=[findings]))({"type": "lifespan"}, receive, send)
    await tasks[0]
    blocking.dispose()
    assert [finding.guard for finding in findings] == ["blocked-loop"]
    assert "(SELECT)" in findings[0].message
