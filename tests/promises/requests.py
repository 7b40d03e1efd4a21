"""Requests to an application in this process, without a client library between: for the very many."""

from __future__ import annotations

import json
from typing import Any

from starlette.types import ASGIApp, Message


async def send(app: ASGIApp, method: str, path: str, body: Any = None) -> int:
    """Send one request, take the whole answer and give its status."""
    content = b"" if body is None else json.dumps(body).encode()
    status = 0

    async def receive() -> Message:
        return {"type": "http.request", "body": content, "more_body": False}

    async def answer(message: Message) -> None:
        nonlocal status
        if message["type"] == "http.response.start":
            status = message["status"]

    await app(
        {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "root_path": "",
            "query_string": b"",
            "headers": [
                (b"host", b"service"),
                (b"content-type", b"application/json"),
                (b"content-length", str(len(content)).encode()),
            ],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
        },
        receive,
        answer,
    )
    return status
