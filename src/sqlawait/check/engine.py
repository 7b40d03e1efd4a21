"""Runs the rules over a code base and sorts out what is silenced."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sqlawait.analysis import Analysis, Broken
from sqlawait.analysis.project import Progress

from . import noqa
from .finding import Finding
from .registry import RULES
from .settings import Settings


@dataclass(frozen=True, slots=True)
class Report:
    """What a check found."""

    findings: tuple[Finding, ...]
    broken: tuple[Broken, ...]
    """Files that could not be read; the rest was checked."""
    files: int
    silenced: int = 0
    """Findings that comments and settings silenced."""
    notice: str = ""
    """What a reader should know about how the report was made."""


def check_paths(
    paths: Iterable[Path], settings: Settings | None = None, *, progress: Progress | None = None
) -> Report:
    """Check the Python files under ``paths``; nothing of them is imported or run.

    Example: ``check_paths([Path("src")]).findings``.
    """
    settings = settings if settings is not None else Settings()
    analysis = Analysis.of(paths, exclude=settings.excluded, progress=progress)
    return check(analysis.completed(), settings, progress=progress)


def check(analysis: Analysis, settings: Settings, *, progress: Progress | None = None) -> Report:
    """Run the selected rules over an analysis that is there already."""
    codes = sorted(settings.codes)
    found: dict[tuple[str, Path, tuple[int, int]], Finding] = {}
    for number, code in enumerate(codes):
        if progress is not None:
            progress(f"checking {RULES[code].name}", number, len(codes))
        for finding in RULES[code].checker(analysis):
            if finding.module.checked:
                found.setdefault((code, finding.path, finding.start), finding)
    kept = [each for each in found.values() if not _silenced(each, settings)]
    kept.sort(key=lambda each: (each.path, each.start, each.code))
    files = sum(module.checked for module in analysis.project.modules.values())
    return Report(tuple(kept), tuple(analysis.project.broken), files, len(found) - len(kept), analysis.notice)


def _silenced(finding: Finding, settings: Settings) -> bool:
    lines = finding.module.lines
    line = finding.start[0]
    return (
        settings.ignored(finding.path, finding.code)
        or (line <= len(lines) and noqa.silenced(lines[line - 1], finding.code))
        or noqa.silenced_in_file(lines, finding.code)
    )


__all__ = ["Report", "check", "check_paths"]
