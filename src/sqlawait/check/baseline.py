"""A baseline: findings that are known, so that only new ones count.

A finding is known by its file, its code and the text of its line, not by its line number: code may move.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from .finding import Finding

Entry = tuple[str, str, str]


def read(path: Path) -> Counter[Entry]:
    """The findings of a baseline.

    Raises:
        ValueError: the file is not a baseline.
    """
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))["findings"]
        return Counter({(row["file"], row["code"], row["line"]): int(row["count"]) for row in rows})
    except (KeyError, TypeError, json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(
            f"{path} is not a baseline: remove it, and run the check with --baseline again"
        ) from error


def write(path: Path, findings: Iterable[Finding]) -> int:
    """Write the findings as a baseline; gives how many they are."""
    counts = Counter(_entry(each, path) for each in findings)
    rows = [{"file": f, "code": c, "line": text, "count": n} for (f, c, text), n in sorted(counts.items())]
    path.write_text(json.dumps({"version": 1, "findings": rows}, indent=1) + "\n", encoding="utf-8")
    return sum(counts.values())


def new(findings: Iterable[Finding], known: Counter[Entry], path: Path) -> list[Finding]:
    """The findings that the baseline does not hold."""
    left = Counter(known)
    found: list[Finding] = []
    for each in findings:
        entry = _entry(each, path)
        if left[entry] > 0:
            left[entry] -= 1
        else:
            found.append(each)
    return found


def _entry(finding: Finding, path: Path) -> Entry:
    root = path.resolve().parent
    file = finding.path
    name = file.relative_to(root).as_posix() if file.is_relative_to(root) else file.as_posix()
    return name, finding.code, finding.module.line(finding.start[0]).strip()


__all__ = ["new", "read", "write"]
