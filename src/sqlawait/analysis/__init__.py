"""Reads a code base without running it: modules, names, types, dependency injection, call graph, colours.

::

    analysis = Analysis.of([Path("src")])
    analysis.type_at(path, (line, column), (end_line, end_column))      # an expression's type
    analysis.functions_called(call)                                      # what a call reaches
    analysis.models.relationships(model)                                 # how a model's relationships are
    loaded
    analysis.colours.on_loop                                             # what runs on the event loop
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable
from pathlib import Path

from . import pyrefly
from .calls import Calls
from .colours import Colours
from .declarations import Class, Function, Module
from .holding import Holding
from .inference import Inference, TypeSource
from .models import Relationship
from .project import Broken, Progress, Project
from .schemas import Schemas
from .types import Origin, Type


class Analysis:
    """A code base and every question about it."""

    def __init__(self, project: Project, source: TypeSource | None = None) -> None:
        self.project = project
        self.types = Inference(project, source)
        self.names = self.types.names
        self.models = self.types.models
        self.injection = self.types.injection
        self.calls = Calls(self.types)
        self.holding = Holding(self.types)
        self.schemas = Schemas(self.types)
        self.colours = Colours(self.calls)
        self.notice = ""
        """What a reader of the results should know about how they were made."""
        self._positions: dict[Path, dict[tuple[int, int, int, int], ast.expr]] = {}

    @classmethod
    def of(
        cls,
        paths: Iterable[Path],
        *,
        exclude: Callable[[Path], bool] | None = None,
        progress: Progress | None = None,
    ) -> Analysis:
        """Read the Python files under ``paths``; nothing of them is imported or run.

        Files that are not valid Python are listed in ``analysis.project.broken``; the rest is analysed.
        """
        return cls(Project.load(paths, exclude=exclude, progress=progress))

    def completed(self) -> Analysis:
        """The same, with pyrefly asked once for what the inference leaves open.

        Where little is open that is this very object. Where pyrefly is not installed, :attr:`notice` says so.
        """
        nodes = pyrefly.open_receivers(self.types)
        if not nodes:
            return self
        if not pyrefly.is_installed():
            self.notice = (
                f"the types of {len(nodes)} objects are not known, and pyrefly is not installed to be asked;"
                " run: pip install 'sqlawait[check]'"
            )
            return self
        source = pyrefly.reveal(self.types, nodes)
        return Analysis(self.project, source) if source.found else self

    def expression_at(self, path: Path, start: tuple[int, int], end: tuple[int, int]) -> ast.expr | None:
        """The expression at a place: lines from 1, columns from 0 and in characters, as LibCST counts them.

        Both ends are needed: ``db``, ``db.query`` and ``db.query(User)`` begin at the same place.
        """
        path = path.resolve()
        if path not in self._positions:
            module = self.project.modules.get(path)
            self._positions[path] = {} if module is None else _positions(module)
        return self._positions[path].get((*start, *end))

    def type_at(self, path: Path, start: tuple[int, int], end: tuple[int, int]) -> Type | None:
        """The type of the expression at a place, as :meth:`expression_at` finds it; None where there is
        none."""
        node = self.expression_at(path, start, end)
        return None if node is None else self.types.type_of(node)

    def function_at(self, path: Path, line: int) -> Function | None:
        """The function whose ``def`` stands on a line."""
        module = self.project.modules.get(path.resolve())
        return next((f for f in self.project.functions if f.module is module and f.line == line), None)

    def functions_called(self, call: ast.Call) -> list[Function]:
        """The functions of the code base that a call runs, overrides in subclasses included."""
        return self.calls.reached(call)

    def is_session(self, of: Type, *, kind: str = "") -> bool:
        """Whether a type is a session; ``kind`` narrows it to ``"sync"`` or ``"async"``."""
        wanted = {"sync": SYNC_SESSIONS, "async": ASYNC_SESSIONS}.get(kind, SYNC_SESSIONS + ASYNC_SESSIONS)
        return any(self.types.is_a(of, name) for name in wanted)


SYNC_SESSIONS = ("sqlalchemy.orm.Session", "sqlalchemy.orm.scoped_session")
ASYNC_SESSIONS = ("sqlalchemy.ext.asyncio.AsyncSession", "sqlalchemy.ext.asyncio.async_scoped_session")


def _positions(module: Module) -> dict[tuple[int, int, int, int], ast.expr]:
    """Expressions by their place in characters; the tree counts columns in UTF-8 bytes."""

    def column(line: int, offset: int) -> int:
        text = module.line(line)
        return offset if text.isascii() else len(text.encode()[:offset].decode(errors="replace"))

    found: dict[tuple[int, int, int, int], ast.expr] = {}
    for node in ast.walk(module.tree):
        if isinstance(node, ast.expr) and node.end_lineno is not None and node.end_col_offset is not None:
            start = (node.lineno, column(node.lineno, node.col_offset))
            found[(*start, node.end_lineno, column(node.end_lineno, node.end_col_offset))] = node
    return found


__all__ = ["Analysis", "Broken", "Class", "Function", "Origin", "Project", "Relationship", "Type", "TypeSource"]
