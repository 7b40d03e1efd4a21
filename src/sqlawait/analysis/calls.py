"""The call graph: which functions a function runs, and which calls leave the code base."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from .declarations import Class, Function
from .inference import Inference
from .types import Type, members


@dataclass(frozen=True, slots=True)
class Edge:
    """A place in a function that runs another function in the same thread."""

    node: ast.AST
    target: Function


@dataclass(frozen=True, slots=True)
class Outward:
    """A call that leaves the code base: of SQLAlchemy's stubs (``function``) or of a library by name."""

    node: ast.Call | ast.expr
    name: str
    """``requests.get`` or ``sqlalchemy.orm.Session.execute``."""
    function: Function | None = None
    owner: Type | None = None
    """What the method was called on."""

    @property
    def blocks(self) -> bool:
        """Whether the stub says that the call waits for the database in the calling thread."""
        return self.function is not None and "blocks" in self.function.decorator_names


class Calls:
    """Edges between functions, worked out once for each."""

    def __init__(self, inference: Inference) -> None:
        self.inference = inference
        self._edges: dict[Function, list[Edge]] = {}
        self._outward: dict[Function, list[Outward]] = {}

    def edges(self, function: Function) -> list[Edge]:
        """The functions of the code base that it runs: calls, constructors, properties, callbacks run at
        once."""
        if function not in self._edges:
            self._scan(function)
        return self._edges[function]

    def outward(self, function: Function) -> list[Outward]:
        """Its calls that leave the code base."""
        if function not in self._outward:
            self._scan(function)
        return self._outward[function]

    def reached(self, call: ast.Call) -> list[Function]:
        """The functions that a call runs, those it hands on to a thread or a partial left out."""
        found: dict[Function, None] = {}
        for use in self.inference.calling.targets(call):
            if not use.handed_on and not use.function.module.stub:
                found[use.function] = None
                for each in self._overrides(call, use.function):
                    found[each] = None
        return list(found)

    def callers(self, function: Function) -> list[tuple[Function | None, ast.Call]]:
        """Where a function is called: the function around the call (None at module level), and the call."""
        project = self.inference.project
        return [
            (project.function_of(use.call), use.call)
            for use in self.inference.calling.uses(function)
            if not use.handed_on
        ]

    def _scan(self, function: Function) -> None:
        edges: list[Edge] = []
        outward: list[Outward] = []
        self._edges[function], self._outward[function] = edges, outward
        for node in function.own_nodes:
            if isinstance(node, ast.Call):
                edges += (Edge(node, target) for target in self._run_by(node))
                edges += (Edge(node, target) for target in self._called_back(node))
                outward += self._leaving(node)
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                edges += (Edge(node, target) for target in self._property(node))
            elif isinstance(node, ast.With):
                for item in node.items:
                    edges += (Edge(item.context_expr, each) for each in self._entered(item.context_expr))
            elif isinstance(node, ast.For | ast.comprehension):
                outward += self._iterated(node.iter)

    def _run_by(self, call: ast.Call) -> list[Function]:
        """The functions whose bodies the call runs."""
        found = [each for each in self.reached(call) if self._runs(call, each)]
        if isinstance(self.inference.project.parent(call), ast.Await):
            # Of a coroutine function and a plain one of the same name, the plain one is not what is awaited.
            return [each for each in found if each.is_async] or found
        return found

    def _runs(self, call: ast.Call, target: Function) -> bool:
        """Whether the call runs the body: calling a generator only makes it, going through it runs it."""
        if not target.yields or target.is_async or target.decorator_names & {"contextmanager", "fixture"}:
            return True
        parent = self.inference.project.parent(call)
        if isinstance(parent, ast.For | ast.comprehension):
            return parent.iter is call
        if isinstance(parent, ast.Call):
            return any(each.name in CONSUMERS for each in members(self.inference.type_of(parent.func)))
        return isinstance(parent, ast.YieldFrom | ast.Starred)

    def _leaving(self, call: ast.Call) -> Iterator[Outward]:
        callees = list(members(self.inference.type_of(call.func)))
        if isinstance(self.inference.project.parent(call), ast.Await):
            # What is awaited on a session of either kind is the method of the async one.
            callees = [each for each in callees if _is_coroutine(each)] or callees
        for callee in callees:
            if callee.kind == "external":
                yield Outward(call, callee.name)
            elif callee.kind == "function" and isinstance(callee.decl, Function) and callee.decl.module.stub:
                yield Outward(call, callee.name, callee.decl, callee.args[0] if callee.args else None)
            elif callee.kind == "class" and isinstance(callee.decl, Class):
                if callee.decl.module.stub:
                    yield Outward(call, callee.name)
                else:
                    for base in self.inference.attributes.outside_bases(callee.decl):
                        yield Outward(call, base)

    def _iterated(self, iterable: ast.expr) -> Iterator[Outward]:
        """Iterating a query runs it."""
        for of in members(self.inference.type_of(iterable)):
            if of.name == "sqlalchemy.orm.Query" and isinstance(of.decl, Class):
                yield Outward(iterable, "sqlalchemy.orm.Query.__iter__", of.decl.methods["__iter__"], of)

    def _property(self, node: ast.Attribute) -> Iterator[Function]:
        # Only names that are properties somewhere are worth a look at the type of what stands before them.
        if node.attr not in self._properties:
            return
        for owner in members(self.inference.type_of(node.value)):
            if owner.kind != "instance" or not isinstance(owner.decl, Class):
                continue
            for base, _ in self.inference.bases(owner.decl):
                method = base.methods.get(node.attr)
                if method is not None:
                    if method.is_property and not method.module.stub:
                        yield method
                    break

    @cached_property
    def _properties(self) -> set[str]:
        return {each.name for each in self.inference.project.functions if each.is_property}

    def _entered(self, node: ast.expr) -> Iterator[Function]:
        for of in members(self.inference.type_of(node)):
            if of.kind == "instance" and isinstance(of.decl, Class) and not of.decl.module.stub:
                for base, _ in self.inference.bases(of.decl):
                    for name in ("__enter__", "__exit__"):
                        if name in base.methods and not base.module.stub:
                            yield base.methods[name]

    def _called_back(self, call: ast.Call) -> Iterator[Function]:
        """Functions handed to what runs them at once: ``map``, ``sorted(key=…)``."""
        for callee in members(self.inference.type_of(call.func)):
            if callee.kind != "external" or callee.name not in RUN_AT_ONCE:
                continue
            for argument in [*call.args[:1], *(k.value for k in call.keywords if k.arg == "key")]:
                for each in members(self.inference.type_of(argument)):
                    if (
                        each.kind == "function"
                        and isinstance(each.decl, Function)
                        and not each.decl.module.stub
                    ):
                        yield each.decl

    def _overrides(self, call: ast.Call, method: Function) -> Iterator[Function]:
        """What may run in a method's place: overrides in the subclasses of the object's class."""
        if method.cls is None or not isinstance(call.func, ast.Attribute) or method.name.startswith("__"):
            return
        for owner in members(self.inference.type_of(call.func.value)):
            if owner.kind != "instance" or not isinstance(owner.decl, Class):
                continue
            for cls in self.inference.attributes.subclasses(owner.decl):
                if method.name in cls.methods:
                    yield cls.methods[method.name]


CONSUMERS = {
    f"builtins.{name}"
    for name in ("all", "any", "dict", "list", "max", "min", "next", "set", "sorted", "sum", "tuple")
}
"""What goes through the generator that it is given."""
RUN_AT_ONCE = {f"builtins.{name}" for name in ("map", "filter", "sorted", "min", "max", "any", "all", "sum")}


def _is_coroutine(callee: Type) -> bool:
    """Whether it is a coroutine function of the stubs."""
    return isinstance(callee.decl, Function) and callee.decl.module.stub and callee.decl.is_async


__all__ = ["Calls", "Edge", "Outward"]
