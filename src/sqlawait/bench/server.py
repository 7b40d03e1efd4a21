"""One app under test: uvicorn, one worker, uvloop and httptools for every app alike, on a free port.

Run as ``python -m sqlawait.bench.server module:app``. It says its port when it is ready, and answers any
line with the processor time that it has used.
"""

from __future__ import annotations

import os
import socket
import sys
import threading
import time

import uvicorn

from .child import Message, allow_many_files, listen, say

GRACE = 2.0
"""Seconds that an app has to stop by itself: one whose loop is blocked never does."""


class Server(uvicorn.Server):
    """Says its port when it answers requests, and stops when the parent goes."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        assert sockets
        listen(_used, at_end=self._stop)
        say({"port": sockets[0].getsockname()[1], "loop": _loop()})

    def _stop(self) -> None:
        self.should_exit = True
        self.force_exit = True  # the clients are gone; their open connections are not worth waiting for
        threading.Timer(GRACE, os._exit, (1,)).start()


def _used(_: Message) -> Message:
    return {"cpu": time.process_time()}


def _loop() -> str:
    import asyncio

    return type(asyncio.get_running_loop()).__module__


def main() -> None:
    """Serve the app named on the command line."""
    allow_many_files()
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", 0))
    config = uvicorn.Config(
        sys.argv[1],
        http="httptools",
        loop="auto",  # uvloop where it is installed, as it is with the extra `bench` but on Windows
        lifespan="auto",  # Django has none
        access_log=False,
        log_level="error",
        backlog=4096,
    )
    Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
