"""The report as one HTML file: no script, no address, so that it opens anywhere and stays as it was."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from .charts import Bar, Series, Span, bars, lines, spans
from .contenders import CONTENDERS, NOTHING, Contender
from .results import Cell, Results
from .verdict import Finding
from .workloads import WORKLOADS


@dataclass(frozen=True, slots=True)
class Panel:
    """One place of the study, drawn."""

    cell: Cell
    title: str
    rates: Markup
    latencies: Markup | None


def write(path: Path, results: Results, found: list[Finding]) -> None:
    """Write the report."""
    path.write_text(render(results, found), encoding="utf-8")


def render(results: Results, found: list[Finding]) -> str:
    """The report's HTML."""
    environment = Environment(
        loader=PackageLoader("sqlawait.bench", "."),
        autoescape=select_autoescape(),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    names = [name for name in results.contenders() if name != NOTHING.name]
    cells = [cell for cell in results.cells() if cell.workload != NOTHING.name]
    return environment.get_template("page.html").render(
        about=results.about,
        answer=next((one.text for one in found if one.kind == "answer"), "What was measured"),
        findings=[one for one in found if one.kind != "answer"],
        contenders=[_contender(name) for name in names],
        groups=_groups(results, cells, names),
        distance=_distance(results, cells, names),
        figures=list(_figures(results, cells, names)),
    )


def _groups(results: Results, cells: list[Cell], names: list[str]) -> list[tuple[str, list[Panel]]]:
    near = [cell for cell in cells if cell.latency is None]
    workloads = list(dict.fromkeys(cell.workload for cell in near))
    return [
        (
            WORKLOADS[workload].title,
            [_panel(results, cell, names) for cell in near if cell.workload == workload],
        )
        for workload in workloads
    ]


def _panel(results: Results, cell: Cell, names: list[str]) -> Panel:
    drawn: list[Bar] = []
    timed: list[Span] = []
    for name in names:
        title = _contender(name).title
        rounds = results.of(cell, name)
        rate = results.typical(cell, name)
        if rate is None:
            if rounds:
                drawn.append(Bar(name, title, None, note="stopped answering"))
            continue
        ratio = results.ratio(cell, name, names[0])
        failed = sum(one.failed for one in rounds)
        note = f"{ratio.value:.2f}×" if ratio and name != names[0] else ""
        note += f" {failed:,} failed" if failed else ""
        rates = [one.rate for one in rounds]
        drawn.append(Bar(name, title, rate, min(rates), max(rates), note.strip()))
        p50, p90, p99 = (results.typical(cell, name, what) or 0.0 for what in ("p50", "p90", "p99"))
        timed.append(Span(name, title, p50, p90, p99))
    clients = "1 client" if cell.concurrency == 1 else f"{cell.concurrency:,} clients"
    rates_chart = bars(f"Answers a second: {cell.title}", drawn)
    latencies = spans(f"Latencies: {cell.title}", timed) if timed else None
    return Panel(cell, clients, Markup(rates_chart), Markup(latencies) if latencies else None)  # noqa: S704 - our own SVG, its texts escaped


def _distance(results: Results, cells: list[Cell], names: list[str]) -> list[tuple[str, Markup]]:
    far = [cell for cell in cells if cell.latency is not None]
    made: list[tuple[str, Markup]] = []
    for clients in dict.fromkeys(cell.concurrency for cell in far):
        here = [cell for cell in far if cell.concurrency == clients]
        title = "1 client" if clients == 1 else f"{clients:,} clients"
        if len(here) == 1:
            made.append(
                (f"{title}, {(here[0].latency or 0.0) * 1000:g} ms away", _panel(results, here[0], names).rates)
            )
            continue
        ticks = [f"{(cell.latency or 0.0) * 1000:g} ms" for cell in here]
        series = [
            Series(name, _contender(name).title, [results.typical(cell, name) for cell in here])
            for name in names
        ]
        chart = lines(f"Answers a second by distance of the database, {title}", ticks, series)
        made.append((title, Markup(chart)))  # noqa: S704 - our own SVG, its texts escaped
    return made


def _figures(results: Results, cells: list[Cell], names: list[str]) -> Any:
    for cell in cells:
        for name in names:
            rounds = results.of(cell, name)
            if not rounds:
                continue
            cpu = results.typical(cell, name, "cpu")
            yield {
                "cell": cell.title,
                "app": _contender(name).title,
                "stalled": results.stalled(cell, name),
                "rate": results.typical(cell, name),
                "low": min(one.rate for one in rounds),
                "high": max(one.rate for one in rounds),
                "p50": results.typical(cell, name, "p50"),
                "p99": results.typical(cell, name, "p99"),
                "longest": max(one.longest for one in rounds),
                "cpu": None if cpu is None else cpu * 1e6,
                "failed": sum(one.failed for one in rounds),
            }


def _contender(name: str) -> Contender:
    return CONTENDERS.get(name) or Contender(name, name, "", "")


__all__ = ["render", "write"]
