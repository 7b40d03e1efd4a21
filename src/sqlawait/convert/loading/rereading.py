"""Rows that are read again after a write: what was loaded with them before has changed meanwhile.

A relationship on default loading was read when it was needed, after the write. Loaded with its owner it shows
what was there before, and a second ``select`` of an object that the session holds changes nothing about it.
With ``populate_existing`` it does. Only where a session flushes before it
reads: what it has not flushed would be lost.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from sqlawait.analysis.declarations import Class, Function, last_name
from sqlawait.analysis.flow import before
from sqlawait.analysis.types import members
from sqlawait.convert.colours import Colours
from sqlawait.convert.facts import Facts

WRITES = {"add", "add_all", "flush", "commit", "delete", "merge", "bulk_save_objects", "bulk_insert_mappings"}
READS = {"execute", "scalar", "scalars", "get", "get_one", "exec"}
STATEMENTS = {"insert", "update", "delete"}
DEPTH = 6
"""How many names are followed from a call to its ``select``."""


class Rereading:
    """Finds the reads that come after a write in the same session."""

    def __init__(self, facts: Facts, colours: Colours) -> None:
        self.facts = facts
        self.units = colours.units
        self.writing = self._writing(colours)
        self.later = self._later()

    def flushes(self) -> bool:
        """Whether every session of the code base flushes before it reads."""
        return not any(
            isinstance(node, ast.keyword)
            and node.arg == "autoflush"
            and isinstance(node.value, ast.Constant)
            and not node.value.value
            for module in self.facts.project.modules.values()
            for node in ast.walk(module.tree)
        )

    def calls(self, function: Function) -> Iterator[tuple[ast.Call, set[Class]]]:
        """The reads of a function that may come after a write, each with the models that it gives."""
        everywhere = function in self.later
        first = self._first_write(function)
        for call in function.own_nodes:
            if not isinstance(call, ast.Call) or not self._is_on_session(call, READS):
                continue
            if any(keyword.arg in ("execution_options", "populate_existing") for keyword in call.keywords):
                continue
            if not everywhere and (first is None or not self._follows(call, first)):
                continue
            models = set(self._models(call.args[0])) if call.args else set()
            if models:
                yield call, models

    def holds(self, function: Function, call: ast.Call, models: set[Class]) -> bool:
        """Whether a variable had a row of one of these models before a read, and is used after it."""
        if not models:
            return False
        kin = models | {base for each in models for base, _ in self.facts.inference.bases(each)}
        return any(
            isinstance(node, ast.Name)
            and isinstance(node.ctx, ast.Load)
            and before(call, node)
            and any(each.kind == "instance" and each.decl in kin for each in members(self.facts.type_of(node)))
            and any(
                each.kind == "param" or before(each.node, call)
                for each in self.facts.inference.names.reaching(node)
            )
            for node in function.own_nodes
        )

    # -- what writes -------------------------------------------------------------------------------------------

    def _writing(self, colours: Colours) -> set[Function]:
        found = {each for each in colours.units if any(map(self._writes, each.own_nodes))}
        pending = list(found)
        callers: dict[Function, set[Function]] = {}
        for function, unit in colours.units.items():
            for target in unit.uses.runs:
                callers.setdefault(target, set()).add(function)
        while pending:
            for caller in callers.get(pending.pop(), ()):
                if caller not in found:
                    found.add(caller)
                    pending.append(caller)
        return found

    def _writes(self, node: ast.AST) -> bool:
        if not isinstance(node, ast.Call):
            return False
        if self._is_on_session(node, WRITES):
            return True
        return self._is_on_session(node, READS) and bool(node.args) and self._root(node.args[0]) in STATEMENTS

    def _is_on_session(self, call: ast.Call, names: set[str]) -> bool:
        func = call.func
        return isinstance(func, ast.Attribute) and func.attr in names and self.facts.is_session(func.value)

    def _first_write(self, function: Function) -> ast.AST | None:
        """The first place of a function that writes, itself or by what it calls."""
        places: list[ast.expr] = [
            node for node in function.own_nodes if isinstance(node, ast.Call) and self._writes(node)
        ]
        for call, targets in self.units[function].uses.calls:
            if any(target in self.writing for target in targets):
                places.append(call)
        return min(places, key=lambda each: (each.lineno, each.col_offset), default=None)

    def _follows(self, node: ast.expr, write: ast.AST) -> bool:
        if (node.lineno, node.col_offset) > (getattr(write, "lineno", 0), getattr(write, "col_offset", 0)):
            return node is not write
        loops = {each for each in self.facts.project.ancestors(write) if isinstance(each, ast.For | ast.While)}
        return any(each in loops for each in self.facts.project.ancestors(node))

    def _later(self) -> set[Function]:
        """Functions that are called after a write, and whatever those call."""
        found: set[Function] = set()
        pending: list[Function] = []
        for function, unit in self.units.items():
            first = self._first_write(function)
            if first is None:
                continue
            for call, targets in unit.uses.calls:
                if self._follows(call, first):
                    pending += targets
        while pending:
            function = pending.pop()
            if function not in found and function in self.units:
                found.add(function)
                pending += self.units[function].uses.runs
        return found

    # -- what is read ------------------------------------------------------------------------------------------

    def _root(self, node: ast.expr) -> str:
        while isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if isinstance(node.func.value, ast.Name) and not isinstance(node.func.value, ast.Call):
                return last_name(node.func)
            node = node.func.value
        return last_name(node.func) if isinstance(node, ast.Call) else ""

    def _models(self, node: ast.expr, depth: int = 0) -> Iterator[Class]:
        """The models that a statement selects whole."""
        if depth > DEPTH:
            return
        for each in members(self.facts.type_of(node)):
            if (
                each.kind == "class"
                and isinstance(each.decl, Class)
                and self.facts.inference.models.is_model(each.decl)
            ):
                yield each.decl
        if isinstance(node, ast.Call):
            if last_name(node.func) in ("select", "query") and not (
                isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Call)
            ):
                for argument in node.args:
                    yield from self._models(argument, depth + 1)
            elif isinstance(node.func, ast.Attribute):
                yield from self._models(node.func.value, depth + 1)
        elif isinstance(node, ast.Name):
            for source in self.facts.sources(node):
                if source is not node:
                    yield from self._models(source, depth + 1)


def reading_anew(call: ast.Call) -> str:
    """The argument that lets a read replace what the session holds."""
    if last_name(call.func) in ("get", "get_one"):
        return "populate_existing=True"
    return 'execution_options={"populate_existing": True}'


__all__ = ["Rereading", "reading_anew"]
