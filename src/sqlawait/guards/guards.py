"""The guards' switchboard: which of them is off, logs or raises, and who is told."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from time import perf_counter, time
from typing import Any, Literal, Self, get_args

from sqlawait.events import Finding, GuardName, Observer, Site
from sqlawait.exceptions import (
    BlockedLoop,
    ConfigurationError,
    GuardError,
    LazyLoad,
    LeakedConnection,
    NPlusOne,
    SharedSession,
)
from sqlawait.guards.scope import Scope, current_scope, entered

Action = Literal["off", "log", "raise"]

logger = logging.getLogger("sqlawait.guards")

_ERRORS: dict[GuardName, type[GuardError]] = {
    error.guard: error for error in (LazyLoad, NPlusOne, SharedSession, BlockedLoop, LeakedConnection)
}


@dataclass(frozen=True, slots=True)
class Limits:
    """From when on the guards that count and measure speak up.

    Parameters:
        repeats: executions of one SELECT from one line, with different values, in one request.
        blocked_after: seconds without the event loop turning.
        idle_after: seconds that a connection is held while its task waits for something else.
    """

    repeats: int = 5
    blocked_after: float = 0.1
    idle_after: float = 1.0


class Guards:
    """The five guards, each off, logging or raising.

    Parameters:
        lazy_load: an unloaded attribute is touched where no SQL can run.
        n_plus_one: one SELECT runs again and again from one line.
        shared_session: two tasks use one session at the same time.
        blocked_loop: blocking code runs on the event loop. Blocking database calls raise where they are made;
            other code can only be reported once it has let go of the loop, so that is always logged.
        leaked_connection: a connection is kept beyond its use.
        limits: from when on the counting and measuring guards speak up.
        observers: told of every statement, request and finding; see :mod:`sqlawait.events`.
        bind_values: give the statements' bind values to the observers. They are personal data: off by default.

    Raises:
        ConfigurationError: an action is none of ``"off"``, ``"log"``, ``"raise"``.

    Example::

        guards = Guards(lazy_load="raise", n_plus_one="log")
        with guards, guards.scope("nightly report"):
            await report(session)
    """

    def __init__(
        self,
        *,
        lazy_load: Action = "log",
        n_plus_one: Action = "log",
        shared_session: Action = "log",
        blocked_loop: Action = "log",
        leaked_connection: Action = "log",
        limits: Limits | None = None,
        observers: Sequence[Observer] = (),
        bind_values: bool = False,
    ) -> None:
        self.actions: Mapping[GuardName, Action] = {
            "lazy-load": lazy_load,
            "n-plus-one": n_plus_one,
            "shared-session": shared_session,
            "blocked-loop": blocked_loop,
            "leaked-connection": leaked_connection,
        }
        for name, action in self.actions.items():
            if action not in get_args(Action):
                raise ConfigurationError(f"{action!r} is no action for the guard {name}; use off, log or raise")
        self.limits = limits or Limits()
        self.observers = list(observers)
        self.bind_values = bind_values
        self._installed = 0

    @classmethod
    def development(cls, **options: Any) -> Self:
        """All guards raise, N+1 excepted: it is slow, not wrong, and logs."""
        chosen: dict[str, Any] = {name.replace("-", "_"): "raise" for name in get_args(GuardName)}
        return cls(**{**chosen, "n_plus_one": "log", **options})

    @classmethod
    def production(cls, **options: Any) -> Self:
        """All guards log."""
        return cls(**options)

    def on(self, guard: GuardName) -> bool:
        """Whether a guard is switched on."""
        return self.actions[guard] != "off"

    def install(self) -> Self:
        """Begin to watch: every engine, pool and AsyncSession of this process, once however often it is called.

        A request is judged by the guards of its own application; code outside of any, by those installed last.
        """
        from sqlawait.guards import hooks

        with _lock:
            self._installed += 1
            if self._installed == 1:
                if not _stack:
                    hooks.listen()
                _stack.append(self)
        return self

    def remove(self) -> None:
        """End what :meth:`install` began."""
        from sqlawait.guards import hooks

        with _lock:
            if self._installed == 0:
                return
            self._installed -= 1
            if self._installed == 0:
                _stack.remove(self)
                if not _stack:
                    hooks.unlisten()

    def __enter__(self) -> Self:
        return self.install()

    def __exit__(self, *_: object) -> None:
        self.remove()

    @contextmanager
    def scope(self, label: str) -> Iterator[Scope]:
        """Watch a block as if it were a request: a job, a script, a test.

        Raises:
            GuardError: at the end of the block, of a guard set to ``"raise"`` that judges the whole of it.
        """
        from sqlawait.guards import hooks

        scope = Scope(self, label=label)
        with entered(scope):
            yield scope
        hooks.scope_ended(scope)

    def tell(self, event: object) -> None:
        """Give an event to the observers."""
        for observer in self.observers:
            observer(event)

    def report(
        self,
        guard: GuardName,
        message: str,
        *,
        fix: str,
        site: Site | None,
        scope: Scope | None,
        count: int = 1,
        seconds: float = 0.0,
        related: Mapping[str, Site] | None = None,
        may_raise: bool = True,
    ) -> None:
        """Tell of a finding: the observers always, then the log or the caller.

        Raises:
            GuardError: the guard is set to ``"raise"``.
        """
        finding = Finding(
            guard=guard,
            message=message,
            fix=fix,
            site=site,
            request=scope.id if scope is not None else None,
            where=scope.label if scope is not None else "",
            at=time(),
            count=count,
            seconds=seconds,
            related=related or {},
        )
        self.tell(finding)
        if self.actions[guard] == "raise" and may_raise:
            raise _ERRORS[guard](finding)
        logger.warning("%s: %s", guard, message, extra={"finding": finding})


_stack: list[Guards] = []
_lock = threading.RLock()


def active() -> Guards | None:
    """The guards that judge the running code."""
    scope = current_scope()
    if scope is not None:
        return scope.guards
    return _stack[-1] if _stack else None


def active_for(guard: GuardName) -> tuple[Guards, Scope | None] | None:
    """The guards that judge the running code and its scope, where ``guard`` is on."""
    scope = current_scope()
    guards = scope.guards if scope is not None else (_stack[-1] if _stack else None)
    if guards is None or guards.actions[guard] == "off":
        return None
    return guards, scope


def running_loop() -> asyncio.AbstractEventLoop | None:
    """The event loop that runs in this thread."""
    return asyncio._get_running_loop()


process_started = perf_counter()

Detector = Callable[..., None]

__all__ = ["Action", "Detector", "Guards", "Limits", "active", "active_for", "process_started", "running_loop"]
