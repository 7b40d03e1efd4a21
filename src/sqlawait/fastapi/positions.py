"""Read your writes, from one request to the next: a client carries the position of its last one in a cookie."""

from __future__ import annotations

import hashlib
import hmac
import logging
import math
import time
from http.cookies import CookieError, SimpleCookie

from sqlalchemy.exc import SQLAlchemyError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sqlawait.database import Database
from sqlawait.exceptions import ConfigurationError, SqlawaitError
from sqlawait.replicas import NEVER, Replicas

logger = logging.getLogger("sqlawait")

COOKIE = "sqlawait-position"

_SHORTEST_SECRET = 16

_SLACK = 60.0
"""Seconds: clocks of the application's machines may differ by as much."""


class Seal:
    """Signs positions, so that a client can hand in only what it was given, and only for a while.

    Parameters:
        secret: at least 16 characters, the same in all processes of the application.
        max_lag: how far a replica in use may be behind, in seconds: for that long, and a minute more, a signed
            position is good. Later every replica in use holds it.

    Raises:
        ConfigurationError: the secret is too short.
    """

    def __init__(self, secret: str, max_lag: float) -> None:
        if len(secret) < _SHORTEST_SECRET:
            raise ConfigurationError(
                f"a secret of {len(secret)} characters can be guessed; give install(secret=…) at least"
                f" {_SHORTEST_SECRET}, as from secrets.token_urlsafe(32), the same in every process"
            )
        self._key = hashlib.sha256(f"{COOKIE}\n{secret}".encode()).digest()
        self.life = max_lag + _SLACK

    def sign(self, position: int) -> str:
        """The position as text that :meth:`open` takes back."""
        content = f"{position:x}.{math.ceil(time.time() + self.life):x}"
        return f"{content}.{self._mac(content)}"

    def open(self, token: str) -> int | None:
        """The position, or None where the text is not one of ours or its time is over."""
        content, _, mac = token.rpartition(".")
        if not (token.isascii() and hmac.compare_digest(mac, self._mac(content))):
            return None
        position, _, until = content.partition(".")
        return int(position, 16) if time.time() < int(until, 16) else None

    def _mac(self, content: str) -> str:
        return hmac.new(self._key, content.encode(), hashlib.sha256).hexdigest()


class ReadYourWrites:
    """ASGI middleware: gives who has written a cookie with the position, and holds reads with one to it.

    A cookie that was changed, or is too old, counts for nothing: that request reads from the primary, and the
    cookie is taken back.

    Parameters:
        app: the application.
        db: its database.
        replicas: the database's.
        seal: signs the cookies.
    """

    def __init__(self, app: ASGIApp, db: Database, replicas: Replicas, seal: Seal) -> None:
        self.app = app
        self.db = db
        self.replicas = replicas
        self.seal = seal

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await self.app(scope, receive, send)
            return
        token = _cookie(scope)
        after = 0 if token is None else self.seal.open(token)
        with self.replicas.client(NEVER if after is None else after) as client:

            async def send_with_cookie(message: Message) -> None:
                if message["type"] == "http.response.start":
                    if client.wrote:
                        position = await self._position()
                        message["headers"] = [*message["headers"], self._set_cookie(scope, position)]
                    elif after is None:
                        message["headers"] = [*message["headers"], self._set_cookie(scope, None)]
                await send(message)

            await self.app(scope, receive, send_with_cookie)

    async def _position(self) -> int:
        try:
            return await self.db.position()
        except (SQLAlchemyError, SqlawaitError):
            # the write is committed, or its own answer says what it is: only where is not known any more
            logger.warning(
                "the primary does not tell its position: a client reads from it until its cookie ends"
            )
            return NEVER

    def _set_cookie(self, scope: Scope, position: int | None) -> tuple[bytes, bytes]:
        value, age = ("", 0) if position is None else (self.seal.sign(position), math.ceil(self.seal.life))
        cookie = f"{COOKIE}={value}; Max-Age={age}; Path=/; HttpOnly; SameSite=Lax"
        if scope["scheme"] in {"https", "wss"}:
            cookie += "; Secure"
        return b"set-cookie", cookie.encode()


def _cookie(scope: Scope) -> str | None:
    for name, value in scope["headers"]:
        if name == b"cookie" and COOKIE.encode() in value:
            try:
                found = SimpleCookie(value.decode("latin-1")).get(COOKIE)
            except CookieError:
                return ""
            return None if found is None else found.value
    return None


__all__ = ["COOKIE", "ReadYourWrites", "Seal"]
