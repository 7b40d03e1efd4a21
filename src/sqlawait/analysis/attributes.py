"""Attributes of modules, classes and objects, looked up along the bases with type arguments filled in."""

from __future__ import annotations

import ast
from dataclasses import replace
from typing import TYPE_CHECKING

from .annotations import STRAWBERRY
from .declarations import Binding, Class, Function, Module, last_name
from .types import UNKNOWN, Type, external, members, substitute, union

if TYPE_CHECKING:
    from .inference import Inference

CONTAINERS = {
    "list",
    "dict",
    "tuple",
    "str",
    "int",
    "Generator",
    "AsyncGenerator",
    "ContextManager",
    "AsyncContextManager",
}
PROXIES = ("sqlalchemy.orm.scoped_session", "sqlalchemy.ext.asyncio.async_scoped_session")
"""Classes whose objects hand every attribute on to the session of their type argument."""

PROTOCOLS = {"typing.Protocol", "typing_extensions.Protocol"}
BARE = {"abc.ABC", "typing.Generic", "typing.Protocol", "object"}
"""Bases from outside that give a class no attributes."""


class Attributes:
    """Looks attributes up."""

    def __init__(self, inference: Inference) -> None:
        self.inference = inference
        self._mro: dict[Class, list[tuple[Class, dict[str, Type]]]] = {}
        self._outside: dict[Class, set[str]] = {}
        self._variables: dict[Class, list[str]] = {}
        self._subclasses: dict[Class, list[Class]] | None = None

    def of(self, owner: Type, name: str) -> Type:
        """The type of ``owner.name``."""
        return union(self._one(each, name) for each in members(owner))

    def mro(self, cls: Class) -> list[tuple[Class, dict[str, Type]]]:
        """The class and its bases, each with the values of its type variables."""
        if cls not in self._mro:
            self._mro[cls] = [(cls, {})]  # what a class that derives from itself would see
            self._mro[cls] = self._linearised(cls)
        return self._mro[cls]

    def outside_bases(self, cls: Class) -> set[str]:
        """Dotted names of the bases whose source is not read, and that may have attributes of their own."""
        self.mro(cls)
        return set().union(*(self._outside.get(each, set()) for each, _ in self.mro(cls))) - BARE

    def variables(self, cls: Class) -> list[str]:
        """The names of a class's type variables, in order."""
        if cls not in self._variables:
            found: dict[str, None] = {}
            for parameter in getattr(cls.node, "type_params", ()):
                found[parameter.name] = None
            generic: list[str] = []
            for base in cls.node.bases:
                if isinstance(base, ast.Subscript):
                    given = base.slice.elts if isinstance(base.slice, ast.Tuple) else [base.slice]
                    names = [
                        t.name for e in given if (t := self.inference.annotations.type_of(e)).kind == "typevar"
                    ]
                    if self.inference.names.qualified(base.value).endswith(("Generic", "Protocol")):
                        generic = names
                    found.update(dict.fromkeys(names))
            self._variables[cls] = generic or list(found)
        return self._variables[cls]

    def subclasses(self, cls: Class) -> list[Class]:
        """The classes of the code base that derive from it, however far, or that have all that it promises."""
        if self._subclasses is None:
            self._subclasses = {}
            for each in self.inference.project.classes:
                for base, _ in self.mro(each)[1:]:
                    self._subclasses.setdefault(base, []).append(each)
            for protocol in filter(self.is_protocol, self.inference.project.classes):
                derived = self._subclasses.setdefault(protocol, [])
                derived += [
                    each
                    for each in self.inference.project.classes
                    if each not in derived and self._fulfils(each, protocol)
                ]
        return self._subclasses.get(cls, [])

    def is_protocol(self, cls: Class) -> bool:
        """Whether a class of the code base only promises what others have."""
        if cls.module.stub:
            return False
        bases = [each.value if isinstance(each, ast.Subscript) else each for each in cls.node.bases]
        return any(self.inference.names.qualified(each) in PROTOCOLS for each in bases)

    def method(self, cls: Class, name: str) -> Function | None:
        """The method of that name, of a class or the nearest of its bases in the code base."""
        found = (base.methods.get(name) for base, _ in self.mro(cls) if not base.module.stub)
        return next((each for each in found if each is not None), None)

    def _fulfils(self, cls: Class, protocol: Class) -> bool:
        """Whether a class has the methods of a protocol; one method alone is known by its parameters, too."""
        promised = {name: each for name, each in protocol.methods.items() if not name.startswith("__")}
        if not promised or cls is protocol or cls.module.stub or self.is_protocol(cls):
            return False
        for name, each in promised.items():
            method = self.method(cls, name)
            if method is None or not _takes(method, len(each.positional)):
                return False
            if len(promised) == 1 and [p.arg for p in method.params] != [p.arg for p in each.params]:
                return False
        return True

    def bindings(self, node: ast.expr) -> list[Binding]:
        """Where a name or an attribute is given its value: of an object, of a class, or of ``app.state``."""
        inference = self.inference
        found = [each for each in inference.names.definitions(node) if isinstance(each, Binding)]
        if found or not isinstance(node, ast.Attribute):
            return found
        for owner in members(inference.type_of(node.value)):
            for base, _ in self.mro(owner.decl) if isinstance(owner.decl, Class) else ():
                if not base.module.stub:
                    found += [*base.scope.bindings.get(node.attr, ()), *base.assigned.get(node.attr, ())]
        if not found and last_name(node.value) == "state":
            found += inference.project.collected.attributes.get(f"state.{node.attr}", ())
        return found

    def environment(self, owner: Type, holder: Class) -> dict[str, Type]:
        """The values of the type variables of ``holder``, a base of the class of ``owner``."""
        if not isinstance(owner.decl, Class):
            return {}
        own = dict(zip(self.variables(owner.decl), owner.args, strict=False))
        for base, values in self.mro(owner.decl):
            if base is holder:
                environment = own if base is owner.decl else {k: substitute(v, own) for k, v in values.items()}
                return {"Self": replace(owner, kind="instance"), **environment}
        return {}

    def of_super(self, node: ast.Attribute) -> Type:
        """The type of ``super().name``."""
        function = self.inference.project.function_of(node)
        while function is not None and function.cls is None:
            function = function.outer
        if function is None or function.cls is None:
            return UNKNOWN
        owner = self.inference.param_type(function, function.positional[0]) if function.positional else UNKNOWN
        for base, values in self.mro(function.cls)[1:]:
            if node.attr in base.methods:
                method = self.inference.function_type(base.methods[node.attr], replace(owner, kind="instance"))
                return substitute(method, values)
        return UNKNOWN

    def _one(self, owner: Type, name: str) -> Type:
        inference = self.inference
        if owner.kind == "module" and isinstance(owner.decl, Module):
            return inference.module_member(owner.decl, name)
        if owner.kind == "external":
            if name == "context" and owner.name in STRAWBERRY and owner.args:
                return owner.args[0]
            return external(f"{owner.name}.{name}")
        if owner.kind == "typevar":
            return self.of(owner.args[0], name) if owner.args else UNKNOWN
        if isinstance(owner.decl, Class):
            return self._declared(owner, owner.decl, name)
        if owner.kind == "class" and not owner.name:
            return Type("external", f"type.{name}", owner.args)
        if owner.name == "Coroutine" and owner.args:
            return self.of(owner.args[0], name)  # a forgotten await: the rest of the chain is still understood
        if owner.name in CONTAINERS:
            return Type("external", f"{owner.name}.{name}", (owner,))
        return UNKNOWN

    def _declared(self, owner: Type, cls: Class, name: str) -> Type:
        inference = self.inference
        if owner.kind == "instance":
            related = inference.models.related(owner, name)
            if related is not None:
                return related
        for base, _ in self.mro(cls):
            found = self._own(owner, base, name)
            if found is not None:
                return inference.with_arguments(found, self.environment(owner, base))
        if owner.name in PROXIES and owner.args:
            return self.of(owner.args[0], name)
        if owner.kind == "class" and inference.models.is_model(cls):
            return Type("external", f"attribute:{name}", (owner,))
        if owner.kind == "instance" and self.is_protocol(cls):
            return union(self._one(Type("instance", e.name, (), e), name) for e in self.subclasses(cls))
        outside = sorted(self.outside_bases(cls))
        return external(f"{outside[0]}().{name}") if outside and owner.kind == "instance" else UNKNOWN

    def _own(self, owner: Type, base: Class, name: str) -> Type | None:
        inference = self.inference
        method = base.methods.get(name)
        if method is not None:
            if owner.kind == "instance" and method.is_property:
                found = inference.result_of(method)
                return inference.awaited(found) if name == "awaitable_attrs" else found
            if "staticmethod" in method.decorator_names:
                return inference.function_type(method)
            bound = owner.kind == "instance" or "classmethod" in method.decorator_names
            return inference.function_type(method, owner if bound else None)
        on_class = [b for b in base.scope.bindings.get(name, ()) if b.kind != "param"]
        assigned = base.assigned.get(name, [])
        if not on_class and not assigned:
            return None
        if owner.kind == "class" and inference.models.is_model(base) and on_class:
            return Type("external", f"attribute:{name}", (owner,))
        return union(self._bound(owner, inference.binding_type(each), each) for each in [*on_class, *assigned])

    def _bound(self, owner: Type, found: Type, binding: Binding) -> Type:
        # ``method = other_function`` in a class body makes a method of it
        made = found.kind == "function" and not found.args and owner.kind == "instance"
        in_class = isinstance(binding.scope.node, ast.ClassDef) and isinstance(binding.value, ast.Name)
        return replace(found, args=(owner,)) if made and in_class and binding.kind == "assign" else found

    def _linearised(self, cls: Class) -> list[tuple[Class, dict[str, Type]]]:
        found: list[tuple[Class, dict[str, Type]]] = [(cls, {})]
        outside = self._outside.setdefault(cls, set())
        for expression in cls.node.bases:
            for base in members(self.inference.type_of(expression)):
                if base.kind == "external":
                    outside.add(base.name.removesuffix("[]"))
                if base.kind not in ("class", "instance") or not isinstance(base.decl, Class):
                    continue
                own = dict(zip(self.variables(base.decl), base.args, strict=False))
                for each, values in self.mro(base.decl):
                    here = own if each is base.decl else {k: substitute(v, own) for k, v in values.items()}
                    found = [pair for pair in found if pair[0] is not each]
                    found.append((each, here))
        return found


def _takes(method: Function, count: int) -> bool:
    """Whether a method can be called with so many arguments, its object among them."""
    required = len(method.positional) - len(method.node.args.defaults)
    return required <= count and (count <= len(method.positional) or method.node.args.vararg is not None)


__all__ = ["Attributes"]
