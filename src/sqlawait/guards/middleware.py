"""One scope a request, as plain ASGI middleware: it needs no framework."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Awaitable, Callable, MutableMapping
from time import perf_counter, time
from typing import Any

from sqlawait.events import RequestFinished, RequestStarted
from sqlawait.guards import blocked_loop, hooks
from sqlawait.guards.judge import Judge
from sqlawait.guards.scope import Scope, current, current_scope, entered, opened

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

_enter, _leave = current.set, current.reset


class GuardMiddleware:
    """Runs each request in a scope of its own.

    It watches from the start of the application to its stop. Where the server tells it of neither (a mounted
    application, an HTTP client of a test), it watches from the first request until the application is garbage.

    Parameters:
        app: the ASGI application.
        guards: what judges the requests, and what they start.
        server_timing: add a ``Server-Timing`` header, which browsers show beside each response.
        skip: a path whose requests are not watched, with all below it.

    Example::

        app.add_middleware(GuardMiddleware, guards=Guards.development())
    """

    def __init__(
        self, app: ASGIApp, guards: Judge, *, server_timing: bool = False, skip: str | None = None
    ) -> None:
        self._app = app
        self._guards = guards
        self._server_timing = server_timing
        self._skip = skip
        self._loop: Callable[[], asyncio.AbstractEventLoop | None] = _nowhere
        self._garbage: weakref.finalize[[], GuardMiddleware] | None = None

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if self._guards.off and self._is_idle():
            await self._app(scope, receive, send)
            return
        if scope["type"] not in {"http", "websocket"}:
            await (self._lifespan if scope["type"] == "lifespan" else self._app)(scope, receive, send)
            return
        if self._skip is not None and self._skipped(scope["path"]):
            await self._app(scope, receive, send)
            return
        if self._loop() is not asyncio._get_running_loop():
            self._begin()
        guards = self._guards
        outer = current_scope()
        request = Scope(outer.guards if outer is not None and outer.strict else guards, scope)
        if guards.observers or self._server_timing:
            await self._told(request, scope, receive, send)
            return
        opened[request] = None
        token = _enter(request)  # as entered() does, without its generator
        try:
            await self._app(scope, receive, send)
        finally:
            _leave(token)
            del opened[request]
            if request.repeats or request.out or blocked_loop.late:
                hooks.scope_ended(request)

    def _skipped(self, path: str) -> bool:
        return path == self._skip or path.startswith(f"{self._skip}/")

    def _is_idle(self) -> bool:
        """Whether nobody wants to know of anything: the guards are off, and no test's judge in their place."""
        return not self._guards.observers and not self._server_timing and current_scope() is None

    def _begin(self) -> None:
        if self._garbage is None:
            hooks.listen()
            self._garbage = weakref.finalize(self, hooks.lose_interest)
            self._garbage.atexit = False
        self._loop = weakref.ref(asyncio.get_running_loop())
        blocked_loop.watch(self._guards)

    def _end(self) -> None:
        blocked_loop.unwatch()
        self._loop = _nowhere
        if self._garbage is not None:
            self._garbage.detach()
            self._garbage = None
            hooks.unlisten()

    async def _lifespan(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        whole = Scope(self._guards, label="the application's lifespan")
        whole.endless = whole.startup = True

        async def told() -> Message:
            message = await receive()
            whole.startup = True  # it starts, or stops
            return message

        async def tell(message: Message) -> None:
            whole.startup = False
            await send(message)

        self._begin()
        try:
            with entered(whole):
                await self._app(scope, told, tell)
        finally:
            self._end()

    async def _told(
        self, request: Scope, scope: MutableMapping[str, Any], receive: Receive, send: Send
    ) -> None:
        """Run a request, and tell the observers and the client about it."""
        guards, at = self._guards, time()
        request.timed = True
        status: int | None = None
        error: str | None = None

        async def started(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if self._server_timing:
                    message["headers"] = [
                        *message.get("headers", ()),
                        (b"server-timing", _timing(request).encode()),
                    ]
            await send(message)

        guards.tell(RequestStarted(request.id, request.method, request.path, at))
        try:
            try:
                with entered(request):
                    await self._app(scope, receive, started)
            finally:
                hooks.scope_ended(request)
        except BaseException as failure:
            error = type(failure).__name__
            raise
        finally:
            guards.tell(_finished(request, at, status, error))


def _nowhere() -> None:
    """No loop is watched."""


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
    count = request.statements
    parts = [
        f'db;dur={request.database * 1000:.1f};desc="{count} statement{"" if count == 1 else "s"}"',
        f'pool;dur={request.waited * 1000:.1f};desc="connection"',
        f"total;dur={total * 1000:.1f}",
    ]
    if request.blocked:
        parts.insert(2, f'loop;dur={request.blocked * 1000:.1f};desc="blocked"')
    return ", ".join(parts)


__all__ = ["GuardMiddleware"]
