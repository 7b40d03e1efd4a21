"""The collector: an observer that keeps what happened lately, in rings of bounded length."""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakSet

from sqlawait.events import Finding, RequestFinished, RequestStarted, Site, StatementRan


@dataclass(slots=True)
class Trace:
    """One request, with its statements."""

    started: RequestStarted
    finished: RequestFinished | None = None
    statements: list[StatementRan] = field(default_factory=list)
    dropped: int = 0
    """Statements beyond the bound: counted, not kept."""
    findings: list[Finding] = field(default_factory=list)


@dataclass(slots=True)
class Total:
    """All executions of one SQL text."""

    sql: str
    dialect: str
    site: Site | None
    count: int = 0
    seconds: float = 0.0
    slowest: float = 0.0


@dataclass(slots=True)
class Group:
    """One N+1: the same line and the same fix, in any number of requests."""

    finding: Finding
    requests: int = 0
    executions: int = 0
    seconds: float = 0.0


class Collector:
    """Keeps the last requests, statements and findings, and tells subscribers of new ones.

    Parameters:
        requests: how many requests are kept; older ones are forgotten.
        statements: how many statements of one request are kept.
        findings: how many findings are kept, and how many different statements and N+1 groups.
    """

    def __init__(self, *, requests: int = 500, statements: int = 300, findings: int = 300) -> None:
        self._open: OrderedDict[str, Trace] = OrderedDict()
        self._done: deque[Trace] = deque(maxlen=requests)
        self._by_id: dict[str, Trace] = {}
        self._requests = requests
        self._statements = statements
        self._bound = findings
        self._findings: deque[Finding] = deque(maxlen=findings)
        self._totals: OrderedDict[str, Total] = OrderedDict()
        self._groups: OrderedDict[tuple[Site | None, str], Group] = OrderedDict()
        self._engines: WeakSet[Any] = WeakSet()
        self._subscribers: set[Subscriber] = set()
        self._lock = threading.Lock()  # def routes and the bridge report from their threads

    def __call__(self, event: object, /) -> None:
        """Keep an event."""
        with self._lock:
            match event:
                case StatementRan():
                    self._statement(event)
                case RequestStarted():
                    self._open[event.id] = self._by_id[event.id] = Trace(event)
                    if len(self._open) > self._requests:  # streams and sockets that never end
                        self._by_id.pop(self._open.popitem(last=False)[0], None)
                case RequestFinished():
                    self._finish(event)
                case Finding():
                    self._finding(event)
                case _:
                    return
        if not isinstance(event, StatementRan):
            for subscriber in list(self._subscribers):
                subscriber.tell(event)

    def _statement(self, event: StatementRan) -> None:
        self._engines.add(event.engine)
        total = self._totals.get(event.sql)
        if total is None:
            total = self._totals[event.sql] = Total(event.sql, event.dialect, event.site)
            if len(self._totals) > self._bound:
                self._totals.popitem(last=False)
        else:
            self._totals.move_to_end(event.sql)
        total.count += 1
        total.seconds += event.seconds
        if event.seconds > total.slowest:
            total.slowest, total.site = event.seconds, event.site
        trace = self._by_id.get(event.request) if event.request is not None else None
        if trace is None:
            return
        if len(trace.statements) < self._statements:
            trace.statements.append(event)
        else:
            trace.dropped += 1

    def _finish(self, event: RequestFinished) -> None:
        trace = self._open.pop(event.id, None)
        if trace is None:
            return
        trace.finished = event
        if len(self._done) == self._done.maxlen:
            self._by_id.pop(self._done[0].started.id, None)
        self._done.append(trace)

    def _finding(self, event: Finding) -> None:
        self._findings.append(event)
        trace = self._by_id.get(event.request) if event.request is not None else None
        if trace is not None:
            trace.findings.append(event)
        if event.guard == "n-plus-one":
            key = (event.site, event.fix)
            group = self._groups.get(key)
            if group is None:
                group = self._groups[key] = Group(event)
                if len(self._groups) > self._bound:
                    self._groups.popitem(last=False)
            group.finding = event
            group.requests += 1
            group.executions += event.count
            group.seconds += event.seconds

    def requests(self) -> list[Trace]:
        """The requests, newest first; those under way before those that have ended."""
        with self._lock:
            return [*reversed(self._open.values()), *reversed(self._done)]

    def request(self, id: str) -> Trace | None:  # noqa: A002 # what it is called everywhere
        """One request, while it is kept."""
        return self._by_id.get(id)

    def findings(self) -> list[Finding]:
        """The findings, newest first."""
        with self._lock:
            return list(reversed(self._findings))

    def groups(self) -> list[Group]:
        """The N+1 groups, the costliest first."""
        with self._lock:
            return sorted(self._groups.values(), key=lambda group: group.executions, reverse=True)

    def slowest(self, limit: int) -> list[Total]:
        """The statements on which most time was spent, by their slowest execution."""
        with self._lock:
            return sorted(self._totals.values(), key=lambda total: total.slowest, reverse=True)[:limit]

    def engines(self) -> list[Any]:
        """The engines that statements came from."""
        with self._lock:
            return list(self._engines)

    def subscribe(self) -> Subscriber:
        """Be told of each new event but statements, in the running loop; leave with :meth:`unsubscribe`."""
        subscriber = Subscriber(asyncio.get_running_loop())
        self._subscribers.add(subscriber)
        return subscriber

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Be told no more."""
        self._subscribers.discard(subscriber)


class Subscriber:
    """A queue of bounded length: one who does not read misses events, and holds nobody up."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.queue: asyncio.Queue[object] = asyncio.Queue(maxsize=200)

    def tell(self, event: object) -> None:
        """Put an event into the queue, from any thread."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._put, event)

    def _put(self, event: object) -> None:
        if not self.queue.full():
            self.queue.put_nowait(event)


__all__ = ["Collector", "Group", "Subscriber", "Total", "Trace"]
