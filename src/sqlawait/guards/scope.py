"""What one request did: its tallies, in a ContextVar, so that concurrent requests never mix.

A test or a job can be a scope as well. Tasks that a request starts inherit its scope with their context.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

from sqlawait.events import GuardName, Site
from sqlawait.guards.judge import Judge
from sqlawait.guards.sites import Stack, innermost

_numbers = itertools.count(1)
_process = secrets.token_hex(3)

Lazy = tuple[str, Site | None, bool]
"""Of a lazy load: the relationship, the line that loaded the parent, and whether it is a collection."""


@dataclass(slots=True)
class Tally:
    """The executions of one statement from one line."""

    stack: Stack
    statement: Any
    """The statement object: the names in the message come from it. None for a string of SQL."""
    lazy: Lazy | None
    count: int = 0
    seconds: float = 0.0
    values: set[int] = field(default_factory=set)

    @property
    def site(self) -> Site | None:
        """The line."""
        return innermost(self.stack)

    @property
    def distinct(self) -> int:
        """With how many different sets of values it ran."""
        return len(self.values)


class Scope:
    """The tallies of one request, test or job.

    ``label`` is what messages call it: ``GET /users`` or a test's name.
    """

    __slots__ = (
        "_found",
        "_id",
        "_label",
        "_running",
        "_since",
        "asgi",
        "blocked",
        "database",
        "endless",
        "guards",
        "held",
        "method",
        "path",
        "started",
        "startup",
        "statements",
        "strict",
        "tallies",
        "task",
        "waited",
    )

    def __init__(
        self,
        guards: Judge,
        *,
        label: str = "",
        method: str = "",
        path: str = "",
        asgi: Mapping[str, Any] | None = None,
        endless: bool = False,
        strict: bool = False,
    ) -> None:
        self.guards = guards
        self.method = method
        self.path = path
        self.asgi = asgi
        """The request as the server told it; its router writes there which route matched."""
        self.endless = endless
        """The application's lifespan: what its tasks do over days is not added up."""
        self.startup = endless
        """The application starts or stops: blocking hurts no one."""
        self.strict = strict
        """A test's: its guards judge, whatever the application's own settings are."""
        self.started = perf_counter()
        self.task = current_task()
        self.statements = 0
        self.database = 0.0
        self.waited = 0.0
        self.blocked = 0.0
        self.tallies: dict[str, list[Tally]] = {}
        """By SQL text, one for each line that sent it."""
        self.held: set[Any] = set()
        """The connections that it has taken and not given back: each a :class:`sqlawait.guards.held.Held`."""
        self._found: set[Any] | None = None
        self._id = ""
        self._label = label
        self._running = 0
        self._since = 0.0

    @property
    def id(self) -> str:
        """Unique among all processes of the application."""
        if not self._id:
            self._id = f"{_process}-{next(_numbers)}"
        return self._id

    @property
    def route(self) -> str:
        """The template of the route that matched; the path where none has, or has yet."""
        path = getattr(self.asgi.get("route"), "path", None) if self.asgi is not None else None
        return path if isinstance(path, str) else self.path

    @property
    def label(self) -> str:
        """What messages call this scope."""
        return self._label or f"{self.method} {self.route}"

    def statement_began(self, now: float) -> None:
        """Count a statement, and start the clock if none ran."""
        self.statements += 1
        if self._running == 0:
            self._since = now
        self._running += 1

    def statement_ended(self, now: float) -> None:
        """Stop the clock if this was the last statement that ran."""
        self._running -= 1
        if self._running == 0:
            self.database += now - self._since

    def first(self, *key: Any) -> bool:
        """Whether this is the first report of ``key`` in this scope: a line is told of once a request."""
        if self._found is None:
            self._found = set()
        if key in self._found:
            return False
        self._found.add(key)
        return True

    def enter(self) -> Token[Scope | None]:
        """The running code, and the tasks and threads that it starts, are in this scope from now on."""
        _open.add(self)
        if _BY_TASK and self.task is not None:
            _by_task.setdefault(self.task, []).append(self)
        return _current.set(self)

    def leave(self, token: Token[Scope | None]) -> None:
        """Undo :meth:`enter`."""
        _current.reset(token)
        _open.discard(self)
        if _BY_TASK and self.task is not None:
            inside = _by_task[self.task]
            inside.remove(self)
            if not inside:
                del _by_task[self.task]


_current: ContextVar[Scope | None] = ContextVar("sqlawait_scope", default=None)
_open: set[Scope] = set()
_BY_TASK = sys.version_info < (3, 12)
"""From 3.12 on a task tells its context."""
_by_task: dict[asyncio.Task[Any], list[Scope]] = {}

judges: list[Judge] = []
"""The guards that are installed; the last one judges what runs in no scope."""


def active() -> Judge | None:
    """The guards that judge the running code."""
    scope = _current.get()
    if scope is not None:
        return scope.guards
    return judges[-1] if judges else None


def active_for(guard: GuardName) -> tuple[Judge, Scope | None] | None:
    """The guards that judge the running code and its scope, where ``guard`` is on."""
    guards = active()
    if guards is None or not guards.on(guard):
        return None
    return guards, _current.get()


current_scope = _current.get
"""The scope of the running code, None outside of one."""


@contextmanager
def entered(scope: Scope) -> Iterator[Scope]:
    """Run a block, and the tasks and threads that it starts, in ``scope``."""
    token = scope.enter()
    try:
        yield scope
    finally:
        scope.leave(token)


def open_scopes() -> list[Scope]:
    """The scopes that have not ended, of all threads."""
    return list(_open)


def scope_of_task(task: asyncio.Task[Any] | None) -> Scope | None:
    """The scope that another thread's task runs in; known on Python 3.11 for a request's own task only."""
    if task is None:
        return None
    context = getattr(task, "get_context", None)  # Python 3.12
    if context is not None:
        scope: Scope | None = context().get(_current)
        return scope
    inside = _by_task.get(task)
    return inside[-1] if inside else None


def current_task() -> asyncio.Task[Any] | None:
    """The running task, None outside of an event loop."""
    loop = asyncio._get_running_loop()
    return asyncio.current_task(loop) if loop is not None else None


__all__ = [
    "Lazy",
    "Scope",
    "Tally",
    "active",
    "active_for",
    "current_scope",
    "current_task",
    "entered",
    "judges",
    "open_scopes",
    "scope_of_task",
]
