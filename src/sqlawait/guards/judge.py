"""What is decided of each guard: off, log or raise; and who is told of what it finds."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import time
from typing import Any, Literal, Protocol, Self, get_args

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


class Place(Protocol):
    """Where something was found: a request, a test, a job."""

    @property
    def id(self) -> str: ...

    @property
    def label(self) -> str: ...


class Judge:
    """The five guards' settings; :class:`sqlawait.guards.Guards` also watches."""

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
        self.off = all(action == "off" for action in self.actions.values())
        """Whether nothing is looked for; there may be observers all the same."""
        self.counts = n_plus_one != "off"
        """Whether selects are counted: asked for each of them."""
        self.limits = limits or Limits()
        self.observers = list(observers)
        self.bind_values = bind_values

    @classmethod
    def development(cls, **options: Any) -> Self:
        """All guards raise, N+1 excepted: it is slow, not wrong, and logs."""
        chosen: dict[str, Any] = {name.replace("-", "_"): "raise" for name in get_args(GuardName)}
        return cls(**{**chosen, "n_plus_one": "log", **options})

    @classmethod
    def production(cls, **options: Any) -> Self:
        """All guards log."""
        return cls(**options)

    @classmethod
    def parse(cls, text: str, **options: Any) -> Self:
        """The guards that a setting of the environment asks for.

        Parameters:
            text: ``off``, ``log``, or ``raise`` (as :meth:`development`), then exceptions by name:
                ``"raise, n-plus-one=off, blocked-loop=log"``.
            options: the rest of the constructor's.

        Raises:
            ConfigurationError: a word is none of these.
        """
        general, *exceptions = (part.strip() for part in text.split(","))
        chosen: dict[str, Any] = {name.replace("-", "_"): general for name in get_args(GuardName)}
        if general == "raise":
            chosen["n_plus_one"] = "log"
        for exception in exceptions:
            name, _, action = exception.partition("=")
            if name not in get_args(GuardName):
                raise ConfigurationError(f"{name!r} is no guard; use one of {', '.join(get_args(GuardName))}")
            chosen[name.replace("-", "_")] = action
        return cls(**{**chosen, **options})

    def on(self, guard: GuardName) -> bool:
        """Whether a guard is switched on."""
        return self.actions[guard] != "off"

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
        scope: Place | None,
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


__all__ = ["Action", "Judge", "Limits", "Place"]
