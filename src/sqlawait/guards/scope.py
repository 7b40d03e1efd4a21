"""What one request did: its tallies, in a ContextVar, so that concurrent requests never mix.

A test or a job can be a scope as well. Tasks that a request starts inherit its scope with their context.
"""

from __future__ import annotations

import asyncio
import itertools
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from time import perf_counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlawait.guards.guards import Guards
    from sqlawait.guards.n_plus_one import Tally

_numbers = itertools.count(1)
_process = secrets.token_hex(3)


class Scope:
    """The tallies of one request, test or job.

    ``label`` is what messages call it: ``GET /users`` or a test's name.
    """

    __slots__ = (
        "_label",
        "_running",
        "_since",
        "blocked",
        "database",
        "found",
        "guards",
        "id",
        "method",
        "path",
        "route",
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
        guards: Guards,
        *,
        label: str = "",
        method: str = "",
        path: str = "",
        startup: bool = False,
        strict: bool = False,
    ) -> None:
        self.guards = guards
        self.id = f"{_process}-{next(_numbers)}"
        self.method = method
        self.path = path
        self.route = ""
        self.startup = startup
        """Start and stop of the application, where blocking hurts no one."""
        self.strict = strict
        """A test's: its guards judge, whatever the application's own settings are."""
        self.started = perf_counter()
        self.task = _current_task()
        self.statements = 0
        self.database = 0.0
        self.waited = 0.0
        self.blocked = 0.0
        self.tallies: dict[Any, Tally] = {}
        self.found: set[Any] = set()
        """What was reported already: one finding a line and request."""
        self._label = label
        self._running = 0
        self._since = 0.0

    @property
    def label(self) -> str:
        """What messages call this scope."""
        return self._label or f"{self.method} {self.route or self.path}"

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
        """Whether this is the first report of ``key`` in this scope."""
        if key in self.found:
            return False
        self.found.add(key)
        return True


_current: ContextVar[Scope | None] = ContextVar("sqlawait_scope", default=None)
_open: set[Scope] = set()
_by_task: dict[asyncio.Task[Any], Scope] = {}
_lock = threading.Lock()


def current_scope() -> Scope | None:
    """The scope of the running code, None outside of one."""
    return _current.get()


@contextmanager
def entered(scope: Scope) -> Iterator[Scope]:
    """Run a block, and the tasks and threads that it starts, in ``scope``."""
    token = _current.set(scope)
    outer = None
    with _lock:
        _open.add(scope)
        if scope.task is not None:
            outer = _by_task.get(scope.task)
            _by_task[scope.task] = scope
    try:
        yield scope
    finally:
        _current.reset(token)
        with _lock:
            _open.discard(scope)
            if scope.task is not None:
                if outer is not None:
                    _by_task[scope.task] = outer
                else:
                    del _by_task[scope.task]


def open_scopes() -> list[Scope]:
    """The scopes that have not ended, of all threads."""
    with _lock:
        return list(_open)


def scope_of_task(task: asyncio.Task[Any] | None) -> Scope | None:
    """The scope that another thread's task runs in; known on Python 3.11 for a request's own task only."""
    if task is None:
        return None
    context = getattr(task, "get_context", None)  # Python 3.12
    if context is not None:
        scope: Scope | None = context().get(_current)
        return scope
    with _lock:
        return _by_task.get(task)


def _current_task() -> asyncio.Task[Any] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:  # no event loop runs in this thread
        return None


__all__ = ["Scope", "current_scope", "entered", "open_scopes", "scope_of_task"]
