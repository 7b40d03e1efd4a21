"""What happened, as frozen records, and who is told.

An observer is any callable that takes an event. It is called on the event loop's thread (or on the bridge's
thread for blocking code), at once and in order: it must be quick and must not raise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


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


class Observer(Protocol):
    """Told of each event."""

    def __call__(self, event: object, /) -> None: ...


__all__ = ["ConnectionDiscarded", "ConnectionWaited", "Observer", "TransactionRetried"]
