"""The response of a shaped read."""

from __future__ import annotations

from starlette.responses import Response


class WrittenJSON(Response):
    """JSON that is written already. FastAPI sends a response as it is: no validation, no encoding.

    Starlette's own ``Response`` would encode and measure the headers anew; these are always the same two.
    """

    media_type = "application/json"

    def __init__(self, body: bytes) -> None:
        self.status_code = 200
        self.background = None
        self.body = body
        self.raw_headers = [
            (b"content-length", str(len(body)).encode("latin-1")),
            (b"content-type", b"application/json"),
        ]


__all__ = ["WrittenJSON"]
