"""What the guards cost, measured on this machine: ``make overhead``.

Two processes serve the same application with uvicorn, one of them with every guard logging. They get the same
requests in short rounds, in turn, over 16 connections that are kept. What counts is the serving process's CPU
time, with the guards' watching thread. A round's two halves stand side by side, so what else the machine does
slows both; a row is the median of the rounds' shares, with the bounds between which it lies at 95 %.
``--in-process`` gives the requests straight to the application: without the server's own part in a request, the
guards' share of the rest is larger.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from math import ceil, floor
from pathlib import Path
from time import process_time
from typing import Any

from rich.console import Console
from rich.table import Table

from .target import Target, prepared

_CLIENTS = 16
_USERS = 1000
BAR = 0.05
"""The share of a request that the guards may take."""


@dataclass(frozen=True, slots=True)
class Row:
    """A kind of request.

    Parameters:
        title: what it is, in words.
        app: who serves it.
        path: where; ``{}`` is a user's id.
        statements: how many statements it runs.
    """

    title: str
    app: str
    path: str
    statements: int


ROWS = (
    Row("usual async stack: one row", "usual", "/users/{}", 1),
    Row("usual async stack: a user with ten posts", "usual", "/users/{}/posts", 2),
    Row("usual async stack: a list of 100", "usual", "/users?after={}", 1),
    Row("shaped reads: one row", "shaped", "/users/{}", 1),
    Row("shaped reads: a user with ten posts", "shaped", "/users/{}/posts", 1),
    Row("shaped reads: a list of 100", "shaped", "/users?after={}", 1),
)
STATEMENT = Row("a statement, without its request", "usual", "", 1)


@dataclass(frozen=True, slots=True)
class Cost:
    """A row as it was measured: microseconds of CPU a request, round by round."""

    row: Row
    off: list[float]
    on: list[float]

    @property
    def shares(self) -> list[float]:
        """What the guards added, as a share of the request without them, of each round."""
        return [on / off - 1 for off, on in zip(self.off, self.on, strict=True)]

    @property
    def share(self) -> float:
        """The median of the rounds."""
        return statistics.median(self.shares)

    @property
    def bounds(self) -> tuple[float, float]:
        """Between these the true median lies at 95 %, whatever the rounds' distribution.

        Of the sorted rounds, those that are 1.96 standard deviations of a fair coin's count from the middle.
        """
        shares = sorted(self.shares)
        middle, away = len(shares) / 2, 0.98 * len(shares) ** 0.5
        return shares[max(0, floor(middle - away))], shares[min(len(shares), ceil(middle + away) + 1) - 1]

    @property
    def added(self) -> float:
        """Microseconds that the guards added: the median of the rounds."""
        return statistics.median(on - off for off, on in zip(self.off, self.on, strict=True))


# -- one process, one application


async def _request(app: Any, path: str) -> None:
    path, _, query = path.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(b"host", b"bench"), (b"accept", b"application/json")],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 80),
        "state": {},
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start" and message["status"] != 200:
            raise SystemExit(f"{path} answered {message['status']}")

    await app(scope, receive, send)


async def _requests(app: Any, path: str, count: int) -> None:
    numbers = iter(range(count))

    async def client() -> None:
        for number in numbers:
            await _request(app, path.format(1 + number * 7 % _USERS))

    await asyncio.gather(*(client() for _ in range(_CLIENTS)))


async def _statements(count: int) -> None:
    """One statement again and again in sessions that are open already."""
    from sqlalchemy import select

    from .apps.usual import sessions
    from .data import User

    async def one(share: int) -> None:
        async with sessions() as session:
            await session.connection()
            for _ in range(share):
                (await session.execute(select(User).where(User.id == 1))).scalar_one_or_none()

    await asyncio.gather(*(one(count // _CLIENTS) for _ in range(_CLIENTS)))


def _child(name: str, *, guarded: bool) -> None:
    """Serve; answer each line of the parent's: with the CPU seconds so far, or with those of work in here."""
    import gc

    import uvloop
    from uvicorn import Config, Server

    from sqlawait.guards import GuardMiddleware, Guards

    guards = Guards.production()
    app = import_module(f"sqlawait.bench.apps.{name}").app
    if guarded:
        app = GuardMiddleware(app, guards)
    listening = socket.create_server(("127.0.0.1", 0))
    server = Server(Config(app, loop="uvloop", http="httptools", log_level="warning", access_log=False))

    async def work(path: str, count: int) -> None:
        before = process_time()
        if path:
            await _requests(app, path, count)
        elif guarded:
            with guards.scope("a job"):
                await _statements(count)
        else:
            await _statements(count)
        print(process_time() - before, flush=True)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        jobs: set[asyncio.Task[None]] = set()

        def asked() -> None:
            line = sys.stdin.readline()
            if not line:
                server.should_exit = True
                loop.remove_reader(sys.stdin)
            elif line == "\n":
                print(process_time(), flush=True)
            elif line == "warm\n":
                gc.collect()
                gc.freeze()  # a full collection now and then would hide what is measured
                print(0, flush=True)
            else:
                job = loop.create_task(work(*json.loads(line)))
                jobs.add(job)
                job.add_done_callback(jobs.discard)

        loop.add_reader(sys.stdin, asked)
        print(listening.getsockname()[1], flush=True)
        await server.serve([listening])

    uvloop.run(main())


# -- the parent


class _Visitors:
    """Clients of a server, over connections that are kept."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._loop = asyncio.new_event_loop()
        self._connections: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    def ask(self, path: str, count: int) -> None:
        """Ask for something, so many times in all."""
        self._loop.run_until_complete(self._ask(path, count))

    async def _ask(self, path: str, count: int) -> None:
        while len(self._connections) < _CLIENTS:
            self._connections.append(await asyncio.open_connection("127.0.0.1", self._port))
        numbers = iter(range(count))

        async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            for number in numbers:
                asked = path.format(1 + number * 7 % _USERS)
                writer.write(
                    f"GET {asked} HTTP/1.1\r\nhost: bench\r\naccept: application/json\r\n\r\n".encode()
                )
                head = await reader.readuntil(b"\r\n\r\n")
                if not head.startswith(b"HTTP/1.1 200"):
                    raise SystemExit(f"{asked} answered {head[:12].decode()}")
                _, _, rest = head.lower().partition(b"content-length: ")
                await reader.readexactly(int(rest.split(b"\r\n", 1)[0]))

        await asyncio.gather(*(client(*connection) for connection in self._connections))

    def close(self) -> None:
        """Let go of the connections."""
        self._loop.run_until_complete(self._close())
        self._loop.close()

    async def _close(self) -> None:
        for _, writer in self._connections:
            writer.close()
            await writer.wait_closed()


Ask = Callable[[str, int], float]


@contextmanager
def _process(target: Target, app: str, *, guarded: bool, in_process: bool) -> Iterator[Ask]:
    command = [sys.executable, "-m", "sqlawait.bench.overhead", "--child", app]
    process = subprocess.Popen(  # noqa: S603 # this very module
        [*command, "--guarded"] if guarded else command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, **target.environment()},
    )
    assert process.stdin is not None
    assert process.stdout is not None
    stdin, stdout = process.stdin, process.stdout

    def answer(line: str) -> float:
        stdin.write(line + "\n")
        stdin.flush()
        return _number(stdout.readline())

    def _number(line: str) -> float:
        if not line:
            raise SystemExit(f"the process that served {app} has ended")
        return float(line)

    def ask(path: str, count: int) -> float:
        if not count:
            return answer("warm")
        if in_process or not path:
            return answer(json.dumps([path, count])) / count * 1e6
        before = answer("")
        visitors.ask(path, count)
        return (answer("") - before) / count * 1e6

    try:
        visitors = _Visitors(int(_number(stdout.readline())))
        yield ask
        visitors.close()
    finally:
        stdin.close()
        process.wait(30)
        stdout.close()


def measure(
    target: Target, rows: Sequence[Row], *, rounds: int, count: int, in_process: bool = False
) -> list[Cost]:
    """Measure rows, with and without guards in turn; the first of each pair changes with the round.

    Two processes that do the same differ by some per cent, by where their memory came to lie: a row is measured
    in several pairs of them, one after the other.
    """
    costs = {row: Cost(row, [], []) for row in rows}
    for name in dict.fromkeys(row.app for row in rows):
        for _ in range(_PAIRS):
            with (
                _process(target, name, guarded=False, in_process=in_process) as off,
                _process(target, name, guarded=True, in_process=in_process) as on,
            ):
                for row in rows:
                    if row.app == name:
                        _rounds(costs[row], off, on, rounds // _PAIRS, count)
    return list(costs.values())


_PAIRS = 4


def _rounds(cost: Cost, off: Ask, on: Ask, rounds: int, count: int) -> None:
    path = cost.row.path
    for ask in (off, on):
        ask(path, 400)  # warm: plans, caches, the interpreter's own specialised code
        ask("", 0)
    for number in range(rounds):
        pair = [(off, cost.off), (on, cost.on)]
        for ask, figures in pair if number % 2 else reversed(pair):
            figures.append(ask(path, count))


def table(costs: Sequence[Cost], title: str) -> Table:
    """The rows as a table."""
    made = Table(title=title, title_justify="left")
    made.add_column("row", overflow="fold")
    for column in ("off µs", "added µs", "added", "95 %"):
        made.add_column(column, justify="right", no_wrap=True)
    for cost in costs:
        low, high = cost.bounds
        made.add_row(
            cost.row.title,
            f"{statistics.median(cost.off):.0f}",
            f"{cost.added:.1f}",
            f"{cost.share:.1%}",
            f"{low:.1%} to {high:.1%}",
        )
    return made


def as_json(costs: Sequence[Cost]) -> list[dict[str, Any]]:
    """The rows with every measurement, in plain types."""
    return [
        {
            "row": cost.row.title,
            "share": cost.share,
            "bounds": cost.bounds,
            "added_us": cost.added,
            "off": cost.off,
            "on": cost.on,
        }
        for cost in costs
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print the table; 0 where the guards keep within their share of each request."""
    parser = argparse.ArgumentParser(prog="python -m sqlawait.bench.overhead", description=__doc__)
    parser.add_argument("--database", default="postgresql", help="postgresql, sqlite, or a server's URL")
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--requests", type=int, default=64, help="requests a round")
    parser.add_argument("--only", default="", help="only the rows whose title contains this")
    parser.add_argument("--json", type=Path, help="write every measurement to this file")
    parser.add_argument("--in-process", action="store_true", help="without an HTTP server")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--guarded", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.child:
        _child(options.child, guarded=options.guarded)
        return 0
    rows = [row for row in (*ROWS, STATEMENT) if options.only.lower() in row.title.lower()]
    with prepared(options.database, users=_USERS) as target:
        costs = measure(
            target, rows, rounds=options.rounds, count=options.requests, in_process=options.in_process
        )
        where = "the application alone" if options.in_process else "served by uvicorn"
        Console().print(table(costs, f"every guard logging, {where}, {target.about}: CPU of the process"))
    if options.json:
        options.json.write_text(json.dumps(as_json(costs), indent=1))
    return 0 if all(cost.share < BAR for cost in costs if cost.row is not STATEMENT) else 1


if __name__ == "__main__":
    sys.exit(main())
