"""What a conversion does: the diff, the plan as text, the same as JSON."""

from __future__ import annotations

import difflib
import json
from collections import Counter
from pathlib import Path

from .conversion import Phase
from .result import Result


def relative(path: Path, root: Path) -> str:
    """A path as seen from the code base."""
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)


def unified(result: Result, root: Path) -> str:
    """The changes as one diff."""
    out: list[str] = []
    for path, (before, after) in sorted(result.changes.items()):
        name = relative(path, root)
        out += difflib.unified_diff(before.splitlines(True), after.splitlines(True), f"a/{name}", f"b/{name}")
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in out)


def lines_of(before: str, after: str) -> tuple[int, int]:
    """How many lines of a file were added and how many taken away."""
    diff = list(difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=0))[2:]
    return sum(line.startswith("+") for line in diff), sum(line.startswith("-") for line in diff)


def changed_lines(result: Result) -> int:
    """How many lines were added or replaced."""
    return sum(lines_of(before, after)[0] for before, after in result.changes.values())


def plan(result: Result, root: Path) -> dict[Phase, str]:
    """What is done in each phase that does anything."""
    counts = result.counts
    requirements = [relative(path, root) for path in sorted(result.changes) if path.suffix != ".py"]
    made = [
        _many(counts["engine"], "engine"),
        _many(counts["maker"] + counts["scoped"], "session factory", "session factories"),
        f"{_many(result.functions, 'function')} {'become' if result.functions != 1 else 'becomes'} async"
        if result.functions
        else "",
        f"{result.twins} kept in both kinds" if result.twins else "",
        f"{_many(counts['threads'], 'blocking call')} in a thread" if counts["threads"] else "",
    ]
    queries = f"{_many(counts['queries'], 'query', 'queries')} written as select()" if counts["queries"] else ""
    loaded = _many(counts["relationships"], "relationship")
    lines: dict[Phase, str] = {
        "drivers": ", ".join(requirements),
        "queries": queries,
        "loading": f"{loaded} loaded with the owner" if loaded else "",
        "async": ", ".join(filter(None, made)),
        "tests": _many(result.tests, "file"),
    }
    return {phase: text for phase, text in lines.items() if text}


def _many(count: int, one: str, more: str = "") -> str:
    return "" if not count else f"{count:,} {one if count == 1 else more or f'{one}s'}"


def as_text(result: Result, root: Path, seconds: float) -> str:
    """The plan for a terminal, and what is left to do."""
    if not result.changes:
        return f"Nothing to convert: {result.lines:,} lines read in {seconds:.1f} s."
    files = len(result.changes)
    change = "file changes" if files == 1 else "files change"
    amount = f"{changed_lines(result):,} lines of {result.lines:,}"
    lines = [f"{files} {change}: {amount}, worked out in {seconds:.1f} s"]
    lines += [f"  {phase:<8} {text}" for phase, text in plan(result, root).items()]
    if result.todos:
        codes = ", ".join(
            f"{code} {count}" for code, count in sorted(Counter(t.code for t in result.todos).items())
        )
        lines.append(f"{len(result.todos)} left as they are, each under a TODO ({codes}):")
        lines += [f"  {relative(t.path, root)}:{t.line}: {t.code} {t.reason}" for t in result.todos]
    else:
        lines.append("Nothing is left to do by hand.")
    if result.findings:
        lines.append(f"sqlawait check finds {len(result.findings)} in the result that it did not find before:")
        lines += [f"  {relative(f.path, root)}:{f.start[0]}: {f.code} {f.message}" for f in result.findings]
    else:
        lines.append("sqlawait check finds nothing new in the result.")
    lines += [f"note: {each}" for each in result.notes]
    return "\n".join(lines)


def as_json(result: Result, root: Path, seconds: float) -> str:
    """The same for a program."""
    return json.dumps(
        {
            "files": [
                {"path": relative(path, root), "added": added, "removed": removed}
                for path, (before, after) in sorted(result.changes.items())
                for added, removed in [lines_of(before, after)]
            ],
            "lines_read": result.lines,
            "lines_changed": changed_lines(result),
            "functions_async": result.functions,
            "functions_in_both_kinds": result.twins,
            "phases": plan(result, root),
            "seconds": round(seconds, 2),
            "notes": result.notes,
            "todos": [
                {"path": relative(t.path, root), "line": t.line, "code": t.code, "reason": t.reason}
                for t in result.todos
            ],
            "new_findings": [
                {"path": relative(f.path, root), "line": f.start[0], "code": f.code, "message": f.message}
                for f in result.findings
            ],
        },
        indent=2,
    )


__all__ = ["as_json", "as_text", "changed_lines", "lines_of", "plan", "relative", "unified"]
