"""What a call gives a function's parameters."""

from __future__ import annotations

import ast

from sqlawait.analysis.declarations import Function


def argument_for(call: ast.Call, function: Function, param: ast.arg) -> ast.expr | None:
    """The argument that a call gives a parameter, where it is written out."""
    for keyword in call.keywords:
        if keyword.arg == param.arg:
            return keyword.value
    positional = function.positional
    if param not in positional:
        return None
    index = positional.index(param)
    if function.cls is not None and not function.is_static:
        index -= 1
    if 0 <= index < len(call.args) and not any(
        isinstance(each, ast.Starred) for each in call.args[: index + 1]
    ):
        return call.args[index]
    return None


__all__ = ["argument_for"]
