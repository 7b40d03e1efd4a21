"""An application of plain SQLAlchemy, without a line of the library's own, under all guards."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from sqlalchemy import create_engine, make_url, select
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker
from sqlalchemy.orm import Session
from tests.guards.shop import Customer, Findings, Order

from sqlawait.exceptions import ConfigurationError
from sqlawait.guards import GuardMiddleware, Guards, Limits

MISTAKES = {
    "lazy-load": "add .options(selectinload(Customer.orders)) to the select at",
    "n-plus-one": "read them all at once: select(Customer).where(Customer.id.in_(values))",
    "shared-session": "session.parallel",
    "blocked-loop": "runs on the event loop",
    "leaked-connection": "close the session: async with",
    "held": "commit and end the session before the wait",
    "slow": "await asyncio.to_thread(function)",
}


def make_app(engine: AsyncEngine, guards: Guards) -> FastAPI:
    """One route a mistake."""
    sessions = async_sessionmaker(engine, expire_on_commit=False)
    blocking = create_engine(make_url(str(engine.url)).set(drivername="sqlite"))
    kept: list[Any] = []

    async def lazy_load() -> None:
        async with sessions() as session:
            customer = (await session.scalars(select(Customer))).first()
            assert customer is not None
            customer.orders  # noqa: B018 # the mistake

    async def n_plus_one() -> None:
        async with sessions() as session:
            for number in range(1, 11):
                await session.get(Customer, number)

    async def shared_session() -> None:
        async with sessions() as session:
            await session.connection()
            both = session.get(Customer, 1), session.get(Order, 1)
            for outcome in await asyncio.gather(*both, return_exceptions=True):
                if isinstance(outcome, BaseException):
                    raise outcome

    async def blocked_loop() -> None:
        with Session(blocking) as session:
            session.get(Customer, 1)

    async def leaked_connection() -> None:
        session = sessions()
        kept.append(session)
        await session.get(Customer, 1)

    async def held() -> None:
        async with sessions() as session:
            await session.get(Customer, 1)
            found = asyncio.Event()
            guards.observers.append(lambda _: found.set())
            await asyncio.wait_for(found.wait(), 60)

    async def slow() -> None:
        time.sleep(1)  # noqa: ASYNC251 # the mistake

    async def tidy() -> None:
        while kept:
            await kept.pop().close()
        blocking.dispose()

    app = FastAPI()
    routes: dict[str, Callable[[], Awaitable[None]]] = {
        "lazy-load": lazy_load,
        "n-plus-one": n_plus_one,
        "shared-session": shared_session,
        "blocked-loop": blocked_loop,
        "leaked-connection": leaked_connection,
        "held": held,
        "slow": slow,
        "tidy": tidy,
    }
    for path, route in routes.items():
        app.get(f"/{path}")(route)
    app.add_middleware(GuardMiddleware, guards=guards)
    return app


@pytest.mark.parametrize("mistake", MISTAKES)
async def test_each_mistake_is_found_once(engine: AsyncEngine, findings: Findings, mistake: str) -> None:
    """With its request, its line in the application, and its fix; the guard stops it where it can."""
    limits = Limits(blocked_after=0.05, idle_after=0.1)
    app = make_app(engine, Guards.development(observers=[findings], limits=limits))
    transport = ASGITransport(app, raise_app_exceptions=False)
    async with AsyncClient(transport=transport, base_url="http://shop") as client:
        await client.get(f"/{mistake}")
        await client.get("/tidy")
    of_this = [
        one for one in findings if not (one.guard == "blocked-loop" and mistake != "slow" and one.seconds)
    ]
    (finding,) = of_this
    assert finding.where == f"GET /{mistake}"
    assert MISTAKES[mistake] in finding.message
    assert finding.site is not None
    assert finding.site.file.endswith("test_plain_application.py")


def test_guards_by_a_setting_of_the_environment() -> None:
    """One word for all of them, and exceptions by name."""
    assert set(Guards.parse("off").actions.values()) == {"off"}
    assert set(Guards.parse("log").actions.values()) == {"log"}
    assert Guards.parse("raise").actions == Guards.development().actions
    chosen = Guards.parse("raise, n-plus-one=off, blocked-loop=log").actions
    assert (chosen["lazy-load"], chosen["n-plus-one"], chosen["blocked-loop"]) == ("raise", "off", "log")


@pytest.mark.parametrize("text", ["", "loud", "raise, n+1=off", "raise, n-plus-one", "log, lazy-load=never"])
def test_a_setting_that_means_nothing_is_refused(text: str) -> None:
    """It names what may be said."""
    with pytest.raises(ConfigurationError, match=r"use off, log or raise|use one of"):
        Guards.parse(text)
