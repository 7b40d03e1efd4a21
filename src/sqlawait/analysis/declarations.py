"""Modules and what they declare: scopes, bindings, functions and classes."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
BindingKind = Literal[
    "import", "from", "function", "class", "param", "assign", "annotated", "for", "with", "except", "other"
]


@dataclass(eq=False, slots=True)
class Binding:
    """One place where a name gets a value."""

    name: str
    kind: BindingKind
    node: ast.AST
    scope: Scope
    value: ast.expr | None = None
    """The expression that the value is taken from."""
    path: tuple[int, ...] = ()
    """Where the name stands in an unpacking: ``a, (b, c) = x`` gives c the path (1, 1)."""

    @property
    def position(self) -> tuple[int, int]:
        """Where the name has its value: after what gives it, or where a parameter, function or class begins."""
        node: ast.AST = self.node
        if self.kind in ("for", "with", "other") and self.value is not None:
            node = self.value
        elif self.kind not in ("assign", "annotated", "import", "from"):
            return (getattr(node, "lineno", 0), getattr(node, "col_offset", 0))
        return (getattr(node, "end_lineno", 0) or 0, getattr(node, "end_col_offset", 0) or 0)


@dataclass(eq=False, slots=True)
class Scope:
    """A module, class, function, lambda or comprehension, and the names bound in it."""

    node: ast.AST
    module: Module
    parent: Scope | None = None
    bindings: dict[str, list[Binding]] = field(default_factory=dict)
    stars: list[ast.ImportFrom] = field(default_factory=list)

    def lookup(self, name: str) -> list[Binding]:
        """The bindings of a name as seen from here, by Python's rules: class bodies are skipped from within."""
        scope: Scope | None = self
        first = True
        while scope is not None:
            if (first or not isinstance(scope.node, ast.ClassDef)) and name in scope.bindings:
                return scope.bindings[name]
            first = first and isinstance(
                scope.node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
            )
            scope = scope.parent
        return []

    @property
    def root(self) -> Scope:
        """The scope of the module."""
        scope = self
        while scope.parent is not None:
            scope = scope.parent
        return scope


@dataclass(eq=False)
class Function:
    """A function, method or lambda of the code base."""

    node: FunctionNode
    module: Module
    qualname: str
    scope: Scope
    cls: Class | None = None
    """The class that it is a method of."""
    outer: Function | None = None
    """The function that it is nested in."""

    @property
    def name(self) -> str:
        """Its bare name."""
        return self.qualname.rpartition(".")[2]

    @property
    def id(self) -> str:
        """Module and qualified name."""
        return f"{self.module.name}.{self.qualname}"

    @property
    def line(self) -> int:
        """The line of its ``def``."""
        return self.node.lineno

    @property
    def is_async(self) -> bool:
        """Whether it is an ``async def``."""
        return isinstance(self.node, ast.AsyncFunctionDef)

    @cached_property
    def body(self) -> list[ast.stmt]:
        """Its statements; a lambda has none."""
        return [] if isinstance(self.node, ast.Lambda) else self.node.body

    @cached_property
    def own_nodes(self) -> list[ast.AST]:
        """All nodes of its body in source order, without those of nested functions and classes."""
        start: list[ast.AST] = [self.node.body] if isinstance(self.node, ast.Lambda) else list(self.node.body)
        return [node for each in start for node in walk_own(each)]

    @cached_property
    def yields(self) -> list[ast.Yield | ast.YieldFrom]:
        """Its ``yield`` expressions."""
        return [node for node in self.own_nodes if isinstance(node, ast.Yield | ast.YieldFrom)]

    @cached_property
    def returns(self) -> list[ast.expr]:
        """The expressions that it returns."""
        if isinstance(self.node, ast.Lambda):
            return [self.node.body]
        return [
            node.value for node in self.own_nodes if isinstance(node, ast.Return) and node.value is not None
        ]

    @cached_property
    def decorators(self) -> list[ast.expr]:
        """Its decorators."""
        return [] if isinstance(self.node, ast.Lambda) else self.node.decorator_list

    @cached_property
    def decorator_names(self) -> set[str]:
        """The last names of its decorators: ``property``, ``cached_property``, ``setter``."""
        return {last_name(each.func if isinstance(each, ast.Call) else each) for each in self.decorators}

    @cached_property
    def params(self) -> list[ast.arg]:
        """Its parameters that have a name of their own, in order; not ``*args`` and ``**kwargs``."""
        spec = self.node.args
        return [*spec.posonlyargs, *spec.args, *spec.kwonlyargs]

    @cached_property
    def positional(self) -> list[ast.arg]:
        """The parameters that a positional argument can reach."""
        return [*self.node.args.posonlyargs, *self.node.args.args]

    @cached_property
    def defaults(self) -> dict[str, ast.expr]:
        """The defaults of its parameters, by name."""
        spec = self.node.args
        found = dict(zip([a.arg for a in self.positional][::-1], spec.defaults[::-1], strict=False))
        found.update(
            {a.arg: d for a, d in zip(spec.kwonlyargs, spec.kw_defaults, strict=True) if d is not None}
        )
        return found

    @property
    def is_static(self) -> bool:
        """Whether it takes neither ``self`` nor ``cls``."""
        return self.cls is None or "staticmethod" in self.decorator_names

    @property
    def is_property(self) -> bool:
        """Whether reading the attribute runs it."""
        return bool(self.decorator_names & {"property", "cached_property", "hybrid_property"})

    def __repr__(self) -> str:
        return f"<Function {self.id}>"


@dataclass(eq=False)
class Class:
    """A class of the code base."""

    node: ast.ClassDef
    module: Module
    qualname: str
    scope: Scope
    methods: dict[str, Function] = field(default_factory=dict)
    assigned: dict[str, list[Binding]] = field(default_factory=dict)
    """What its methods put on ``self`` and ``cls``."""

    @property
    def name(self) -> str:
        """Its bare name."""
        return self.node.name

    @property
    def id(self) -> str:
        """Module and qualified name."""
        return f"{self.module.name}.{self.qualname}"

    @property
    def line(self) -> int:
        """The line of its ``class``."""
        return self.node.lineno

    def __repr__(self) -> str:
        return f"<Class {self.id}>"


@dataclass(eq=False)
class Module:
    """One file of the code base."""

    name: str
    path: Path
    source: str
    tree: ast.Module
    package: bool = False
    checked: bool = True
    """False for what is read only because something else imports it, and for stubs."""
    stub: bool = False
    scope: Scope = field(init=False)

    @cached_property
    def lines(self) -> list[str]:
        """Its source, line by line, as the parser counts lines."""
        return self.source.replace("\r\n", "\n").replace("\r", "\n").split("\n")

    def line(self, number: int) -> str:
        """One line of its source, counted from 1; empty past the end."""
        return self.lines[number - 1] if 0 < number <= len(self.lines) else ""

    def __repr__(self) -> str:
        return f"<Module {self.name}>"


def last_name(node: ast.AST) -> str:
    """``c`` of ``a.b.c``; empty for what is neither a name nor an attribute."""
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else ""


def dotted(node: ast.AST) -> str:
    """``a.b.c`` as written; empty for what is not a chain of names."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        head = dotted(node.value)
        return f"{head}.{node.attr}" if head else ""
    return ""


def walk_own(node: ast.AST) -> Iterator[ast.AST]:
    """A node and all below it in source order; nested functions, lambdas and classes are named, not entered."""
    pending = [node]
    while pending:
        node = pending.pop()
        yield node
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            pending.extend(reversed(node.decorator_list))
        elif not isinstance(node, ast.Lambda):
            pending.extend(reversed(list(ast.iter_child_nodes(node))))


__all__ = ["Binding", "Class", "Function", "FunctionNode", "Module", "Scope", "dotted", "last_name", "walk_own"]
