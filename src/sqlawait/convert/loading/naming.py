"""What a class is called in a file, importing it where the file does not name it yet."""

from __future__ import annotations

import ast

from sqlawait.analysis.declarations import Class, Module, Scope
from sqlawait.convert.context import Context
from sqlawait.convert.facts import Facts


class Unnameable(Exception):
    """A class that a file cannot import without a circle."""


class Naming:
    """Names classes for files."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self._known: dict[tuple[Module, Class], str] = {}

    def name(self, cls: Class, context: Context, near: ast.AST) -> str:
        """The name of a class at a place; raises Unnameable where importing it would close a circle."""
        here = self._local(cls, near)
        if here:
            return here
        module = context.module
        if (module, cls) not in self._known:
            self._known[module, cls] = self._through_module(cls, module) or self._imported(cls, context)
        return self._known[module, cls]

    def _local(self, cls: Class, near: ast.AST) -> str:
        """The name that is bound at the place itself, the file's top included."""
        scope: Scope | None = self.facts.project.scope_of(near)
        while scope is not None:
            if not isinstance(scope.node, ast.ClassDef) or scope is self.facts.project.scope_of(near):
                for local, bindings in scope.bindings.items():
                    if len(bindings) == 1 and self._stands_for(bindings[0], cls):
                        return local
            scope = scope.parent
        return ""

    def _stands_for(self, binding: object, cls: Class) -> bool:
        node = getattr(binding, "node", None)
        if not isinstance(node, ast.alias | ast.ClassDef):
            return False
        found = self.facts.inference.binding_type(binding)  # type: ignore[arg-type]  # a binding, told by its node
        return found.kind == "class" and found.decl is cls

    def _through_module(self, cls: Class, module: Module) -> str:
        """``models.User``, where the file knows the module."""
        for local, bindings in module.scope.bindings.items():
            for binding in bindings:
                if not isinstance(binding.node, ast.alias):
                    continue
                found = self.facts.inference.binding_type(binding)
                if found.kind != "module" or not isinstance(found.decl, Module) or found.decl.stub:
                    continue
                if (
                    isinstance(self.facts.parent(binding.node), ast.Import)
                    and not binding.node.asname
                    and "." in binding.node.name
                ):
                    continue  # ``import a.b`` binds ``a``
                member = self.facts.inference.module_member(found.decl, cls.name)
                if member.kind == "class" and member.decl is cls:
                    return f"{local}.{cls.name}"
        return ""

    def _imported(self, cls: Class, context: Context) -> str:
        if self._imports(cls.module, context.module, set()):
            raise Unnameable(
                f"{cls.name} cannot be imported in {context.module.name}: it imports that file itself"
            )
        return context.need(cls.module.name, cls.name)

    def _imports(self, module: Module, other: Module, seen: set[Module]) -> bool:
        """Whether a module imports another one, at any remove."""
        if module in seen:
            return False
        seen.add(module)
        for node in ast.walk(module.tree):
            if isinstance(node, ast.ImportFrom):
                found = self.facts.project.find_module(node.module or "", module, node.level)
            elif isinstance(node, ast.Import):
                found = self.facts.project.find_module(node.names[0].name, module)
            else:
                continue
            if found is not None and (found is other or self._imports(found, other, seen)):
                return True
        return False


__all__ = ["Naming", "Unnameable"]
