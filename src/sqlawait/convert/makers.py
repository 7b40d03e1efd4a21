"""Functions that make engines and session factories for others: ``SessionLocal, engine = connect(url)``.

Called at import they start nothing: they have the colour of the functions that use what they give.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable

from sqlawait.analysis.declarations import Binding, Function

from .facts import Facts
from .kinds import kind_of
from .resources import HANDED_OUT, Resource


def find_makers(
    facts: Facts, functions: Iterable[Function], resources: dict[Binding, Resource]
) -> dict[Function, list[Resource]]:
    """Those functions, each with what it makes at the top of modules and classes, and for attributes."""
    giving = [each for each in functions if facts.hands_out(facts.inference.result_of(each))]
    found: dict[Function, list[Resource]] = {}
    before = -1
    while len(found) != before:
        before = len(found)
        for function in giving:
            if function not in found and any(_makes(node, facts, found) for node in function.own_nodes):
                found[function] = []
    for resource in resources.values():
        if resource.kind == "made" and isinstance(resource.call, ast.Call):
            for target in facts.targets(resource.call):
                found.get(target, []).append(resource)
    return found


def _makes(node: ast.AST, facts: Facts, found: dict[Function, list[Resource]]) -> bool:
    if not isinstance(node, ast.Call):
        return False
    return kind_of(node, facts) in HANDED_OUT or any(target in found for target in facts.targets(node))


__all__ = ["find_makers"]
