"""What the names of a file mean, and which are free."""

from __future__ import annotations

import ast
from collections import defaultdict
from functools import cached_property

from sqlawait.analysis.declarations import Module
from sqlawait.analysis.project import Project


class FileNames:
    """Answers about the names of a code base's files."""

    def __init__(self, project: Project) -> None:
        self.project = project

    @cached_property
    def _defined(self) -> dict[Module, set[str]]:
        names: dict[Module, set[str]] = {module: set() for module in self.project.modules.values()}
        for scope in self.project.collected.scopes.values():
            if scope.module in names and not isinstance(scope.node, ast.ClassDef):
                names[scope.module].update(scope.bindings)
        return names

    def imported_as(self, module: Module, source: str, name: str) -> str:
        """What a name from SQLAlchemy is called at the top of a file; empty when it is not imported there."""
        head = source.partition(".")[0]
        for local, bindings in module.scope.bindings.items():
            for binding in bindings:
                if isinstance(binding.node, ast.alias) and binding.kind == "from" and binding.node.name == name:
                    statement = self.project.parent(binding.node)
                    origin = (
                        statement.module or ""
                        if isinstance(statement, ast.ImportFrom) and not statement.level
                        else ""
                    )
                    if (
                        (
                            origin == source
                            or (
                                origin.partition(".")[0] in (head, "sqlmodel")
                                and head == "sqlalchemy"
                                and "asyncio" not in source
                                and "asyncio" not in origin
                            )
                        )
                        and len(bindings) == 1
                        and not self._bound_within(module, local)
                    ):
                        return local
        return ""

    def imports_module(self, module: Module, name: str) -> bool:
        """Whether ``import name`` stands at the top of a file."""
        return any(
            isinstance(binding.node, ast.alias) and isinstance(self.project.parent(binding.node), ast.Import)
            for binding in module.scope.bindings.get(name, ())
        )

    def _bound_within(self, module: Module, name: str) -> bool:
        return any(
            scope.module is module
            and scope.parent is not None
            and name in scope.bindings
            and not isinstance(scope.node, ast.ClassDef)
            for scope in self.project.collected.scopes.values()
        )

    def is_taken(self, module: Module, name: str) -> bool:
        """Whether a name means something else somewhere in a file."""
        return name in self._defined.get(module, set())

    def exported(self, module: Module) -> set[str]:
        """The names that other files import from a file, or may."""
        if "__all__" in module.scope.bindings or module.package:
            return self._imported[module] | set(module.scope.bindings)
        return self._imported[module]

    @cached_property
    def _imported(self) -> dict[Module, set[str]]:
        found: dict[Module, set[str]] = defaultdict(set)
        for importer in self.project.modules.values():
            for node in ast.walk(importer.tree):
                if isinstance(node, ast.ImportFrom):
                    module = self.project.find_module(node.module or "", importer, node.level)
                    if module is not None and module is not importer:
                        found[module] |= {alias.name for alias in node.names}
        return found


__all__ = ["FileNames"]
