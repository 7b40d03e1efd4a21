"""Functions that a library calls for each item, once they wait: what they give is worked out around the call.

| before | after |
| --- | --- |
| ``map(lambda user: count(db, user), users)`` | ``[await count(db, user) for user in users]`` |
| ``filter(lambda user: count(db, user), users)`` | ``[user for user in users if await count(db, user)]`` |
| ``key=lambda user: count(db, user)`` | ``key=lambda user, keys={id(user): await … for …}: keys[id(user)]`` |
"""

from __future__ import annotations

import ast

from sqlawait.analysis.declarations import dotted, last_name
from sqlawait.convert.context import Context
from sqlawait.convert.refusals import Refusal

PerItem = ast.Lambda | ast.Name | ast.Attribute
SORTING = {"sort", "sorted", "min", "max"}
PER_ITEM = SORTING | {"map", "filter"}
"""Calls that take a function of one item."""


def rewrite_per_item(function: PerItem, context: Context) -> None:
    """Rewrite the call that a lambda or a coroutine function is handed to; raises Refusal for any other."""
    parent = context.facts.parent(function)
    call = context.facts.parent(parent) if isinstance(parent, ast.keyword) else parent
    name = last_name(call.func) if isinstance(call, ast.Call) else ""
    item = _item(function)
    if not isinstance(call, ast.Call) or name not in PER_ITEM or not item:
        raise Refusal("SAW904", "a lambda cannot await; make it a function that is awaited")
    if name in SORTING:
        if not isinstance(parent, ast.keyword) or parent.arg != "key":
            raise Refusal("SAW904", f"{name}() with a function that waits")
        _sorted(call, function, item, context)
    elif len(call.args) == 2 and not call.keywords and function is call.args[0]:
        (_mapped if name == "map" else _filtered)(call, function, item, context)
    else:
        raise Refusal("SAW904", f"{name}() over several lists with a function that waits")


def _item(function: PerItem) -> str:
    """What the item is called; empty when a lambda takes something else."""
    if not isinstance(function, ast.Lambda):
        return "each"
    spec = function.args
    more = (
        spec.vararg or spec.kwarg or spec.kwonlyargs or spec.defaults or len(spec.posonlyargs + spec.args) != 1
    )
    return "" if more else (spec.posonlyargs + spec.args)[0].arg


def _value(function: PerItem, context: Context) -> tuple[int, int, str, str]:
    """Where the expression for one item stands, and what goes before and behind it."""
    edits = context.edits
    if isinstance(function, ast.Lambda):
        return edits.start(function.body), edits.end(function.body), "", ""
    return edits.start(function), edits.end(function), "await ", "(each)"


def _mapped(call: ast.Call, function: PerItem, item: str, context: Context) -> None:
    edits, items = context.edits, call.args[1]
    start, end, before, after = _value(function, context)
    edits.replace(edits.start(call), start, f"[{before}")
    edits.replace(end, edits.start(items), f"{after} for {item} in ")
    edits.replace(edits.end(items), edits.end(call), "]")


def _filtered(call: ast.Call, function: PerItem, item: str, context: Context) -> None:
    edits, items = context.edits, call.args[1]
    if not dotted(items):
        raise Refusal("SAW904", "filter() over an expression, with a function that waits; name the list first")
    start, end, before, after = _value(function, context)
    edits.replace(edits.start(call), start, f"[{item} for {item} in {edits.text(items)} if {before}")
    edits.replace(end, edits.end(call), f"{after}]")


def _sorted(call: ast.Call, function: PerItem, item: str, context: Context) -> None:
    edits = context.edits
    items = call.func.value if isinstance(call.func, ast.Attribute) else call.args[0] if call.args else None
    if items is None or len(call.args) > 1:
        raise Refusal("SAW904", f"{last_name(call.func)}() with a function that waits")
    name = dotted(items)
    if not name:
        name = "items"
        scope = context.facts.project.function_of(call)
        taken = scope is None or name in scope.scope.bindings
        if taken or any(isinstance(each, ast.comprehension) for each in context.facts.project.ancestors(call)):
            raise Refusal("SAW904", "an expression sorted by what waits; name the list first")
        edits.wrap(edits.start(items), edits.end(items), f"{name} := list(", ")", outer=True)
    start, end, before, after = _value(function, context)
    edits.replace(edits.start(function), start, f"lambda {item}, keys={{id({item}): {before}")
    edits.replace(end, end, f"{after} for {item} in {name}}}: keys[id({item})]")


__all__ = ["PER_ITEM", "rewrite_per_item"]
