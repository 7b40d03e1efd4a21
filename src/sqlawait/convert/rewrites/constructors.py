"""A class whose ``__init__`` waits is made by a class method: ``await Prices.create(db)``.

| before | after |
| --- | --- |
| ``def __init__(self, db): …`` | ``async def create(cls, db): self = cls.__new__(cls) … return self`` |
| ``Prices(db)`` | ``await Prices.create(db)`` |
| ``Depends(Prices)`` | ``Depends(Prices.create)`` |
"""

from __future__ import annotations

import ast
from collections.abc import Collection

from sqlawait.analysis.declarations import Class, Function, last_name
from sqlawait.analysis.types import members
from sqlawait.convert.context import Context
from sqlawait.convert.facts import Facts

NAMES = ("create", "build", "prepare")
"""What the class method is called: the first of these that the class does not have."""
PLAIN_BASES = {"ABC", "Generic", "Protocol", "object"}


def may_be_created(function: Function, facts: Facts) -> bool:
    """Whether a class can do without this ``__init__``: it is a plain one, and no other class builds on it."""
    cls = function.cls
    if cls is None or cls.node.decorator_list or function.decorators or not name_of(cls):
        return False
    outside = {name.rpartition(".")[2] for name in facts.inference.attributes.outside_bases(cls)}
    if outside - PLAIN_BASES or facts.inference.models.is_model(cls):
        return False
    if function.node.lineno == getattr(function.node, "body", [function.node])[0].lineno:
        return False
    if any(isinstance(node, ast.Name) and node.id == "super" for node in function.own_nodes):
        return False
    related = [each for each in facts.project.classes if each is not cls and _builds_on(each, cls, facts)]
    return not any("__init__" in each.methods for each in related)


def _builds_on(cls: Class, other: Class, facts: Facts) -> bool:
    return any(base is other for base, _ in facts.inference.bases(cls))


def name_of(cls: Class) -> str:
    """The name of the class method."""
    return next((name for name in NAMES if name not in cls.methods and name not in cls.assigned), "")


def rewrite_constructor(function: Function, context: Context) -> None:
    """Make ``__init__`` the class method."""
    node, edits = function.node, context.edits
    assert isinstance(node, ast.FunctionDef)
    assert function.cls is not None
    indent = edits.indent_of(node.lineno)
    edits.replace(edits.start(node), edits.start(node), f"@classmethod\n{indent}async ")
    at = edits.find("__init__", edits.start(node))
    edits.replace(at, at + len("__init__"), name_of(function.cls))
    own = function.positional[0]
    edits.replace_node(own, "cls")
    if node.returns is not None:
        edits.replace_node(node.returns, f'"{function.cls.name}"')
    documented = isinstance(node.body[0], ast.Expr) and isinstance(node.body[0].value, ast.Constant)
    first = node.body[1] if documented and len(node.body) > 1 else node.body[0]
    inner = edits.indent_of(first.lineno)
    edits.insert_line(first.lineno, f"{inner}{own.arg} = cls.__new__(cls)\n")
    for each in function.own_nodes:
        if isinstance(each, ast.Return):
            edits.replace_node(each, f"return {own.arg}")
    if not isinstance(node.body[-1], ast.Return):
        edits.insert_line((node.end_lineno or 0) + 1, f"{inner}return {own.arg}\n", beside=node.body[-1].lineno)


def rewrite_dependencies(tree: ast.Module, awaited: Collection[Function], context: Context) -> None:
    """``Depends(Prices)`` names the class method."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or last_name(node.func) not in ("Depends", "Security"):
            continue
        given = node.args[0] if node.args else _annotated(node, context.facts)
        method = _created(given, awaited, context.facts) if given is not None else ""
        if not method or given is None:
            continue
        if node.args:
            context.edits.replace(context.edits.end(given), context.edits.end(given), f".{method}")
        else:
            start = context.edits.find("(", context.edits.end(node.func)) + 1
            more = ", " if node.keywords else ""
            context.edits.replace(start, start, f"{context.edits.text(given)}.{method}{more}")


def _created(node: ast.expr, awaited: Collection[Function], facts: Facts) -> str:
    for each in members(facts.type_of(node)):
        if each.kind == "class" and isinstance(each.decl, Class):
            for base, _ in facts.inference.bases(each.decl):
                if base.methods.get("__init__") in awaited:
                    return name_of(base)
    return ""


def _annotated(call: ast.Call, facts: Facts) -> ast.expr | None:
    """The annotation that ``Depends()`` without an argument means."""
    parent = facts.parent(call)
    if isinstance(parent, ast.arguments):
        positional = [*parent.posonlyargs, *parent.args]
        named = dict(zip(reversed(parent.defaults), reversed(positional), strict=False))
        named |= {
            default: arg
            for arg, default in zip(parent.kwonlyargs, parent.kw_defaults, strict=True)
            if default is not None
        }
        return named[call].annotation if call in named else None
    if isinstance(parent, ast.Tuple) and isinstance(facts.parent(parent), ast.Subscript):
        return parent.elts[0]
    return None


__all__ = ["may_be_created", "name_of", "rewrite_constructor", "rewrite_dependencies"]
