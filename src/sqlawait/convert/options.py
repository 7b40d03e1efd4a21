"""What is converted, and how."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from .drivers import Drivers
from .tracing.trace import Trace


@dataclass(frozen=True, slots=True)
class Options:
    """The choices of whoever asks for a conversion."""

    tests: bool = False
    drivers: Drivers = field(default_factory=Drivers)
    only: Sequence[str] = ()
    """The routes, modules, functions or folders of a slice; without any, all of the code base."""
    trace: Trace | None = None
    """What a run of the suite loaded on access."""


__all__ = ["Options"]
