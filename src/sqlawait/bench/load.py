"""The load generator: a closed loop of keep-alive connections, in a process of its own.

Each client sends a request, waits for the whole answer and sends the next. Nothing is left out of the
figures: an answer that is an error counts in the latencies like any other, so does one to a request that was
sent before the measured time began and waited into it; what was under way when the time ended is waited for,
and what never comes back is counted as unfinished, with its age as its latency. The rate counts good answers.
Only how long a server takes to accept a connection is not measured: each client has had an answer before the
warm-up. (uvloop accepts one connection in each turn of its loop: under load, the last of 1,000 after seconds.)

A closed loop cannot see how long a queue outside it would grow: at a fixed concurrency read the rate first,
then the latencies.

Run as ``python -m sqlawait.bench.load``: each line it reads is the arguments of :func:`measure`.
"""

from __future__ import annotations

import asyncio
import json
import math
import sys
import time
from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from typing import cast

import httptools

from .child import Message, allow_many_files, say
from .workloads import requests

_now = time.perf_counter


class Window:
    """The time that is measured, and what happened in it."""

    def __init__(self, stream: Iterator[bytes]) -> None:
        self.stream = stream
        self.starts = math.inf
        self.ends = 0.0
        self.waiting = 0
        """Requests under way."""
        self.answers = 0
        """All that came, inside the window or not."""
        self.completed = 0
        """Good answers that came inside the window."""
        self.received = 0
        """Bytes of the good answers' bodies that came inside the window."""
        self.latencies = array("d")
        """Seconds, of each answer since the window began, those after its end included."""
        self.errors: Counter[str] = Counter()
        self.last_answer = _now()

    def begin(self, warmup: float, seconds: float) -> None:
        """Measure for some seconds, after some others."""
        self.starts = _now() + warmup
        self.ends = self.starts + seconds
        self.last_answer = _now()

    def answered(self, sent: float, error: str | None, size: int) -> None:
        """Count an answer."""
        now = self.last_answer = _now()
        self.waiting -= 1
        self.answers += 1
        if now < self.starts:
            return
        self.latencies.append(now - sent)
        if error is not None:
            self.errors[error] += 1
        elif now <= self.ends:
            self.completed += 1
            self.received += size


class Client(asyncio.Protocol):
    """One keep-alive connection: asks, waits for the whole answer, asks again."""

    def __init__(self, window: Window) -> None:
        self._window = window
        self._sent = 0.0
        self._size = 0
        self._last = False
        self.waits = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is not a subclass
        self._parser = httptools.HttpResponseParser(self)

    def ask(self) -> None:
        """Send the next request, unless one is under way or the connection is closed."""
        if self.waits or self._last or self._transport.is_closing():
            return
        self.waits = True
        self._window.waiting += 1
        self._size = 0
        self._transport.write(next(self._window.stream))
        self._sent = _now()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._finish("not HTTP")
            self._transport.abort()

    def on_body(self, body: bytes) -> None:
        """httptools: a piece of the body."""
        self._size += len(body)

    def on_message_complete(self) -> None:
        """httptools: the whole answer is here."""
        status = self._parser.get_status_code()
        self._last = not self._parser.should_keep_alive()
        self._finish(None if 200 <= status < 300 else f"HTTP {status}")

    def connection_lost(self, exc: Exception | None) -> None:
        if self.waits:
            self._finish(f"connection lost{f': {exc}' if exc else ''}")

    def close(self) -> float | None:
        """Close the connection; the age of the request that was under way, if one was."""
        age = _now() - self._sent if self.waits else None
        self.waits = False
        self._transport.abort()
        return age

    def _finish(self, error: str | None) -> None:
        self.waits = False
        self._window.answered(self._sent, error, self._size)
        if self._transport.is_closing() or self._last:
            self._window.errors["connection closed by the server"] += 1
        elif _now() < self._window.ends:
            self.ask()


async def measure(
    port: int,
    workload: str,
    concurrency: int,
    *,
    seconds: float,
    warmup: float = 0.3,
    users: int = 1000,
    seed: str = "0",
    patience: float = 5.0,
    host: str = "127.0.0.1",
) -> Message:
    """Put a server under load.

    Parameters:
        port: where the server listens.
        workload: a name of :data:`sqlawait.bench.workloads.WORKLOADS`.
        concurrency: clients, each with a connection of its own and one request under way.
        seconds: how long is measured, after the warm-up.
        warmup: seconds under load that are not counted.
        users: how many users the data set has.
        seed: makes the stream of requests.
        patience: after this many seconds without any answer the server counts as stalled.
        host: where the server is.

    Returns:
        The figures, as :class:`sqlawait.bench.results.Measurement` takes them; times in seconds.
    """
    loop = asyncio.get_running_loop()
    window = Window(requests(workload, users=users, seed=seed))
    clients: list[Client] = []
    stalled = False
    while len(clients) < concurrency and not stalled:  # a hundred at a time: the listener's queue is finite
        made = [
            loop.create_connection(lambda: Client(window), host, port)
            for _ in range(min(100, concurrency - len(clients)))
        ]
        group = [client for _, client in await asyncio.gather(*made)]
        clients += group
        for client in group:
            client.ask()
        stalled = await _watch(window, patience)
    window.begin(warmup, seconds)
    for client in clients:
        client.ask()
    await asyncio.sleep(warmup)
    cpu = time.process_time()
    stalled = stalled or await _watch(window, patience)
    busy = (time.process_time() - cpu) / max(_now() - window.starts, seconds)
    ages = [age for client in clients if (age := client.close()) is not None]
    latencies = sorted([*window.latencies, *ages])
    return {
        "seconds": seconds,
        "answers": window.answers,
        "completed": window.completed,
        "rate": window.completed / seconds,
        "p50": percentile(latencies, 50),
        "p90": percentile(latencies, 90),
        "p99": percentile(latencies, 99),
        "longest": latencies[-1] if latencies else 0.0,
        "mean": sum(latencies) / len(latencies) if latencies else 0.0,
        "errors": dict(window.errors),
        "unfinished": len(ages),
        "stalled": stalled,
        "received": window.received,
        "load_busy": busy,
    }


async def _watch(window: Window, patience: float) -> bool:
    """Wait for the end of the window and the last answers; True where the answers ceased."""
    while _now() < window.ends or window.waiting:
        if not window.waiting:
            return False  # every connection was closed by the server: nothing more can come
        if _now() - window.last_answer > patience:
            return True
        until = window.ends if _now() < window.ends else math.inf
        await asyncio.sleep(min(0.02, max(until - _now(), 0.001)))
    return False


def percentile(ordered: list[float], share: float) -> float:
    """The nearest-rank percentile: the least value that at least ``share`` in a hundred do not exceed.

    Parameters:
        ordered: the values, ascending; of none it is 0.
        share: 0 < share <= 100.
    """
    if not ordered:
        return 0.0
    return ordered[math.ceil(len(ordered) * share / 100) - 1]


def _fastest_loop() -> Callable[[], asyncio.AbstractEventLoop]:
    try:
        import uvloop
    except ImportError:  # not on Windows
        return asyncio.new_event_loop
    return uvloop.new_event_loop


def main() -> None:
    """Answer the parent's lines, one measurement each."""
    allow_many_files()
    say({"ready": True})
    with asyncio.Runner(loop_factory=_fastest_loop()) as runner:
        for line in sys.stdin:
            say(runner.run(measure(**json.loads(line))))


if __name__ == "__main__":
    main()
