"""The load generator: what it counts is what the server saw."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from sqlawait.bench.load import measure, percentile


class KnownServer:
    """Answers every request as its plan says, and keeps count."""

    def __init__(self, plan: Callable[[int], tuple[str, float] | None]) -> None:
        self.plan = plan
        self.answered = 0
        self.most_at_once = 0
        self.tasks: set[asyncio.Task[None] | None] = set()
        self._now = 0
        self._numbers = itertools.count()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.tasks.add(asyncio.current_task())
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                self._now += 1
                self.most_at_once = max(self.most_at_once, self._now)
                answer = self.plan(next(self._numbers))
                if answer is None:
                    await reader.read()  # until the client gives up
                    return
                status, delay = answer
                await asyncio.sleep(delay)
                self._now -= 1
                self.answered += 1
                writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nok".encode())
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client has closed
        finally:
            writer.close()


@asynccontextmanager
async def serving(plan: Callable[[int], tuple[str, float] | None]) -> AsyncIterator[tuple[KnownServer, int]]:
    known = KnownServer(plan)
    server = await asyncio.start_server(known, "127.0.0.1", 0)
    async with server:
        yield known, server.sockets[0].getsockname()[1]
    await asyncio.gather(*(task for task in known.tasks if task))


async def load(port: int, concurrency: int, **options: Any) -> dict[str, Any]:
    return await measure(port, "nothing", concurrency, **{"seconds": 0.3, "warmup": 0.1, **options})


async def test_every_answer_is_counted_once() -> None:
    """All answers of the server arrive in the count, those of the warm-up and of the end included."""
    async with serving(lambda _: ("200 OK", 0)) as (known, port):
        figures = await load(port, 8)
    assert figures["answers"] == known.answered > 8
    assert figures["completed"] < known.answered
    assert figures["rate"] == figures["completed"] / 0.3
    assert figures["received"] == 2 * figures["completed"]
    assert figures["errors"] == {}
    assert (figures["unfinished"], figures["stalled"]) == (0, False)


async def test_as_many_requests_are_under_way_as_there_are_clients() -> None:
    """It is a closed loop: each of the clients has one request under way, no more and no fewer."""
    async with serving(lambda _: ("200 OK", 0.01)) as (known, port):
        figures = await load(port, 40)
    assert known.most_at_once == 40
    # By Little's law the rate times the time in the server is the number of clients.
    assert figures["rate"] * figures["mean"] == pytest.approx(40, rel=0.5)


async def test_percentiles_are_those_of_the_servers_delays() -> None:
    """One answer in twenty is slow: the median does not show it, the 99th percentile does."""
    async with serving(lambda number: ("200 OK", 0.15 if number % 20 == 0 else 0.005)) as (_, port):
        figures = await load(port, 10, seconds=0.6)
    assert 0.005 <= figures["p50"] < 0.15 <= figures["p99"] <= figures["longest"]


async def test_errors_are_counted_by_kind_and_kept_out_of_the_rate() -> None:
    """A fast server that answers half of the requests with 500 is not fast."""
    async with serving(lambda number: ("500 No" if number % 2 else "200 OK", 0.002)) as (_, port):
        figures = await load(port, 4)
    assert figures["errors"]["HTTP 500"] == pytest.approx(figures["completed"], rel=0.5, abs=8)
    assert list(figures["errors"]) == ["HTTP 500"]


async def test_the_first_answer_on_a_connection_is_not_measured() -> None:
    """How long a server takes to accept a connection says nothing of how it serves the next requests."""
    async with serving(lambda number: ("200 OK", 0.5 if number < 4 else 0.001)) as (known, port):
        figures = await load(port, 4)
    assert known.answered > 8
    assert figures["longest"] < 0.5


async def test_a_request_that_began_in_the_warm_up_and_waited_counts_in_full() -> None:
    """A client that starves through the whole measurement is in the latencies with all of its wait."""
    async with serving(lambda number: ("200 OK", 0.7 if number == 2 else 0.001)) as (_, port):
        figures = await load(port, 2)
    assert figures["longest"] >= 0.7
    assert figures["unfinished"] == 0


async def test_a_server_that_ceases_to_answer_is_reported_as_stalled() -> None:
    """After the patience is over the measurement ends, and what hangs is counted with its age."""
    async with serving(lambda number: ("200 OK", 0) if number < 50 else None) as (_, port):
        figures = await load(port, 6, seconds=30, patience=0.4)
    assert figures["stalled"] is True
    assert figures["unfinished"] == 6
    assert figures["longest"] >= 0.4


async def test_connections_that_the_server_closes_are_errors() -> None:
    """A server that hangs up neither blocks the measurement nor looks good in it."""
    async with serving(lambda _: ("200 OK\r\nConnection: close", 0.15)) as (_, port):
        figures = await load(port, 3, seconds=0.3)
    assert figures["errors"] == {"connection closed by the server": 3}


@pytest.mark.parametrize(
    ("share", "value"), [(1, 1.0), (50, 50.0), (90, 90.0), (99, 99.0), (99.1, 100.0), (100, 100.0)]
)
def test_percentiles_are_nearest_ranks(share: float, value: float) -> None:
    """A percentile is a value that was measured, never one between two."""
    assert percentile([float(number) for number in range(1, 101)], share) == value


def test_the_percentile_of_one_value_is_that_value() -> None:
    """With one measurement every percentile is that measurement, with none it is 0."""
    assert percentile([3.0], 1) == percentile([3.0], 99) == 3.0
    assert percentile([], 99) == 0.0
