"""OpenTelemetry spans for statements."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from opentelemetry.trace import Span, SpanKind, StatusCode, TracerProvider, get_tracer
from sqlalchemy import Connection, Engine, event
from sqlalchemy.engine import ExceptionContext

from sqlawait.watching import watch

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

    database = engine.url.database or ""

    def span_of(statement: str) -> Span:
        operation = operation_of(statement)
        span = tracer.start_span(operation, kind=SpanKind.CLIENT)
        if span.is_recording():
            span.set_attributes(
                {
                    "db.system.name": system,
                    "db.namespace": database,
                    "db.operation.name": operation,
                    "db.query.text": statement,
                }
            )
        return span

    def start(connection: Connection, _: Any, statement: str, parameters: Any, *__: Any) -> tuple[str, Any]:
        connection.info[_SPAN] = span_of(statement)
        return statement, parameters

    def end(connection: Connection, *_: Any) -> None:
        span: Span | None = connection.info.pop(_SPAN, None)
        if span is not None:
            span.end()

    event.listen(engine, "before_cursor_execute", start, retval=True)  # as it is, without a wrapper
    event.listen(engine, "after_cursor_execute", end)
    watch(lambda _, sql, *__: _Traced(span_of, sql), engine=engine, instead_of=[end])

    @event.listens_for(engine, "handle_error")
    def fail(context: ExceptionContext) -> None:
        span: Span | None = None
        if context.connection is not None:
            span = context.connection.info.pop(_SPAN, None)
        if span is not None:
            _fail(span, context.original_exception)


def _fail(span: Span, error: BaseException) -> None:
    # the driver's message may hold values; its class does not
    span.set_attribute("error.type", type(error).__name__)
    span.set_status(StatusCode.ERROR)
    span.end()


class _Traced:
    """A shaped read's statement, which goes past SQLAlchemy's events."""

    def __init__(self, span_of: Callable[[str], Span], sql: str) -> None:
        self._span_of = span_of
        self._sql = sql
        self._span: Span | None = None

    def sent(self) -> None:
        """It is on its way."""
        self._span = self._span_of(self._sql)

    def ended(self, rows: int | None, error: BaseException | None) -> None:  # noqa: ARG002
        """It was answered, or has failed."""
        if self._span is None:
            return
        if error is None:
            self._span.end()
        else:
            _fail(self._span, getattr(error, "orig", None) or error)


def operation_of(statement: str) -> str:
    """What a statement does, in one of a few words: SELECT, INSERT, UPDATE, DELETE or OTHER."""
    found = _OPERATION.match(statement)
    return found[1].upper().replace("WITH", "SELECT") if found else "OTHER"


__all__ = ["operation_of", "trace_statements"]
