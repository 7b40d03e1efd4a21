"""The report as one page that stands on its own: figures, phases, what is left, the diff file by file."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from html import escape
from pathlib import Path

from .phases import TITLES
from .refusals import REFUSALS
from .report import changed_lines, lines_of, plan, relative
from .result import Result

PAGE = Path(__file__).parent / "page.stub"


def as_html(result: Result, root: Path, seconds: float) -> str:
    """The page."""
    figures = [
        (f"{len(result.changes):,}", "files change"),
        (f"{changed_lines(result):,}", f"lines of {result.lines:,}"),
        (f"{result.functions:,}", "functions become async"),
        (f"{len(result.todos):,}", "left to do by hand"),
        (f"{len(result.findings):,}", "new findings of check"),
        (f"{seconds:.1f} s", "to work out"),
    ]
    return (
        PAGE.read_text(encoding="utf-8")
        .replace("{name}", escape(root.name))
        .replace("{figures}", "".join(f"<li><b>{escape(n)}</b> {escape(what)}</li>" for n, what in figures))
        .replace("{phases}", _rows((TITLES[phase], text) for phase, text in plan(result, root).items()))
        .replace("{todos}", _todos(result, root))
        .replace("{findings}", _findings(result, root))
        .replace("{notes}", "".join(f"<li>{_text(each)}</li>" for each in result.notes))
        .replace(
            "{files}", "".join(_file(path, *texts, root) for path, texts in sorted(result.changes.items()))
        )
    )


def _rows(rows: Iterable[tuple[str, ...]]) -> str:
    return "".join(f"<tr>{''.join(f'<td>{_text(cell)}</td>' for cell in row)}</tr>" for row in rows)


def _text(text: str) -> str:
    """Text with its code in backticks."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def _todos(result: Result, root: Path) -> str:
    if not result.todos:
        return "<p class=good>Nothing: every place was converted.</p>"
    rows = _rows((t.code, f"{relative(t.path, root)}:{t.line}", t.reason) for t in result.todos)
    codes = sorted({t.code for t in result.todos})
    legend = "".join(f"<li><b>{code}</b> {_text(REFUSALS[code])}</li>" for code in codes)
    return f"<table>{rows}</table><ul class=legend>{legend}</ul>"


def _findings(result: Result, root: Path) -> str:
    if not result.findings:
        return "<p class=good>Nothing that was not there before.</p>"
    rows = _rows((f.code, f"{relative(f.path, root)}:{f.start[0]}", f.message) for f in result.findings)
    return f"<table>{rows}</table>"


def _file(path: Path, before: str, after: str, root: Path) -> str:
    added, removed = lines_of(before, after)
    name = escape(relative(path, root))
    new = "" if before else " <i>new</i>"
    figures = f"<span class=add>+{added}</span><span class=del>&minus;{removed}</span>"
    diff = "".join(_lines(before, after))
    return f"<details><summary><code>{name}</code>{new}{figures}</summary><pre>{diff}</pre></details>"


def _lines(before: str, after: str) -> Iterable[str]:
    diff = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=3)
    for line in list(diff)[2:]:
        kind = {"+": "add", "-": "del", "@": "at"}.get(line[:1], "")
        yield f'<span class="{kind}">{escape(line) or " "}</span>'


__all__ = ["as_html"]
