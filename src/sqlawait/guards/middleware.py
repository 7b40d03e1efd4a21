"""One scope a request, as plain ASGI middleware: it needs no framework."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from time import perf_counter, time
from typing import Any

from sqlawait.events import RequestFinished, RequestStarted
from sqlawait.guards import blocked_loop, hooks
from sqlawait.guards.guards import Guards
from sqlawait.guards.scope import Scope, current_scope, entered

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]


class GuardMiddleware:
    """Runs each request in a scope of its own.

    Parameters:
        app: the ASGI application.
        guards: what judges the requests; installed when the application starts, or at its first request.
        server_timing: add a ``Server-Timing`` header, which browsers show beside each response.
        skip: a path whose requests are not watched, with all below it.

    Example::

        app.add_middleware(GuardMiddleware, guards=Guards.development())
    """

    def __init__(
        self, app: ASGIApp, guards: Guards, *, server_timing: bool = False, skip: str | None = None
    ) -> None:
        self._app = app
        self._guards = guards
        self._server_timing = server_timing
        self._skip = skip
        self._installed = False

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
        elif scope["type"] not in {"http", "websocket"} or self._skipped(scope["path"]):
            await self._app(scope, receive, send)
        else:
            await self._request(scope, receive, send)

    def _skipped(self, path: str) -> bool:
        return self._skip is not None and (path == self._skip or path.startswith(self._skip + "/"))

    def _begin(self) -> None:
        if not self._installed:
            self._installed = True
            self._guards.install()
        blocked_loop.watch(self._guards)

    def _end(self) -> None:
        blocked_loop.unwatch()
        if self._installed:
            self._installed = False
            self._guards.remove()

    async def _lifespan(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        self._begin()
        try:
            with entered(Scope(self._guards, label="the application's lifespan", startup=True)):
                await self._app(scope, receive, send)
        finally:
            self._end()

    async def _request(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        self._begin()
        guards, at, outer = self._guards, time(), current_scope()
        judge = outer.guards if outer is not None and outer.strict else guards
        request = Scope(judge, method=scope.get("method", "WS"), path=scope["path"])
        status: int | None = None
        error: str | None = None

        async def started(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                request.route = _route(scope)
                if self._server_timing:
                    message["headers"] = [
                        *message.get("headers", ()),
                        (b"server-timing", _timing(request).encode()),
                    ]
            await send(message)

        if guards.observers:
            guards.tell(RequestStarted(request.id, request.method, request.path, at))
        try:
            with entered(request):
                await self._app(scope, receive, started)
        except BaseException as failure:
            error = type(failure).__name__
            raise
        finally:
            request.route = request.route or _route(scope)
            try:
                hooks.scope_ended(request)
            finally:
                if guards.observers:
                    guards.tell(_finished(request, at, status, error))


def _route(scope: MutableMapping[str, Any]) -> str:
    """The template of the route that matched; known once the router has run."""
    path = getattr(scope.get("route"), "path", None)
    return path if isinstance(path, str) else str(scope["path"])


def _finished(request: Scope, at: float, status: int | None, error: str | None) -> RequestFinished:
    return RequestFinished(
        id=request.id,
        method=request.method,
        path=request.path,
        route=request.route,
        status=status,
        at=at,
        seconds=perf_counter() - request.started,
        database=request.database,
        waited=request.waited,
        blocked=request.blocked,
        statements=request.statements,
        error=error,
    )


def _timing(request: Scope) -> str:
    """The ``Server-Timing`` header: milliseconds so far."""
    total = perf_counter() - request.started
    parts = [
        f'db;dur={request.database * 1000:.1f};desc="{request.statements} statements"',
        f'pool;dur={request.waited * 1000:.1f};desc="connection"',
        f"total;dur={total * 1000:.1f}",
    ]
    if request.blocked:
        parts.insert(2, f'loop;dur={request.blocked * 1000:.1f};desc="blocked"')
    return ", ".join(parts)


__all__ = ["GuardMiddleware"]
