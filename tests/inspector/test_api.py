"""The JSON behind the page: what ran, where the time went, plans, groups, loop, pools, events."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from fastapi import FastAPI
from httpx import AsyncClient
from sqlalchemy import select
from tests.inspector.conftest import TOKEN, make_app, started
from tests.models import Post, User

from sqlawait import Database
from sqlawait.fastapi import SessionDep, install
from sqlawait.guards import Guards
from sqlawait.inspector import Inspector

API = "/_sqlawait/api"


async def get(client: AsyncClient, path: str) -> Any:
    answer = await client.get(f"{API}/{path}")
    assert answer.status_code == 200, answer.text
    return answer.json()


def shop(db: Database, **options: Any) -> FastAPI:
    """An application with an honest route."""
    app = FastAPI()
    install(app, db)

    @app.get("/users/{email}")
    async def read(email: str, session: SessionDep) -> int:
        return len(await session.all(select(User).where(User.email == email)))

    Inspector(Guards(**options), token=TOKEN).mount(app)
    return app


async def test_a_request_with_its_statements(db: Database) -> None:
    """Method, route, status, times and each statement with its line; no bind values."""
    async with started(shop(db)) as client:
        answer = await client.get("/users/ada@example.com")
        assert answer.headers["server-timing"].startswith("db;dur=")
        (request,) = await get(client, "requests")
        detail = await get(client, f"requests/{request['id']}")
    assert (request["method"], request["route"], request["status"]) == ("GET", "/users/{email}", 200)
    assert request["ms"] >= request["database_ms"] > 0
    assert request["pool_ms"] > 0
    parts = request["database_ms"] + request["pool_ms"] + request["blocked_ms"] + request["rest_ms"]
    assert parts >= request["ms"] * 0.95
    statement = next(one for one in detail["statements"] if "FROM users" in one["sql"])
    assert statement["site"].split(":")[0].endswith("test_api.py")
    assert statement["rows"] == 0
    assert statement["error"] is None
    assert "ada@example.com" not in json.dumps(detail).replace("/users/ada@example.com", "")


async def test_bind_values_only_when_they_are_asked_for(db: Database) -> None:
    """Switched on by hand they are there."""
    async with started(shop(db, bind_values=True)) as client:
        await client.get("/users/ada@example.com")
        (request,) = await get(client, "requests")
        detail = await get(client, f"requests/{request['id']}")
    assert "ada@example.com" in json.dumps([one["parameters"] for one in detail["statements"]])


async def test_a_plan_on_demand(db: Database) -> None:
    """A SELECT is explained, never executed; on MySQL only with its values."""
    for values in (False, True):
        async with started(shop(db, bind_values=values)) as client:
            await client.get("/users/ada@example.com")
            (request,) = await get(client, "requests")
            detail = await get(client, f"requests/{request['id']}")
            statement = next(one for one in detail["statements"] if "FROM users" in one["sql"])
            plan = f"{API}/requests/{request['id']}/statements/{statement['number']}/plan"
            answer = await client.get(plan)
            if db.dialect == "mysql" and not values:
                assert (statement["can_explain"], answer.status_code) == (False, 409)
                continue
            assert answer.status_code == 200, answer.text
            assert answer.json()["lines"]


async def test_only_a_select_is_explained(db: Database) -> None:
    """A write, several statements, and what is no longer kept are refused."""
    app = shop(db)

    @app.post("/users")
    async def create(session: SessionDep) -> int:
        return (await session.create(User, email="ada@example.com", posts=[Post(title="Hello")])).id

    async with started(app) as client:
        assert (await client.post("/users")).status_code == 200
        (request,) = await get(client, "requests")
        detail = await get(client, f"requests/{request['id']}")
        insert = next(one for one in detail["statements"] if "INSERT" in one["sql"])
        assert not insert["can_explain"]
        base = f"{API}/requests/{request['id']}/statements"
        assert (await client.get(f"{base}/{insert['number']}/plan")).status_code == 409
        assert (await client.get(f"{base}/999/plan")).status_code == 404
        assert (await client.get(f"{API}/requests/unknown")).status_code == 404


@pytest.mark.filterwarnings("ignore:coroutine 'Connection.cursor' was never awaited:RuntimeWarning")
async def test_groups_findings_statements_loop_and_pools() -> None:
    """Everything that the page shows can be read by a script."""
    app, _ = make_app()
    async with started(app) as client:
        for _ in range(3):
            await client.get("/mistakes/n-plus-one")
        await client.get("/mistakes/lazy-load")
        await client.get("/mistakes/leaked-connection")
        for _ in range(20):  # on a busy machine the watch reports only what it could see for sure
            await client.get("/mistakes/blocking-call")
            if any("mistakes.py" in (one["site"] or "") for one in (await get(client, "loop"))["blocked"]):
                break
        groups = await get(client, "groups")
        findings = await get(client, "findings")
        statements = await get(client, "statements")
        loop = await get(client, "loop")
        pools = await get(client, "pools")
    assert [(group["requests"], group["executions"]) for group in groups] == [(3, 36)]
    assert groups[0]["fix"] == "select(Author).where(Author.id.in_(values))"
    expected = {"n-plus-one", "lazy-load", "leaked-connection", "blocked-loop"}
    assert {finding["guard"] for finding in findings} == expected
    assert any(one["count"] == 36 for one in statements)
    assert loop["samples"] > 0
    assert loop["max_ms"] > 100
    assert any("mistakes.py" in (one["site"] or "") for one in loop["blocked"])
    (pool,) = [one for one in pools if one["out"]]
    assert pool["holders"][0]["where"] == "GET /mistakes/leaked-connection"


async def test_events_as_they_come() -> None:
    """The stream tells of each request and finding as it comes, ticks, and ends by itself."""
    app, _ = make_app()
    async with started(app) as client:
        await client.get("/health")  # the watch begins
        reading = asyncio.create_task(client.get(f"{API}/events"))
        await asyncio.sleep(0)
        while not reading.done():
            await client.get("/mistakes/n-plus-one")
            await asyncio.wait([reading], timeout=0.2)
        events = [
            line.removeprefix("event: ") for line in reading.result().text.splitlines() if "event: " in line
        ]
    assert {"request", "finding", "tick"} == set(events)


async def test_described_in_openapi() -> None:
    """Each address has a summary and a schema."""
    app, _ = make_app()
    async with started(app) as client:
        schema = await get(client, "openapi.json")
        assert "/_sqlawait" not in json.dumps((await client.get("/openapi.json")).json())
    assert set(schema["paths"]) == {
        f"/api/{name}"
        for name in (
            "requests",
            "requests/{id}",
            "requests/{id}/statements/{number}/plan",
            "groups",
            "statements",
            "findings",
            "loop",
            "pools",
            "events",
        )
    }
    assert all(path["get"]["description"] for path in schema["paths"].values())
