"""The imports of a converted file: what it needs now is added, what it no longer uses is removed."""

from __future__ import annotations

import ast
import sys

from sqlawait.analysis.syntax import parse

from .edits import Edits

OURS = (
    "sqlalchemy",
    "sqlmodel",
    "typing",
    "collections.abc",
    "contextlib",
    "fastapi.concurrency",
    "starlette.concurrency",
)
"""Modules whose imports are removed when a conversion made them superfluous."""


def add_imports(source: str, needed: dict[tuple[str, str], str]) -> str:
    """Add ``from x import y`` for each need, to an import of the same module where there is one."""
    if not needed:
        return source
    tree = parse(source)
    edits = Edits(source)
    by_module: dict[str, list[str]] = {}
    for (module, name), local in sorted(needed.items()):
        by_module.setdefault(module, []).append(name if name == local else f"{name} as {local}")
    for module, names in by_module.items():
        there = _import_of(tree, module)
        if there is not None:
            _extend(there, names, edits)
            continue
        line, apart = _place(tree, module)
        if module:
            edits.insert_line(line + 1, f"from {module} import {', '.join(sorted(names, key=_rank))}\n{apart}")
        else:
            for name in names:
                edits.insert_line(line + 1, f"import {name}\n{apart}")
    return edits.apply()


def add_star(source: str, module: str) -> str:
    """Add ``from module import *`` behind the imports."""
    tree = parse(source)
    edits = Edits(source)
    edits.insert_line(_import_end(tree) + 1, f"from {module} import *  # noqa: F403\n")
    return edits.apply()


def _import_of(tree: ast.Module, module: str) -> ast.ImportFrom | None:
    for node in tree.body:
        if not isinstance(node, ast.ImportFrom) or any(alias.name == "*" for alias in node.names):
            continue
        if "." * node.level + (node.module or "") == module:
            return node
    return None


def _extend(node: ast.ImportFrom, names: list[str], edits: Edits) -> None:
    """Put names where they belong in the order that is there, in the layout that is there."""
    there = {f"{a.name} as {a.asname}" if a.asname else a.name for a in node.names}
    indent = edits.indent_of(node.names[-1].lineno)
    comma = f",\n{indent}" if node.lineno != node.names[-1].lineno else ", "
    ranks = [_rank(alias.name) for alias in node.names]
    for name in sorted(set(names) - there, key=_rank):
        behind = [alias for alias in node.names if _rank(alias.name) > _rank(name)]
        if behind and ranks == sorted(ranks):
            start = edits.start(behind[0])
            edits.replace(start, start, f"{name}{comma}")
        else:
            end = edits.end(node.names[-1])
            edits.replace(end, end, f"{comma}{name}")


def _rank(name: str) -> tuple[int, str]:
    """The order of names in an import: constants, classes, the rest."""
    return (0 if name.isupper() and len(name) > 1 else 1 if name[:1].isupper() else 2), name


def _place(tree: ast.Module, module: str) -> tuple[int, str]:
    """The line behind which an import of a module goes, and what sets it apart from what follows there."""
    end = _import_end(tree)
    imports = [node for node in _top_imports(tree) if (node.end_lineno or node.lineno) <= end]
    head = module.partition(".")[0]
    near = [each for each in imports if head and _module(each).partition(".")[0] == head]
    group = near or [each for each in imports if _section(_module(each)) == _section(module)]
    if module.startswith(".") or not (group or imports):
        return end, ""
    if not group:
        first = imports[0]
        if _section(module) == 0 and _module(first) != "__future__":
            return first.lineno - 1, "\n"
        return imports[-1].end_lineno or end, ""
    before = [e for e in group if isinstance(e, ast.Import) or _module(e).lower() <= module.lower()]
    if before and module:
        return before[-1].end_lineno or end, ""
    return group[0].lineno - 1, ""


def _module(node: ast.stmt) -> str:
    if isinstance(node, ast.ImportFrom):
        return "." * node.level + (node.module or "")
    return node.names[0].name if isinstance(node, ast.Import) else ""


def _section(module: str) -> int:
    """The standard library, what is installed, what stands beside."""
    if module.startswith("."):
        return 2
    return 0 if not module or module.partition(".")[0] in sys.stdlib_module_names else 1


def _import_end(tree: ast.Module) -> int:
    """The line after which imports go: behind the imports at the top, or the docstring."""
    line = 0
    for index, node in enumerate(tree.body):
        if isinstance(node, ast.Import | ast.ImportFrom) or (
            index == 0 and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        ):
            line = node.end_lineno or node.lineno
        elif line and not isinstance(node, ast.If | ast.Try):
            break
    return line


def remove_unused(before: str, after: str, *, exported: set[str]) -> str:
    """Remove imports that ``before`` used and ``after`` does not."""
    old, new = parse(before), parse(after)
    used_before, used_after = _used(old), _used(new)
    edits = Edits(after)
    for node in _top_imports(new):
        if not isinstance(node, ast.ImportFrom) or node.module == "__future__":
            continue
        gone = [
            alias
            for alias in node.names
            if (name := alias.asname or alias.name) in used_before
            and name not in used_after
            and name not in exported
        ]
        if not gone:
            continue
        kept = [alias for alias in node.names if alias not in gone]
        if not kept and not _ours(node):
            continue  # a module of the code base may be imported for what importing it does
        if not kept:
            start, end = edits.offset(node.lineno, 0), edits.end(node)
            line_end = edits.find("\n", end)
            edits.replace(start, line_end + 1 if line_end >= 0 else end, "")
            continue
        for alias in gone:
            _cut(alias, node, kept, edits)
    return edits.apply()


def _cut(alias: ast.alias, node: ast.ImportFrom, kept: list[ast.alias], edits: Edits) -> None:
    index = node.names.index(alias)
    if index + 1 < len(node.names):
        edits.replace(edits.start(alias), edits.start(node.names[index + 1]), "")
    else:
        before = kept[-1]
        edits.replace(edits.end(before), edits.end(alias), "")


def _ours(node: ast.ImportFrom) -> bool:
    module = node.module or ""
    return node.level == 0 and any(module == each or module.startswith(f"{each}.") for each in OURS)


def _top_imports(tree: ast.Module) -> list[ast.stmt]:
    return [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]


def _used(tree: ast.Module) -> set[str]:
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) < 200:
            try:
                inner = ast.parse(node.value.strip(), mode="eval")
            except (SyntaxError, ValueError):
                continue
            names |= {each.id for each in ast.walk(inner) if isinstance(each, ast.Name)}
    return names


__all__ = ["add_imports", "remove_unused"]
