"""Applies fixes: edits that do not overlap, the imports they need, and the same again until nothing is left."""

from __future__ import annotations

import ast
import difflib
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from sqlawait.analysis.syntax import parse

from .finding import Edit, Finding

Texts = dict[Path, str]


def fixed_texts(findings: Iterable[Finding], *, unsafe: bool, texts: Texts | None = None) -> tuple[Texts, int]:
    """The new text of every file that the findings' fixes change, and how many findings they end.

    Of fixes that touch the same place, the first is applied; the next round finds the other again.
    """
    chosen: dict[Path, list[Edit]] = defaultdict(list)
    imports: dict[Path, set[tuple[str, str]]] = defaultdict(set)
    count = 0
    for finding in findings:
        fix = finding.fix
        if fix is None or not (fix.safe or unsafe):
            continue
        edits = [(edit.path or finding.path, edit) for edit in fix.edits]
        taken = {edit for _, edit in edits if edit in chosen[edit.path or finding.path]}
        if any(_overlaps(edit, other) for path, edit in edits for other in chosen[path] if edit not in taken):
            continue
        for path, edit in edits:
            if edit not in taken:
                chosen[path].append(edit)
            imports[path] |= set(fix.imports)
        count += 1
    result: Texts = {}
    for path, path_edits in chosen.items():
        if path_edits:
            text = (texts or {}).get(path) or path.read_bytes().decode("utf-8-sig")
            result[path] = with_imports(apply(text, path_edits), imports[path])
    return result, count


def apply(text: str, edits: Iterable[Edit]) -> str:
    """The text after edits that do not overlap."""
    starts = [0]
    for line in text.split("\n"):
        starts.append(starts[-1] + len(line) + 1)
    for edit in sorted(edits, key=lambda each: (each.start, each.end), reverse=True):
        start = starts[edit.start[0] - 1] + edit.start[1]
        end = starts[edit.end[0] - 1] + edit.end[1]
        text = text[:start] + edit.text + text[end:]
    return text


def with_imports(text: str, needed: Iterable[tuple[str, str]]) -> str:
    """The text with imports of these (module, name) pairs, where they are missing."""
    for module, name in sorted(needed):
        tree = parse(text)
        if _bound(tree, module, name):
            continue
        same = [
            node
            for node in tree.body
            if isinstance(node, ast.ImportFrom) and node.module == module and not node.level and name
        ]
        if same:
            text = _extended(text, same[0], name)
            continue
        lines = text.splitlines(keepends=True)
        lines.insert(_after_imports(tree), f"from {module} import {name}\n" if name else f"import {module}\n")
        text = "".join(lines)
    return text


def _after_imports(tree: ast.Module) -> int:
    """How many lines the docstring and the first imports take."""
    after = 0
    for node in tree.body:
        docstring = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and node is tree.body[0]
        if not docstring and not isinstance(node, ast.Import | ast.ImportFrom):
            break
        after = node.end_lineno or after
    return after


def diff(path: str, before: str, after: str) -> str:
    """A unified diff."""
    lines = difflib.unified_diff(
        before.splitlines(keepends=True), after.splitlines(keepends=True), fromfile=path, tofile=path
    )
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def _bound(tree: ast.Module, module: str, name: str) -> bool:
    """Whether a module's top level imports a name already; a star import is trusted to."""
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            if any(
                alias.name == "*" or (name and alias.name == name and not alias.asname) for alias in node.names
            ):
                return True
        elif (
            isinstance(node, ast.Import)
            and not name
            and any(alias.name == module and not alias.asname for alias in node.names)
        ):
            return True
    return False


def _extended(text: str, node: ast.ImportFrom, name: str) -> str:
    """The text with one name more in an import statement."""
    last = node.names[-1]
    line, column = last.end_lineno or node.lineno, last.end_col_offset or 0
    return apply(text, [Edit((line, column), (line, column), f", {name}")])


def _overlaps(one: Edit, other: Edit) -> bool:
    if one.start == one.end == other.start == other.end:
        return one.text != other.text
    return (one.start < other.end and other.start < one.end) or one.start == other.start


__all__ = ["Texts", "apply", "diff", "fixed_texts", "with_imports"]
