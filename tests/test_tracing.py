"""Spans of statements."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode
from pydantic import BaseModel
from sqlalchemy import event, select, text
from sqlalchemy.exc import DBAPIError

from models import Base, User
from sqlawait import Database
from sqlawait.metrics import Metrics
from sqlawait.tracing import operation_of, trace_statements


class UserOut(BaseModel):
    """What is read of a user."""

    id: int


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    """Where finished spans arrive."""
    return InMemorySpanExporter()


@pytest.fixture
def provider(exporter: InMemorySpanExporter) -> Iterator[TracerProvider]:
    """A provider that hands each span over as it ends."""
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    yield provider
    provider.shutdown()


async def test_a_statement_has_a_span_under_the_current_one(
    url: str, provider: TracerProvider, exporter: InMemorySpanExporter
) -> None:
    """It says what ran where, with placeholders for the values."""
    async with Database(url) as db:
        trace_statements(db.engine.sync_engine, provider=provider)
        with provider.get_tracer("test").start_as_current_span("outer") as outer:
            async with db.session() as session:
                await session.execute(text("SELECT :secret AS x"), {"secret": "a value"})
    span = next(span for span in exporter.get_finished_spans() if span.name == "SELECT")
    assert span.parent == outer.get_span_context()
    assert span.attributes is not None
    assert span.attributes["db.system.name"] == db.dialect
    assert span.attributes["db.operation.name"] == "SELECT"
    assert "a value" not in span.to_json()


@pytest.mark.parametrize("name", ["sqlite", "postgresql"])
async def test_a_shaped_read_is_seen_on_its_short_way(
    name: str, request: pytest.FixtureRequest, provider: TracerProvider, exporter: InMemorySpanExporter
) -> None:
    """Traced and timed it goes to the driver itself all the same: no transaction is begun for it."""
    begun: list[object] = []
    metrics = Metrics()
    async with Database(request.getfixturevalue(f"{name}_url")) as db:
        await db.create_all(Base.metadata)
        async with db.reader() as session:
            await session.json_all(User, UserOut)  # the first one looks which server it is
        trace_statements(db.engine.sync_engine, provider=provider)
        metrics.time_statements(db.engine.sync_engine)
        event.listen(db.engine.sync_engine, "begin", begun.append)
        async with db.reader() as session:
            await session.json_all(User, UserOut)
            with pytest.raises(DBAPIError):
                await session.json_all(select(User).where(text("nothing_here = 1")), UserOut)
    read, failed = [span for span in exporter.get_finished_spans() if span.name == "SELECT"]
    assert read.attributes is not None
    assert "users" in str(read.attributes["db.query.text"])
    assert (read.status.status_code, failed.status.status_code) == (StatusCode.UNSET, StatusCode.ERROR)
    assert b'db_statement_duration_seconds_count{operation="SELECT"} 1.0' in metrics.render()
    assert begun == []


async def test_a_failed_statement_is_a_failed_span(
    url: str, provider: TracerProvider, exporter: InMemorySpanExporter
) -> None:
    """It says the class of the error; the driver's message may quote values and is left out."""
    async with Database(url) as db:
        trace_statements(db.engine.sync_engine, provider=provider)
        async with db.session() as session:
            with pytest.raises(DBAPIError):
                await session.execute(text("SELECT * FROM nowhere"))
    (failed,) = [span for span in exporter.get_finished_spans() if span.status.status_code is StatusCode.ERROR]
    assert failed.name == "SELECT"
    assert not failed.events
    assert failed.status.description is None


async def test_without_a_provider_nothing_is_recorded(url: str) -> None:
    """Tracing that nobody set up neither fails nor leaves anything behind on the connection."""
    async with Database(url) as db:
        trace_statements(db.engine.sync_engine)
        async with db.engine.connect() as connection:
            await connection.execute(text("SELECT 1"))
            assert "sqlawait_span" not in (await connection.get_raw_connection()).info


def test_an_operation_is_one_of_a_few_words() -> None:
    """So that it can label a series."""
    assert [operation_of(statement) for statement in STATEMENTS] == list(STATEMENTS.values())


STATEMENTS = {
    "SELECT 1": "SELECT",
    "  with a as (select 1) select * from a": "SELECT",
    "(SELECT 1) UNION (SELECT 2)": "SELECT",
    "SET STATEMENT max_statement_time = 0 FOR SELECT 1": "SELECT",
    "INSERT INTO users VALUES (?)": "INSERT",
    "update users set name = ?": "UPDATE",
    "DELETE FROM users": "DELETE",
    "SET TRANSACTION READ ONLY": "OTHER",
    "": "OTHER",
}
