"""What the guards cost, measured on this machine: ``make overhead``.

Two processes serve the same application with uvicorn, one of them with every guard logging. They get the same
requests in turn, round after round, from 16 connections. What counts is the serving process's CPU time, with
the guards' watching thread. ``--in-process`` gives the requests straight to the application: without the
server's own part in a request, the guards' share of the rest is larger.
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
    def least(self) -> float:
        """By the quickest rounds without and with guards: the machine's other work disturbed them least."""
        return min(self.on) / min(self.off) - 1

    @property
    def spread(self) -> tuple[float, float]:
        """The quartiles of the rounds."""
        low, _, high = statistics.quantiles(self.shares, n=4)
        return low, high

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
            else:
                job = loop.create_task(work(*json.loads(line)))
                jobs.add(job)
                job.add_done_callback(jobs.discard)

        loop.add_reader(sys.stdin, asked)
        print(listening.getsockname()[1], flush=True)
        await server.serve([listening])

    uvloop.run(main())


# -- the parent


async def _visit(port: int, path: str, count: int) -> None:
    """Ask a server for something, from several connections that are kept."""
    numbers = iter(range(count))

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for number in numbers:
            asked = path.format(1 + number * 7 % _USERS)
            writer.write(f"GET {asked} HTTP/1.1\r\nhost: bench\r\naccept: application/json\r\n\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise SystemExit(f"{asked} answered {head[:12].decode()}")
            _, _, rest = head.lower().partition(b"content-length: ")
            await reader.readexactly(int(rest.split(b"\r\n", 1)[0]))
        writer.close()
        await writer.wait_closed()

    await asyncio.gather(*(client() for _ in range(_CLIENTS)))


@contextmanager
def _process(
    target: Target, app: str, *, guarded: bool, in_process: bool
) -> Iterator[Callable[[str, int], float]]:
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
        if in_process or not path:
            return answer(json.dumps([path, count])) / count * 1e6
        before = answer("")
        asyncio.run(_visit(port, path, count))
        return (answer("") - before) / count * 1e6

    try:
        port = int(_number(stdout.readline()))
        yield ask
    finally:
        stdin.close()
        process.wait(30)
        stdout.close()


def measure(
    target: Target, rows: Sequence[Row], *, rounds: int, count: int, in_process: bool = False
) -> list[Cost]:
    """Measure rows, with and without guards in turn; the first of each pair changes with the round."""
    costs: list[Cost] = []
    for name in dict.fromkeys(row.app for row in rows):
        with (
            _process(target, name, guarded=False, in_process=in_process) as off,
            _process(target, name, guarded=True, in_process=in_process) as on,
        ):
            for row in rows:
                if row.app != name:
                    continue
                cost = Cost(row, [], [])
                for ask in (off, on):
                    ask(row.path, 500)  # warm: plans, caches, the interpreter's own specialised code
                for number in range(rounds):
                    pair = [(off, cost.off), (on, cost.on)]
                    for ask, figures in pair if number % 2 else reversed(pair):
                        figures.append(ask(row.path, count))
                costs.append(cost)
    return costs


def table(costs: Sequence[Cost], title: str) -> Table:
    """The rows as a table."""
    made = Table(title=title, title_justify="left")
    made.add_column("row", overflow="fold")
    for column in ("off µs", "added µs", "added", "quartiles", "quickest"):
        made.add_column(column, justify="right", no_wrap=True)
    for cost in costs:
        low, high = cost.spread
        made.add_row(
            cost.row.title,
            f"{statistics.median(cost.off):.0f}",
            f"{cost.added:.1f}",
            f"{cost.share:.1%}",
            f"{low:.1%} to {high:.1%}",
            f"{cost.least:.1%}",
        )
    return made


def as_json(costs: Sequence[Cost]) -> list[dict[str, Any]]:
    """The rows with every measurement, in plain types."""
    return [
        {"row": cost.row.title, "share": cost.share, "added_us": cost.added, "off": cost.off, "on": cost.on}
        for cost in costs
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print the table; 0 where the guards keep within their share of each request."""
    parser = argparse.ArgumentParser(prog="python -m sqlawait.bench.overhead", description=__doc__)
    parser.add_argument("--database", default="postgresql", help="postgresql, sqlite, or a server's URL")
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--requests", type=int, default=200, help="requests a round")
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
