"""Reports over the bridge, and exports of any size."""

from __future__ import annotations

import json
import time
import tracemalloc
from asyncio import create_task
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import AsyncClient
from sqlalchemy.orm import Session

from sqlawait.service.models import User
from sqlawait.service.routers import reports

Make = Callable[..., Awaitable[dict[str, Any]]]


async def test_a_report_sums_up_each_account(client: AsyncClient, make: Make, user: dict[str, Any]) -> None:
    """What the synchronous code sees is what the asynchronous code has committed."""
    a, b = [(await make("/accounts", user_id=user["id"], balance="10.00"))["id"] for _ in range(2)]
    await make("/transfers", source_id=a, target_id=b, amount="2.50")
    assert (await client.get("/reports/accounts")).json() == [
        {"account_id": a, "entries": 2, "received": "10.00", "spent": "2.50", "median": "3.75"},
        {"account_id": b, "entries": 2, "received": "12.50", "spent": "0.00", "median": "6.25"},
    ]


async def test_a_slow_report_slows_no_other_request(
    client: AsyncClient, user: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the report blocks its thread, reads are answered; the report is answered after them."""
    answered = 0

    def slow(session: Session) -> list[Any]:
        deadline = time.monotonic() + 20
        while answered < 20 and time.monotonic() < deadline:
            time.sleep(0.001)  # blocks the thread that it runs in, as a driver or a computation would
        return [] if answered == 20 else [None]

    monkeypatch.setattr(reports, "account_summaries", slow)
    report = create_task(client.get("/reports/accounts"))
    for _ in range(20):
        assert (await client.get(f"/users/{user['id']}")).status_code == 200
        answered += 1
    assert (await report).json() == []


async def test_an_export_is_one_user_a_line(client: AsyncClient, make: Make) -> None:
    """Newline-delimited JSON, in order, each line as the API shows a user."""
    users = [await make("/users", email=f"{n}@example.com", name=f"User {n}") for n in range(3)]
    answer = await client.get("/users/export")
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert [json.loads(line) for line in answer.text.splitlines()] == users


async def test_an_export_takes_the_memory_of_a_batch(app: FastAPI) -> None:
    """Ten thousand users are sent in a fraction of the memory that they take together."""
    async with app.state.sqlawait.transaction() as session:
        rows = ({"email": f"{n}@example.com", "name": "x" * 90} for n in range(10_000))
        await session.bulk_insert(User, rows)
    streamed = await peak(drain(app))
    async with app.state.sqlawait.session() as session:
        together = await peak(session.find_all(User))
    assert streamed < together / 2


async def peak(work: Awaitable[Any]) -> int:
    """The most memory that Python holds for a piece of work, in bytes."""
    tracemalloc.start()
    try:
        await work
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


async def drain(app: FastAPI) -> None:
    """Ask for the export as a server would, and keep nothing of it."""
    lines = 0

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        nonlocal lines
        lines += message.get("body", b"").count(b"\n")

    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": "/users/export",
        "raw_path": b"/users/export",
        "query_string": b"",
        "root_path": "",
        "headers": [],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
        "state": {},
    }
    await app(scope, receive, send)
    assert lines == 10_000
