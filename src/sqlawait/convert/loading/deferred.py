"""Deferred columns that the code reads come with every row: reading one can no longer send SQL."""

from __future__ import annotations

import ast
from collections.abc import Container, Iterator

from sqlawait.analysis.declarations import Class, last_name
from sqlawait.analysis.types import members
from sqlawait.convert.edits import Edits
from sqlawait.convert.facts import Facts

from .plan import Plan

_COLUMNS = {"column_property", "mapped_column"}


def load_deferred(cls: Class, facts: Facts, plan: Plan, fields: Container[str], edits: Edits) -> None:
    """Let a model's deferred columns load with it, if a schema names them or the code reads them.

    Parameters:
        cls: the model.
        fields: the names of the fields of all response schemas.
        plan: those that are loaded with their statement stay as they are.
    """
    steps = [step for paths in plan.options.values() for path in paths for step in path]
    placed = {step.name for step in steps if step.loader == "undefer" and step.owner is cls}
    for name, keyword in _deferred(cls):
        if name not in placed and (name in fields or _is_read(name, cls, facts)):
            edits.replace_node(keyword.value, "False")


def _deferred(cls: Class) -> Iterator[tuple[str, ast.keyword]]:
    for statement in cls.node.body:
        if isinstance(statement, ast.Assign):
            target = statement.targets[0]
        elif isinstance(statement, ast.AnnAssign):
            target = statement.target
        else:
            continue
        call = statement.value
        if isinstance(target, ast.Name) and isinstance(call, ast.Call) and last_name(call.func) in _COLUMNS:
            for keyword in call.keywords:
                if (
                    keyword.arg == "deferred"
                    and isinstance(keyword.value, ast.Constant)
                    and keyword.value.value
                ):
                    yield target.id, keyword


def _is_read(name: str, cls: Class, facts: Facts) -> bool:
    return any(
        each.kind == "instance" and each.decl is cls
        for node in facts.project.collected.attribute_reads.get(name, ())
        for each in members(facts.type_of(node.value))
    )


__all__ = ["load_deferred"]
