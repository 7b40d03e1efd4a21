"""Order within a function: whether one statement has run when another does."""

from __future__ import annotations

import ast
from typing import Literal

from .project import Project

Reach = Literal["always", "maybe", ""]
LEAVING = (ast.Return, ast.Raise, ast.Continue, ast.Break)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Module, ast.ClassDef, ast.Lambda)


def before(one: ast.AST, other: ast.AST) -> bool:
    """Whether ``one`` ends before ``other`` begins, in the source."""
    end = (getattr(one, "end_lineno", 0), getattr(one, "end_col_offset", 0))
    return end <= (getattr(other, "lineno", 0), getattr(other, "col_offset", 0))


def reach(project: Project, one: ast.AST, other: ast.AST) -> Reach:
    """Whether what ``one`` does still holds at ``other``, further down in the same function.

    ``"always"`` where every way to ``other`` passes it, ``"maybe"`` where some do, ``""`` where none does: they
    stand in different branches, or the branch of ``one`` leaves.
    """
    around = {id(other), *(id(each) for each in project.ancestors(other))}
    statement: ast.AST = one if isinstance(one, ast.ExceptHandler | ast.match_case) else project.statement(one)
    certain = True
    while True:
        parent = project.parent(statement)
        if parent is None or isinstance(parent, FUNCTIONS):
            return "always" if certain else "maybe"
        block = block_of(parent, statement)
        if any(id(each) in around for each in block):
            return "always" if certain else "maybe"
        if isinstance(parent, ast.If | ast.match_case) and id(parent) in around:
            return ""
        if isinstance(parent, ast.If | ast.ExceptHandler | ast.match_case) and isinstance(block[-1], LEAVING):
            return ""
        transparent = isinstance(parent, ast.With | ast.AsyncWith) or (
            isinstance(parent, ast.Try) and (block is parent.body or block is parent.finalbody)
        )
        certain = certain and transparent
        statement = parent


def block_of(parent: ast.AST, statement: ast.AST) -> list[ast.AST]:
    """The list of statements of ``parent`` that a statement stands in."""
    for _, value in ast.iter_fields(parent):
        if isinstance(value, list) and any(each is statement for each in value):
            return value
    return [statement]


__all__ = ["Reach", "before", "block_of", "reach"]
