"""An application with every mistake in it, its inspector, a server, and a browser."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI
from httpx import ASGITransport, AsyncClient
from playwright.sync_api import Browser, sync_playwright

from sqlawait.guards import Guards, Limits
from sqlawait.inspector import Inspector
from sqlawait.inspector.mistakes import router

TOKEN = "a-token-of-the-tests"
QUICK = Limits(blocked_after=0.1, idle_after=0.3)


def make_app() -> tuple[FastAPI, Inspector]:
    """The application, as ``sqlawait serve --demo-mistakes`` has it."""
    app = FastAPI()
    app.include_router(router)

    @app.get("/health")
    async def health() -> str:
        return "ok"

    inspector = Inspector(Guards(limits=QUICK), token=TOKEN)
    inspector.mount(app)
    return app, inspector


def local(app: FastAPI, **headers: str) -> AsyncClient:
    """A client on this machine, with the token."""
    return AsyncClient(
        transport=ASGITransport(app, client=("127.0.0.1", 50_000), raise_app_exceptions=False),
        base_url="http://127.0.0.1:8000",
        headers={"authorization": f"Bearer {TOKEN}", **headers},
    )


@asynccontextmanager
async def started(app: FastAPI) -> AsyncIterator[AsyncClient]:
    """The application between its start and its stop, as a server would have it."""
    says: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    hears: asyncio.Queue[Any] = asyncio.Queue()
    says.put_nowait({"type": "lifespan.startup"})
    life = asyncio.create_task(app({"type": "lifespan", "state": {}}, says.get, hears.put))  # type: ignore[arg-type]
    assert (await hears.get())["type"] == "lifespan.startup.complete"
    async with local(app) as client:
        yield client
    says.put_nowait({"type": "lifespan.shutdown"})
    await life


@pytest.fixture
def server() -> Iterator[str]:
    """The application on a port of its own; gives its address."""
    app, _ = make_app()
    config = uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as sock:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]})
        thread.start()
        yield f"http://127.0.0.1:{sock.getsockname()[1]}"
        server.should_exit = True
        thread.join(20)
    assert not thread.is_alive()


@pytest.fixture(scope="module")  # it keeps a loop running in this thread: other modules need theirs
def browser() -> Iterator[Browser]:
    """Debian's Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium",
            args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
        )
        yield browser
        browser.close()
