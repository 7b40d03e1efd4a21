"""OpenTelemetry spans for statements."""

from __future__ import annotations

import re
from typing import Any

from opentelemetry.trace import Span, SpanKind, StatusCode, TracerProvider, get_tracer
from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import ExceptionContext

_OPERATION = re.compile(
    r"\W*(?:SET STATEMENT .{1,200}? FOR\s+)?(SELECT|WITH|INSERT|UPDATE|DELETE)\b",  # MariaDB puts options first
    re.IGNORECASE,
)
_SPAN = "sqlawait_span"


def trace_statements(engine: Engine, *, provider: TracerProvider | None = None) -> None:
    """Give each statement of an engine a span, under the span that is current where it is executed.

    The span holds the statement's text, in which values are placeholders, and never the values. Until a
    tracer provider is set up the spans go nowhere, and cost next to nothing.

    Parameters:
        engine: ``db.engine.sync_engine``.
        provider: OpenTelemetry's tracer provider; the global one unless given.
    """
    tracer = get_tracer("sqlawait", tracer_provider=provider)
    system = {"sqlite": "sqlite", "mysql": "mysql", "mariadb": "mariadb"}.get(engine.dialect.name, "postgresql")

    @event.listens_for(engine, "before_cursor_execute")
    def start(connection: Connection, cursor: Any, statement: str, *_: Any) -> None:  # noqa: ARG001
        operation = operation_of(statement)
        connection.info[_SPAN] = span = tracer.start_span(operation, kind=SpanKind.CLIENT)
        if span.is_recording():
            span.set_attributes(
                {
                    "db.system.name": system,
                    "db.namespace": engine.url.database or "",
                    "db.operation.name": operation,
                    "db.query.text": statement,
                }
            )

    @event.listens_for(engine, "after_cursor_execute")
    def end(connection: Connection, *_: Any) -> None:
        span: Span | None = connection.info.pop(_SPAN, None)
        if span is not None:
            span.end()

    @event.listens_for(engine, "handle_error")
    def fail(context: ExceptionContext) -> None:
        span: Span | None = None
        if context.connection is not None:
            span = context.connection.info.pop(_SPAN, None)
        if span is not None:
            # the driver's message may hold values; its class does not
            span.set_attribute("error.type", type(context.original_exception).__name__)
            span.set_status(StatusCode.ERROR)
            span.end()


def operation_of(statement: str) -> str:
    """What a statement does, in one of a few words: SELECT, INSERT, UPDATE, DELETE or OTHER."""
    found = _OPERATION.match(statement)
    return found[1].upper().replace("WITH", "SELECT") if found else "OTHER"


__all__ = ["operation_of", "trace_statements"]
