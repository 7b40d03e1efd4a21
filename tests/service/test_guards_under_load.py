"""The service under mixed load gives its guards nothing to say: every route, 32 clients at once.

``SIGHT_SECONDS=180`` makes it a long run; ``SIGHT_SEED`` another one.
"""

from __future__ import annotations

import asyncio
import os
import random
import secrets
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient

from sqlawait.events import Finding, RequestFinished, StatementRan
from sqlawait.service.main import create_app
from sqlawait.service.settings import Settings

CLIENTS = 32
SECONDS = float(os.environ.get("SIGHT_SECONDS", "0"))
SEED = int(os.environ.get("SIGHT_SEED", "4"))
AT_LEAST = 16
"""Steps of each client, however long the run is: each kind of them once."""


class Seen:
    """An observer: what was found, and which routes ran."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.routes: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.statements = 0

    def __call__(self, event: object) -> None:
        """Keep an event."""
        if isinstance(event, Finding):
            self.findings.append(event)
        elif isinstance(event, StatementRan):
            self.statements += 1
        elif isinstance(event, RequestFinished):
            self.routes[f"{event.method} {event.route}"] += 1
            if event.status is None or event.status >= 500:
                self.failed[f"{event.method} {event.route} {event.status} {event.error}"] += 1


@pytest.fixture
def seen() -> Seen:
    """What the guards tell."""
    return Seen()


@pytest.fixture
async def guarded(service_url: str, emptied: None, seen: Seen) -> AsyncIterator[FastAPI]:
    """The service as in production: every guard logs."""
    app = create_app(Settings(database_url=service_url, guards="log"))
    app.state.guards.observers.append(seen)
    async with app.router.lifespan_context(app):
        yield app


class Visitor:
    """One client: it makes things of its own, and reads, changes and deletes anybody's."""

    def __init__(self, client: AsyncClient, number: int) -> None:
        self._client = client
        self._dice = random.Random(SEED * 1_000 + number)
        self._ids: dict[str, list[int]] = {"users": [], "items": [], "categories": [], "accounts": []}
        self._ids |= {"documents": [], "transfers": []}

    async def visit(self, end: float) -> None:
        """Ask until the time is up, each kind of thing in turn first."""
        loop = asyncio.get_running_loop()
        for make in (self._user, self._category, self._item, self._account, self._account, self._document):
            await make()
        steps = [
            self._user, self._item, self._category, self._account, self._document, self._transfer,
            self._post, self._change, self._delete, self._list, self._list, self._read, self._read, self._read,
            self._search, self._operations,
        ]  # fmt: skip
        order = self._dice.sample(steps, len(steps))
        count = 0
        while count < AT_LEAST or loop.time() < end:
            await (order[count] if count < len(order) else self._dice.choice(steps))()
            count += 1

    async def _make(self, kind: str, path: str, **body: Any) -> None:
        answer = await self._client.post(path, json=body)
        if answer.status_code == 201:
            self._ids[kind].append(answer.json()["id"])

    def _any(self, kind: str) -> int:
        return self._dice.choice(self._ids[kind] or [1])

    async def _user(self) -> None:
        await self._make("users", "/users", email=f"{secrets.token_hex(8)}@example.com", name="Ada")

    async def _category(self) -> None:
        await self._make("categories", "/categories", name=secrets.token_hex(8))

    async def _item(self) -> None:
        category = self._any("categories")
        await self._make("items", "/items", name="Thing", price="1.50", category_id=category)

    async def _account(self) -> None:
        await self._make("accounts", "/accounts", user_id=self._any("users"), balance="100.00")

    async def _document(self) -> None:
        await self._make("documents", "/documents", title="On loops", text="An event loop turns.")

    async def _transfer(self) -> None:
        source, target = self._any("accounts"), self._any("accounts")
        await self._make("transfers", "/transfers", source_id=source, target_id=target, amount="0.50")

    async def _post(self) -> None:
        await self._client.post(f"/users/{self._any('users')}/posts", json={"title": "Notes"})

    async def _change(self) -> None:
        await self._client.patch(f"/users/{self._any('users')}", json={"name": "Grace"})
        await self._client.put(f"/items/{self._any('items')}", json={"name": "Other", "price": "2.00"})
        await self._client.put(f"/categories/{self._any('categories')}", json={"name": secrets.token_hex(8)})

    async def _delete(self) -> None:
        for kind in ("items", "documents", "categories", "users"):
            if len(self._ids[kind]) > 1:
                await self._client.delete(f"/{kind}/{self._ids[kind].pop()}")

    async def _list(self) -> None:
        paths = ["/users?limit=20", "/items?limit=20", "/categories", "/accounts", "/users/export"]
        paths += [f"/users/{self._any('users')}/posts", f"/accounts/{self._any('accounts')}/ledger"]
        await self._client.get(self._dice.choice(paths))

    async def _read(self) -> None:
        kind = self._dice.choice([kind for kind, ids in self._ids.items() if ids])
        await self._client.get(f"/{kind}/{self._any(kind)}")
        await self._client.get(f"/users/{self._any('users')}/combined")

    async def _search(self) -> None:
        await self._client.post("/documents/search", json={"text": "loops", "k": 3})

    async def _operations(self) -> None:
        for path in ("/health/live", "/health/ready", "/metrics", "/reports/accounts"):
            await self._client.get(path)


async def test_mixed_load_finds_nothing(guarded: FastAPI, seen: Seen) -> None:
    """Every operation of the API, all at once, and not one finding: of no guard, on no database."""
    end = asyncio.get_running_loop().time() + SECONDS
    transport = ASGITransport(guarded, raise_app_exceptions=False)
    async with AsyncClient(transport=transport, base_url="http://service", timeout=60) as client:
        visitors = [Visitor(client, number) for number in range(CLIENTS)]
        await asyncio.gather(*(visitor.visit(end) for visitor in visitors))
    if SECONDS:
        print(f"{seen.routes.total()} requests, {seen.statements} statements, {seen.failed or 'no'} failures")
    findings = seen.findings
    if not SECONDS:  # beside other tests, what is found by time says as much of the machine as of the code
        findings = [one for one in findings if not (one.guard == "blocked-loop" and one.seconds)]
    assert [finding.message for finding in findings] == []
    operations = {
        f"{method.upper()} {path}" for path, methods in guarded.openapi()["paths"].items() for method in methods
    }
    assert operations - set(seen.routes) == set()
    assert seen.statements > seen.routes.total()
