"""Who may look: a browser on this machine that has the token."""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, RedirectResponse, Response

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Message, Receive, Send], Awaitable[None]]

COOKIE = "sqlawait_inspector"
_HOSTS = {"127.0.0.1", "localhost", "::1"}
_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip", "x-forwarded-host")


class Gate:
    """Loopback **and** token: the client's address, the Host header (a page elsewhere cannot reach in by DNS
    rebinding), no proxy in between, and the secret that was printed at the start.

    Parameters:
        app: the inspector.
        token: the secret; None where a dependency of the application's own guards it instead.
    """

    def __init__(self, app: ASGIApp, token: str | None) -> None:
        self._app = app
        self._token = token

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        refusal = self._judge(scope)
        await (refusal or self._app)(scope, receive, send)

    def _judge(self, scope: Message) -> Response | None:
        if scope["method"] not in {"GET", "HEAD"}:
            return PlainTextResponse("the inspector is read-only", 405, headers={"allow": "GET, HEAD"})
        if self._token is None:
            return None
        headers = Headers(scope=scope)
        if not _is_local(scope.get("client"), headers):
            return PlainTextResponse("the inspector answers this machine only", 403)
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if given and self._matches(given):
            response = RedirectResponse(scope["path"], 303)  # the token does not stay in the address
            path = scope.get("root_path") or "/"
            response.set_cookie(COOKIE, given, path=path, httponly=True, samesite="strict")
            return response
        if self._matches(_bearer(headers)) or self._matches(_cookie(headers)):
            return None
        return PlainTextResponse("open the inspector with the address that was printed at the start", 401)

    def _matches(self, given: str) -> bool:
        return self._token is not None and secrets.compare_digest(given.encode(), self._token.encode())


def _is_local(client: Any, headers: Headers) -> bool:
    if client is None or any(name in headers for name in _FORWARDED):
        return False
    try:
        address = ipaddress.ip_address(client[0])
    except ValueError:
        return False
    host = headers.get("host", "")
    name = host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    return address.is_loopback and name.lower() in _HOSTS


def _bearer(headers: Headers) -> str:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token if scheme.lower() == "bearer" else ""


def _cookie(headers: Headers) -> str:
    morsel = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    return morsel.value if morsel is not None else ""


__all__ = ["COOKIE", "Gate"]
