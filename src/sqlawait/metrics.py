"""Prometheus metrics of a Database and of the requests before it."""

from __future__ import annotations

import os
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from sqlalchemy import Connection, Engine, event

from sqlawait.events import ConnectionDiscarded, ConnectionWaited, TransactionRetried
from sqlawait.tracing import operation_of
from sqlawait.watching import watch

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Message, Receive, Send], Awaitable[None]]

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_STARTED = "sqlawait_metrics_started"


class Metrics:
    """Counts what happens: an observer of the Database and an ASGI middleware, in a registry of its own.

    Where ``PROMETHEUS_MULTIPROC_DIR`` is set, any worker renders the numbers of all.

    Example::

        metrics = Metrics()
        db = Database(url, observers=[metrics])
        app.add_middleware(CountRequests, metrics=metrics)
        metrics.time_statements(db.engine.sync_engine)
    """

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.requests = Histogram(
            "http_request_duration_seconds",
            "Time from a request to the end of its response.",
            ["method", "route", "status"],
            registry=registry,
            buckets=_SECONDS,
        )
        self.statements = Histogram(
            "db_statement_duration_seconds",
            "Time of a statement.",
            ["operation"],
            registry=registry,
            buckets=_SECONDS,
        )
        self.waits = Histogram(
            "db_connection_wait_seconds",
            "Time in the pool's line.",
            registry=registry,
            buckets=_SECONDS,
        )
        self.retries = Counter(
            "db_transaction_retries",
            "Transactions that were run again.",
            ["reason"],
            registry=registry,
        )
        self.discards = Counter(
            "db_connections_discarded",
            "Connections closed for the state in which they came back.",
            registry=registry,
        )

    def __call__(self, event: object, /) -> None:
        """Count an event of the Database."""
        match event:
            case ConnectionWaited(seconds=seconds):
                self.waits.observe(seconds)
            case TransactionRetried(reason=reason):
                self.retries.labels(reason).inc()
            case ConnectionDiscarded():
                self.discards.inc()

    def time_statements(self, engine: Engine) -> None:
        """Time the statements of an engine, ``db.engine.sync_engine``."""

        def start(connection: Connection, _: Any, statement: str, parameters: Any, *__: Any) -> tuple[str, Any]:
            connection.info[_STARTED] = time.perf_counter()
            return statement, parameters

        def end(connection: Connection, cursor: Any, statement: str, *_: Any) -> None:  # noqa: ARG001
            seconds = time.perf_counter() - connection.info[_STARTED]
            self.statements.labels(operation_of(statement)).observe(seconds)

        def direct(_: Engine, sql: str, *__: Any) -> _Timed:
            return _Timed(self.statements.labels(operation_of(sql)))

        event.listen(engine, "before_cursor_execute", start, retval=True)  # as it is, without a wrapper
        event.listen(engine, "after_cursor_execute", end)
        watch(direct, engine=engine, instead_of=[end])

    def render(self) -> bytes:
        """The numbers, in Prometheus's text format 0.0.4."""
        if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
            return generate_latest(self.registry)
        every_worker = CollectorRegistry()
        MultiProcessCollector(every_worker)  # type: ignore[no-untyped-call] # prometheus_client has not typed it
        return generate_latest(every_worker)


class _Timed:
    """A shaped read's statement, which goes past SQLAlchemy's events."""

    def __init__(self, histogram: Histogram) -> None:
        self._histogram = histogram
        self._began = 0.0

    def sent(self) -> None:
        """It is on its way."""
        self._began = time.perf_counter()

    def ended(self, rows: int | None, error: BaseException | None) -> None:  # noqa: ARG002
        """It was answered, or has failed: that is not timed, as with all others."""
        if error is None:
            self._histogram.observe(time.perf_counter() - self._began)


class CountRequests:
    """ASGI middleware: times each request under its route's template, which bounds the number of series."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request, and time it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        status = 500

        async def seen(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        start = time.perf_counter()
        try:
            await self.app(scope, receive, seen)
        finally:
            route = getattr(scope.get("route"), "path", "")
            seconds = time.perf_counter() - start
            self.metrics.requests.labels(scope["method"], route, status).observe(seconds)


__all__ = ["CountRequests", "Metrics"]
