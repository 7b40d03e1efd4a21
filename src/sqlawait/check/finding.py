"""What a rule says: a place, a message, the way there, and perhaps a fix."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from pathlib import Path

from sqlawait.analysis.declarations import Module


@dataclass(frozen=True, slots=True, order=True)
class Edit:
    """Replace what stands between two places by a text. Lines from 1, columns from 0 and in characters."""

    start: tuple[int, int]
    end: tuple[int, int]
    text: str
    path: Path | None = None
    """The file to edit, where it is not the finding's own."""


@dataclass(frozen=True, slots=True)
class Fix:
    """Edits that end a finding."""

    message: str
    edits: tuple[Edit, ...]
    safe: bool
    """A safe fix does not change what the program does when it works."""
    imports: tuple[tuple[str, str], ...] = ()
    """Names that the edited files need, as (module, name)."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One place where a rule speaks."""

    code: str
    message: str
    module: Module = field(compare=False)
    node: ast.AST = field(compare=False)
    trail: tuple[str, ...] = ()
    """The calls that lead to the trouble, one line each."""
    fix: Fix | None = field(default=None, compare=False)

    @property
    def path(self) -> Path:
        """The file."""
        return self.module.path

    @property
    def start(self) -> tuple[int, int]:
        """Line from 1 and column from 0, in characters."""
        return position(self.module, getattr(self.node, "lineno", 1), getattr(self.node, "col_offset", 0))

    @property
    def end(self) -> tuple[int, int]:
        """Where the marked expression ends."""
        node = self.node
        if isinstance(node, ast.stmt) and hasattr(node, "body"):  # of a block, its first line is marked
            line = node.lineno
            return line, len(self.module.lines[line - 1].rstrip())
        if not isinstance(node, ast.expr | ast.stmt) or node.end_lineno is None or node.end_col_offset is None:
            return self.start
        return position(self.module, node.end_lineno, node.end_col_offset)


def position(module: Module, line: int, column: int) -> tuple[int, int]:
    """A place in characters from one in UTF-8 bytes, which is what trees count."""
    text = module.line(line)
    return line, column if text.isascii() else len(text.encode()[:column].decode(errors="replace"))


def span(module: Module, node: ast.AST) -> tuple[tuple[int, int], tuple[int, int]]:
    """Where an expression or statement begins and ends."""
    start = position(module, getattr(node, "lineno", 1), getattr(node, "col_offset", 0))
    return start, position(module, getattr(node, "end_lineno", 1), getattr(node, "end_col_offset", 0))


def replace(module: Module, node: ast.AST, text: str) -> Edit:
    """An edit that puts a text in an expression's place."""
    start, end = span(module, node)
    return Edit(start, end, text, module.path)


def insert(module: Module, node: ast.AST, text: str, *, after: bool = False) -> Edit:
    """An edit that puts a text before or after an expression."""
    start, end = span(module, node)
    place = end if after else start
    return Edit(place, place, text, module.path)


def source(module: Module, node: ast.AST) -> str:
    """An expression as it is written."""
    (line, column), (end_line, end_column) = span(module, node)
    lines = [module.line(each) for each in range(line, end_line + 1)]
    lines[-1] = lines[-1][:end_column]
    lines[0] = lines[0][column:]
    return "\n".join(lines)


__all__ = ["Edit", "Finding", "Fix", "insert", "position", "replace", "source", "span"]
