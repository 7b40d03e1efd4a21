"""What happened, as frozen records, and who is told.

An observer is any callable that takes an event. It is called on the event loop's thread (or on the bridge's
thread for blocking code), at once and in order: it must be quick and must not raise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

GuardName = Literal["lazy-load", "n-plus-one", "shared-session", "blocked-loop", "leaked-connection"]


@dataclass(frozen=True, slots=True)
class Site:
    """A line of code."""

    file: str
    """Relative to the working directory where it lies below it."""
    line: int
    function: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class ConnectionWaited:
    """A connection was asked for and was not free at once."""

    seconds: float
    """Time spent in the pool's line, in seconds."""
    waiting: int
    """How many others stood in the line when this one joined it."""


@dataclass(frozen=True, slots=True)
class ConnectionDiscarded:
    """A connection came back in a state that no other request may inherit, and was closed."""

    reason: str


@dataclass(frozen=True, slots=True)
class TransactionRetried:
    """A transaction failed in a way that is safe to repeat, and is run again as a whole."""

    reason: str
    attempt: int
    """The attempt that failed, counted from 1."""
    delay: float
    """Seconds until the next attempt."""


@dataclass(frozen=True, slots=True)
class ReplicaChanged:
    """A replica was taken into use, or left out of it."""

    server: str
    """Its host and port."""
    in_use: bool
    reason: str
    """Why it is left out; empty where it is in use."""


@dataclass(frozen=True, slots=True)
class RequestStarted:
    """A request came in."""

    id: str
    method: str
    path: str
    at: float
    """Seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class StatementRan:
    """A statement was answered by the database, or failed."""

    request: str | None
    """The id of the request that ran it; None outside of a request."""
    sql: str
    parameters: object
    """The bind values as the driver got them; None unless they were asked for."""
    dialect: str
    site: Site | None
    """The application's line that ran it."""
    offset: float
    """Seconds from the start of the request (or of the process) to the start of the statement."""
    seconds: float
    """From sending it to having its answer, the event loop's own delays included."""
    rows: int | None
    """Rows returned or changed; None where the driver does not say."""
    many: int
    """How many sets of bind values it ran with: 1 but for ``executemany``."""
    error: str | None
    engine: object = field(repr=False, compare=False)
    """The :class:`sqlalchemy.Engine` that ran it."""


@dataclass(frozen=True, slots=True)
class RequestFinished:
    """A request was answered and everything that it started inside of itself has ended."""

    id: str
    method: str
    path: str
    route: str
    """The route's template, ``/users/{user_id}``; the path where none matched."""
    status: int | None
    """None: no response was started."""
    at: float
    """When it came in, seconds since the epoch."""
    seconds: float
    database: float
    """Seconds in which at least one of its statements ran."""
    waited: float
    """Seconds spent in getting connections: in the pool's line, or opening them."""
    blocked: float
    """Seconds in which the event loop was blocked while it ran, by itself or by another request."""
    statements: int
    error: str | None


@dataclass(frozen=True, slots=True)
class Finding:
    """A guard caught a mistake."""

    guard: GuardName
    message: str
    """A fact and a remedy, in one or two sentences."""
    fix: str
    """The code to paste, or what to do where no code says it."""
    site: Site | None
    """The application's line at fault."""
    request: str | None
    """The id of the request; None outside of one."""
    where: str
    """The request as ``GET /users``, the test's name, or ``""``."""
    at: float
    """Seconds since the epoch."""
    count: int = 1
    """How many times, for a guard that counts."""
    seconds: float = 0.0
    """How long, for a guard that measures."""
    related: Mapping[str, Site] = field(default_factory=dict)
    """Other lines that matter, by what they did: ``{"loaded": …}``."""


class Observer(Protocol):
    """Told of each event."""

    def __call__(self, event: object, /) -> None: ...


__all__ = [
    "ConnectionDiscarded",
    "ConnectionWaited",
    "Finding",
    "GuardName",
    "Observer",
    "ReplicaChanged",
    "RequestFinished",
    "RequestStarted",
    "Site",
    "StatementRan",
    "TransactionRetried",
]
