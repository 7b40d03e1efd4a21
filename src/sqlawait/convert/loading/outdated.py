"""Rows that are held while what hangs on them changes: it is loaded again before it is read.

A sync session loads a relationship when it is read, and after a commit again. Loaded with its owner it shows
what was there before the write, so a row whose lines were added or deleted by their foreign key is refreshed.
Only where the write has been flushed: a refresh would lose what is not.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace

from sqlawait.analysis.declarations import Class, Function, last_name
from sqlawait.analysis.flow import before, reach
from sqlawait.analysis.models import Relationship
from sqlawait.analysis.types import NONE, Type, members
from sqlawait.convert.colours import Colours
from sqlawait.convert.facts import Facts

from .plan import Plan, Refresh
from .reads import Read
from .refreshing import Refreshing

DEPTH = 3
"""How many relationships, one behind the other, a row that is returned is looked through."""
IN_MEMORY = {"append", "extend", "add", "insert", "remove", "pop", "clear"}
"""Methods of a collection: what they change is seen by who holds it."""


@dataclass(frozen=True, slots=True)
class Write:
    """A place that adds or deletes rows."""

    node: ast.expr
    models: frozenset[Class]
    flushed: bool = False
    """By itself: a function is called that commits."""


class Outdated:
    """Finds the reads of what has changed since it was loaded."""

    def __init__(self, facts: Facts, colours: Colours) -> None:
        self.facts = facts
        self.units = colours.units
        self.awaited = colours.awaited
        self.models = facts.inference.models
        self.refreshing = Refreshing(facts, colours)
        self._own: dict[Function, list[Write]] = {}
        self._reached: dict[Function, frozenset[Class]] | None = None

    def place(self, read: Read, plan: Plan) -> None:
        """Refresh the row of a read, if rows of what it reads have come or gone since it was loaded."""
        root, names = _root(read.node)
        if root is None or read.sets or (read.root.origin is not None and read.root.origin.new):
            return
        self._refresh(root, (*names, *read.below, read.relationship.name), read.relationship, plan)

    def returned(self, mapped: set[ast.AST]) -> Plan:
        """Refreshes of rows that functions give back: who reads what comes with every owner is not known."""
        plan = Plan()
        for function in self.awaited - set(self.facts.inference.injection.routes):
            for value in function.returns:
                for each in value.elts if isinstance(value, ast.Tuple | ast.List) else [value]:
                    if isinstance(each, ast.Name) and self._writes(function):
                        for path, last in self._paths(self.facts.type_of(each), mapped):
                            self._refresh(each, path, last, plan)
        return plan

    def _refresh(self, root: ast.Name, path: tuple[str, ...], last: Relationship, plan: Plan) -> None:
        if not (self._grows(root, last) if last.many else len(path) == 1 and self._points_on(root)):
            return
        if len(path) == 1 and self._is_refreshed(root):
            return
        place = self.refreshing.above(root)
        if place is not None and not self._is_there(plan, place, path):
            plan.refresh(replace(place, optional=self._may_be_none(root)), path, self.models)

    # -- what is read ------------------------------------------------------------------------------------------

    def _paths(self, of: Type, mapped: set[ast.AST]) -> Iterator[tuple[tuple[str, ...], Relationship]]:
        """The collections that come with a row by its mapper."""
        for row in members(of):
            new = row.origin is not None and row.origin.new
            if row.kind == "instance" and not new and isinstance(row.decl, Class):
                yield from self._below(row.decl, mapped, (), [])

    def _below(
        self, model: Class, mapped: set[ast.AST], path: tuple[str, ...], passed: list[Relationship]
    ) -> Iterator[tuple[tuple[str, ...], Relationship]]:
        for name, relationship in self.models.relationships(model).items():
            back = bool(passed) and passed[-1].reverse == name
            if not (relationship.node in mapped or relationship.eager) or relationship.target is None or back:
                continue
            if relationship.many and any(each.node in mapped for each in [*passed, relationship]):
                yield (*path, name), relationship
            if len(path) + 1 < DEPTH:
                yield from self._below(relationship.target, mapped, (*path, name), [*passed, relationship])

    def _may_be_none(self, root: ast.Name) -> bool:
        """Whether a variable may hold no row; where an attribute was read of it before, it does."""
        of = self.facts.type_of(root)
        function = self.facts.project.function_of(root)
        return not all(each != NONE for each in (of.args if of.kind == "union" else (of,))) and not any(
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id == root.id
            and (node.value is root or reach(self.facts.project, node, root) == "always")
            and (node.value is root or before(node, root))
            for node in (function.own_nodes if function is not None else ())
        )

    def _is_there(self, plan: Plan, place: Refresh, path: tuple[str, ...]) -> bool:
        """Whether the function has refreshed it already, with nothing written since."""
        for known, paths in plan.refreshes.items():
            if known.owner == place.owner and path in paths:
                function = self.facts.project.function_of(known.statement)
                if known.statement is place.statement:
                    return True
                if function is self.facts.project.function_of(place.statement) and function is not None:
                    since = [
                        each
                        for each in self._writes(function)
                        if before(known.statement, each.node) and before(each.node, place.statement)
                    ]
                    if reach(self.facts.project, known.statement, place.statement) == "always" and not since:
                        return True
        return False

    # -- what has changed --------------------------------------------------------------------------------------

    def _grows(self, root: ast.Name, last: Relationship) -> bool:
        """Whether rows of a collection were added or deleted since the variable got its row."""
        return any(
            self._hits(write, last) and (write.flushed or self._is_flushed(write.node, root))
            for write in self._since(root, last.name)
        )

    def _since(self, root: ast.Name, name: str) -> list[Write]:
        """The writes between the place that a variable was given its row and the one that reads it."""
        function = self.facts.project.function_of(root)
        if function is None or self._changes_in_memory(function, name):
            return []
        bound = list(self.facts.inference.names.reaching(root))
        return [
            write
            for write in self._writes(function)
            if before(write.node, root)
            and reach(self.facts.project, write.node, root)
            and any(each.kind == "param" or before(each.node, write.node) for each in bound)
            and not any(each.value is not None and write.node in ast.walk(each.value) for each in bound)
        ]

    def _hits(self, write: Write, last: Relationship) -> bool:
        """Whether a write changes who is in a collection, and the collection is not told."""
        if (
            last.target is None
            or _has_table(last)
            or (
                isinstance(write.node, ast.Call)
                and last.reverse
                and any(keyword.arg == last.reverse for keyword in write.node.keywords)
            )
        ):
            return False
        return any(self.models.are_kin(each, last.target) for each in write.models)

    def _points_on(self, root: ast.Name) -> bool:
        """Whether a foreign key of the row was set since, and written."""
        function = self.facts.project.function_of(root)
        keys = {key for each in members(self.facts.type_of(root)) for key in self._keys(each.decl)}
        if function is None or not keys:
            return False
        bound = self.facts.inference.names.reaching(root)
        return any(
            before(node, root)
            and any(each.kind == "param" or before(each.node, node) for each in bound)
            and self._is_flushed(node, root)
            for node in function.own_nodes
            if isinstance(node, ast.expr) and self._sets(node, root.id, keys)
        )

    def _sets(self, node: ast.expr, name: str, keys: set[str]) -> bool:
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            return node.attr in keys and isinstance(node.value, ast.Name) and node.value.id == name
        if isinstance(node, ast.Call) and last_name(node.func) == "setattr" and len(node.args) == 3:
            owner, key = node.args[:2]
            return (
                isinstance(owner, ast.Name)
                and owner.id == name
                and not (isinstance(key, ast.Constant) and key.value not in keys)
            )
        return False

    def _keys(self, model: object) -> set[str]:
        """The columns of a model that are foreign keys."""
        if not isinstance(model, Class) or not self.models.is_model(model):
            return set()
        return {
            name
            for base, _ in self.facts.inference.bases(model)
            if not base.module.stub
            for name, bindings in base.scope.bindings.items()
            for each in bindings
            if isinstance(each.value, ast.Call) and _is_foreign(each.value)
        }

    def _changes_in_memory(self, function: Function, name: str) -> bool:
        """Whether the code itself changes a collection of that name, or gives a row another one."""
        for node in function.own_nodes:
            if not isinstance(node, ast.Attribute):
                continue
            inner = node.value if node.attr in IN_MEMORY else node
            if isinstance(inner, ast.Attribute) and inner.attr == name:
                changes = inner is not node or isinstance(node.ctx, ast.Store)
                if changes and any(self._models(inner.value, "instance")):
                    return True
        return False

    def _is_flushed(self, write: ast.expr, root: ast.Name) -> bool:
        function = self.facts.project.function_of(root)
        return function is not None and any(
            self._flushes(node) and before(write, node) and before(node, root) for node in function.own_nodes
        )

    def _flushes(self, node: ast.AST) -> bool:
        return (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in ("flush", "commit")
            and self.facts.is_session(node.func.value)
        )

    def _is_refreshed(self, root: ast.Name) -> bool:
        """Whether the code refreshes the row itself, after the last commit before the read."""
        function = self.facts.project.function_of(root)
        nodes = [each for each in (function.own_nodes if function is not None else ()) if before(each, root)]
        flushes = [each for each in nodes if self._flushes(each)]
        return any(
            isinstance(node, ast.Call)
            and last_name(node.func) == "refresh"
            and len(node.args) == 1
            and isinstance(node.args[0], ast.Name)
            and node.args[0].id == root.id
            and all(before(each, node) for each in flushes)
            for node in nodes
        )

    # -- writes ------------------------------------------------------------------------------------------------

    def _writes(self, function: Function) -> list[Write]:
        """The places of a function that add or delete rows, by what they call too."""
        if function not in self._own:
            found = [Write(node, frozenset(models)) for node, models in self._direct(function)]
            unit = self.units.get(function)
            for call, targets in unit.uses.calls if unit is not None else ():
                models = frozenset(each for target in targets for each in self._below_call().get(target, ()))
                if models:
                    found.append(Write(call, models, flushed=True))
            self._own[function] = found
        return self._own[function]

    def _direct(self, function: Function) -> Iterator[tuple[ast.Call, set[Class]]]:
        for node in function.own_nodes:
            if isinstance(node, ast.Call):
                models = set(self._written(node))
                if models:
                    yield node, models

    def _written(self, call: ast.Call) -> Iterator[Class]:
        """The models whose rows a call makes or deletes."""
        yield from self._models(call.func)
        name = last_name(call.func)
        if name not in ("insert", "delete"):
            return
        if call.args:
            on_session = isinstance(call.func, ast.Attribute) and self.facts.is_session(call.func.value)
            yield from self._models(call.args[0], "instance" if on_session else "class")
        node: ast.expr = call.func
        while isinstance(node, ast.Attribute | ast.Call):
            if isinstance(node, ast.Call) and last_name(node.func) == "query":
                for argument in node.args:
                    yield from self._models(argument)
                return
            node = node.value if isinstance(node, ast.Attribute) else node.func

    def _models(self, node: ast.expr, kind: str = "class") -> Iterator[Class]:
        for each in members(self.facts.type_of(node)):
            if each.kind == kind and isinstance(each.decl, Class) and self.models.is_model(each.decl):
                yield each.decl

    def _below_call(self) -> dict[Function, frozenset[Class]]:
        """What each function that flushes writes, itself or by what it calls."""
        if self._reached is None:
            written: dict[Function, set[Class]] = defaultdict(set)
            flushing: set[Function] = set()
            callers: dict[Function, set[Function]] = defaultdict(set)
            for function, unit in self.units.items():
                written[function] |= {each for _, models in self._direct(function) for each in models}
                if any(map(self._flushes, function.own_nodes)):
                    flushing.add(function)
                for target in unit.uses.runs:
                    callers[target].add(function)
            pending = [each for each in written if written[each] or each in flushing]
            while pending:
                function = pending.pop()
                for caller in callers[function]:
                    more = not written[function] <= written[caller]
                    if more or (function in flushing and caller not in flushing):
                        written[caller] |= written[function]
                        flushing |= {caller} if function in flushing else set()
                        pending.append(caller)
            self._reached = {each: frozenset(written[each]) for each in flushing}
        return self._reached


def _root(node: ast.expr) -> tuple[ast.Name | None, tuple[str, ...]]:
    """The variable that an expression begins with, and the attributes from there."""
    names: tuple[str, ...] = ()
    while isinstance(node, ast.Attribute):
        names = (node.attr, *names)
        node = node.value
    return (node if isinstance(node, ast.Name) else None), names


def _has_table(relationship: Relationship) -> bool:
    """Whether a table of its own says who belongs to whom: a new row belongs to nobody yet."""
    return any(
        isinstance(each, ast.keyword) and each.arg in ("secondary", "link_model")
        for each in (ast.walk(relationship.node) if relationship.node is not None else ())
    )


def _is_foreign(column: ast.Call) -> bool:
    return any(
        (isinstance(each, ast.Call) and last_name(each.func) == "ForeignKey")
        or (isinstance(each, ast.keyword) and each.arg == "foreign_key")
        for each in ast.walk(column)
    )


__all__ = ["Outdated"]
