"""What the rewrites ask about an expression, answered from the analysis."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from sqlawait.analysis.declarations import Class, Function, last_name
from sqlawait.analysis.inference import Inference
from sqlawait.analysis.project import Project
from sqlawait.analysis.types import Type, members

from .arguments import argument_for
from .classes import CONNECTION, ENGINE, MAKER, QUERY, SCOPED, SESSION
from .entities import Entities
from .file_names import FileNames
from .lending import Lending
from .sessions import Sessions

ITERATE_FIRST = {
    "list", "tuple", "set", "frozenset", "sorted", "enumerate", "zip", "dict", "any", "all", "sum", "min",
    "max", "iter", "reversed", "extend", "groupby",
}  # fmt: skip
"""Calls that walk through what they are given."""
ITERATE_SECOND = {"map", "filter", "reduce"}


class Facts:
    """Answers about one code base."""

    def __init__(self, project: Project, inference: Inference) -> None:
        self.project = project
        self.inference = inference
        self.names = FileNames(project)
        self.entities = Entities(self)
        self.sessions = Sessions(self)
        self.lending = Lending(self)

    # -- the tree ----------------------------------------------------------------------------------------------

    def parent(self, node: ast.AST) -> ast.AST | None:
        """The node around this one."""
        return self.project.parent(node)

    def text(self, node: ast.expr) -> str:
        """An expression as code."""
        return ast.unparse(node)

    def needs_parentheses(self, node: ast.expr) -> bool:
        """Whether ``await x`` in the place of a node needs parentheses around it."""
        parent = self.parent(node)
        if isinstance(parent, ast.Attribute | ast.Subscript):
            return parent.value is node
        if isinstance(parent, ast.Call):
            return parent.func is node
        return isinstance(parent, ast.Await) or (
            isinstance(parent, ast.BinOp) and isinstance(parent.op, ast.Pow)
        )

    def is_iterated(self, node: ast.expr) -> bool:
        """Whether a value is walked through where it stands."""
        parent = self.parent(node)
        if isinstance(parent, ast.For | ast.comprehension):
            return parent.iter is node
        if isinstance(parent, ast.YieldFrom):
            return True
        if isinstance(parent, ast.Starred):
            return True
        if isinstance(parent, ast.Compare):
            return node in parent.comparators and any(isinstance(op, ast.In | ast.NotIn) for op in parent.ops)
        if isinstance(parent, ast.Call) and node in parent.args:
            name = last_name(parent.func)
            if isinstance(parent.func, ast.Attribute) and name not in ("extend", "groupby"):
                return False
            return name in ITERATE_FIRST or (name in ITERATE_SECOND and parent.args.index(node) > 0)
        if isinstance(parent, ast.Assign) and parent.value is node:
            return isinstance(parent.targets[0], ast.Tuple | ast.List)
        return False

    def receiver(self, node: ast.AST) -> str:
        """The last name of the call that a function is handed to."""
        parent = self.parent(node)
        while isinstance(parent, ast.keyword | ast.Tuple | ast.List | ast.Starred):
            if isinstance(parent, ast.keyword) and parent.arg in (
                "target",
                "callback",
                "default",
                "onupdate",
                "default_factory",
            ):
                return "target"
            parent = self.parent(parent)
        if isinstance(parent, ast.Call):
            return last_name(parent.func)
        if isinstance(parent, ast.Subscript | ast.Assign):
            target = parent.targets[0] if isinstance(parent, ast.Assign) else parent
            if isinstance(target, ast.Subscript) and last_name(target.value) == "dependency_overrides":
                return "Depends"
        return ""

    # -- types -------------------------------------------------------------------------------------------------

    def type_of(self, node: ast.expr) -> Type:
        """The type of an expression."""
        return self.inference.type_of(node)

    def _is(self, node: ast.expr, *names: str) -> bool:
        return any(
            each.kind == "instance" and any(self.inference.is_a(each, name) for name in names)
            for each in members(self.type_of(node))
        )

    def is_session(self, node: ast.expr) -> bool:
        """Whether it is a sync session, a scoped one included."""
        return self._is(node, SESSION, SCOPED)

    def is_session_type(self, of: Type) -> bool:
        """Whether objects of a type are sync sessions."""
        return any(self.inference.is_a(each, SESSION) for each in members(of) if each.kind == "instance")

    def is_scoped(self, node: ast.expr) -> bool:
        """Whether it is a registry of sessions."""
        return self._is(node, SCOPED)

    def is_maker(self, node: ast.expr) -> bool:
        """Whether calling it makes a session."""
        if self._is(node, MAKER, SCOPED):
            return True
        return any(
            each.kind == "class" and self.inference.is_a(each, SESSION) for each in members(self.type_of(node))
        )

    def is_engine(self, node: ast.expr) -> bool:
        """Whether it is a sync engine."""
        return self._is(node, ENGINE)

    def is_connection(self, node: ast.expr) -> bool:
        """Whether it is a sync connection."""
        return self._is(node, CONNECTION)

    def is_transaction(self, node: ast.expr) -> bool:
        """Whether it is a transaction of a sync session or connection."""
        return self._is(node, "sqlalchemy.Transaction", "sqlalchemy.orm.SessionTransaction")

    def is_session_of_state(self, node: ast.expr) -> bool:
        """Whether it is the session that an object's state names, ``inspect(user).session``."""
        return (
            isinstance(node, ast.Attribute)
            and node.attr == "session"
            and self._is(node.value, "sqlalchemy.orm.InstanceState")
        )

    def is_query(self, node: ast.expr) -> bool:
        """Whether it is a legacy query."""
        return self._is(node, QUERY)

    def is_root(self, node: ast.expr) -> bool:
        """Whether it is ``session.query(…)`` itself."""
        return (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "query"
            and self.is_session(node.func.value)
        )

    # -- where a value comes from ------------------------------------------------------------------------------

    def sources(self, node: ast.expr) -> list[ast.expr]:
        """The expressions that a name or a call takes its value from, one step back."""
        if isinstance(node, ast.Name):
            found = [b.value for b in self.inference.names.reaching(node) if b.value is not None and not b.path]
            if found:
                return found
            return list(self._passed(node))
        if isinstance(node, ast.Attribute):
            owner = members(self.type_of(node.value))
            return [
                binding.value
                for each in owner
                if isinstance(each.decl, Class)
                for binding in each.decl.assigned.get(node.attr, [])
                if binding.value is not None
            ]
        if isinstance(node, ast.Call):
            return [each for target in self.targets(node) for each in target.returns]
        if isinstance(node, ast.IfExp):
            return [node.body, node.orelse]
        if isinstance(node, ast.BoolOp):
            return list(node.values)
        if isinstance(node, ast.Await):
            return self.sources(node.value)
        return []

    def _passed(self, node: ast.Name) -> Iterator[ast.expr]:
        for binding in self.inference.names.reaching(node):
            if binding.kind != "param" or not isinstance(binding.node, ast.arg):
                continue
            function = self.project.collected.functions.get(binding.scope.node)
            if function is None:
                continue
            for call in self.project.collected.calls.get(function.name, []):
                if function in self.targets(call):
                    value = argument_for(call, function, binding.node)
                    if value is not None:
                        yield value

    def hands_out(self, of: Type) -> bool:
        """Whether a value is an engine or a session factory, or a tuple that holds one."""
        return any(
            part.kind == "instance" and any(self.inference.is_a(part, name) for name in (ENGINE, MAKER, SCOPED))
            for each in members(of)
            for part in (each, *each.args)
        )

    def targets(self, call: ast.Call) -> list[Function]:
        """The functions of the code base that a call runs itself, those that it hands on left out."""
        found: list[Function] = []
        for callee in members(self.type_of(call.func)):
            for use in self.inference.calling.reached(callee, call, tuple(call.args), tuple(call.keywords)):
                if not use.function.module.stub and use.function not in found:
                    found.append(use.function)
        return found

    def properties(self, node: ast.Attribute) -> list[Function]:
        """The properties of the code base that reading an attribute runs."""
        found: list[Function] = []
        for owner in members(self.type_of(node.value)):
            if owner.kind not in ("instance", "typevar") or not isinstance(owner.decl, Class):
                continue
            for base, _ in self.inference.bases(owner.decl):
                method = base.methods.get(node.attr)
                if method is not None:
                    if method.is_property and not base.module.stub and method not in found:
                        found.append(method)
                    break
        return found


__all__ = ["Facts"]
