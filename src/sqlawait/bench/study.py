"""What is compared, and the rounds over it: every app in turn, again and again, so a slow minute hurts all."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .contenders import NOTHING, Contender
from .results import Cell, Results
from .runner import Runner

Step = Callable[[str], None]
"""Told of each round before it begins."""


@dataclass(frozen=True, slots=True)
class Study:
    """A plan.

    Parameters:
        contenders: the apps.
        cells: where they are compared.
        rounds: how often each app is measured in each cell.
        seconds: how long a round is measured.
        warmup: seconds under load before that.
    """

    contenders: Sequence[Contender]
    cells: Sequence[Cell]
    rounds: int = 3
    seconds: float = 1.5
    warmup: float = 0.4

    @property
    def steps(self) -> int:
        """How many rounds there are in all, the two that look at the load generator included."""
        return len(self.contenders) * len(self.cells) * self.rounds + 1

    @property
    def estimate(self) -> float:
        """About how many seconds it takes."""
        return self.steps * (self.seconds + self.warmup + 0.15) + 2.5 * len(self.contenders) + 5

    def run(self, runner: Runner, results: Results, step: Step) -> None:
        """Measure everything.

        Parameters:
            runner: holds the servers and the load.
            results: where the rounds are kept, each as soon as it is measured.
            step: told before each round; what is left out because an app stalled is told too.
        """
        step("the load generator alone")
        results.add(
            CEILING, NOTHING.name, runner.measure(NOTHING, CEILING, seconds=self.seconds, warmup=self.warmup)
        )
        runner.stop(NOTHING)
        near = [cell for cell in self.cells if cell.latency is None]
        far = [cell for cell in self.cells if cell.latency is not None]
        for cell in near:
            self._measure(cell, runner, results, step)
        if far:
            for contender in self.contenders:
                runner.stop(contender)
            runner.start(*self.contenders, far=True)
        for cell in far:
            self._measure(cell, runner, results, step)

    def _measure(self, cell: Cell, runner: Runner, results: Results, step: Step) -> None:
        for number in range(self.rounds):
            shift = number % len(self.contenders)  # each app is first, second … in turn
            for contender in (*self.contenders[shift:], *self.contenders[:shift]):
                step(f"{cell.title}: {contender.title}")
                if not results.stalled(cell, contender.name):  # once is enough to know
                    one = runner.measure(contender, cell, seconds=self.seconds, warmup=self.warmup)
                    results.add(cell, contender.name, one)


CEILING = Cell("nothing", 64)
"""Where the load generator is looked at: no framework, no database."""


def cells(workloads: Sequence[str], concurrencies: Sequence[int], latencies: Sequence[float]) -> list[Cell]:
    """Every workload at every concurrency, and the slow query at each distance.

    Parameters:
        workloads: names; ``slow`` is one row read through the proxy.
        concurrencies: clients at once.
        latencies: seconds in each direction, for ``slow``.
    """
    near = [
        Cell(workload, clients) for workload in workloads if workload != "slow" for clients in concurrencies
    ]
    if "slow" not in workloads:
        return near
    return near + [Cell("one", clients, latency) for latency in latencies for clients in concurrencies]


__all__ = ["CEILING", "Study", "cells"]
