"""Measurements, and ratios of them with their spread."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any


@dataclass(frozen=True, slots=True)
class Cell:
    """A place in the table: what is asked, by how many at once, how far from the database."""

    workload: str
    concurrency: int
    latency: float | None = None
    """Seconds that the proxy adds in each direction; None: no proxy."""

    @property
    def title(self) -> str:
        """``nested, 64 clients, database 5 ms away``."""
        clients = "1 client" if self.concurrency == 1 else f"{self.concurrency:,} clients"
        far = "" if self.latency is None else f", database {self.latency * 1000:g} ms away"
        return f"{self.workload}, {clients}{far}"


@dataclass(frozen=True, slots=True)
class Measurement:
    """One round of one app in one cell. Times in seconds."""

    seconds: float
    completed: int
    rate: float
    """Good answers a second."""
    p50: float
    p90: float
    p99: float
    longest: float
    mean: float
    errors: dict[str, int] = field(default_factory=dict)
    unfinished: int = 0
    stalled: bool = False
    """No answer came for longer than the load generator's patience, though requests were waiting."""
    received: int = 0
    load_busy: float = 0.0
    """Share of one processor that the load generator used; near 1 it would be the bottleneck itself."""
    cpu: float | None = None
    """Processor time of the app for each answer; None where it did not say."""

    @property
    def failed(self) -> int:
        """How many requests did not get a good answer."""
        return sum(self.errors.values()) + self.unfinished


@dataclass(frozen=True, slots=True)
class Ratio:
    """The median of the rounds' ratios, with the least and the greatest of them."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.2f} ({self.low:.2f} to {self.high:.2f})"


@dataclass(slots=True)
class Results:
    """Everything that was measured."""

    about: dict[str, Any] = field(default_factory=dict)
    """The machine, the database, the versions, the plan."""
    rounds: dict[tuple[Cell, str], list[Measurement]] = field(default_factory=dict)

    def add(self, cell: Cell, contender: str, measurement: Measurement) -> None:
        """Keep a round."""
        self.rounds.setdefault((cell, contender), []).append(measurement)

    def cells(self) -> list[Cell]:
        """The cells that were measured, in order."""
        return list(dict.fromkeys(cell for cell, _ in self.rounds))

    def contenders(self) -> list[str]:
        """The names of the apps that were measured, in order."""
        return list(dict.fromkeys(name for _, name in self.rounds))

    def of(self, cell: Cell, contender: str) -> list[Measurement]:
        """The rounds of an app in a cell; empty where it was not measured."""
        return self.rounds.get((cell, contender), [])

    def typical(self, cell: Cell, contender: str, what: str = "rate") -> float | None:
        """The median over the rounds of a figure (``rate``, ``p99`` …); None where it has none or stalled."""
        rounds = self.of(cell, contender)
        if not rounds or any(one.stalled for one in rounds):
            return None
        values = [value for one in rounds if (value := getattr(one, what)) is not None]
        return median(values) if values else None

    def stalled(self, cell: Cell, contender: str) -> bool:
        """Whether the app stopped answering there."""
        return any(one.stalled for one in self.of(cell, contender))

    def ratio(self, cell: Cell, above: str, below: str, what: str = "rate") -> Ratio | None:
        """``above`` against ``below``, round by round; None where one has no figure there."""
        return ratio(self.of(cell, above), self.of(cell, below), lambda one: float(getattr(one, what)))

    def as_json(self) -> dict[str, Any]:
        """For ``--json``: plain types, times in seconds."""
        return {
            "about": self.about,
            "measurements": [
                {**asdict(cell), "app": name, "rounds": [asdict(one) for one in rounds]}
                for (cell, name), rounds in self.rounds.items()
            ],
        }


def ratio(
    above: Sequence[Measurement], below: Sequence[Measurement], figure: Callable[[Measurement], float]
) -> Ratio | None:
    """The ratio of two apps, paired by round, so that what slows the machine for a while slows both.

    None where one of them stalled or has no round, or where a figure below is zero.
    """
    pairs = list(zip(above, below, strict=False))
    if not pairs or any(one.stalled for pair in pairs for one in pair):
        return None
    return spread(figure(a) / figure(b) for a, b in pairs if figure(b) > 0)


def spread(values: Iterable[float]) -> Ratio | None:
    """The median of values between the least and the greatest; None of none."""
    ordered = sorted(values)
    if not ordered:
        return None
    return Ratio(median(ordered), ordered[0], ordered[-1])


__all__ = ["Cell", "Measurement", "Ratio", "Results", "ratio", "spread"]
