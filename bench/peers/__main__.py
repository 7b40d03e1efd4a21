"""The peers beside sqlawait, in one table: ``make peers``.

PostgreSQL on this machine, one uvicorn worker with uvloop and httptools each, 64 clients, 20 connections,
interleaved rounds. Ratios are against the usual async stack.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from rich.console import Console

from sqlawait.bench.about import describe
from sqlawait.bench.contenders import CONTENDERS, Contender
from sqlawait.bench.data import USERS
from sqlawait.bench.page import write
from sqlawait.bench.progress import Progress
from sqlawait.bench.results import Cell, Results
from sqlawait.bench.runner import Runner, different_answers
from sqlawait.bench.study import Study
from sqlawait.bench.table import tables
from sqlawait.bench.target import prepared
from sqlawait.bench.verdict import findings

PEERS = [
    CONTENDERS["usual"],
    Contender("litestar", "Litestar + advanced-alchemy", "peers.litestar_app:app", "Litestar with a service"),
    Contender("sqlmodel", "SQLModel", "peers.sqlmodel_app:app", "FastAPI with SQLModel's AsyncSession"),
    Contender("tortoise", "Tortoise", "peers.tortoise_app:app", "FastAPI with Tortoise ORM on asyncpg"),
    Contender("piccolo", "Piccolo", "peers.piccolo_app:app", "FastAPI with Piccolo on asyncpg"),
    Contender(
        "django", "Django async ORM", "peers.django_app:app", "Django's async views and ORM, psycopg's pool"
    ),
    CONTENDERS["handwritten"],
    CONTENDERS["bare"],
    CONTENDERS["verbs"],
    CONTENDERS["shaped"],
]
CELLS = [Cell("one", 64), Cell("nested", 64), Cell("list", 64), Cell("insert", 64)]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m peers", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.5)
    parser.add_argument("--only", nargs="*", help="names of the apps to measure")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--html", type=Path)
    options = parser.parse_args()
    console = Console(width=None if Console().is_terminal else 200)
    chosen = [one for one in PEERS if not options.only or one.name in options.only]
    study = Study(chosen, CELLS, rounds=options.rounds, seconds=options.seconds)
    with prepared("postgresql") as target:
        about = {"rounds": study.rounds, "seconds": study.seconds, "users": USERS}
        results = Results(about=describe(target) | about)
        with Progress(console, study.steps) as progress, Runner(target) as runner:
            different = different_answers(runner, chosen)
            study.run(runner, results, progress.step)
    console.print(tables(results))
    for one in different:
        console.print(f"[red]answers differ:[/] {one}")
    if options.json:
        options.json.write_text(json.dumps(results.as_json(), indent=1))
    if options.html:
        write(options.html, results, findings(results))


if __name__ == "__main__":
    main()
