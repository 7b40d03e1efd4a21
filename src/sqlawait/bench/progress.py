"""How far it is, while it measures."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich import progress
from rich.console import Console


class Progress:
    """A bar with the time that is left; on something that is not a terminal it says nothing.

    Parameters:
        console: where it is drawn.
        steps: how many rounds there will be.
    """

    def __init__(self, console: Console, steps: int) -> None:
        self._bar = progress.Progress(
            progress.BarColumn(bar_width=30),
            progress.MofNCompleteColumn(),
            progress.TimeRemainingColumn(),
            progress.TextColumn("{task.description}"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("starting", total=steps)
        self._begun = False

    def step(self, what: str) -> None:
        """The next round begins."""
        self._bar.update(self._task, advance=1 if self._begun else 0, description=what)
        self._begun = True

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()


__all__ = ["Progress"]
