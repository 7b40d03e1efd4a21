"""The functions of a code base, each with what it does, and the code at the top of its modules."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from sqlawait.analysis.declarations import Function, Module
from sqlawait.analysis.types import Type, members

from .classes import ENGINE, MAKER, QUERY, SESSION
from .facts import Facts
from .handing import IN_GREENLET
from .rewrites.lambdas import PER_ITEM
from .waits import TO_THREAD, Uses, uses_of

HANDED = (SESSION, ENGINE, QUERY, MAKER)
"""What functions hand out and take that have to do with the database."""


@dataclass(eq=False)
class Unit:
    """A function, or the code at the top of a module and of its classes."""

    module: Module
    function: Function | None
    uses: Uses


class Units:
    """All of them, with who calls whom and who goes with whom."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.project = facts.project
        self.functions: dict[Function, Unit] = {}
        self.tops: dict[Module, Unit] = {}
        self.called: dict[Function, set[Unit]] = defaultdict(set)
        """What calls each function."""
        self.family: dict[Function, set[Function]] = defaultdict(set)
        """What each method overrides, and what overrides it."""
        self.wrapped: dict[Function, set[Function]] = defaultdict(set)
        """What each wrapper of the code base is put around: it waits where its wrapper does."""
        self._read()
        self._relate()

    def _read(self) -> None:
        for function in self.project.functions:
            if not isinstance(function.node, ast.Lambda):
                self.functions[function] = Unit(
                    function.module, function, uses_of(self._nodes(function), self.facts)
                )
        for module in self.project.modules.values():
            nodes = [node for statement in module.tree.body for node in _top(statement)]
            self.tops[module] = Unit(module, None, uses_of(nodes, self.facts))

    def _nodes(self, function: Function) -> list[ast.AST]:
        """The nodes of a function and of its lambdas: a lambda has the colour of the function around it."""
        found: list[ast.AST] = []
        for node in function.own_nodes:
            found.append(node)
            if isinstance(node, ast.Lambda) and self.facts.receiver(node) not in IN_GREENLET:
                found += list(ast.walk(node.body))
        return found

    def _relate(self) -> None:
        for function in self.functions:
            for wrapper in self.wrappers(function):
                self.wrapped[wrapper].add(function)
        for unit in [*self.functions.values(), *self.tops.values()]:
            for target in unit.uses.runs:
                self.called[target].add(unit)
            for node, handed in unit.uses.references:
                if self.facts.receiver(node) in PER_ITEM | TO_THREAD:
                    self.called[handed].add(unit)
        for one, other in [*self._overriding(), *self._promised()]:
            self.family[one].add(other)
            self.family[other].add(one)

    def _overriding(self) -> Iterator[tuple[Function, Function]]:
        """Methods, each with one that it overrides."""
        for cls in self.project.classes:
            for base, _ in self.facts.inference.bases(cls)[1:]:
                for name, method in cls.methods.items():
                    other = base.methods.get(name)
                    if (
                        other is not None
                        and not base.module.stub
                        and name not in ("__init__", "__repr__", "__str__")
                    ):
                        yield method, other

    def _promised(self) -> Iterator[tuple[Function, Function]]:
        """Methods that protocols promise, each with one of a class that keeps the promise."""
        attributes = self.facts.inference.attributes
        for protocol in filter(attributes.is_protocol, self.project.classes):
            for cls in attributes.subclasses(protocol):
                for name, promised in protocol.methods.items():
                    method = attributes.method(cls, name)
                    if method is not None and method is not promised and name != "__init__":
                        yield promised, method

    def wrappers(self, function: Function) -> list[Function]:
        """What the decorators of the code base put in the place of a function, and those decorators."""
        found = [self.facts.inference.decorating.wrapper(each) for each in function.decorators]
        return [each for wrapper in found if wrapper is not None for each in (wrapper, wrapper.outer) if each]

    def waits(self, function: Function, seen: set[Function]) -> bool:
        """Whether a function, or what it runs, waits for the database."""
        if function in seen or function not in self.functions:
            return False
        seen.add(function)
        uses = self.functions[function].uses
        return uses.awaits or any(self.waits(each, seen) for each in uses.runs)

    def touching(self) -> set[Function]:
        """The functions that have anything to do with the database."""
        found = {f for f, unit in self.functions.items() if unit.uses.waits or self._provides(f)}
        pending = list(found)
        while pending:
            function = pending.pop()
            near = [unit.function for unit in self.called[function] if unit.function is not None]
            near += [*self.family[function], *self.wrapped[function]]
            if function.outer is not None and not isinstance(function.outer.node, ast.Lambda):
                near.append(function.outer)
            for each in near:
                if each not in found and each in self.functions:
                    found.add(each)
                    pending.append(each)
        return found

    def _provides(self, function: Function) -> bool:
        """Whether a function hands out a session, an engine or a query, or is annotated to take one."""
        result = self.facts.inference.result_of(function)
        inner = list(_parts(result))
        for param in function.params:
            if param.annotation is not None:
                inner += list(_parts(self.facts.inference.param_type(function, param)))
        return any(
            each.kind == "instance" and any(self.facts.inference.is_a(each, name) for name in HANDED)
            for each in inner
        )


def _parts(of: Type, depth: int = 3) -> Iterator[Type]:
    """A type and those that it is made of: what ``Callable[[], AbstractContextManager[Session]]`` gives."""
    for each in members(of):
        yield each
        for arg in each.args if depth else ():
            yield from _parts(arg, depth - 1)


def _top(statement: ast.stmt) -> list[ast.AST]:
    """The nodes that run when a module is imported."""
    if isinstance(statement, ast.ClassDef):
        found: list[ast.AST] = [
            n for d in [*statement.decorator_list, *statement.bases] for n in _expression(d)
        ]
        return found + [node for each in statement.body for node in _top(each)]
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
        spec = statement.args
        parts = [*statement.decorator_list, *spec.defaults, *(d for d in spec.kw_defaults if d is not None)]
        parts += [
            a.annotation for a in [*spec.posonlyargs, *spec.args, *spec.kwonlyargs] if a.annotation is not None
        ]
        return [node for each in parts for node in _expression(each)]
    found = []
    pending: list[ast.AST] = [statement]
    while pending:
        node = pending.pop()
        found.append(node)
        if isinstance(node, ast.Lambda):
            continue
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.stmt) and isinstance(
                child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
            ):
                found += _top(child)
            else:
                pending.append(child)
    return found


def _expression(node: ast.AST) -> list[ast.AST]:
    found: list[ast.AST] = []
    pending = [node]
    while pending:
        each = pending.pop()
        found.append(each)
        if not isinstance(each, ast.Lambda):
            pending += list(ast.iter_child_nodes(each))
    return found


__all__ = ["Unit", "Units"]
