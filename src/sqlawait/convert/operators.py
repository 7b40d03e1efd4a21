"""Where an operator runs a method of the code base: ``len(x)``, ``x[1]``, ``1 in x``, a loop over ``x``."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from sqlawait.analysis.declarations import Class, Function, last_name
from sqlawait.analysis.types import members

from .facts import Facts

METHODS = {"__len__": "length", "__contains__": "contains", "__getitem__": "get_item"}
"""Special methods that no coroutine can stand for, and what they are called when they wait."""
WALKING = {"list", "set", "tuple", "sorted"}


def operators(node: ast.AST, facts: Facts) -> Iterator[tuple[ast.expr, list[Function]]]:
    """The expressions of a node that run special methods, with these."""
    for expression, operand, name in _operands(node):
        found = _methods(operand, name, facts)
        if found:
            yield expression, found


def _operands(node: ast.AST) -> Iterator[tuple[ast.expr, ast.expr, str]]:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and len(node.args) == 1:
        if node.func.id == "len":
            yield node, node.args[0], "__len__"
        elif last_name(node.func) in WALKING and not node.keywords:
            yield node.args[0], node.args[0], "__iter__"
    elif isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Load):
        yield node, node.value, "__getitem__"
    elif isinstance(node, ast.Compare) and len(node.ops) == 1 and isinstance(node.ops[0], ast.In | ast.NotIn):
        yield node, node.comparators[0], "__contains__"
    elif isinstance(node, ast.For | ast.comprehension) and not isinstance(node.iter, ast.Call):
        yield node.iter, node.iter, "__iter__"


def _methods(operand: ast.expr, name: str, facts: Facts) -> list[Function]:
    found: list[Function] = []
    for owner in members(facts.type_of(operand)):
        if owner.kind != "instance" or not isinstance(owner.decl, Class) or owner.decl.module.stub:
            continue
        for base, _ in facts.inference.bases(owner.decl):
            method = base.methods.get(name)
            if method is not None and not base.module.stub:
                found.append(method)
                break
    return found


def may_be_method(function: Function, facts: Facts) -> bool:
    """Whether an operator of a class may become a method of another name."""
    cls = function.cls
    if cls is None or function.name not in METHODS or facts.inference.models.is_model(cls):
        return False
    return METHODS[function.name] not in cls.methods and METHODS[function.name] not in cls.assigned


__all__ = ["METHODS", "may_be_method", "operators"]
