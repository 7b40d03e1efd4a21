"""What the figures say, in words: where async pays, where it does not, and what may not be trusted."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import median
from typing import Literal

from .contenders import CONTENDERS, NOTHING
from .results import Cell, Ratio, Results

PAYS = 1.1
"""From this ratio on a difference is worth a change of the code; below its inverse it is a loss."""
WIDE = 2.0
"""Where the greatest of the rounds' ratios is this many times the least, the machine did something else too."""
BUSY = 0.85
"""Share of a processor from which on the load generator may have been the bottleneck."""

Kind = Literal["answer", "pays", "costs", "broken", "doubt", "sound"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that the figures say.

    ``answer`` to the question, where async ``pays``, where it ``costs`` or gives nothing, what was ``broken``,
    what throws ``doubt`` on the figures, what says that they are ``sound``.
    """

    kind: Kind
    text: str


def findings(results: Results) -> list[Finding]:
    """All that can be said, the most important first."""
    cells = [cell for cell in results.cells() if cell.workload != NOTHING.name]
    return [
        *_answer(results, cells),
        *_stalled(results, cells),
        *_does_not_pay(results, cells),
        *_shaped(results, cells),
        *_fairness(results, cells),
        *_errors(results, cells),
        *_load(results),
        *_doubts(results, cells),
    ]


def _answer(results: Results, cells: list[Cell]) -> Iterator[Finding]:
    near = _ratios(results, [cell for cell in cells if cell.latency is None and cell.concurrency > 1])
    far = _ratios(results, [cell for cell in cells if cell.latency and cell.concurrency > 1])
    if not near and not far:
        return
    parts = [
        f"{_times(near)} beside the database" if near else "",
        f"{_times(far)} away from it" if far else "",
    ]
    told = " and ".join(part for part in parts if part)
    middle = median(ratio.value for ratio in (near | far).values())
    if middle >= PAYS:
        answer = f"Yes: the usual async stack answers {told} as many requests as sync routes do."
    elif middle > 1 / PAYS:
        answer = f"Hardly: the usual async stack answers {told} as many requests as sync routes do."
    else:
        answer = f"Not by itself: the usual async stack answers only {told} as many requests as sync routes do."
    yield Finding("answer", answer)


def _stalled(results: Results, cells: list[Cell]) -> Iterator[Finding]:
    reasons = {
        "halfway": "a deadlock: the event loop waits for a connection that only the loop could give back",
        "sync": "every thread waits for a connection, and every connection for a thread to give it back",
    }
    for name in results.contenders():
        where = [cell for cell in cells if results.stalled(cell, name)]
        if where:
            reason = f" ({reasons[name]})" if name in reasons else ""
            yield Finding(
                "broken",
                f"“{CONTENDERS[name].title}” stopped answering{reason}, in {_several(where)}.",
            )


def _does_not_pay(results: Results, cells: list[Cell]) -> Iterator[Finding]:
    ratios = _ratios(results, cells)
    no = {cell: ratio for cell, ratio in ratios.items() if ratio.value < PAYS}
    if no:
        listed = "; ".join(f"{cell.title}: {ratio.value:.2f}×" for cell, ratio in no.items())
        yield Finding("costs", f"Async alone does not pay in {len(no)} of {len(ratios)} places: {listed}.")
    alone = {cell: ratio for cell, ratio in no.items() if cell.concurrency == 1}
    if alone:
        yield Finding(
            "costs",
            "With one client there is nothing to do while the database works, so async only adds its own work:"
            " scripts, batch jobs and quiet services gain nothing from it.",
        )


def _shaped(results: Results, cells: list[Cell]) -> Iterator[Finding]:
    for below, words in (("usual", "the usual async stack"), ("sync", "sync routes")):
        ratios = {
            cell: ratio
            for cell in cells
            if cell.workload in {"one", "nested", "list"} and (ratio := results.ratio(cell, "shaped", below))
        }
        if ratios:
            best = max(ratios, key=lambda cell: ratios[cell].value)
            yield Finding(
                "pays",
                f"Shaped reads answer {_times(ratios)} as many reads as {words}, most in {best.title}.",
            )


def _fairness(results: Results, cells: list[Cell]) -> Iterator[Finding]:
    for cell in cells:
        ratio = results.ratio(cell, "moved", "usual", "p99")
        mine = results.typical(cell, "moved", "p99")
        theirs = results.typical(cell, "usual", "p99")
        if cell.concurrency > 1 and ratio and mine and theirs and ratio.value < 1 / PAYS:
            yield Finding(
                "pays",
                f"The fair pool: with the same routes on Database the slowest one in a hundred takes"
                f" {mine * 1000:.0f} ms instead of {theirs * 1000:.0f} ms ({cell.title}).",
            )
            return


def _errors(results: Results, cells: list[Cell]) -> Iterator[Finding]:
    for name in results.contenders():
        failed = {
            cell: sum(one.failed for one in results.of(cell, name))
            for cell in cells
            if not results.stalled(cell, name)
        }
        where = [cell for cell, count in failed.items() if count]
        if where:
            title = CONTENDERS[name].title if name in CONTENDERS else name
            kinds = sorted({kind for cell in where for one in results.of(cell, name) for kind in one.errors})
            told = f" ({', '.join(kinds)})" if kinds else ""
            yield Finding(
                "broken", f"“{title}” failed {sum(failed.values()):,} requests{told} in {_several(where)}."
            )


def _load(results: Results) -> Iterator[Finding]:
    ceiling = [one for (_, name), rounds in results.rounds.items() if name == NOTHING.name for one in rounds]
    apps = [one for (_, name), rounds in results.rounds.items() if name != NOTHING.name for one in rounds]
    if not ceiling or not apps:
        return
    most, busiest = max(one.rate for one in apps), max(one.load_busy for one in apps)
    told = (
        f"The load generator used at most {busiest:.0%} of a processor, and gets {ceiling[0].rate:,.0f} answers"
        f" a second from a server that does nothing; the quickest app gave {most:,.0f}."
    )
    if busiest < BUSY:
        yield Finding("sound", f"{told} It is not the bottleneck.")
    else:
        yield Finding(
            "doubt", f"{told} It may have been the bottleneck: the quickest apps are quicker than shown."
        )


def _doubts(results: Results, cells: list[Cell]) -> Iterator[Finding]:
    ratios = _ratios(results, cells)
    wide = [cell for cell, ratio in ratios.items() if ratio.high > WIDE * ratio.low]
    if wide:
        yield Finding(
            "doubt",
            f"In {len(wide)} of {len(ratios)} places the rounds differ by more than {WIDE:g}×: something else"
            " ran on this machine. Measure again, with more rounds.",
        )


def _ratios(results: Results, cells: list[Cell]) -> dict[Cell, Ratio]:
    """The usual async stack against sync routes, where both answered."""
    return {cell: ratio for cell in cells if (ratio := results.ratio(cell, "usual", "sync"))}


def _times(ratios: dict[Cell, Ratio]) -> str:
    values = [ratio.value for ratio in ratios.values()]
    low, high = f"{min(values):.1f}", f"{max(values):.1f}"
    return f"{low} times" if low == high else f"{low} to {high} times"


def _several(cells: list[Cell]) -> str:
    named = "; ".join(cell.title for cell in cells[:3])
    return named if len(cells) <= 3 else f"{named} and {len(cells) - 3} more"


__all__ = ["Finding", "findings"]
