"""The inspector's routes: JSON of what the collector holds, a stream of what is new, and the page."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Sequence
from importlib.resources import files
from time import perf_counter
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.responses import HTMLResponse, JSONResponse, StreamingResponse

from sqlawait.events import Finding, RequestFinished, RequestStarted
from sqlawait.guards import blocked_loop
from sqlawait.guards.held import Held, held_now, waiting_now
from sqlawait.inspector.collector import Collector
from sqlawait.inspector.explain import DBAPIError, can_explain, explain
from sqlawait.inspector.schemas import (
    FindingOut,
    GroupOut,
    HolderOut,
    LoopOut,
    Plan,
    PoolOut,
    RequestDetail,
    RequestOut,
    StatementOut,
    TotalOut,
)

STREAM_SECONDS = 5.0
"""A stream ends by itself and the page opens the next: a server that stops does not wait for open pages."""
_TICK_SECONDS = 1.0

Limit = Annotated[int, Query(ge=1, le=500)]


def _collector(request: Request) -> Collector:
    collector: Collector = request.app.state.collector
    return collector


Kept = Annotated[Collector, Depends(_collector)]
router = APIRouter()


@router.get("/", include_in_schema=False)
async def page() -> HTMLResponse:
    nonce = secrets.token_urlsafe(16)
    html = (files("sqlawait.inspector") / "page.html").read_text("utf-8").replace("{{nonce}}", nonce)
    policy = (
        f"default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self';"
        " img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    headers = {
        "content-security-policy": policy,
        "cache-control": "no-store",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
    }
    return HTMLResponse(html, headers=headers)


@router.get("/api/openapi.json", include_in_schema=False)
async def schema(request: Request) -> JSONResponse:
    return JSONResponse(request.app.openapi())


@router.get("/api/requests")
async def requests(collector: Kept, limit: Limit = 100) -> list[RequestOut]:
    """The last requests, newest first."""
    return [RequestOut.of(trace) for trace in collector.requests()[:limit]]


@router.get("/api/requests/{id}")
async def request(collector: Kept, id: str) -> RequestDetail:  # noqa: A002 # the API's word
    """One request with its statements."""
    trace = collector.request(id)
    if trace is None:
        raise HTTPException(404, "this request is no longer kept")
    return RequestDetail(
        request=RequestOut.of(trace),
        statements=[
            StatementOut.of(number, statement, can_explain=can_explain(statement))
            for number, statement in enumerate(trace.statements)
        ],
        dropped=trace.dropped,
        findings=[FindingOut.of(finding) for finding in trace.findings],
    )


@router.get("/api/requests/{id}/statements/{number}/plan")
async def plan(collector: Kept, id: str, number: int) -> Plan:  # noqa: A002 # the API's word
    """What the database would do for a SELECT; it is not executed."""
    trace = collector.request(id)
    if trace is None or not 0 <= number < len(trace.statements):
        raise HTTPException(404, "this statement is no longer kept")
    statement = trace.statements[number]
    if not can_explain(statement):
        raise HTTPException(409, "only a SELECT can be explained, on MySQL only with its bind values")
    try:
        return await explain(statement)
    except DBAPIError as error:
        raise HTTPException(409, f"the database does not explain it ({type(error.orig).__name__})") from None


@router.get("/api/groups")
async def groups(collector: Kept) -> list[GroupOut]:
    """The N+1 groups, the costliest first."""
    return [GroupOut.of(group) for group in collector.groups()]


@router.get("/api/statements")
async def statements(collector: Kept, limit: Limit = 50) -> list[TotalOut]:
    """The statements with the slowest executions."""
    return [TotalOut.of(total) for total in collector.slowest(limit)]


@router.get("/api/findings")
async def findings(collector: Kept, limit: Limit = 100) -> list[FindingOut]:
    """What the guards caught, newest first."""
    return [FindingOut.of(finding) for finding in collector.findings()[:limit]]


@router.get("/api/loop")
async def loop(collector: Kept) -> LoopOut:
    """The event loop's lag, and the lines that blocked it."""
    return loop_now(collector)


@router.get("/api/pools")
async def pools(collector: Kept) -> list[PoolOut]:
    """The pools now: who holds a connection, who waits."""
    return pools_now(collector)


@router.get("/api/events", response_class=StreamingResponse)
async def events(collector: Kept) -> StreamingResponse:
    """Server-sent events: ``request``, ``finding``, and ``tick`` with loop and pools once a second."""
    return StreamingResponse(
        _stream(collector), media_type="text/event-stream", headers={"cache-control": "no-store"}
    )


def loop_now(collector: Collector) -> LoopOut:
    """The event loop's figures."""
    lags = blocked_loop.lags()
    ordered = sorted(lags) or [0.0]
    return LoopOut(
        samples=len(lags),
        p50_ms=round(ordered[len(ordered) // 2] * 1000, 2),
        p99_ms=round(ordered[int(len(ordered) * 0.99)] * 1000, 2),
        max_ms=round(ordered[-1] * 1000, 2),
        recent_ms=[round(lag * 1000, 2) for lag in lags[-120:]],
        blocked=[FindingOut.of(one) for one in collector.findings() if one.guard == "blocked-loop"][:50],
    )


def pools_now(collector: Collector) -> list[PoolOut]:
    """Each pool with its holders and waiters."""
    engines = {id(engine.pool): engine for engine in collector.engines()}
    return [
        PoolOut(
            database=engine.url.render_as_string(hide_password=True),
            size=_size(engine.pool),
            out=len(holders),
            holders=holders,
            waiting=_holders(waiting_now(), engine.pool),
        )
        for engine in engines.values()
        for holders in [_holders(held_now(), engine.pool)]
    ]


def _size(pool: Any) -> int | None:
    size: Any = getattr(pool, "size", None)
    return int(size()) if size is not None else None


def _holders(entries: Sequence[Held], pool: Any) -> list[HolderOut]:
    now = perf_counter()
    return [
        HolderOut(
            where=entry.scope.label if entry.scope is not None else "outside of a request",
            site=str(entry.site) if entry.site else None,
            ms=round((now - entry.since) * 1000, 1),
        )
        for entry in sorted(entries, key=lambda entry: entry.since)
        if entry.pool is pool
    ]


async def _stream(collector: Collector) -> AsyncIterator[str]:
    subscriber = collector.subscribe()
    loop = asyncio.get_running_loop()
    end, tick = loop.time() + STREAM_SECONDS, loop.time()
    try:
        yield "retry: 300\n\n"
        while (now := loop.time()) < end:
            if now >= tick:
                tick = now + _TICK_SECONDS
                yield _event("tick", {"loop": loop_now(collector), "pools": pools_now(collector)})
            try:
                async with asyncio.timeout_at(max(tick, now + 0.001)):
                    event = await subscriber.queue.get()
            except TimeoutError:
                continue
            told = _told(collector, event)
            if told is not None:
                yield _event(*told)
    finally:
        collector.unsubscribe(subscriber)


def _told(collector: Collector, event: object) -> tuple[str, Any] | None:
    if isinstance(event, Finding):
        return "finding", FindingOut.of(event)
    if isinstance(event, RequestStarted | RequestFinished):
        trace = collector.request(event.id)
        return ("request", RequestOut.of(trace)) if trace is not None else None
    return None


def _event(name: str, data: Any) -> str:
    def plain(value: Any) -> Any:
        return value.model_dump(mode="json")

    return f"event: {name}\ndata: {json.dumps(data, default=plain)}\n\n"


__all__ = ["STREAM_SECONDS", "loop_now", "pools_now", "router"]
