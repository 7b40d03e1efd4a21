"""Sessions of a registry are taken out of it where they were closed.

A thread came back to the session that its registry kept for it. A task does not come back: the registry would
keep one for every task that ever was.
"""

from __future__ import annotations

import ast

from sqlawait.analysis.declarations import dotted
from sqlawait.convert.context import Context
from sqlawait.convert.facts import Facts
from sqlawait.convert.kinds import kind_of


def rewrite_close(node: ast.Call, func: ast.Attribute, context: Context) -> None:
    """``db.close()`` becomes ``Registry.remove()`` where ``db`` is certainly of one that has a name here."""
    registry = _registry(func.value, context.facts) if func.attr == "close" and not node.args else ""
    if registry:
        context.edits.replace_node(func, f"{registry}.remove")


def _registry(session: ast.expr, facts: Facts) -> str:
    if facts.is_scoped(session):
        return dotted(session)
    if not isinstance(session, ast.Name):
        return ""
    function = facts.project.function_of(session)
    found = {
        dotted(each.func)
        if isinstance(each, ast.Call)
        and facts.project.function_of(each) is function
        and _is_registry(each.func, facts)
        else ""
        for each in facts.sources(session)
    }
    return found.pop() if len(found) == 1 else ""


def _is_registry(node: ast.expr, facts: Facts) -> bool:
    """Whether it is one, whatever it is annotated as."""
    made = (each.value for each in facts.inference.attributes.bindings(node))
    return facts.is_scoped(node) or any(
        isinstance(each, ast.Call) and kind_of(each, facts) == "scoped" for each in made
    )


__all__ = ["rewrite_close"]
