"""What a conversion comes to."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from sqlawait.check.finding import Finding


@dataclass(frozen=True, slots=True)
class Todo:
    """A construct that was not converted."""

    path: Path
    line: int
    code: str
    reason: str


@dataclass
class Result:
    """What a conversion comes to."""

    changes: dict[Path, tuple[str, str]] = field(default_factory=dict)
    """The files that change: before and after."""
    todos: list[Todo] = field(default_factory=list)
    functions: int = 0
    """How many functions became async."""
    twins: int = 0
    """How many functions are there in both kinds."""
    lines: int = 0
    """Lines of Python that were read."""
    tests: int = 0
    """How many of the changed files belong to the test suite."""
    counts: Counter[str] = field(default_factory=Counter)
    """How many places were rewritten, by what they are."""
    findings: list[Finding] = field(default_factory=list)
    """What ``sqlawait check`` finds in the result and did not find before."""
    notes: list[str] = field(default_factory=list)
    """What else its reader should know."""


__all__ = ["Result", "Todo"]
