"""What the code reads becomes a plan: options at the statements that load the owners."""

from __future__ import annotations

import ast
from collections import defaultdict
from dataclasses import replace

from sqlawait.analysis.declarations import Class, Module, last_name
from sqlawait.analysis.flow import before
from sqlawait.analysis.models import Relationship
from sqlawait.analysis.types import Type, members
from sqlawait.convert.colours import Colours
from sqlawait.convert.facts import Facts

from .options import Path, Step
from .outdated import Outdated
from .plan import Plan, Refresh
from .reads import Read, Reads
from .refreshing import Refreshing
from .statements import GETS, Statement, Statements

ADDS = ("append", "extend", "add")
ROOTS = ("select", "query", *GETS)


class Placing:
    """Places what is read, by the code alone."""

    def __init__(
        self, facts: Facts, colours: Colours, plan: Plan, skip: set[Module], templates: set[str]
    ) -> None:
        self.facts = facts
        self.colours = colours
        self.plan = plan
        self.skip = skip
        self.templates = templates
        """The names that templates read: of what, is not known."""
        self.models = facts.inference.models
        self.statements = Statements(facts)
        self.refreshing = Refreshing(facts, colours)
        self.outdated = Outdated(facts, colours)
        self._calls: dict[tuple[str, int], list[ast.Call]] | None = None

    def place(self) -> None:
        """Place every relationship whose reads are all known; the others are loaded with every owner."""
        reads = Reads(self.facts, self.colours, self.skip)
        options: dict[ast.AST, list[tuple[Statement, Path]]] = defaultdict(list)
        refreshes: dict[ast.AST, list[tuple[Refresh, tuple[str, ...]]]] = defaultdict(list)
        unknown: set[ast.AST] = set()
        read: dict[ast.AST, Relationship] = {}
        for each in reads.all():
            node = each.relationship.node
            self.outdated.place(each, self.plan)
            if node is None or each.relationship.lazy not in ("select", "True"):
                continue
            read[node] = each.relationship
            statement = self._statement(each)
            refreshed = self._refreshed(each) if statement is None else None
            options[node] += self._of_given(each)
            if statement is not None:
                options[node].append(statement)
            elif refreshed is not None:
                refreshes[node] += refreshed
            elif not self._is_loaded(each):
                unknown.add(node)
        for node, relationship in read.items():
            if relationship.name in reads.opaque | self.templates or node in unknown:
                for at, path in options[node]:
                    if self._returns(path):
                        self._load(at, path)
                continue
            self.plan.placed.add(node)
            for at, path in options[node]:
                self._load(at, path)
            for place, names in refreshes[node]:
                self.plan.refresh(self._there(place) or place, names, self.models)

    def _load(self, statement: Statement, path: Path) -> None:
        self.plan.load(statement, path)
        if self._returns(path):
            self.plan.circles.add(statement)

    def _is_loaded(self, read: Read) -> bool:
        origin, name = read.row.origin, read.relationship.name
        return origin is not None and not origin.new and "*" not in origin.loaded and origin.loads(name)

    # -- statements ----------------------------------------------------------------------------------------

    def _statement(self, read: Read) -> tuple[Statement, Path] | None:
        """The statement that loaded the row, and the way from its model to what is read."""
        origin = read.row.origin
        if origin is None or origin.new or origin.statement is None or self._is_loaded(read):
            return None
        for call in self._at(origin.statement):
            found = self.statements.at(self._whole(call))
            if found is None:
                continue
            for model in found.models:
                path = self._path(model, (*origin.path, read.relationship.name))
                if path is not None and self._leads_to(path, read):
                    return found, path
        return None

    def _of_given(self, read: Read) -> list[tuple[Statement, Path]]:
        """The statements of rows that the function gives to what is read on: ``user.roles = roles``."""
        path = read.row.origin.path if read.row.origin is not None else ()
        name, function = path[-1] if path else "", self.facts.project.function_of(read.node)
        rows: list[Type] = []
        for node in function.own_nodes if function is not None and name else ():
            if isinstance(node, ast.Attribute) and node.attr == name:
                for value in self._given(node):
                    of = self.facts.type_of(value)
                    rows += [part for each in members(of) for part in (each, *each.args)]
        given = [
            replace(read, row=row)
            for row in rows
            if row.kind == "instance" and self.models.relationship(row.decl, read.relationship.name) is not None
        ]
        found = [self._statement(each) for each in given]
        return [each for each in found if each is not None]

    def _given(self, node: ast.Attribute) -> list[ast.expr]:
        """What is given to an attribute, or added to the collection that it holds."""
        parent = self.facts.parent(node)
        if isinstance(parent, ast.Assign) and node in parent.targets:
            return [parent.value]
        call = self.facts.parent(parent) if isinstance(parent, ast.Attribute) else None
        if isinstance(call, ast.Call) and call.func is parent and last_name(call.func) in ADDS:
            return list(call.args)
        return []

    def _at(self, place: tuple[str, int]) -> list[ast.Call]:
        """The calls that make or run a statement on a line."""
        if self._calls is None:
            self._calls = defaultdict(list)
            for name in ROOTS:
                for call in self.facts.project.collected.calls.get(name, ()):
                    path = str(self.facts.project.module_of(call).path)
                    lines = {call.lineno, *(each.lineno for each in call.args)}
                    for line in lines:
                        self._calls[path, line].append(call)
        return self._calls.get(place, [])

    def _whole(self, call: ast.Call) -> ast.expr:
        """The chain that a statement is written as, without what runs it."""
        node: ast.expr = call
        if last_name(call.func) in GETS:
            return node
        while True:
            parent = self.facts.parent(node)
            outer = self.facts.parent(parent) if isinstance(parent, ast.Attribute) else None
            if not isinstance(outer, ast.Call) or outer.func is not parent:
                return node
            if not self.statements.is_select(outer):
                return outer if last_name(outer.func) in GETS else node
            node = outer

    def _path(self, model: Class, names: tuple[str, ...]) -> Path | None:
        steps: list[Step] = []
        for name in names:
            declared = self.models.relationship(model, name)
            if declared is None or (declared.target is None and name != names[-1]):
                return None
            steps.append(Step(model, name))
            if declared.target is not None:
                model = declared.target
        return tuple(steps)

    def _returns(self, path: Path) -> bool:
        """Whether a path comes back to a model that it has passed: no mapper loads so far by itself."""
        last = self.models.relationship(path[-1].owner, path[-1].name)
        target = last.target if last is not None else None
        if last is None or target is None or len(path) < 2:
            return False
        before = self.models.relationship(path[-2].owner, path[-2].name)
        if not last.many and before is not None and before.reverse == last.name:
            return False  # the object that it was reached from
        return any(self.models.are_kin(step.owner, target) for step in path)

    def _leads_to(self, path: Path, read: Read) -> bool:
        declared = self.models.relationship(path[-1].owner, path[-1].name)
        return declared is not None and declared.node is read.relationship.node

    # -- rows that were just made --------------------------------------------------------------------------

    def _refreshed(self, read: Read) -> list[tuple[Refresh, tuple[str, ...]]] | None:
        """Refreshes of a row that the code itself has made."""
        origin = read.root.origin
        if origin is None or not origin.new:
            return None
        names = (*read.below, read.relationship.name)
        if not read.below and read.relationship.name in origin.loaded:
            return []  # it was given when the row was made
        if read.sets and self._is_unsaved(read.node):
            return []  # there is nothing to load yet
        function = self.facts.project.function_of(read.node)
        place = self.refreshing.above(read.node)
        if place is not None:
            found = [place]
        elif function is not None and isinstance(read.root.decl, Class) and read.node in function.returns:
            found = self.refreshing.before_return(function, read.root.decl)
        else:
            return None
        return [(each, names) for each in found] if found and all(map(self._is_written, found)) else None

    def _is_unsaved(self, owner: ast.expr) -> bool:
        """Whether a row was made in the function and is not written yet."""
        if not isinstance(owner, ast.Name):
            return False
        made = [each.value for each in self.facts.inference.names.reaching(owner)]
        function_of = self.facts.project.function_of
        return all(
            isinstance(call, ast.Call)
            and function_of(call) is function_of(owner)
            and any(each.kind == "class" for each in members(self.facts.type_of(call.func)))
            and not self._writes_before(self.facts.project.statement(owner))
            for call in made
        )

    def _there(self, place: Refresh) -> Refresh | None:
        """The refresh of the same object that the plan has for the function already."""
        function_of = self.facts.project.function_of
        function = function_of(place.statement)
        for each in self.plan.refreshes:
            if each.owner == place.owner and function_of(each.statement) is function:
                return each
        return None

    def _is_written(self, place: Refresh) -> bool:
        """Whether the function has written its rows before a place: until then there is nothing to refresh."""
        return self._writes_before(place.statement)

    def _writes_before(self, statement: ast.stmt) -> bool:
        function = self.facts.project.function_of(statement)
        return function is not None and any(
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in ("flush", "commit")
            and self.facts.is_session(node.func.value)
            and before(node, statement)
            for node in function.own_nodes
        )


__all__ = ["Placing"]
