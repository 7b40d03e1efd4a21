"""Which sessions an expression holds, by identity: two repositories made with one session hold the same one."""

from __future__ import annotations

import ast
from collections.abc import Hashable, Iterator
from typing import TYPE_CHECKING

from .declarations import Binding, Class, Function
from .types import Type, members

if TYPE_CHECKING:
    from .inference import Inference

SESSIONS = (
    "sqlalchemy.orm.Session",
    "sqlalchemy.ext.asyncio.AsyncSession",
    "sqlalchemy.ext.asyncio.AsyncConnection",
)
Key = Hashable
"""What makes two sessions the same one: a dependency, a parameter, the call that made it."""


class Holding:
    """Finds the sessions behind expressions."""

    def __init__(self, inference: Inference) -> None:
        self.inference = inference
        self._class_attributes: dict[Class, list[str]] = {}

    def is_session(self, of: Type) -> bool:
        """Whether a type is a session or connection that only one task may use at a time."""
        return of.kind == "instance" and any(self.inference.is_a(of, name) for name in SESSIONS)

    def of(self, node: ast.expr, depth: int = 0) -> set[Key]:
        """The sessions that an expression holds: itself, its arguments, the object a method is taken from."""
        if depth > 8:
            return set()
        if isinstance(node, ast.Await | ast.Starred):
            return self.of(node.value, depth)
        if isinstance(node, ast.Call):
            return self._call(node, depth)
        if isinstance(node, ast.GeneratorExp | ast.ListComp | ast.SetComp):
            inside = self.of(node.elt, depth + 1)
            for generator in node.generators:
                inside |= self.of(generator.iter, depth + 1)
            return inside
        if isinstance(node, ast.List | ast.Tuple | ast.IfExp):
            parts = [node.body, node.orelse] if isinstance(node, ast.IfExp) else node.elts
            return {key for each in parts for key in self.of(each, depth + 1)}
        return self._named(node, depth)

    def kept(self, node: ast.expr, depth: int = 0) -> set[Key]:
        """The sessions that a value keeps: what was computed with a session has none of it any more."""
        if depth > 8:
            return set()
        if isinstance(node, ast.List | ast.Tuple | ast.Set):
            return {key for each in node.elts for key in self.kept(each, depth + 1)}
        kinds = list(members(self.inference.type_of(node)))
        if isinstance(node, ast.Await | ast.Call) and not any(self._keeps(of) for of in kinds):
            return set()
        if isinstance(node, ast.Name) and kinds and all(of.name in ("list", "tuple", "dict") for of in kinds):
            return {key for value in self._values(node) for key in self.kept(value, depth + 1)}
        return self.of(node, depth)

    def _keeps(self, of: Type) -> bool:
        """Whether an object of this type can keep a session."""
        if self.is_session(of) or of.name in ("partial", "Coroutine", "Generator", "AsyncGenerator"):
            return True
        if of.kind == "instance" and isinstance(of.decl, Class) and not of.decl.module.stub:
            return bool(self.session_attributes(of.decl))
        return of.kind == "function"

    def _named(self, node: ast.expr, depth: int) -> set[Key]:
        """The sessions behind a name or an attribute, by what it is."""
        found: set[Key] = set()
        for of in members(self.inference.type_of(node)):
            if self.is_session(of):
                found |= self.identity(node, depth)
            elif of.kind == "function" and isinstance(of.decl, Function):
                found |= self.used_by(of.decl, depth + 1)
                if isinstance(node, ast.Attribute) and of.args:
                    found |= self._through(node.value, of.decl, depth)
            elif isinstance(of.decl, Class) and of.kind == "instance" and not of.decl.module.stub:
                found |= self._object(node, of, depth)
            elif of.name == "partial" or of.name in ("Coroutine", "Generator", "AsyncGenerator", "list"):
                found |= {key for value in self._values(node) for key in self.of(value, depth + 1)}
        return found

    def identity(self, node: ast.expr, depth: int = 0) -> set[Key]:
        """Which session a name or attribute of a session is."""
        inference = self.inference
        if depth > 8:
            return {id(node)}
        if isinstance(node, ast.Name):
            found: set[Key] = set()
            for binding in inference.names.reaching(node):
                found |= self._bound(binding, depth + 1)
            return found
        if isinstance(node, ast.Attribute):
            for owner in members(inference.type_of(node.value)):
                if isinstance(owner.decl, Class) and not owner.decl.module.stub:
                    return self._attribute(node, owner.decl, depth)
            return {("attribute", ast.unparse(node))}
        return {("made", id(node))}

    def used_by(self, function: Function, depth: int = 0) -> set[Key]:
        """The sessions that a function takes from around it: closures and globals."""
        if depth > 4:
            return set()
        found: set[Key] = set()
        for node in function.own_nodes:
            if not isinstance(node, ast.Name) or not isinstance(node.ctx, ast.Load):
                continue
            bindings = self.inference.project.scope_of(node).lookup(node.id)
            if not bindings or self._within(bindings[0], function):
                continue
            if any(self.is_session(of) for of in members(self.inference.type_of(node))):
                found |= self.identity(node)
        return found

    def session_attributes(self, cls: Class) -> list[str]:
        """The attributes of a class that hold a session."""
        if cls not in self._class_attributes:
            self._class_attributes[cls] = []
            names: dict[str, None] = {}
            for base, _ in self.inference.bases(cls):
                if base.module.stub:
                    continue
                for name in [*base.assigned, *base.scope.bindings]:
                    names[name] = None
            one = self.inference.instance_of(self.inference.class_type(cls))
            for name in names:
                if name not in cls.methods:
                    found = self.inference.attributes.of(one, name)
                    if any(self.is_session(of) for of in members(found)):
                        self._class_attributes[cls].append(name)
        return self._class_attributes[cls]

    # -- machinery

    def _call(self, node: ast.Call, depth: int) -> set[Key]:
        found: set[Key] = set()
        result = self.inference.type_of(node)
        if any(self.is_session(of) for of in members(result)):
            return {("made", id(node))}
        for argument in [*node.args, *(k.value for k in node.keywords)]:
            found |= self.of(argument, depth + 1)
        for callee in members(self.inference.type_of(node.func)):
            if callee.kind == "function" and isinstance(callee.decl, Function):
                found |= self.used_by(callee.decl, depth + 1)
                if isinstance(node.func, ast.Attribute) and callee.args:
                    found |= self._through(node.func.value, callee.decl, depth)
            elif callee.kind == "class" and isinstance(callee.decl, Class) and not callee.decl.module.stub:
                found |= self._injected(callee.decl, depth)
        return found

    def _through(self, owner: ast.expr, method: Function, depth: int) -> set[Key]:
        """The sessions that a method reaches through the object it is called on."""
        inference = self.inference
        found: set[Key] = set()
        for of in members(inference.type_of(owner)):
            if self.is_session(of):
                found |= self.identity(owner, depth)
            elif isinstance(of.decl, Class) and not of.decl.module.stub:
                if not self._touches(method, of.decl, set()):
                    continue
                found |= self._object(owner, of, depth)
        return found

    def _touches(self, method: Function, cls: Class, seen: set[Function]) -> bool:
        """Whether a method uses a session of its own object, directly, by its other methods, or by what it
        holds."""
        if method in seen or not method.positional:
            return False
        seen.add(method)
        first = method.positional[0].arg
        for node in method.own_nodes:
            if not isinstance(node, ast.Attribute):
                continue
            if not isinstance(node.value, ast.Name) or node.value.id != first:
                continue
            for of in members(self.inference.type_of(node)):
                if self.is_session(of):
                    return True
                if (
                    of.kind == "function"
                    and isinstance(of.decl, Function)
                    and self._touches(of.decl, cls, seen)
                ):
                    return True
                holds = isinstance(of.decl, Class) and of.kind == "instance" and not of.decl.module.stub
                if holds and isinstance(of.decl, Class) and self.session_attributes(of.decl):
                    return True
        return False

    def _object(self, node: ast.expr, of: Type, depth: int) -> set[Key]:
        """The sessions that an object of the code base holds."""
        assert isinstance(of.decl, Class)
        found: set[Key] = set()
        for value in self._values(node):
            if isinstance(value, ast.Call) and value is not node:
                found |= self.of(value, depth + 1)
        if found:
            return found
        if isinstance(node, ast.Name):
            for binding in self.inference.names.reaching(node):
                if binding.kind == "param" and isinstance(binding.node, ast.arg):
                    found |= self._param_object(binding, of.decl, depth)
        if found:
            return found
        return {("self", of.decl.id, name) for name in self.session_attributes(of.decl)}

    def _param_object(self, binding: Binding, cls: Class, depth: int) -> set[Key]:
        assert isinstance(binding.node, ast.arg)
        injection = self.inference.injection
        function = self.inference.project.collected.functions[binding.scope.node]
        dependency = injection.dependency_of(function, binding.node)
        if dependency is None:
            keys = {key for name in self.session_attributes(cls) for key in self._of_init(cls, name, depth)}
            return keys if function.cls is cls else {(key, id(binding.node)) for key in keys}
        found: set[Key] = set()
        for provider in injection.providers(dependency):
            if provider.cls is not None and provider.name == "__init__":
                found |= self._injected(cls, depth)
            for value in provider.returns:
                found |= self.of(value, depth + 1)
        return found

    def _injected(self, cls: Class, depth: int) -> set[Key]:
        """The sessions that FastAPI gives to a class's ``__init__``."""
        found: set[Key] = set()
        for base, _ in self.inference.bases(cls):
            init = base.methods.get("__init__")
            if init is None or base.module.stub:
                continue
            for param in init.params:
                if self.inference.injection.dependency_of(init, param) is not None:
                    of = self.inference.param_type(init, param)
                    if any(self.is_session(each) for each in members(of)):
                        found |= self._bound(Binding(param.arg, "param", param, init.scope), depth + 1)
            break
        return found

    def _attribute(self, node: ast.Attribute, cls: Class, depth: int) -> set[Key]:
        if isinstance(node.value, ast.Name):
            made = [v for v in self._values(node.value) if isinstance(v, ast.Call)]
            found = {key for value in made for key in self.of(value, depth + 1)}
            if found:
                return found
        return self._of_init(cls, node.attr, depth) or {("self", cls.id, node.attr)}

    def _of_init(self, cls: Class, name: str, depth: int) -> set[Key]:
        """Where a class takes an attribute from: two names for one parameter are one session."""
        found: set[Key] = set()
        for base, _ in self.inference.bases(cls):
            for binding in base.assigned.get(name, ()):
                if isinstance(binding.value, ast.Name) and depth < 6:
                    found |= self.identity(binding.value, depth + 1)
        return found

    def _values(self, node: ast.expr) -> Iterator[ast.expr]:
        """The expressions that a name or an attribute of ``self`` was given."""
        inference = self.inference
        if isinstance(node, ast.Name):
            for binding in inference.names.reaching(node):
                if binding.value is not None and binding.kind in ("assign", "annotated", "other", "with"):
                    yield binding.value
        elif isinstance(node, ast.Attribute):
            for owner in members(inference.type_of(node.value)):
                if isinstance(owner.decl, Class) and not owner.decl.module.stub:
                    for base, _ in inference.bases(owner.decl):
                        for binding in base.assigned.get(node.attr, ()):
                            if binding.value is not None:
                                yield binding.value
        elif isinstance(node, ast.Call):
            yield node

    def _bound(self, binding: Binding, depth: int) -> set[Key]:
        inference = self.inference
        if binding.kind == "param" and isinstance(binding.node, ast.arg):
            function = inference.project.collected.functions[binding.scope.node]
            dependency = inference.injection.dependency_of(function, binding.node)
            if dependency is not None:
                providers = tuple(sorted(each.id for each in inference.injection.providers(dependency)))
                return {("dependency", providers, dependency.scope)} if providers else {("param", binding.node)}
            return {("param", binding.node)}
        if isinstance(binding.value, ast.Name | ast.Attribute) and binding.kind in ("assign", "annotated"):
            return self.identity(binding.value, depth + 1)
        return {("made", id(binding.value if binding.value is not None else binding.node))}

    def _within(self, binding: Binding, function: Function) -> bool:
        scope = binding.scope
        while True:
            if scope is function.scope:
                return True
            if scope.parent is None:
                return False
            scope = scope.parent


__all__ = ["Holding", "Key"]
