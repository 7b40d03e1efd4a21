"""One commit a phase: each leaves code that runs, and the last one is the whole conversion.

Every phase is worked out from the code as it was read. A run that ends in between leaves the phases that it has
committed; the next run goes on from there.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from .apply import commit
from .conversion import PHASES, Conversion, Phase
from .result import Result

TITLES: dict[Phase, str] = {
    "drivers": "Require the async database driver",
    "queries": "Write queries as select()",
    "loading": "Load up front what async code cannot load on access",
    "async": "Make the engine, the sessions and what waits for them async",
    "tests": "Run the tests against the async application",
}
"""What is committed in each phase, as the first line of its message."""


def phases(conversion: Conversion, whole: Result) -> Iterator[tuple[Phase, dict[Path, str]]]:
    """Each phase that changes something, with the files that it changes."""
    requirements = {path: texts for path, texts in whole.changes.items() if path.suffix != ".py"}
    results: dict[Phase, dict[Path, tuple[str, str]]] = {
        phase: (whole if phase == PHASES[-1] else conversion.run(phase)).changes | requirements
        for phase in PHASES
    }
    before = {path: text for changes in results.values() for path, (text, _) in changes.items()}
    now = dict(before)
    for phase, changes in results.items():
        after = {path: changes[path][1] if path in changes else text for path, text in before.items()}
        files = {path: text for path, text in after.items() if text != now[path]}
        now.update(files)
        if files:
            yield phase, files


def commit_phases(conversion: Conversion, whole: Result, root: Path) -> list[Phase]:
    """Write and commit phase by phase; gives the phases that were committed.

    Raises :class:`~sqlawait.convert.apply.Refused` when one cannot be committed: the files are then as the
    phase before it left them.
    """
    done: list[Phase] = []
    for phase, files in phases(conversion, whole):
        commit(root, files, TITLES[phase])
        done.append(phase)
    return done


__all__ = ["TITLES", "commit_phases", "phases"]
