"""What a conversion did, as text, JSON or a page."""

from __future__ import annotations

import difflib
import html
import json
from collections import Counter
from pathlib import Path

from .conversion import Result


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


def changed_lines(result: Result) -> int:
    """How many lines were added or replaced."""
    return sum(
        line.startswith("+") and not line.startswith("+++")
        for before, after in result.changes.values()
        for line in difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=0)
    )


def as_text(result: Result, root: Path, seconds: float) -> str:
    """A few lines for a terminal."""
    lines = [
        (
            f"{len(result.changes)} files change"
            f" ({changed_lines(result):,} lines of {result.lines:,} read, {seconds:.1f} s);"
            f" {result.functions} functions become async, {result.twins} are kept in both kinds"
        ),
    ]
    if result.todos:
        lines.append(f"{len(result.todos)} places are left as they are, each with a TODO:")
        lines += [f"  {relative(t.path, root)}:{t.line}: {t.code} {t.reason}" for t in result.todos]
    else:
        lines.append("nothing is left to do by hand")
    lines += [f"note: {each}" for each in result.notes]
    return "\n".join(lines)


def as_json(result: Result, root: Path, seconds: float) -> str:
    """The same for a program."""
    return json.dumps(
        {
            "files": [relative(path, root) for path in sorted(result.changes)],
            "lines_read": result.lines,
            "lines_changed": changed_lines(result),
            "functions_async": result.functions,
            "functions_in_both_kinds": result.twins,
            "seconds": round(seconds, 2),
            "notes": result.notes,
            "todos": [
                {"path": relative(t.path, root), "line": t.line, "code": t.code, "reason": t.reason}
                for t in result.todos
            ],
        },
        indent=2,
    )


def as_html(result: Result, root: Path, seconds: float) -> str:
    """One page, on its own: the figures, what is left, and the changes file by file."""
    todos = "".join(
        f"<tr><td>{html.escape(relative(t.path, root))}:{t.line}</td>"
        f"<td>{t.code}</td><td>{html.escape(t.reason)}</td></tr>"
        for t in result.todos
    )
    files = []
    for path, (before, after) in sorted(result.changes.items()):
        diff = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=2)
        body = "\n".join(_coloured(line) for line in list(diff)[2:])
        files.append(
            f"<details><summary>{html.escape(relative(path, root))}</summary><pre>{body}</pre></details>"
        )
    counts = ", ".join(
        f"{code}: {count}" for code, count in Counter(t.code for t in result.todos).most_common()
    )
    return PAGE.format(
        files=len(result.changes),
        changed=f"{changed_lines(result):,}",
        read=f"{result.lines:,}",
        functions=result.functions,
        twins=result.twins,
        seconds=f"{seconds:.1f}",
        left=len(result.todos),
        counts=f" ({counts})" if counts else "",
        todos=f"<table>{todos}</table>" if todos else "",
        notes="".join(f"<p>{html.escape(each)}</p>" for each in result.notes),
        diffs="".join(files),
    )


def _coloured(line: str) -> str:
    kind = {"+": "add", "-": "del", "@": "at"}.get(line[:1], "")
    return f'<span class="{kind}">{html.escape(line)}</span>'


PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Conversion to async</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }}
pre {{ overflow-x: auto; font-size: 13px; line-height: 1.4; }} span {{ display: block; }}
.add {{ background: #1a7f3733; }} .del {{ background: #cf222e33; }} .at {{ opacity: .6; }}
td {{ padding: .1rem 1rem .1rem 0; vertical-align: top; }} summary {{ cursor: pointer; padding: .2rem 0; }}
</style>
<h1>Conversion to async</h1>
<p>{files} files change: {changed} lines of {read} read, in {seconds} s. {functions} functions become async;
{twins} are kept in both kinds. Left to do by hand: {left}{counts}.</p>
{notes}{todos}<h2>Changes</h2>{diffs}</html>
"""

__all__ = ["as_html", "as_json", "as_text", "changed_lines", "relative", "unified"]
