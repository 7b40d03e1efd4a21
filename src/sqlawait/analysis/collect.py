"""One walk over a module's tree: parents, scopes, bindings, functions, classes, and calls by name."""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .declarations import Binding, BindingKind, Class, Function, FunctionNode, Scope, last_name

if TYPE_CHECKING:
    from .declarations import Module

Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
INDIRECT = {
    "partial", "partialmethod", "to_thread", "run_in_threadpool", "run_sync", "add_task", "run_in_executor",
    "submit", "call_soon", "call_later", "start_soon", "BackgroundTask", "apply_async", "asyncify", "map",
    "filter",
}  # fmt: skip
"""Calls that take a function and the arguments to call it with."""


@dataclass(slots=True)
class Collected:
    """What the walk found, for all modules together."""

    parents: dict[ast.AST, ast.AST] = field(default_factory=dict)
    functions: dict[ast.AST, Function] = field(default_factory=dict)
    classes: dict[ast.AST, Class] = field(default_factory=dict)
    scopes: dict[ast.AST, Scope] = field(default_factory=dict)
    calls: dict[str, list[ast.Call]] = field(default_factory=lambda: defaultdict(list))
    """Calls by the last name of what they call, and of the function handed to those that take one."""
    attributes: dict[str, list[Binding]] = field(default_factory=lambda: defaultdict(list))
    """Assignments to attributes of anything but ``self``: ``request.state.db = …`` under ``state.db``."""
    attribute_reads: dict[str, list[ast.Attribute]] = field(default_factory=lambda: defaultdict(list))
    attribute_writes: dict[str, list[ast.Attribute]] = field(default_factory=lambda: defaultdict(list))


class Collector(ast.NodeVisitor):
    """Fills :class:`Collected` from one module."""

    def __init__(self, module: Module, into: Collected) -> None:
        self.module = module
        self.into = into
        self.scope = Scope(module.tree, module)
        self.into.scopes[module.tree] = self.scope
        self.names: list[str] = []
        self.cls: Class | None = None
        self.function: Function | None = None
        self.globals: set[tuple[int, str]] = set()
        self.aliases: dict[str, str] = {}

    def run(self) -> Scope:
        """Walk the module; gives its scope."""
        self.generic_visit(self.module.tree)
        return self.scope.root

    def visit(self, node: ast.AST) -> None:
        """Dispatch without building the method's name for every leaf."""
        method = HANDLERS.get(type(node))
        if method is None:
            self.generic_visit(node)
        else:
            method(self, node)

    def generic_visit(self, node: ast.AST) -> None:
        """Record the parent of each child and go on."""
        parents = self.into.parents
        for name in node._fields:
            value = getattr(node, name, None)
            if isinstance(value, list):
                for child in value:
                    if isinstance(child, ast.AST):
                        parents[child] = node
                        self.visit(child)
            elif isinstance(value, ast.AST):
                parents[value] = node
                self.visit(value)

    def _child(self, parent: ast.AST, *children: ast.AST | None) -> None:
        for child in children:
            if child is not None:
                self.into.parents[child] = parent
                self.visit(child)

    def _bind(
        self,
        name: str,
        kind: BindingKind,
        node: ast.AST,
        value: ast.expr | None = None,
        path: tuple[int, ...] = (),
    ) -> None:
        scope = self.scope
        if (id(scope), name) in self.globals:
            scope = scope.root
        elif kind == "other" and isinstance(node, ast.NamedExpr):
            while isinstance(scope.node, Comprehension) and scope.parent is not None:
                scope = scope.parent
        scope.bindings.setdefault(name, []).append(Binding(name, kind, node, scope, value, path))

    def _target(
        self,
        target: ast.expr,
        kind: BindingKind,
        node: ast.AST,
        value: ast.expr | None,
        path: tuple[int, ...] = (),
    ) -> None:
        if isinstance(target, ast.Name):
            self._bind(target.id, kind, node, value, path)
        elif isinstance(target, ast.Tuple | ast.List):
            for index, each in enumerate(target.elts):
                self._target(each, kind, node, value, (*path, index))
        elif isinstance(target, ast.Starred):
            self._target(target.value, kind, node, None, path)
        elif isinstance(target, ast.Attribute):
            self._attribute(target, kind, node, value, path)

    def _attribute(
        self,
        target: ast.Attribute,
        kind: BindingKind,
        node: ast.AST,
        value: ast.expr | None,
        path: tuple[int, ...],
    ) -> None:
        binding = Binding(target.attr, kind, node, self.scope, value, path)
        owner = self._method()
        if owner is not None and owner.cls is not None and isinstance(target.value, ast.Name):
            first = owner.positional[0].arg if owner.positional and not owner.is_static else ""
            if target.value.id == first:
                owner.cls.assigned.setdefault(target.attr, []).append(binding)
                return
        key = f"{last_name(target.value)}.{target.attr}"
        self.into.attributes[key].append(binding)

    def _method(self) -> Function | None:
        function = self.function
        while function is not None and function.cls is None:
            function = function.outer
        return function

    def _open(self, node: ast.AST) -> Scope:
        scope = Scope(node, self.module, self.scope)
        self.into.scopes[node] = scope
        return scope

    # -- nodes that declare or bind

    def _function(self, node: FunctionNode) -> None:
        name = "<lambda>" if isinstance(node, ast.Lambda) else node.name
        if not isinstance(node, ast.Lambda):
            self._bind(name, "function", node)
            self._child(node, *node.decorator_list, node.returns)
        spec = node.args
        self.into.parents[spec] = node
        arguments = [*spec.posonlyargs, *spec.args, spec.vararg, *spec.kwonlyargs, spec.kwarg]
        for argument in arguments:
            if argument is not None:
                self.into.parents[argument] = spec
                self._child(argument, argument.annotation)
        self._child(spec, *spec.defaults, *spec.kw_defaults)
        scope = self._open(node)
        cls = self.cls if isinstance(self.scope.node, ast.ClassDef) else None
        function = Function(node, self.module, ".".join([*self.names, name]), scope, cls, self.function)
        self.into.functions[node] = function
        if (
            cls is not None
            and name != "<lambda>"
            and not function.decorator_names & {"setter", "overload", "deleter"}
        ):
            cls.methods[name] = function
        outer = self.scope, self.function, self.cls
        self.scope, self.function, self.cls = scope, function, None
        self.names.append(name)
        for argument in arguments:
            if argument is not None:
                self._bind(argument.arg, "param", argument)
        body = [node.body] if isinstance(node, ast.Lambda) else [*getattr(node, "type_params", ()), *node.body]
        self._child(node, *body)
        self.names.pop()
        self.scope, self.function, self.cls = outer

    def _class(self, node: ast.ClassDef) -> None:
        self._bind(node.name, "class", node)
        self._child(node, *node.decorator_list, *node.bases, *node.keywords)
        scope = self._open(node)
        cls = Class(node, self.module, ".".join([*self.names, node.name]), scope)
        self.into.classes[node] = cls
        outer = self.scope, self.cls, self.function
        self.scope, self.cls, self.function = scope, cls, None
        self.names.append(node.name)
        self._child(node, *getattr(node, "type_params", ()), *node.body)
        self.names.pop()
        self.scope, self.cls, self.function = outer

    def _comprehension(self, node: Comprehension) -> None:
        outer = self.scope
        self.scope = self._open(node)
        for generator in node.generators:
            self.into.parents[generator] = node
            self._target(generator.target, "for", generator, generator.iter)
            self._child(generator, generator.target, generator.iter, *generator.ifs)
        if isinstance(node, ast.DictComp):
            self._child(node, node.key, node.value)
        else:
            self._child(node, node.elt)
        self.scope = outer

    def _import(self, node: ast.Import) -> None:
        for alias in node.names:
            name = alias.asname or alias.name.partition(".")[0]
            self._bind(name, "import", alias)
            self.into.parents[alias] = node

    def _import_from(self, node: ast.ImportFrom) -> None:
        for alias in node.names:
            self.into.parents[alias] = node
            if alias.name == "*":
                self.scope.stars.append(node)
                continue
            if alias.asname:
                self.aliases[alias.asname] = alias.name
            self._bind(alias.asname or alias.name, "from", alias)

    def _assign(self, node: ast.Assign) -> None:
        for target in node.targets:
            self._target(target, "assign", node, node.value)
            if isinstance(target, ast.Name) and isinstance(node.value, ast.Name | ast.Attribute):
                self.aliases[target.id] = last_name(node.value)
        self.generic_visit(node)

    def _ann_assign(self, node: ast.AnnAssign) -> None:
        self._target(node.target, "annotated", node, node.value)
        self.generic_visit(node)

    def _type_alias(self, node: ast.AST) -> None:
        name, value = getattr(node, "name", None), getattr(node, "value", None)
        if isinstance(name, ast.Name):
            self._bind(name.id, "assign", node, value)
        self.generic_visit(node)

    def _for(self, node: ast.For | ast.AsyncFor) -> None:
        self._target(node.target, "for", node, node.iter)
        self.generic_visit(node)

    def _with(self, node: ast.With | ast.AsyncWith) -> None:
        for item in node.items:
            if item.optional_vars is not None:
                self._target(item.optional_vars, "with", item.context_expr, item.context_expr)
        self.generic_visit(node)

    def _except(self, node: ast.ExceptHandler) -> None:
        if node.name:
            self._bind(node.name, "except", node, node.type)
        self.generic_visit(node)

    def _named(self, node: ast.NamedExpr) -> None:
        self._bind(node.target.id, "other", node, node.value)
        self.generic_visit(node)

    def _global(self, node: ast.Global) -> None:
        for name in node.names:
            self.globals.add((id(self.scope), name))

    def _nonlocal(self, node: ast.Nonlocal) -> None:
        for name in node.names:
            outer = self.scope.parent
            while outer is not None and name not in outer.bindings:
                outer = outer.parent
            if outer is not None:
                self.scope.bindings[name] = outer.bindings[name]

    def _call(self, node: ast.Call) -> None:
        self._index(node, node.func)
        if last_name(node.func) in INDIRECT:
            for argument in node.args[:2]:
                self._index(node, argument)
            for keyword in node.keywords:
                if keyword.arg in ("func", "target", "fn"):
                    self._index(node, keyword.value)
        self.generic_visit(node)

    def _index(self, node: ast.Call, named: ast.expr) -> None:
        if isinstance(named, ast.Subscript):
            named = named.value
        name = last_name(named)
        if name:
            self.into.calls[name].append(node)
            if name in self.aliases and isinstance(named, ast.Name):
                self.into.calls[self.aliases[name]].append(node)

    def _read(self, node: ast.Attribute) -> None:
        if isinstance(node.ctx, ast.Load):
            self.into.attribute_reads[node.attr].append(node)
        elif isinstance(node.ctx, ast.Store):
            self.into.attribute_writes[node.attr].append(node)
        self.generic_visit(node)

    def _match(self, node: ast.MatchAs) -> None:
        if node.name:
            self._bind(node.name, "other", node)
        self.generic_visit(node)


Handler = Callable[[Collector, Any], None]
HANDLERS: dict[type[ast.AST], Handler] = {
    ast.FunctionDef: Collector._function,
    ast.AsyncFunctionDef: Collector._function,
    ast.Lambda: Collector._function,
    ast.ClassDef: Collector._class,
    ast.ListComp: Collector._comprehension,
    ast.SetComp: Collector._comprehension,
    ast.DictComp: Collector._comprehension,
    ast.GeneratorExp: Collector._comprehension,
    ast.Import: Collector._import,
    ast.ImportFrom: Collector._import_from,
    ast.Assign: Collector._assign,
    ast.AnnAssign: Collector._ann_assign,
    ast.For: Collector._for,
    ast.AsyncFor: Collector._for,
    ast.With: Collector._with,
    ast.AsyncWith: Collector._with,
    ast.ExceptHandler: Collector._except,
    ast.NamedExpr: Collector._named,
    ast.Global: Collector._global,
    ast.Nonlocal: Collector._nonlocal,
    ast.Call: Collector._call,
    ast.Attribute: Collector._read,
    ast.MatchAs: Collector._match,
}
if sys.version_info >= (3, 12):
    HANDLERS[ast.TypeAlias] = Collector._type_alias
