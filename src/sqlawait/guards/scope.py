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
from contextvars import ContextVar
from time import perf_counter
from typing import Any

from sqlawait.events import GuardName, Site
from sqlawait.guards.judge import Judge
from sqlawait.guards.sites import Stack, innermost

_running_loop = asyncio._get_running_loop
_numbers = itertools.count(1)
_process = secrets.token_hex(3)

Lazy = tuple[Any, Stack]
"""Of a lazy load: the relationship, None where it is not known, and the lines that loaded the parent."""


class Execution:
    """One execution of a statement, as much of it as N+1 needs to know."""

    __slots__ = ("_tally", "lazy", "parameters", "seconds", "sql", "stack", "statement")

    def __init__(
        self, sql: str, parameters: Any, stack: Stack, statement: Any = None, lazy: Lazy | None = None
    ) -> None:
        self.sql = sql
        self.parameters = parameters
        self.stack = stack
        self.statement = statement
        """The statement object: the names in the message come from it. None for a string of SQL."""
        self.lazy = lazy
        self.seconds = 0.0
        self._tally: Tally | None = None

    def is_one_of(self, tally: Tally) -> None:
        """It is not the first of its kind in its request."""
        self._tally = tally

    def took(self, seconds: float) -> None:
        """It was answered after so long."""
        self.seconds = seconds
        if self._tally is not None:
            self._tally.seconds += seconds


class Tally:
    """The executions of one statement from one line.

    Parameters:
        first: the first of them.
    """

    __slots__ = ("count", "lazy", "seconds", "stack", "statement", "values")

    def __init__(self, first: Execution) -> None:
        self.stack = first.stack
        self.statement = first.statement
        self.lazy = first.lazy
        self.count = 1
        self.seconds = first.seconds
        """How long they took, where somebody wants to know."""
        self.values: set[int] = {_fingerprint(first.parameters)}

    def add(self, execution: Execution) -> None:
        """Count another one."""
        self.count += 1
        execution.is_one_of(self)
        if len(self.values) < _VALUES:
            self.values.add(_fingerprint(execution.parameters))

    @property
    def site(self) -> Site | None:
        """The line."""
        return innermost(self.stack)

    @property
    def distinct(self) -> int:
        """With how many different sets of values it ran."""
        return len(self.values)


_VALUES = 1_000
"""Different values that are kept of one line: by then it is a finding many times over."""


def _fingerprint(parameters: Any) -> int:
    values = tuple(parameters.values()) if isinstance(parameters, dict) else parameters
    try:
        return hash(values)
    except TypeError:  # a list or a dict among the values
        return hash(repr(values))


class Scope:
    """The tallies of one request, test or job.

    ``label`` is what messages call it: ``GET /users`` or a test's name. One is made for each request, so what
    most requests have no use for is not set before it is needed.
    """

    statements = 0
    database = 0.0
    """Seconds in which at least one statement ran; 0 where nobody wants to know."""
    out = 0
    """How many connections it has taken and not given back."""
    waited = 0.0
    """Seconds of waiting for connections."""
    blocked = 0.0
    """Seconds in which the event loop was blocked."""
    timed = False
    """Somebody wants to know how long its statements take, though no observer does."""
    repeats = False
    """A statement ran more than once."""
    endless = False
    """The application's lifespan: what its tasks do over days is not added up."""
    startup = False
    """The application starts or stops: blocking hurts no one."""
    strict = False
    """A test's: its guards judge, whatever the application's own settings are."""
    _id = ""
    _label = ""
    _found: set[Any] | None = None
    _running = 0
    _since = 0.0

    def __init__(self, guards: Judge, asgi: Mapping[str, Any] | None = None, *, label: str = "") -> None:
        self.guards = guards
        self.asgi = asgi
        """The request as the server told it; its router writes there which route matched."""
        self.started = perf_counter()
        self.task = current_task()
        self.tallies: dict[str, Execution | list[Tally]] = {}
        """By SQL text: its only execution, or a tally for each line that sent it."""
        if label:
            self._label = label

    @property
    def method(self) -> str:
        """The request's method; ``WS`` for a web socket, empty for a job."""
        return str(self.asgi.get("method", "WS")) if self.asgi is not None else ""

    @property
    def path(self) -> str:
        """The request's path; empty for a job."""
        return str(self.asgi["path"]) if self.asgi is not None else ""

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
        """Start the clock if no other statement runs."""
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


current: ContextVar[Scope | None] = ContextVar("sqlawait_scope", default=None)
opened: dict[Scope, None] = {}
"""The scopes that have not ended, the newest last."""

judges: list[Judge] = []
"""The guards that are installed; the last one judges what runs in no scope."""


def active() -> Judge | None:
    """The guards that judge the running code."""
    scope = current.get()
    if scope is not None:
        return scope.guards
    return judges[-1] if judges else None


def active_for(guard: GuardName) -> tuple[Judge, Scope | None] | None:
    """The guards that judge the running code and its scope, where ``guard`` is on."""
    guards = active()
    if guards is None or not guards.on(guard):
        return None
    return guards, current.get()


current_scope = current.get
"""The scope of the running code, None outside of one."""


@contextmanager
def entered(scope: Scope) -> Iterator[Scope]:
    """Run a block, and the tasks and threads that it starts, in ``scope``."""
    opened[scope] = None
    token = current.set(scope)
    try:
        yield scope
    finally:
        current.reset(token)
        del opened[scope]


def open_scopes() -> list[Scope]:
    """The scopes that have not ended, of all threads."""
    return list(opened)


def scope_of_task(task: asyncio.Task[Any] | None) -> Scope | None:
    """The scope that another thread's task runs in; known on Python 3.11 for a request's own task only."""
    if task is None:
        return None
    context = getattr(task, "get_context", None)  # from Python 3.12 on
    if context is not None:
        scope: Scope | None = context().get(current)
        return scope
    return next((scope for scope in reversed(list(opened)) if scope.task is task), None)


if sys.version_info >= (3, 12):

    def current_task() -> asyncio.Task[Any] | None:
        """The running task, None outside of an event loop."""
        try:
            return asyncio.current_task()
        except RuntimeError:
            return None

else:
    _tasks: dict[Any, asyncio.Task[Any]] = vars(asyncio.tasks)["_current_tasks"]

    def current_task() -> asyncio.Task[Any] | None:
        """The running task, None outside of an event loop."""
        return _tasks.get(_running_loop())


__all__ = [
    "Execution",
    "Lazy",
    "Scope",
    "Tally",
    "active",
    "active_for",
    "current",
    "current_scope",
    "current_task",
    "entered",
    "judges",
    "open_scopes",
    "opened",
    "scope_of_task",
]
