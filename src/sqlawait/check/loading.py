"""Whether a relationship or attribute of a row can be read where it is read."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from sqlawait.analysis import Analysis, Relationship
from sqlawait.analysis.declarations import Class, Function
from sqlawait.analysis.flow import before, reach
from sqlawait.analysis.special import keyword
from sqlawait.analysis.types import Type, members

from .finding import Fix, insert
from .support import commits, is_async_session


@dataclass(frozen=True, slots=True)
class Unloaded:
    """A relationship that is not loaded where it is read."""

    relationship: Relationship
    row: Type


def unloaded(analysis: Analysis, owner: ast.expr, name: str) -> Unloaded | None:
    """The relationship ``name`` of the row ``owner``, if it came from an async session without it."""
    for row in members(analysis.types.type_of(owner)):
        relationship = analysis.models.relationship(row.decl, name) if row.kind == "instance" else None
        if relationship is None or relationship.eager or not relationship.on_access or row.origin is None:
            continue
        if row.origin.loads(name):
            continue
        if row.origin.session != "async" and not (row.origin.new and _flushed(analysis, owner)):
            continue
        if row.origin.new and not relationship.many and not _keyed(relationship, row):
            continue
        if not relationship.many and _handed_in(analysis, owner):
            continue
        if not _loaded_since(analysis, owner, name):
            return Unloaded(relationship, row)
    return None


def _handed_in(analysis: Analysis, owner: ast.expr) -> bool:
    """Whether a row is a parameter that callers fill, or an item of one.

    A single related row is not loaded again when the session holds it already, and one of the callers usually
    has it: what a helper reads of its parameter is not judged.
    """
    root: ast.expr = owner
    for _ in range(6):
        while isinstance(root, ast.Attribute | ast.Subscript | ast.Await):
            root = root.value
        if not isinstance(root, ast.Name):
            return False
        bindings = analysis.names.reaching(root)
        if not bindings:
            return False
        binding = bindings[0]
        if binding.kind == "param" and isinstance(binding.node, ast.arg):
            function = analysis.project.collected.functions.get(binding.scope.node)
            return function is not None and analysis.injection.dependency_of(function, binding.node) is None
        if binding.kind not in ("assign", "annotated", "for") or binding.value is None:
            return False
        root = binding.value
    return False


def _keyed(relationship: Relationship, row: Type) -> bool:
    """Whether a new row was given a foreign key: without one, reading a single related row runs no SQL."""
    given = row.origin.loaded if row.origin is not None else frozenset()
    return any(name.startswith(relationship.name) and name.endswith("id") for name in given)


def touched(analysis: Analysis, cls: Class, name: str, seen: frozenset[Function] = frozenset()) -> set[str]:
    """The relationships of its own row that a property or method of a model reads."""
    for base, _ in analysis.types.bases(cls):
        method = base.methods.get(name)
        if method is None:
            continue
        if method in seen or not method.positional or method.is_async or base.module.stub:
            return set()
        first = method.positional[0].arg
        found: set[str] = set()
        for node in method.own_nodes:
            own = (
                isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == first
            )
            if own and isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
                if analysis.models.relationship(cls, node.attr) is not None:
                    found.add(node.attr)
                else:
                    found |= touched(analysis, cls, node.attr, seen | {method})
        return found
    return set()


def _loaded_since(analysis: Analysis, owner: ast.expr, name: str) -> bool:
    """Whether the function loads or sets the relationship on the way to the place."""
    function = analysis.project.function_of(owner)
    if function is None:
        return False
    text = ast.unparse(owner)
    for node in function.own_nodes:
        if not before(node, owner):
            continue
        if isinstance(node, ast.Call):
            if _refreshes(node, text, name):
                return True
        elif isinstance(node, ast.Attribute) and node.attr == name and ast.unparse(node.value) == text:
            if isinstance(node.ctx, ast.Store):
                return True
        elif isinstance(node, ast.Attribute) and node.attr == name:
            inner = node.value
            if (
                isinstance(inner, ast.Attribute)
                and inner.attr == "awaitable_attrs"
                and ast.unparse(inner.value) == text
            ):
                return True
    return False


def _refreshes(call: ast.Call, text: str, name: str) -> bool:
    """Whether a call is ``refresh(row, […name…])``."""
    if not isinstance(call.func, ast.Attribute) or call.func.attr != "refresh" or not call.args:
        return False
    if ast.unparse(call.args[0]) != text:
        return False
    names = call.args[1] if len(call.args) > 1 else keyword(call, "attribute_names")
    if names is None:
        return False
    if isinstance(names, ast.List | ast.Tuple | ast.Set) and all(
        isinstance(e, ast.Constant) for e in names.elts
    ):
        return any(isinstance(each, ast.Constant) and each.value == name for each in names.elts)
    return True


def _flushed(analysis: Analysis, owner: ast.expr) -> bool:
    """Whether a new row was written before the place."""
    function = analysis.project.function_of(owner)
    if function is None:
        return False
    added = False
    text = ast.unparse(owner)
    for node in function.own_nodes:
        if (
            not isinstance(node, ast.Call)
            or not isinstance(node.func, ast.Attribute)
            or not before(node, owner)
        ):
            continue
        if node.func.attr in ("add", "add_all", "merge") and any(text in ast.unparse(arg) for arg in node.args):
            added = True
        elif (
            added
            and node.func.attr in ("flush", "commit", "refresh")
            and is_async_session(analysis, analysis.types.type_of(node.func.value))
            and reach(analysis.project, node, owner)
        ):
            return True
    return False


def with_option(analysis: Analysis, found: Unloaded, near: ast.AST) -> Fix | None:
    """The option that loads the relationship, added to the select that loads its owner, when that is in this
    file."""
    module = analysis.project.module_of(near)
    statement = found.row.origin.statement if found.row.origin is not None else None
    if statement is None or statement[0] != str(module.path):
        return None
    if found.row.origin is not None and found.row.origin.nested:
        return None  # the option would have to follow the one for the row before it
    relationship = found.relationship
    for call in analysis.project.collected.calls.get("select", ()):
        if analysis.project.module_of(call) is not module or len(call.args) != 1:
            continue
        if call.args[0].lineno != statement[1]:
            continue
        of = analysis.types.type_of(call.args[0])
        if of.kind != "class" or not isinstance(of.decl, Class) or of.decl is not found.row.decl:
            continue
        if _narrowed(analysis, call):
            return None
        loader = "selectinload"
        text = f".options({loader}({ast.unparse(call.args[0])}.{relationship.name}))"
        edit = insert(module, call, text, after=True)
        return Fix(f"Load {relationship.label}", (edit,), safe=False, imports=(("sqlalchemy.orm", loader),))
    return None


def _narrowed(analysis: Analysis, call: ast.Call) -> bool:
    parent = analysis.project.parent(call)
    return isinstance(parent, ast.Attribute) and parent.attr in ("with_only_columns", "subquery", "exists")


def remedy(found: Unloaded) -> str:
    """What to do about it, with the place of the statement."""
    relationship = found.relationship
    statement = found.row.origin.statement if found.row.origin is not None else None
    if statement is None or (found.row.origin is not None and found.row.origin.new):
        return f'await `session.refresh(row, ["{relationship.name}"])` before'
    name = statement[0].replace("\\", "/").rpartition("/")[2]
    return f"add `.options(selectinload({relationship.label}))` to the statement at {name}:{statement[1]}"


def commits_before(analysis: Analysis, function: Function, place: ast.AST) -> Iterator[ast.AST]:
    """The commits of a function that a place comes after: calls, and blocks that commit at their end."""
    for node in function.own_nodes:
        if isinstance(node, ast.Call) and before(node, place):
            if (
                any(commits(analysis, target) for target in analysis.calls.reached(node))
                or is_commit(analysis, node)
            ) and reach(analysis.project, node, place):
                yield node
        elif (
            isinstance(node, ast.AsyncWith)
            and before(node, place)
            and reach(analysis.project, node, place)
            and any(_begins(analysis, item.context_expr) for item in node.items)
        ):
            yield node


def is_commit(analysis: Analysis, call: ast.Call) -> bool:
    """Whether a call is ``commit()`` of an async session."""
    if not isinstance(call.func, ast.Attribute) or call.func.attr != "commit":
        return False
    return is_async_session(analysis, analysis.types.type_of(call.func.value))


def _begins(analysis: Analysis, node: ast.expr) -> bool:
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or node.func.attr != "begin":
        return False
    return is_async_session(analysis, analysis.types.type_of(node.func.value))


__all__ = ["Unloaded", "commits_before", "is_commit", "remedy", "touched", "unloaded", "with_option"]
