"""The bridge that a converted test suite runs on: its source, its place, and how the tests import it."""

from __future__ import annotations

import ast
from pathlib import Path

from sqlawait.analysis.declarations import Module, last_name
from sqlawait.analysis.project import Project

BRIDGE = Path(__file__).parent / "async_bridge.stub"
NAME = "async_bridge"


def bridge_source(project: Project, tests: set[Module]) -> str:
    """The bridge, told what this code base needs of it."""
    source = BRIDGE.read_text(encoding="utf-8")
    if any(
        _keeps(node) for each in project.modules.values() if each not in tests for node in ast.walk(each.tree)
    ):
        source = source.replace("EXPIRE_ON_COMMIT = True", "EXPIRE_ON_COMMIT = False")
    if any(_asks_for_thread(node) for each in tests for node in ast.walk(each.tree)):
        source = source.replace("OWN_THREAD = False", "OWN_THREAD = True")
    return source


def _keeps(node: ast.AST) -> bool:
    """Whether a session is told not to expire what it holds on commit."""
    return (
        isinstance(node, ast.keyword)
        and node.arg == "expire_on_commit"
        and isinstance(node.value, ast.Constant)
        and not node.value.value
    )


def _asks_for_thread(node: ast.AST) -> bool:
    """Whether code asks if it runs in the main thread: under TestClient the application did not."""
    return isinstance(node, ast.Name | ast.Attribute) and last_name(node) == "main_thread"


def place_bridge(modules: list[Module]) -> tuple[Path, Module | None]:
    """Where the bridge goes, and the conftest that starts it: the outermost one of the suite."""
    conftests = sorted((m for m in modules if m.path.name == "conftest.py"), key=lambda m: len(m.path.parts))
    if conftests:
        return conftests[0].path.parent / f"{NAME}.py", conftests[0]
    folders = sorted(
        {m.path.parent for m in modules if m.path.name.startswith("test")}, key=lambda p: len(p.parts)
    )
    return folders[0] / f"{NAME}.py", None


def import_of_bridge(module: Module, bridge: Path, project_modules: dict[Path, Module]) -> str:
    """How a file of the suite names the bridge in an import."""
    package = (bridge.parent / "__init__.py") in project_modules
    if not package:
        return NAME
    here, there = module.path.parent, bridge.parent
    names = [there.name]
    above = there.parent
    while (above / "__init__.py") in project_modules:
        names.append(f"{above.name}.{names[-1]}")
        above = above.parent
    named = [each for each in names if _is_named(each, there, project_modules)]
    if named and names[-1] not in named:  # under another name it would be there twice
        return f"{named[-1]}.{NAME}"
    if here.is_relative_to(there):
        steps = len(here.relative_to(there).parts)
        between = [here, *list(here.parents)[:steps]]
        if all((folder / "__init__.py") in project_modules for folder in between):
            return "." * (steps + 1) + NAME
    return f"{names[-1]}.{NAME}"


def _is_named(package: str, folder: Path, project_modules: dict[Path, Module]) -> bool:
    """Whether the files of a folder import from it by this name."""
    return any(
        isinstance(each, ast.ImportFrom) and not each.level and f"{each.module}.".startswith(f"{package}.")
        for path, module in project_modules.items()
        if path.is_relative_to(folder)
        for each in module.tree.body
    )


__all__ = ["NAME", "bridge_source", "import_of_bridge", "place_bridge"]
