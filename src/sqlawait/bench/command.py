"""What ``sqlawait bench`` does with its options."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from rich.console import Console

from sqlawait.exceptions import ConfigurationError

from .about import describe
from .contenders import COMPARED, CONTENDERS, Contender
from .data import USERS
from .page import write
from .progress import Progress
from .results import Cell, Results
from .runner import Runner, different_answers
from .study import Study, cells
from .table import tables, words
from .target import Target, prepared
from .verdict import findings

WORKLOAD_NAMES = ("one", "nested", "list", "insert", "update", "mixed", "slow")
QUICK = [
    Cell("one", 1),
    Cell("one", 64),
    Cell("nested", 64),
    Cell("insert", 64),
    Cell("one", 1000),
    Cell("one", 64, 0.005),
]
"""The places of ``--quick``: one of each kind."""


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for; an empty sequence means the usual.

    Parameters:
        database: ``sqlite``, ``postgresql``, or a URL.
        apps: names of contenders.
        workloads: of :data:`WORKLOAD_NAMES`; ``slow`` is one row read through the proxy.
        concurrency: clients at once.
        latency: milliseconds in each direction, for ``slow``.
        rounds, seconds: how often and how long each app is measured in each place.
        quick: a few places only, in a minute or two.
        connections: of each app.
        json, html: files to write.
    """

    database: str = "postgresql"
    apps: Sequence[str] = ()
    workloads: Sequence[str] = ()
    concurrency: Sequence[int] = ()
    latency: Sequence[float] = ()
    rounds: int | None = None
    seconds: float | None = None
    quick: bool = False
    connections: int = 20
    json: Path | None = None
    html: Path | None = None
    patience: float = field(default=5.0)
    """Seconds without an answer after which an app counts as stalled."""


def bench(options: Options, console: Console) -> Results:
    """Measure, print the tables and the verdict, write the files.

    Raises:
        ConfigurationError: an option names something that is not there.
        ChildFailed: an app or the load generator ended.
    """
    with prepared(options.database, connections=options.connections) as target:
        study = plan(options, target)
        console.print(
            f"{target.about}: {len(study.contenders)} apps in {len(study.cells)} places,"
            f" {study.rounds} rounds of {study.seconds:g} s, about {max(1, round(study.estimate / 60))} min"
        )
        results = Results(
            about=describe(target) | {"rounds": study.rounds, "seconds": study.seconds, "users": USERS}
        )
        with (
            Progress(console, study.steps) as progress,
            Runner(target, patience=3.0 if options.quick else options.patience) as runner,
        ):
            progress.step("starting the apps")
            different = different_answers(runner, study.contenders)
            study.run(runner, results, progress.step)
    found = findings(results)
    console.print(tables(results))
    console.print(words(found))
    for one in different:
        console.print(f"[red]The answers differ, so the figures do not compare:[/] {one}")
    if options.json:
        verdict = [{"kind": one.kind, "text": one.text} for one in found]
        written = {**results.as_json(), "verdict": verdict, "different_answers": different}
        options.json.write_text(json.dumps(written, indent=1), encoding="utf-8")
    if options.html:
        write(options.html, results, found)
        console.print(f"report: {options.html}")
    return results


def plan(options: Options, target: Target) -> Study:
    """The study that the options ask for, of what the database can do."""
    contenders = _contenders(options.apps or COMPARED, target)
    if options.quick:
        study = Study(contenders, QUICK, rounds=2, seconds=0.8, warmup=0.3)
    else:
        workloads = options.workloads or WORKLOAD_NAMES
        _known("workload", workloads, WORKLOAD_NAMES)
        latencies = [latency / 1000 for latency in options.latency or (0, 1, 5, 20)]
        study = Study(contenders, cells(workloads, options.concurrency or (1, 64, 1000), latencies))
    if target.dialect == "sqlite":  # no wire, so nothing that could be made longer
        study = replace(study, cells=[cell for cell in study.cells if cell.latency is None])
    if not study.cells:
        raise ConfigurationError("SQLite is in the process, so it is never far away; use another workload")
    return replace(study, rounds=options.rounds or study.rounds, seconds=options.seconds or study.seconds)


def _contenders(names: Sequence[str], target: Target) -> list[Contender]:
    _known("app", names, list(CONTENDERS))
    chosen = [CONTENDERS[name] for name in names if target.dialect in CONTENDERS[name].databases]
    if not chosen:
        raise ConfigurationError(f"none of {', '.join(names)} runs on {target.dialect}; choose another app")
    return chosen


def _known(what: str, names: Sequence[str], known: Sequence[str]) -> None:
    for name in names:
        if name not in known:
            raise ConfigurationError(f"there is no {what} {name!r}; use {', '.join(known)}")


__all__ = ["WORKLOAD_NAMES", "Options", "bench", "plan"]
