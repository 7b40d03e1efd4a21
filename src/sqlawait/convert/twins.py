"""What sync and async code both need is there twice: the async one under its name, its sync twin beside it.

The twin is the original as it was, but for the names of other twins in it.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable

from sqlawait.analysis.declarations import Binding, Function, Module
from sqlawait.analysis.types import members

from .colours import Colours
from .context import Context
from .edits import Edits
from .facts import Facts
from .operators import METHODS
from .resources import Resource, is_of_either


class Twins:
    """Writes the twins of functions, engines and session factories, and names them in code that stays sync."""

    def __init__(
        self,
        facts: Facts,
        colours: Colours,
        resources: dict[Binding, Resource],
        context: Callable[[Module], Context],
    ) -> None:
        self.facts = facts
        self.colours = colours
        self.resources = resources
        self.context = context
        self.doubled: set[ast.AST] = set()
        """Statements that have their sync counterpart already."""
        self.making = {
            node
            for resource in resources.values()
            if resource.function is not None and resource.asynchronous
            for node in ast.walk(resource.call)
        }
        """The expressions by which functions make async engines and factories that they keep somewhere."""

    def has_around(self, function: Function) -> bool:
        """Whether a function stands inside one that has a twin: what becomes of that one becomes of it."""
        outer = function.outer
        while outer is not None:
            if outer in self.colours.twins:
                return True
            outer = outer.outer
        return False

    def put_behind(self, function: Function, context: Context) -> None:
        """Put the sync original of a function behind the converted one, under another name."""
        node = function.node
        assert not isinstance(node, ast.Lambda)
        copy = Edits(function.module.source)
        self.rename(list(ast.walk(node)), copy, context)
        kept = [
            each
            for each in self.resources.values()
            if each.function is function and each.asynchronous and each.synchronous
        ]
        for resource in kept:
            self._rename_targets(self.facts.project.statement(resource.call), copy)
            self._declare_at_top(resource, context)
        twins = {each.name: each.twin for each in kept}
        for declared in function.own_nodes:
            if isinstance(declared, ast.Global):
                names = ", ".join(twins.get(each, each) for each in declared.names)
                copy.replace_node(declared, f"global {names}")
        name = copy.find(function.name, copy.find("def ", copy.start(node)) + len("def "))
        copy.replace(name, name + len(function.name.encode()), self.name(function))
        first = node.decorator_list[0].lineno if node.decorator_list else node.lineno
        text = copy.apply(copy.offset(first, 0), copy.end(node))
        gap = "\n" if function.cls is not None or function.outer is not None else "\n\n"
        end = node.end_lineno or node.lineno
        context.edits.insert_line(end + 1, f"{gap}{text}\n")

    def name(self, function: Function) -> str:
        """What the twin of a function is called."""
        if function.name == "__init__" or function.name in METHODS:
            return function.name  # async code uses a method of another name
        return f"{function.name}_sync"

    def rename(self, nodes: Iterable[ast.AST], edits: Edits, context: Context) -> None:
        """In code that stays sync, name the sync twins."""
        for node in nodes:
            if not isinstance(node, ast.Name | ast.Attribute) or not isinstance(node.ctx, ast.Load):
                continue
            if edits is context.edits and (node in self.making or is_of_either(node, self.facts)):
                continue  # what a function keeps for async code beside the twin; or it does not matter which
            name = self._name_of(node)
            if name:
                self.write_name(node, name, edits, context)

    def _name_of(self, node: ast.Name | ast.Attribute) -> str:
        for definition in self.facts.inference.attributes.bindings(node):
            resource = self.resources.get(definition)
            if resource is not None and resource.asynchronous and resource.synchronous:
                return resource.twin
        if isinstance(node, ast.Attribute):
            for each in self.facts.properties(node):
                if each in self.colours.twins:
                    return self.name(each)
        found = self.facts.type_of(node)
        if found.kind == "function" and isinstance(found.decl, Function) and found.decl in self.colours.twins:
            last = node.id if isinstance(node, ast.Name) else node.attr
            if last == found.decl.name:
                return self.name(found.decl)
        return ""

    def write_name(self, node: ast.Name | ast.Attribute, name: str, edits: Edits, context: Context) -> None:
        """Let a place name a twin, and import it there."""
        if isinstance(node, ast.Attribute):
            edits.rename(node, name)
            for owner in members(self.facts.type_of(node.value)):
                if isinstance(owner.decl, Module):
                    self._export(owner.decl, node.attr, name)
            return
        for binding in self.facts.inference.names.reaching(node):
            if isinstance(binding.node, ast.alias):
                statement = self.facts.parent(binding.node)
                if not isinstance(statement, ast.ImportFrom):
                    continue
                if binding.scope.parent is not None:
                    original = binding.node.asname or binding.node.name
                    edits.replace_node(binding.node, f"{name} as {original}")
                    self._export_from(statement, context.module, binding.node.name, name)
                    return
                self._export_from(statement, context.module, binding.node.name, name)
                context.imports[("." * statement.level + (statement.module or ""), name)] = name
        edits.replace_node(node, name)

    def _export_from(self, statement: ast.ImportFrom, importer: Module, original: str, name: str) -> None:
        module = self.facts.project.find_module(statement.module or "", importer, statement.level)
        if module is not None:
            self._export(module, original, name)

    def _export(self, module: Module, original: str, name: str) -> None:
        """Where a module only passes a name on, let it pass the twin's on too."""
        for binding in module.scope.bindings.get(original, ()):
            statement = self.facts.parent(binding.node)
            if (
                isinstance(binding.node, ast.alias)
                and isinstance(statement, ast.ImportFrom)
                and not module.stub
            ):
                key = ("." * statement.level + (statement.module or ""), name)
                if key not in self.context(module).imports:
                    self.context(module).imports[key] = name
                    self._export_from(statement, module, binding.node.name, name)

    def put_beside(self, resource: Resource, context: Context, *, before: bool) -> None:
        """Put the sync one beside it: a function that is there twice makes either kind itself."""
        statement = self.facts.project.statement(resource.call)
        if resource.function in self.colours.twins or statement in self.doubled:
            return
        self.doubled.add(statement)
        copy = Edits(resource.module.source)
        self.rename(list(ast.walk(resource.call)), copy, context)
        self._rename_targets(statement, copy)
        indent = context.edits.indent_of(statement.lineno)
        text = copy.apply(copy.start(statement), copy.end(statement))
        line = statement.lineno if before else (statement.end_lineno or statement.lineno) + 1
        context.edits.insert_line(line, f"{indent}{text}\n")
        if resource.function is not None:
            self._declare(resource, context)

    def _rename_targets(self, statement: ast.stmt, copy: Edits) -> None:
        """Give what a statement assigns the names of the sync twins."""
        assert isinstance(statement, ast.Assign | ast.AnnAssign)
        twins = {
            r.name: r.twin for r in self.resources.values() if self.facts.project.statement(r.call) is statement
        }
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        for node in (each for target in targets for each in ast.walk(target)):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                copy.replace_node(node, twins.get(node.id, "_"))
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                copy.rename(node, twins.get(node.attr, node.attr))

    def _declare(self, resource: Resource, context: Context) -> None:
        """Declare a global twin where the original is declared: ``global engine``, ``engine = None``."""
        assert resource.function is not None
        for node in resource.function.own_nodes:
            if isinstance(node, ast.Global) and resource.name in node.names:
                end = context.edits.end(node)
                context.edits.replace(end, end, f", {resource.twin}")
        self._declare_at_top(resource, context)

    def _declare_at_top(self, resource: Resource, context: Context) -> None:
        for binding in resource.module.scope.bindings.get(resource.name, ()):
            node = binding.node
            if not isinstance(binding.value, ast.Constant) or not isinstance(node, ast.Assign | ast.AnnAssign):
                continue
            if node not in self.doubled and resource.binding.scope is binding.scope:
                self.doubled.add(node)
                line = (node.end_lineno or node.lineno) + 1
                context.edits.insert_line(line, f"{resource.twin} = {self.facts.text(binding.value)}\n")


__all__ = ["Twins"]
