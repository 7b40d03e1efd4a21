"""The figures that sqlawait promises, measured again on this machine: ``make ratios``.

PostgreSQL on this machine, one uvicorn worker with uvloop and httptools for every app, 64 clients unless a row
says otherwise, 20 database connections. The apps of a row are measured in turn, round after round, and a row is
the median of the rounds' ratios: what else the machine does meanwhile slows both sides of each.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from .about import describe
from .contenders import CONTENDERS, Contender
from .progress import Progress
from .results import Cell, Ratio, Results
from .runner import ChildFailed, Runner, different_answers
from .target import prepared


@dataclass(frozen=True, slots=True)
class Row:
    """A promise.

    Parameters:
        title: what is compared, in words.
        above, below: the apps.
        cell: where.
        bar: the ratio that it must reach; with ``most``, that it must not exceed.
        what: the figure: ``rate``, or ``p99``.
        most: the bar is an upper one.
        flawless: the app above must answer every request well.
        aim: a further bar that is reported, not required.
        database: ``postgresql`` or ``sqlite``.
    """

    title: str
    above: str
    below: str
    cell: Cell
    bar: float
    what: str = "rate"
    most: bool = False
    flawless: bool = False
    aim: float | None = None
    database: str = "postgresql"


NESTED = Cell("nested", 64)
ROWS = (
    Row("nested read: shaped vs the usual async stack", "shaped", "usual", NESTED, 6),
    Row("nested read: shaped vs FastAPI + asyncpg by hand", "shaped", "handwritten", NESTED, 1.5),
    Row("list of 100: shaped vs FastAPI + asyncpg by hand", "shaped", "handwritten", Cell("list", 64), 1.5),
    Row("one row: shaped vs FastAPI + asyncpg by hand", "shaped", "handwritten", Cell("one", 64), 1.0),
    Row("nested read: shaped vs Starlette + asyncpg + JSON in SQL", "shaped", "bare", NESTED, 0.9, aim=1.1),
    Row("insert: sqlawait vs the usual async stack", "verbs", "usual", Cell("insert", 64), 2),
    Row(
        "p99 of one row at 1,000 clients: shaped vs FastAPI + asyncpg by hand",
        "shaped",
        "handwritten",
        Cell("one", 1000),
        1.2,
        what="p99",
        most=True,
        flawless=True,
    ),
    Row("mixed: the usual routes moved onto Database", "moved", "usual", Cell("mixed", 64), 1.1),
    Row(
        "mixed: the usual routes moved onto Database, p99",
        "moved",
        "usual",
        Cell("mixed", 64),
        0.4,
        what="p99",
        most=True,
    ),
    Row(
        "SQLite, nested read: shaped vs AsyncSession on aiosqlite",
        "shaped",
        "usual",
        NESTED,
        4,
        database="sqlite",
    ),
)


@dataclass(frozen=True, slots=True)
class Judged:
    """A row with what was measured."""

    row: Row
    ratio: Ratio | None
    trouble: str = ""
    """Why there is no ratio, or what went wrong beside it."""

    @property
    def ok(self) -> bool:
        """Whether the promise is kept here."""
        if self.ratio is None or self.trouble:
            return False
        value = round(self.ratio.value, 2)
        return value <= self.row.bar if self.row.most else value >= self.row.bar


def judge(row: Row, results: Results) -> Judged:
    """Hold a row against what was measured."""
    ratio = results.ratio(row.cell, row.above, row.below, row.what)
    if ratio is None:
        stalled = [name for name in (row.above, row.below) if results.stalled(row.cell, name)]
        return Judged(row, None, f"{' and '.join(stalled)} stalled" if stalled else "not measured")
    failed = sum(one.failed for one in results.of(row.cell, row.above))
    if row.flawless and failed:
        return Judged(row, ratio, f"{failed} requests failed")
    return Judged(row, ratio)


def measure(rows: Sequence[Row], *, rounds: int, seconds: float, console: Console) -> dict[str, Results]:
    """Measure what the rows need, each app in each cell once a round. The results by database."""
    found: dict[str, Results] = {}
    databases = list(dict.fromkeys(row.database for row in rows))
    needs = {database: _needs(row for row in rows if row.database == database) for database in databases}
    steps = rounds * sum(len(names) for cells in needs.values() for names in cells.values())
    with Progress(console, steps) as progress:
        for database, cells in needs.items():
            results = found[database] = Results()
            names = list(dict.fromkeys(name for group in cells.values() for name in group))
            contenders = {name: CONTENDERS[name] for name in names}
            with prepared(database) as target, Runner(target) as runner:
                results.about = describe(target)
                _check(runner, list(contenders.values()))
                for cell, group in cells.items():
                    for number in range(rounds):
                        shift = number % len(group)
                        for name in (*group[shift:], *group[:shift]):
                            progress.step(f"{database}: {cell.title}: {contenders[name].title}")
                            one = runner.measure(contenders[name], cell, seconds=seconds, warmup=0.4)
                            results.add(cell, name, one)
    return found


def _needs(rows: Iterable[Row]) -> dict[Cell, list[str]]:
    needs: dict[Cell, list[str]] = {}
    for row in rows:
        group = needs.setdefault(row.cell, [])
        group += [name for name in (row.above, row.below) if name not in group]
    return needs


def _check(runner: Runner, contenders: list[Contender]) -> None:
    different = different_answers(runner, contenders)
    if different:
        raise SystemExit("the apps do not answer alike, so their speeds say nothing: " + "; ".join(different))


def table(judged: Sequence[Judged]) -> Table:
    """The rows as a table."""
    made = Table(title="sqlawait's promises, measured here", title_justify="left")
    made.add_column("row", overflow="fold")
    for column in ("ratio", "spread", "bar"):
        made.add_column(column, justify="right", no_wrap=True)
    made.add_column("")
    for one in judged:
        bar = f"{'≤' if one.row.most else '≥'} {one.row.bar:g}"
        if one.row.aim:
            bar += f" (aim {one.row.aim:g})"
        ratio, spread = ("", "") if one.ratio is None else _figures(one.ratio)
        verdict = "[green]ok[/]" if one.ok else f"[red]short[/] {one.trouble}".strip()
        made.add_row(one.row.title, ratio, spread, bar, verdict)
    return made


def as_json(judged: Sequence[Judged], results: dict[str, Results]) -> dict[str, Any]:
    """The rows and all that was measured, in plain types."""
    return {
        "rows": [
            {
                "row": one.row.title,
                "ratio": one.ratio and one.ratio.value,
                "low": one.ratio and one.ratio.low,
                "high": one.ratio and one.ratio.high,
                "bar": one.row.bar,
                "at": "most" if one.row.most else "least",
                "aim": one.row.aim,
                "ok": one.ok,
                "trouble": one.trouble,
            }
            for one in judged
        ],
        "results": {database: one.as_json() for database, one in results.items()},
    }


def _figures(ratio: Ratio) -> tuple[str, str]:
    return f"{ratio.value:.2f}", f"{ratio.low:.2f} to {ratio.high:.2f}"


def main(arguments: Sequence[str] | None = None, *, rows: Sequence[Row] = ROWS) -> int:
    """Measure, print the table; 0 where every row is kept, 1 where one falls short."""
    parser = argparse.ArgumentParser(prog="python -m sqlawait.bench.ratios", description=__doc__)
    parser.add_argument("--json", type=Path, help="write the rows and every measurement to this file")
    parser.add_argument("--rounds", type=int, default=9, help="rounds of each app in each cell (default 9)")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of a round (default 2)")
    parser.add_argument("--only", help="only the rows whose title contains this")
    options = parser.parse_args(arguments)
    chosen = [row for row in rows if not options.only or options.only.lower() in row.title.lower()]
    if not chosen:
        parser.error(f"no row's title contains {options.only!r}")
    console = Console()
    try:
        results = measure(chosen, rounds=options.rounds, seconds=options.seconds, console=console)
    except ChildFailed as failure:
        console.print(f"[red]not measured[/]: {failure}")
        return 2
    judged = [judge(row, results[row.database]) for row in chosen]
    console.print(table(judged))
    if options.json:
        options.json.write_text(json.dumps(as_json(judged, results), indent=1))
    return 0 if all(one.ok for one in judged) else 1


if __name__ == "__main__":
    sys.exit(main())
