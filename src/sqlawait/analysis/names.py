"""What a name stands for: the bindings that reach it, followed through imports and re-exports."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator

from .declarations import Binding, Class, Function, Module, Scope
from .flow import Reach, reach
from .project import Project

Definition = Binding | Module | str
"""A binding that is not an import, a module, or the dotted name of something outside the code base."""
BUILTINS = frozenset(dir(builtins))


class Names:
    """Resolves names and dotted names."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self._active: set[tuple[int, str]] = set()

    def reaching(self, name: ast.Name) -> list[Binding]:
        """The bindings whose value a name can have where it stands, imports not followed."""
        bindings = self.project.scope_of(name).lookup(name.id)
        if len(bindings) < 2 or not self._same_frame(name, bindings[0].scope):
            return bindings
        at = (name.lineno, name.col_offset)
        before = sorted((b for b in bindings if b.position <= at), key=lambda b: b.position, reverse=True)
        found: list[Binding] = []
        for binding in before:
            reach = self._reach(binding, name)
            if reach:
                found.append(binding)
            if reach == "always":
                break
        return found or bindings

    def definitions(self, expression: ast.AST) -> list[Definition]:
        """What a name or dotted name stands for, imports followed."""
        if isinstance(expression, ast.Name):
            found = self.reaching(expression)
            if not found:
                scope = self.project.scope_of(expression)
                starred = list(self._starred(scope.root, expression.id))
                if starred:
                    return starred
                return [f"builtins.{expression.id}"] if expression.id in BUILTINS else []
            return [each for binding in found for each in self.follow(binding)]
        if isinstance(expression, ast.Attribute):
            result: list[Definition] = []
            for owner in self.definitions(expression.value):
                if isinstance(owner, Module):
                    result += self.member(owner, expression.attr)
                elif isinstance(owner, str):
                    result.append(f"{owner}.{expression.attr}")
            return result
        return []

    def follow(self, binding: Binding) -> list[Definition]:
        """What a binding stands for in the end."""
        node = binding.node
        if not isinstance(node, ast.alias):
            return [binding]
        module = binding.scope.module
        if binding.kind == "import":
            name = node.name if node.asname else node.name.partition(".")[0]
            return [self._module(name, module)]
        statement = self.project.parent(node)
        assert isinstance(statement, ast.ImportFrom)
        base = statement.module or ""
        target = self.project.find_module(base, module, statement.level)
        if target is None and not base:
            target = self.project.find_module(node.name, module, statement.level)
            return [target] if target is not None else [node.name]
        if target is None:
            # A package without __init__.py is no module here, but what it holds is.
            found = self.project.find_module(f"{base}.{node.name}", module, statement.level)
            return [found] if found is not None else [f"{base}.{node.name}"]
        if target.stub:
            return self.member(target, node.name, asked=base)
        return self.member(target, node.name)

    def member(self, module: Module, name: str, *, asked: str = "") -> list[Definition]:
        """What ``module.name`` stands for."""
        key = (id(module), name)
        if key in self._active:
            return []
        self._active.add(key)
        try:
            found = [each for b in module.scope.bindings.get(name, ()) for each in self.follow(b)]
            if found:
                return found
            starred = list(self._starred(module.scope, name))
            if starred:
                return starred
        finally:
            self._active.discard(key)
        if module.stub:
            below = self.project.stubs.get(f"{module.name}.{name}")
            return [below if below is not None else f"{asked or module.name}.{name}"]
        if module.package:
            path = module.path.parent / name
            below = self.project.modules.get(path.with_suffix(".py")) or self.project.modules.get(
                path / "__init__.py"
            )
            if below is not None:
                return [below]
        return []

    def qualified(self, expression: ast.AST) -> str:
        """The dotted name of what an expression names: ``sqlalchemy.orm.relationship``; empty when it names
        nothing."""
        for found in self.definitions(expression):
            if isinstance(found, str):
                return found
            if isinstance(found, Module):
                return found.name
            declared = self.declared(found)
            if declared is not None:
                return declared.id
            return f"{found.scope.module.name}.{found.name}"
        return ""

    def declared(self, definition: Definition) -> Function | Class | None:
        """The function or class that a definition is."""
        if not isinstance(definition, Binding):
            return None
        collected = self.project.collected
        return collected.functions.get(definition.node) or collected.classes.get(definition.node)

    def _module(self, name: str, importer: Module) -> Definition:
        return self.project.find_module(name, importer) or name

    def _starred(self, scope: Scope, name: str) -> Iterator[Definition]:
        if name.startswith("_"):
            return
        for statement in scope.stars:
            target = self.project.find_module(statement.module or "", scope.module, statement.level)
            if target is not None and name in self._exported(target):
                yield from self.member(target, name)

    def _exported(self, module: Module) -> set[str]:
        key = (id(module), "*")
        if key in self._active:
            return set()
        self._active.add(key)
        try:
            names = set(module.scope.bindings)
            for statement in module.scope.stars:
                target = self.project.find_module(statement.module or "", module, statement.level)
                if target is not None:
                    names |= self._exported(target)
            return names
        finally:
            self._active.discard(key)

    def _same_frame(self, node: ast.AST, scope: Scope) -> bool:
        here = self.project.scope_of(node)
        while here is not scope and isinstance(
            here.node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
        ):
            if here.parent is None:
                return False
            here = here.parent
        return here is scope

    def _reach(self, binding: Binding, use: ast.AST) -> Reach:
        if binding.kind in ("param", "import", "from") or isinstance(binding.node, ast.comprehension):
            return "always"
        return reach(self.project, binding.node, use)


__all__ = ["Definition", "Names"]
