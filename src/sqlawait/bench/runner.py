"""The servers under test, the load generator and the proxy: started, asked, stopped."""

from __future__ import annotations

import http.client
import json
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from .child import Child, ChildFailed
from .contenders import Contender
from .results import Cell, Measurement
from .target import Target


class Runner:
    """Measures contenders on a target. Each app runs in a process of its own, one worker, and so does the load.

    Parameters:
        target: the database.
        patience: seconds without any answer after which an app counts as stalled.
        users: rows in the data set.

    A context manager: every process that it starts has ended when it is left.
    """

    def __init__(self, target: Target, *, patience: float = 5.0, users: int = 1000) -> None:
        self.target = target
        self.patience = patience
        self.users = users
        self._load = Child("sqlawait.bench.load")
        self._proxy: Child | None = None
        self._servers: dict[tuple[str, bool], Child] = {}
        self._count = 0

    def start(self, *contenders: Contender, far: bool = False) -> None:
        """Start apps, all at once, unless they run; with ``far`` their database is behind the proxy."""
        for contender in contenders:
            if (contender.name, far) in self._servers:
                continue
            target = self._through_proxy() if far else self.target
            self._servers[contender.name, far] = Child(
                "sqlawait.bench.server", contender.app, environment=target.environment()
            )

    def port(self, contender: Contender, *, far: bool = False) -> int:
        """Where an app listens; it is started if need be.

        Raises:
            ChildFailed: it did not start.
        """
        self.start(contender, far=far)
        return int(self._servers[contender.name, far].greeting["port"])

    def measure(self, contender: Contender, cell: Cell, *, seconds: float, warmup: float) -> Measurement:
        """One round.

        Parameters:
            contender: the app; it is started if need be, and anew after it stalled.
            cell: what is asked, by how many at once, how far from the database.
            seconds: how long is measured.
            warmup: seconds under load before that.
        """
        far = cell.latency is not None
        port = self.port(contender, far=far)
        server = self._servers[contender.name, far]
        if cell.latency is not None:
            assert self._proxy
            self._proxy.ask({"delay": cell.latency})
        self._count += 1
        before = server.ask({})["cpu"]
        figures = self._load.ask(
            {
                "port": port,
                "workload": cell.workload,
                "concurrency": cell.concurrency,
                "seconds": seconds,
                "warmup": warmup,
                "users": self.users,
                "seed": f"{contender.name}{self._count}",
                "patience": self.patience,
            },
            patience=seconds + warmup + 120,
        )
        answers = figures.pop("answers")
        cpu: float | None = None
        if figures["stalled"]:
            self.stop(contender, far=far, force=True)
        else:
            cpu = (server.ask({})["cpu"] - before) / answers if answers else None
        return Measurement(**figures, cpu=cpu)

    def stop(self, contender: Contender, *, far: bool = False, force: bool = False) -> None:
        """Stop an app if it runs."""
        child = self._servers.pop((contender.name, far), None)
        if child is not None:
            child.close(force=force)

    def answer(
        self, contender: Contender, path: str, method: str = "GET", body: object = None
    ) -> tuple[int, Any]:
        """One answer of an app: its status and what its JSON holds."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port(contender), timeout=30)
        try:
            content = None if body is None else json.dumps(body)
            headers = {"Content-Type": "application/json"} if content else {}
            connection.request(method, path, content, headers)
            response = connection.getresponse()
            text = response.read()
            try:
                return response.status, json.loads(text) if text else None
            except ValueError:
                return response.status, text.decode(errors="replace")
        finally:
            connection.close()

    def close(self) -> None:
        """End every process."""
        for child in [*self._servers.values(), self._load, *([self._proxy] if self._proxy else [])]:
            child.close()
        self._servers.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _through_proxy(self) -> Target:
        if self._proxy is None:
            host, port = self.target.address
            self._proxy = Child("sqlawait.bench.proxy", host, str(port))
        return self.target.at(int(self._proxy.greeting["port"]))


def different_answers(runner: Runner, contenders: Sequence[Contender]) -> list[str]:
    """Ask each app the same before anything is measured: one that answers something else cannot be compared.

    Returns:
        One sentence for each difference; none where all agree.
    """
    asked = [("GET", "/users/1", None), ("GET", "/users/1/posts", None), ("GET", "/users?after=3", None)]
    asked += [("GET", "/users/999999999", None)]
    said: list[str] = []
    runner.start(*contenders)
    for method, path, body in asked:
        first: tuple[int, Any] | None = None
        for contender in contenders:
            answer = runner.answer(contender, path, method, body)
            if answer[0] == 404:
                answer = (404, None)  # each words its refusal in its own way
            if first is None:
                first = answer
            elif answer != first:
                said.append(
                    f"{contender.name} answers {method} {path} with {_short(answer)}, not {_short(first)}"
                )
    return said


def _short(answer: tuple[int, Any]) -> str:
    return f"{answer[0]} {str(answer[1])[:200]}"


__all__ = ["ChildFailed", "Runner", "different_answers"]
