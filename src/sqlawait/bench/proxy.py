"""The latency between an app and its database: a TCP proxy that holds each piece back for a while.

Loopback answers in microseconds, which hides what async is for. Run as ``python -m sqlawait.bench.proxy HOST
PORT``: it says its own port, and takes ``{"delay": seconds}``, which is added in each direction.
"""

from __future__ import annotations

import asyncio
import selectors
import sys
from collections import deque
from typing import Self, cast

from .child import Message, listen, say


class Line(asyncio.Protocol):
    """One end of a connection; what arrives here leaves at the other end, ``Proxy.delay`` later, in order."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy
        self._loop = asyncio.get_running_loop()
        self._held: deque[tuple[float, bytes]] = deque()
        self._transport: asyncio.Transport | None = None
        self.other: Line | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._proxy.open.add(self)
        if self.other is None:  # the app's end: now connect to the database
            self._proxy.connect(self)

    def data_received(self, data: bytes) -> None:
        self._hold(data)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio calls it so
        self._proxy.open.discard(self)
        self._hold(b"")  # the end of the stream, after all that came before it

    def join(self, other: Line) -> None:
        """The other end is there: what was held until now may leave."""
        self.other = other
        if self._held:
            self._release()

    def abort(self) -> None:
        """Close this end at once."""
        if self._transport is not None:
            self._transport.abort()

    def _hold(self, data: bytes) -> None:
        due = self._loop.time() + self._proxy.delay
        if self._held:
            due = max(due, self._held[-1][0])  # order is kept when the delay is made shorter meanwhile
        self._held.append((due, data))
        if len(self._held) == 1 and self.other is not None:
            self._release()

    def _release(self) -> None:
        now = self._loop.time()
        assert self.other is not None
        while self._held and self._held[0][0] <= now:
            self.other.send(self._held.popleft()[1])
        if self._held:
            self._loop.call_at(self._held[0][0], self._release)

    def send(self, data: bytes) -> None:
        """Write what the other end received; empty means that it is closed."""
        if self._transport is None or self._transport.is_closing():
            return
        if data:
            self._transport.write(data)
        else:
            self._transport.close()


class Proxy:
    """Passes connections on to ``host:port``.

    Parameters:
        host, port: where the database is.
        delay: seconds that each piece is held back, in each direction: a round trip takes twice as long.
    """

    def __init__(self, host: str, port: int, *, delay: float = 0.0) -> None:
        self.delay = delay
        self.port = 0
        """Where the proxy listens, on 127.0.0.1."""
        self.open: set[Line] = set()
        self._host = host
        self._port = port
        self._connecting: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Line(self), "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        await asyncio.gather(*self._connecting, return_exceptions=True)
        for line in list(self.open):
            line.abort()
        await asyncio.sleep(0)  # a turn of the loop, in which they learn that they are closed

    def connect(self, line: Line) -> None:
        """Open the way to the database for an app that has connected."""
        task = asyncio.get_running_loop().create_task(self._connect(line))
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)

    async def _connect(self, line: Line) -> None:
        def far_end() -> Line:
            end = Line(self)
            end.other = line
            return end

        try:
            _, end = await asyncio.get_running_loop().create_connection(far_end, self._host, self._port)
        except OSError:
            line.abort()
        else:
            line.join(end)


async def _serve(host: str, port: int) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    async with Proxy(host, port) as proxy:

        def answer(message: Message) -> Message:
            proxy.delay = float(message["delay"])
            return {"delay": proxy.delay}

        listen(answer, at_end=lambda: loop.call_soon_threadsafe(ended.set))
        say({"port": proxy.port})
        await ended.wait()


def precise_loop() -> asyncio.AbstractEventLoop:
    """A loop whose timers keep to microseconds: epoll and uvloop round them to whole milliseconds.

    select() allows 1,024 descriptors on most systems: 500 connections, several times what all the pools hold.
    """
    return asyncio.SelectorEventLoop(selectors.SelectSelector())


def main() -> None:
    """Serve the host and port named on the command line."""
    with asyncio.Runner(loop_factory=precise_loop) as runner:
        runner.run(_serve(sys.argv[1], int(sys.argv[2])))


if __name__ == "__main__":
    main()
