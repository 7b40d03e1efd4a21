"""What those who run the service see: health, metrics, spans, the page of routes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from httpx2 import ASGITransport, AsyncClient
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from sqlawait.service.main import create_app
from sqlawait.service.settings import Settings


async def test_a_running_service_is_live_and_ready(client: AsyncClient) -> None:
    """Both answer 200 while the database answers."""
    for path in "/health/live", "/health/ready":
        answer = await client.get(path)
        assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


async def test_a_service_without_its_database_is_live_and_not_ready() -> None:
    """Live asks nothing; ready answers 503 with the kind of failure and no address."""
    app = create_app(Settings(database_url="postgresql://nobody:secret@127.0.0.1:9/nowhere"))
    async with AsyncClient(transport=ASGITransport(app), base_url="http://service") as client:
        assert (await client.get("/health/live")).status_code == 200
        answer = await client.get("/health/ready")
    assert (answer.status_code, answer.json()) == (503, {"status": "away"})


async def test_metrics_count_requests_by_route_and_statements_by_kind(
    client: AsyncClient, user: dict[str, Any]
) -> None:
    """A request counts under its route's template, so that a million users are one series."""
    for number in range(3):
        await client.get(f"/users/{user['id'] + number}")
    await client.get("/nowhere")
    numbers = await client.get("/metrics")
    assert numbers.headers["content-type"].startswith("text/plain; version=0.0.4")
    counted = dict(re.findall(r"^(\S+_count\S*) (\S+)$", numbers.text, re.MULTILINE))
    route = 'http_request_duration_seconds_count{method="GET",route="/users/{user_id}",status="%s"}'
    assert (counted[route % 200], counted[route % 404]) == ("1.0", "2.0")
    assert counted['http_request_duration_seconds_count{method="GET",route="",status="404"}'] == "1.0"
    assert float(counted['db_statement_duration_seconds_count{operation="SELECT"}']) >= 3
    assert float(counted['db_statement_duration_seconds_count{operation="INSERT"}']) >= 1


async def test_statements_have_spans_where_a_provider_is_set_up(
    spans: InMemorySpanExporter, client: AsyncClient, user: dict[str, Any]
) -> None:
    """A request's statements are in the trace, each with its text and without its values."""
    statements = [span for span in spans.get_finished_spans() if span.kind is SpanKind.CLIENT]
    assert "INSERT" in {span.name for span in statements}
    assert not [span for span in statements if user["email"] in span.to_json()]
    spans.clear()
    await client.post("/users", json={"email": user["email"], "name": "Impostor"})
    assert not [span for span in spans.get_finished_spans() if user["email"] in span.to_json()]


async def test_the_page_of_routes_needs_no_network(client: AsyncClient) -> None:
    """/docs and everything that it loads come from the service."""
    page = (await client.get("/docs")).text
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(loaded) == 3
    for path in loaded:
        assert "//" not in path
        assert (await client.get(f"/{path}")).status_code == 200
    assert (await client.get("/openapi.json")).json()["info"]["title"] == "sqlawait"


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """What is traced by an application that is made after this."""
    provider, exporter = TracerProvider(), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    # its public setter works once in a process
    monkeypatch.setattr("opentelemetry.trace._TRACER_PROVIDER", provider)
    yield exporter
    provider.shutdown()
