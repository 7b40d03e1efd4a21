"""Changes to one file by position: what is not named stays as it was, byte for byte."""

from __future__ import annotations

import ast
import textwrap
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property

from sqlawait.analysis.syntax import parse


@dataclass(frozen=True, slots=True)
class _Edit:
    start: int
    end: int
    rank: tuple[int, int, int]
    """The order at one position: what closes before what opens; the inner closes, the outer opens first."""
    text: str
    line: int = 0
    """For whole lines: the line whose block they belong to."""
    other: int | None = None
    """For one side of what is put around a range: where the other side is."""


EXTEND, CLOSE, OPEN, REPLACE = -1, 0, 1, 2
INDENT = " " * 4


@dataclass
class Edits:
    """The changes to one source text. Positions are bytes, as :mod:`ast` counts columns."""

    source: str
    notes: list[tuple[int, str]] = field(default_factory=list)
    """Comments to put above a line: (line, text)."""

    def __post_init__(self) -> None:
        self._bytes = self.source.encode()
        self._lines = [0]
        for line in self._bytes.splitlines(keepends=True):
            self._lines.append(self._lines[-1] + len(line))
        self._edits: list[_Edit] = []
        self._deeper: dict[int, int] = defaultdict(int)
        self._seen: set[tuple[int, int, str, str]] = set()

    def __bool__(self) -> bool:
        return bool(self._edits or self.notes)

    def __len__(self) -> int:
        return len(self._bytes)

    # -- where things are --------------------------------------------------------------------------------------

    def offset(self, line: int, column: int) -> int:
        """The position of a line (from 1) and a column in bytes (from 0)."""
        return self._lines[line - 1] + column

    def start(self, node: ast.expr | ast.stmt | ast.arg | ast.alias | ast.keyword | ast.excepthandler) -> int:
        """Where a node starts."""
        return self.offset(node.lineno, node.col_offset)

    def end(self, node: ast.expr | ast.stmt | ast.arg | ast.alias | ast.keyword | ast.excepthandler) -> int:
        """Where a node ends."""
        return self.offset(node.end_lineno or node.lineno, node.end_col_offset or 0)

    def text(self, node: ast.expr | ast.stmt | ast.arg) -> str:
        """The source of a node, without the changes."""
        return self._bytes[self.start(node) : self.end(node)].decode()

    def between(self, start: int, end: int) -> str:
        """The source between two positions, without the changes."""
        return self._bytes[start:end].decode()

    def find(self, text: str, start: int, end: int | None = None) -> int:
        """The position of the next ``text`` from ``start``; -1 when there is none."""
        return self._bytes.find(text.encode(), start, len(self._bytes) if end is None else end)

    def indent_of(self, line: int) -> str:
        """The white space that a line starts with."""
        start = self._lines[line - 1]
        text = self._bytes[start : self._lines[line]].decode()
        return text[: len(text) - len(text.lstrip())]

    # -- changes -----------------------------------------------------------------------------------------------

    def _add(self, edit: _Edit, key: str) -> None:
        mark = (edit.start, edit.end, edit.text, key)
        if mark not in self._seen:
            self._seen.add(mark)
            self._edits.append(edit)

    def replace(self, start: int, end: int, text: str) -> None:
        """Put ``text`` where ``start`` to ``end`` was. An empty range is an insertion."""
        self._add(_Edit(start, end, (REPLACE, 0, len(self._edits)), text), "r")

    def replace_node(self, node: ast.expr | ast.stmt | ast.arg | ast.alias, text: str) -> None:
        """Put ``text`` in the place of a node."""
        self.replace(self.start(node), self.end(node), text)

    def rename(self, node: ast.Attribute, name: str) -> None:
        """Let an attribute be another one of the same object."""
        end = self.end(node)
        self.replace(end - len(node.attr.encode()), end, name)

    def discard(self, start: int, end: int) -> None:
        """Take back the changes inside a range."""
        self._edits = [each for each in self._edits if each.start < start or each.end > end]
        self._seen = {each for each in self._seen if each[0] < start or each[1] > end}

    def wrap(self, start: int, end: int, before: str, after: str, *, outer: bool = False) -> None:
        """Put ``before`` and ``after`` around a range; ranges wrapped at one position nest by their length.

        With ``outer``, it goes around whatever else wraps the same range.
        """
        span = end - start + outer
        self._add(_Edit(start, start, (OPEN, -span, len(self._edits)), before, other=end), f"o{end}")
        self._add(_Edit(end, end, (CLOSE, span, len(self._edits)), after, other=start), f"c{start}{before}")

    def wrap_node(self, node: ast.expr, before: str, after: str) -> None:
        """Put ``before`` and ``after`` around an expression."""
        self.wrap(self.start(node), self.end(node), before, after)

    def extend(self, end: int, text: str, *, beside: int = 0) -> None:
        """Put ``text`` behind an expression, inside of whatever else is put around it.

        Lines of their own in it move with the line that they stand ``beside``.
        """
        self._add(_Edit(end, end, (EXTEND, 0, len(self._edits)), text, beside), "e")

    def insert_line(self, line: int, text: str, *, beside: int = 0) -> None:
        """Put whole lines above a line; ``beside`` is a line of their block, ``line`` by default."""
        position = self._lines[min(line - 1, len(self._lines) - 1)]
        if position and self._bytes[position - 1 : position] != b"\n":
            text = "\n" + text
        rank = (OPEN, -(1 << 40), len(self._edits))
        self._add(_Edit(position, position, rank, text, beside or line), "l")

    def indent(self, first: int, last: int) -> None:
        """Move lines one level to the right; the inside of a string stays where it is."""
        inside = self._in_strings
        for line in range(first, last + 1):
            if line in inside or not self._bytes[self._lines[line - 1] : self._lines[line]].strip():
                continue
            position = self._lines[line - 1]
            self._deeper[line] += 1
            self._edits.append(_Edit(position, position, (OPEN, -(1 << 39), len(self._edits)), INDENT))

    @cached_property
    def _in_strings(self) -> set[int]:
        """The lines that begin inside a string."""
        return {
            line
            for node in ast.walk(parse(self.source))
            if isinstance(node, ast.Constant | ast.JoinedStr) and node.end_lineno is not None
            for line in range(node.lineno + 1, node.end_lineno + 1)
        }

    def note(self, line: int, text: str) -> None:
        """Put a comment above a line, indented as it is."""
        if (line, text) not in self.notes:
            self.notes.append((line, text))
            self.insert_line(line, f"{self.indent_of(line)}# {text}\n")

    def _outermost(self, start: int, stop: int) -> list[_Edit]:
        """The changes to a part, without those that replace some of what another one replaces as a whole."""
        within = [each for each in self._edits if start <= each.start and each.end <= stop]
        replaced = [each for each in within if each.rank[0] == REPLACE and each.end > each.start]
        inner: set[int] = set()
        around: _Edit | None = None
        for each in sorted(replaced, key=lambda edit: (edit.start, -edit.end)):
            if around is None or each.end > around.end:
                around = each
            elif each.end - each.start < around.end - around.start:
                inner.add(id(each))
        return [each for each in within if id(each) not in inner]

    def apply(self, start: int = 0, end: int | None = None) -> str:
        """The source with the changes; of a part of it, when positions are given."""
        stop = len(self._bytes) if end is None else end
        out: list[bytes] = []
        position = start
        for edit in sorted(self._outermost(start, stop), key=lambda each: (each.start, each.rank, each.end)):
            if edit.start < position:
                continue  # inside what another change has replaced
            if edit.other is not None and not start <= edit.other <= stop:
                continue  # around more than this part
            out.append(self._bytes[position : edit.start])
            text = edit.text
            if edit.line and self._deeper[edit.line]:
                text = textwrap.indent(text, INDENT * self._deeper[edit.line])
            out.append(text.encode())
            position = edit.end
        out.append(self._bytes[position:stop])
        return b"".join(out).decode()


__all__ = ["INDENT", "Edits"]
