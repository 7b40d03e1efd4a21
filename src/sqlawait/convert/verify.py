"""What ``sqlawait check`` finds in the converted code that it did not find before."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from sqlawait.analysis import Analysis
from sqlawait.analysis.project import Progress, Project
from sqlawait.check.engine import check
from sqlawait.check.finding import Finding
from sqlawait.check.settings import load

INHERITED = {"SAW305", "SAW406"}
"""Rules that look at async code alone for what is as wrong in sync code: a query for each item of a loop, and a
transaction that is held open during something else."""


def new_findings(
    before: Project, after: Mapping[Path, str], root: Path, *, progress: Progress | None = None
) -> list[Finding]:
    """Check a code base as it was and as it would be; nothing is read from disk for files in ``after``.

    A finding is the same one wherever it moves within its function. What the sync code did as well,
    and what the rules tell of async code alone, is not new.
    """
    settings = load(root)
    known = Counter(_key(each, before) for each in check(Analysis(before), settings).findings)
    project = Project.load([root], texts=after, progress=progress)
    found: list[Finding] = []
    for finding in check(Analysis(project), settings, progress=progress).findings:
        key = _key(finding, project)
        if finding.code in INHERITED or _under_todo(finding, project):
            continue
        if known[key]:
            known[key] -= 1
        else:
            found.append(finding)
    return found


def _under_todo(finding: Finding, project: Project) -> bool:
    """Whether a TODO of the conversion says already that the statement is left to do."""
    statements = [
        each for each in [finding.node, *project.ancestors(finding.node)] if isinstance(each, ast.stmt)
    ]
    above = finding.module.line(statements[0].lineno - 1) if statements else ""
    return above.lstrip().startswith("# TODO(sqlawait ")


def _key(finding: Finding, project: Project) -> tuple[str, Path, tuple[str, ...]]:
    """A finding without its line and its words, which change with the code around it."""
    around = [finding.node, *project.ancestors(finding.node)]
    names = tuple(
        each.name for each in around if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    )
    return finding.code, finding.path, names


__all__ = ["new_findings"]
