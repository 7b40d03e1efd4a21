"""Operators of a class that waits become methods, for no operator can be awaited.

| before | after |
| --- | --- |
| ``len(items)`` | ``await items.length()`` |
| ``name in items`` | ``await items.contains(name)`` |
| ``items[2]`` | ``await items.get_item(2)`` |
| ``for item in items`` | ``async for item in items`` |
"""

from __future__ import annotations

import ast

from sqlawait.analysis.declarations import Function, dotted
from sqlawait.convert.context import Context
from sqlawait.convert.operators import METHODS
from sqlawait.convert.refusals import Refusal

from .awaits import make_awaitable, put_await
from .calls import rewrite_walk


def rewrite_operator(node: ast.expr, target: Function, context: Context) -> None:
    """Rewrite one use of an operator that became a method."""
    if target.name == "__iter__":
        rewrite_walk(node, context)
        return
    method = METHODS[target.name]
    edits = context.edits
    make_awaitable(node, context)
    if isinstance(node, ast.Subscript):
        opening = edits.find("[", edits.end(node.value))
        edits.replace(opening, opening + 1, f".{method}(")
        edits.replace(edits.end(node) - 1, edits.end(node), ")")
        put_await(node, context)
    elif isinstance(node, ast.Call):
        argument = node.args[0]
        edits.replace(edits.start(node), edits.start(argument), "")
        edits.replace(edits.end(argument), edits.end(node), f".{method}()")
        put_await(node, context)
    elif isinstance(node, ast.Compare):
        _contains(node, method, context)


def _contains(node: ast.Compare, method: str, context: Context) -> None:
    edits, owner = context.edits, node.comparators[0]
    if not dotted(owner):
        raise Refusal("SAW904", "in an expression that waits; name it first")
    denied = isinstance(node.ops[0], ast.NotIn)
    loose = isinstance(context.facts.parent(node), ast.BinOp | ast.UnaryOp | ast.Compare | ast.Attribute)
    head = f"{'(' if loose else ''}{'not ' if denied else ''}await {edits.text(owner)}.{method}("
    edits.replace(edits.start(node), edits.start(node.left), head)
    edits.replace(edits.end(node.left), edits.end(node), f"){')' if loose else ''}")


__all__ = ["rewrite_operator"]
