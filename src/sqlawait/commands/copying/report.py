"""What a copy has done, for people and for programs."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table as Grid

SHOWN = 20


@dataclass(frozen=True)
class Misplaced:
    """A value that does not fit, and where it is."""

    table: str
    key: str
    column: str
    reason: str


@dataclass
class Copied:
    """One table."""

    name: str
    rows: int
    checksum: str
    compared: bool = False
    """Whether rows and checksum were found to be the same in the target."""


@dataclass
class Report:
    """The whole copy."""

    source: str
    target: str
    outcome: str = "refused"
    """``copied``, ``misfits`` (nothing was written), ``failed``, ``different`` or ``refused``."""
    message: str = ""
    resumed: bool = False
    seconds: float = 0.0
    tables: list[Copied] = field(default_factory=list)
    misfits: list[Misplaced] = field(default_factory=list)
    misfits_in_all: int = 0

    @property
    def exit_code(self) -> int:
        """0: copied and compared; 1: it could not be; 2: it was not begun."""
        return {"copied": 0, "refused": 2}.get(self.outcome, 1)

    def add(self, misfit: Misplaced) -> None:
        """Keep the first of them, count the others."""
        self.misfits_in_all += 1
        if len(self.misfits) < SHOWN:
            self.misfits.append(misfit)

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return asdict(self)

    def show(self, console: Console) -> None:
        """Print it."""
        if self.misfits:
            grid = Grid("table", "row", "column", "does not fit", box=None, pad_edge=False, header_style="bold")
            for each in self.misfits:
                grid.add_row(each.table, each.key, each.column, each.reason)
            console.print(grid)
            if self.misfits_in_all > len(self.misfits):
                console.print(f"… and {self.misfits_in_all - len(self.misfits):,} more")
        elif self.tables and self.outcome in {"copied", "different"}:
            grid = Grid("table", "rows", "checksum", "compared", box=None, pad_edge=False, header_style="bold")
            grid.columns[1].justify = "right"
            for table in self.tables:
                grid.add_row(
                    table.name,
                    f"{table.rows:,}",
                    table.checksum[:12],
                    "same" if table.compared else "DIFFERENT",
                )
            console.print(grid)
        console.print(self.message)


def progress(console: Console) -> Progress:
    """A bar for each of the three steps; none where nobody looks."""
    return Progress(
        TextColumn("{task.description:<8}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("rows"),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )


__all__ = ["Copied", "Misplaced", "Report", "progress"]
