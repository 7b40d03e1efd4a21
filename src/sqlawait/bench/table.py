"""The figures on the terminal."""

from __future__ import annotations

from collections.abc import Callable

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from .contenders import CONTENDERS, NOTHING
from .results import Cell, Results
from .verdict import Finding

_STYLES = {
    "answer": "bold",
    "pays": "green",
    "costs": "yellow",
    "broken": "red",
    "doubt": "magenta",
    "sound": "dim",
}
_SIGNS = {"answer": "→", "pays": "+", "costs": "-", "broken": "✗", "doubt": "?", "sound": "·"}


def tables(results: Results) -> RenderableType:
    """How many answers a second, and how long the slowest one in a hundred took."""
    return Group(
        _table(results, "Answers a second, and how many times those of the first column", _rate),
        "",
        _table(results, "Time of the slowest one in a hundred (p99), in ms", _p99),
        "",
    )


def words(found: list[Finding]) -> RenderableType:
    """The verdict."""
    return Group(*(Text(f"{_SIGNS[one.kind]} {one.text}", style=_STYLES[one.kind]) for one in found))


def _table(results: Results, title: str, show: Callable[[Results, Cell, str, str], Text]) -> Table:
    names = [name for name in results.contenders() if name != NOTHING.name]
    made = Table(title=title, title_justify="left", title_style="bold")
    made.add_column("")
    for name in names:
        made.add_column(CONTENDERS[name].title if name in CONTENDERS else name, justify="right")
    for cell in results.cells():
        if cell.workload != NOTHING.name:
            made.add_row(cell.title, *(show(results, cell, name, names[0]) for name in names))
    return made


def _rate(results: Results, cell: Cell, name: str, base: str) -> Text:
    rate = results.typical(cell, name)
    if rate is None:
        return _absent(results, cell, name)
    text = Text(f"{rate:,.0f}")
    ratio = results.ratio(cell, name, base)
    if ratio is not None and name != base:
        text.append(f" {ratio.value:.2f}×", style="green" if ratio.value > 1 else "yellow")
    if any(one.failed for one in results.of(cell, name)):
        text.append(" !", style="red")
    return text


def _p99(results: Results, cell: Cell, name: str, _: str) -> Text:
    p99 = results.typical(cell, name, "p99")
    return _absent(results, cell, name) if p99 is None else Text(f"{p99 * 1000:,.1f}")


def _absent(results: Results, cell: Cell, name: str) -> Text:
    return Text("stalled", style="red") if results.stalled(cell, name) else Text("")


__all__ = ["tables", "words"]
