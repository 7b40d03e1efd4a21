"""Reports for people and for machines, in ruff's shapes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from .engine import Report
from .finding import Finding
from .registry import RULES

SARIF = "https://json.schemastore.org/sarif-2.1.0.json"
Format = Callable[[Report], str]


def relative(path: Path) -> str:
    """The path as seen from here, where it is below."""
    try:
        return path.relative_to(Path.cwd()).as_posix()
    except ValueError:
        return path.as_posix()


def concise(report: Report) -> str:
    """One line a finding."""
    lines = [f"{relative(b.path)}:{b.line}:{b.column}: {b.reason}" for b in report.broken]
    for each in report.findings:
        line, column = each.start
        mark = " [*]" if each.fix is not None and each.fix.safe else ""
        lines.append(f"{relative(each.path)}:{line}:{column + 1}: {each.code}{mark} {each.message}")
    return "\n".join(lines)


def full(report: Report) -> str:
    """The message, the source line, the path of calls, and where to read more."""
    parts = [f"{relative(b.path)}:{b.line}:{b.column}: {b.reason}\n" for b in report.broken]
    for each in report.findings:
        line, column = each.start
        end = each.end[1] if each.end[0] == line else len(each.module.line(line))
        text = each.module.line(line)
        margin = " " * len(str(line))
        mark = "[*] " if each.fix is not None and each.fix.safe else ""
        lines = [
            f"{each.code} {mark}{each.message}",
            f"{margin}--> {relative(each.path)}:{line}:{column + 1}",
            f"{margin} |",
            f"{line} | {text}",
            f"{margin} | {' ' * column}{'^' * max(1, end - column)}",
        ]
        if each.trail:
            lines.append(f"{margin} = path: {each.trail[0]}")
            lines += [f"{margin}         → {step}" for step in each.trail[1:]]
        if each.fix is not None:
            how = "--fix" if each.fix.safe else "--unsafe-fixes --fix"
            lines.append(f"{margin} = fix: {each.fix.message} ({how})")
        lines.append(f"{margin} = help: sqlawait rule {each.code}")
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def as_json(report: Report) -> str:
    """A list of objects with ruff's keys."""
    rows: list[dict[str, object]] = [
        {
            "cell": None,
            "code": "invalid-syntax",
            "name": "invalid-syntax",
            "message": broken.reason,
            "filename": str(broken.path),
            "location": {"row": broken.line, "column": broken.column},
            "end_location": {"row": broken.line, "column": broken.column},
            "fix": None,
            "noqa_row": None,
            "url": None,
        }
        for broken in report.broken
    ]
    return json.dumps([*rows, *map(_row, report.findings)], indent=2)


def _row(finding: Finding) -> dict[str, object]:
    rule = RULES[finding.code]
    return {
        "cell": None,
        "code": finding.code,
        "name": rule.name,
        "message": finding.message,
        "filename": str(finding.path),
        "location": _place(finding.start),
        "end_location": _place(finding.end),
        "fix": _fix(finding),
        "noqa_row": finding.start[0],
        "url": rule.url,
        "trail": list(finding.trail),
    }


def _place(place: tuple[int, int]) -> dict[str, int]:
    return {"row": place[0], "column": place[1] + 1}


def _fix(finding: Finding) -> dict[str, object] | None:
    if finding.fix is None:
        return None
    return {
        "applicability": "safe" if finding.fix.safe else "unsafe",
        "message": finding.fix.message,
        "edits": [
            {"content": edit.text, "location": _place(edit.start), "end_location": _place(edit.end)}
            for edit in finding.fix.edits
        ],
    }


def github(report: Report) -> str:
    """Workflow commands, which GitHub shows beside the lines."""
    lines = [
        f"::error title=sqlawait,file={relative(b.path)},line={b.line},col={b.column}::{_escaped(b.reason)}"
        for b in report.broken
    ]
    for each in report.findings:
        (line, column), (end_line, end_column) = each.start, each.end
        lines.append(
            f"::error title=sqlawait ({each.code}),file={relative(each.path)},line={line},col={column + 1},"
            f"endLine={end_line},endColumn={end_column + 1}::{_escaped(f'{each.code} {each.message}')}"
        )
    return "\n".join(lines)


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def sarif(report: Report) -> str:
    """SARIF 2.1.0, for code scanning."""
    used = sorted({each.code for each in report.findings})
    rules = [
        {
            "id": code,
            "name": RULES[code].name,
            "shortDescription": {"text": RULES[code].summary},
            "fullDescription": {"text": RULES[code].why},
            "help": {"text": RULES[code].remedy},
            "helpUri": RULES[code].url,
        }
        for code in used
    ]
    results: list[dict[str, object]] = [
        _result(None, b.reason, b.path, (b.line, b.column), (b.line, b.column)) for b in report.broken
    ]
    for each in report.findings:
        start, end = (each.start[0], each.start[1] + 1), (each.end[0], each.end[1] + 1)
        results.append(_result(each.code, each.message, each.path, start, end))
    driver = {"name": "sqlawait", "informationUri": "https://github.com/sqlawait/sqlawait", "rules": rules}
    document = {
        "$schema": SARIF,
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "results": results}],
    }
    return json.dumps(document, indent=2)


def _result(
    code: str | None, message: str, path: Path, start: tuple[int, int], end: tuple[int, int]
) -> dict[str, object]:
    region = {"startLine": start[0], "startColumn": start[1], "endLine": end[0], "endColumn": end[1]}
    place = {"physicalLocation": {"artifactLocation": {"uri": relative(path)}, "region": region}}
    return {"ruleId": code, "level": "error", "message": {"text": message}, "locations": [place]}


def statistics(report: Report) -> str:
    """How often each rule spoke, most often first."""
    counts = Counter(each.code for each in report.findings)
    fixable = {each.code for each in report.findings if each.fix is not None and each.fix.safe}
    width = len(str(max(counts.values(), default=0)))
    return "\n".join(
        f"{count:>{width}}\t{code}\t[{'*' if code in fixable else ' '}] {RULES[code].name}"
        for code, count in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    )


FORMATS: dict[str, Format] = {
    "full": full,
    "concise": concise,
    "json": as_json,
    "github": github,
    "sarif": sarif,
}

__all__ = ["FORMATS", "relative", "statistics"]
