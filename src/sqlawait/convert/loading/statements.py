"""The statement that runs at a place: where its options go, and which models it loads."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from sqlawait.analysis.declarations import Binding, Class, last_name
from sqlawait.analysis.types import Type, members
from sqlawait.convert.classes import QUERY
from sqlawait.convert.facts import Facts
from sqlawait.convert.tracing.trace import Place

SELECTS = (QUERY, "sqlalchemy.Select")
EXECUTES = {"execute", "scalars", "scalar", "exec"}
Span = tuple[int, int, int, int]
GETS = {"get", "get_one"}
OTHER_FORMS = {"from_statement", "union", "union_all", "from_self"}


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement to which options can be added."""

    node: ast.expr
    """What the options go behind; of a ``get``, the call."""
    kind: Literal["select", "get", "query_get"]
    models: tuple[Class, ...]
    """The models at its root."""


class Statements:
    """Finds statements, each once."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self._found: dict[ast.expr, Statement | None] = {}

    def at(self, node: ast.expr) -> Statement | None:
        """The statement that an expression runs, or is handed."""
        for candidate in self._candidates(node):
            if candidate not in self._found:
                self._found[candidate] = self._read(candidate)
            found = self._found[candidate]
            if found is not None:
                return found
        return None

    def _candidates(self, node: ast.expr) -> Iterator[ast.expr]:
        """What may be a statement in an expression: a query, an argument of the session, a ``get``."""
        if isinstance(node, ast.Await):
            yield from self._candidates(node.value)
            return
        if self.is_select(node):
            yield node
        elif isinstance(node, ast.Call):
            func = node.func
            if isinstance(func, ast.Attribute):
                if func.attr in GETS and (self.facts.is_session(func.value) or self.is_select(func.value)):
                    yield node
                    return
                if self.is_select(func.value):
                    yield func.value
                    return
                if self.facts.is_session(func.value) and func.attr in EXECUTES and node.args:
                    yield node.args[0]
                    return
                yield from self._candidates(func.value)
            for argument in [*node.args, *(each.value for each in node.keywords)]:
                if self.is_select(argument):
                    yield argument
        elif isinstance(node, ast.Subscript | ast.Attribute):
            yield from self._candidates(node.value)

    def is_select(self, node: ast.expr) -> bool:
        """Whether an expression is a query or a select."""
        return any(
            each.kind == "instance" and any(self.facts.inference.is_a(each, name) for name in SELECTS)
            for each in members(self.facts.type_of(node))
        )

    def _written(self, node: ast.expr) -> ast.expr:
        """The expression that makes a statement, where it is the only one and in the same function."""
        if not isinstance(node, ast.Name):
            return node
        bindings = self.facts.inference.names.reaching(node)
        value = bindings[0].value if len(bindings) == 1 and bindings[0].kind == "assign" else None
        if value is None or bindings[0].path or not isinstance(value, ast.Call) or not self.is_select(value):
            return node
        project = self.facts.project
        same = project.function_of(value) is project.function_of(node)
        return value if same and not self.facts.targets(value) else node

    def _read(self, node: ast.expr) -> Statement | None:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in GETS:
            if self.facts.is_session(node.func.value) and node.args:
                models = self._classes(self.facts.type_of(node.args[0]))
                return Statement(node, "get", models) if models else None
            if self.is_select(node.func.value):
                models = self._models(node.func.value)
                return Statement(node, "query_get", models) if models else None
        models = self._models(node)
        if not models or self._is_special(node):
            return None
        written = self._written(node)
        if written is not node:
            if written not in self._found:
                self._found[written] = Statement(written, "select", models)
            return self._found[written]
        return Statement(node, "select", models)

    def _classes(self, of: Type) -> tuple[Class, ...]:
        return tuple(
            each.decl
            for each in members(of)
            if each.kind == "class"
            and isinstance(each.decl, Class)
            and self.facts.inference.models.is_model(each.decl)
        )

    def _models(self, node: ast.expr) -> tuple[Class, ...]:
        found: list[Class] = []
        for each in members(self.facts.type_of(node)):
            if each.kind != "instance" or not any(self.facts.inference.is_a(each, name) for name in SELECTS):
                continue
            for row in each.args:
                for one in row.args if row.name in ("sqlalchemy.Row", "tuple") else (row,):
                    found += [
                        entity.decl
                        for entity in members(one)
                        if isinstance(entity.decl, Class) and self.facts.inference.models.is_model(entity.decl)
                    ]
        return tuple(dict.fromkeys(found))

    def _is_special(self, node: ast.expr) -> bool:
        """Whether options that name the model do not fit: its root is an alias, a union or other text."""
        return any(self._unfit(root) for root in self._roots(node, 0))

    def _unfit(self, root: ast.Call) -> bool:
        if last_name(root.func) in OTHER_FORMS:
            return True
        for argument in root.args:
            if isinstance(argument, ast.Starred):
                return True
            for definition in self.facts.inference.names.definitions(argument):
                value = definition.value if isinstance(definition, Binding) else None
                if isinstance(value, ast.Call) and last_name(value.func) in ("aliased", "with_polymorphic"):
                    return True
            if isinstance(argument, ast.Call) and last_name(argument.func) in ("aliased", "with_polymorphic"):
                return True
        return False

    def _roots(self, node: ast.expr, depth: int) -> Iterator[ast.Call]:
        if depth > 8:
            return
        while isinstance(node, ast.Call):
            if last_name(node.func) in ("select", "query"):
                yield node
                return
            if last_name(node.func) in OTHER_FORMS:
                yield node
                return
            if not isinstance(node.func, ast.Attribute) or not self.is_select(node.func.value):
                break
            node = node.func.value
        for each in self.facts.sources(node):
            yield from self._roots(each, depth + 1)


class Places:
    """Finds the nodes that a trace's places name."""

    def __init__(self, facts: Facts, root: str) -> None:
        self.facts = facts
        self._modules = {
            str(module.path)[len(root) :].lstrip("/\\").replace("\\", "/"): module
            for module in facts.project.modules.values()
            if str(module.path).startswith(root)
        }
        self._nodes: dict[str, dict[Span, list[ast.expr]]] = {}

    def nodes(self, place: Place) -> list[ast.expr]:
        """The expressions at a place; where columns are not known, the calls and reads of its lines."""
        module = self._modules.get(place.path.replace("\\", "/"))
        if module is None:
            return []
        if place.path not in self._nodes:
            index: dict[Span, list[ast.expr]] = defaultdict(list)
            for node in ast.walk(module.tree):
                if isinstance(node, ast.expr):
                    index[_span(node)].append(node)
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                    index[_method_span(node, node.func)].append(node)
            self._nodes[place.path] = index
        if place.column >= 0:
            return self._nodes[place.path].get((place.line, place.end_line, place.column, place.end_column), [])
        return [
            node
            for (line, end, _, _), nodes in self._nodes[place.path].items()
            if line <= place.line <= end
            for node in nodes
            if isinstance(node, ast.Call | ast.Attribute)
        ]

    def function(self, path: str, line: int) -> ast.AST | None:
        """The function whose first line, its decorators included, is this one."""
        module = self._modules.get(path.replace("\\", "/"))
        for node in ast.walk(module.tree) if module is not None else ():
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
                if first == line:
                    return node
        return None


def _span(node: ast.expr) -> Span:
    return (node.lineno, node.end_lineno or 0, node.col_offset, node.end_col_offset or 0)


def _method_span(node: ast.Call, func: ast.Attribute) -> Span:
    """Where Python says that a method call is which is written on a line of its own: from its name on."""
    column = (func.end_col_offset or 0) - len(func.attr.encode())
    return (func.end_lineno or 0, node.end_lineno or 0, column, node.end_col_offset or 0)


__all__ = ["Place", "Places", "Statement", "Statements"]
