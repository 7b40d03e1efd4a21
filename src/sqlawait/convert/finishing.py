"""The last step of a file: its edits, the helpers and imports that they need."""

from __future__ import annotations

import ast

from sqlawait.analysis.syntax import parse

from .apply import Refused
from .context import Context
from .edits import Edits
from .imports import add_imports, add_star, remove_unused


def finish(context: Context) -> str:
    """The text of a file with its changes and helpers; it imports what it needs now, and no more.

    Raises :class:`~sqlawait.convert.apply.Refused` for a file whose changes do not go together.
    """
    try:
        return _finished(context)
    except SyntaxError as error:
        raise Refused(
            f"{context.module.path} cannot be converted: its changes do not go together"
            f" ({error.msg}); nothing was written; convert the rest with --only, and report this file"
        ) from error


def _finished(context: Context) -> str:
    module = context.module
    after = context.edits.apply()
    if after == module.source and not context.imports and not context.stars:
        return after
    for helper in context.helpers.values():
        after = _with_helper(after, helper)
    after = add_imports(after, dict(context.imports.items()))
    for source in context.stars:
        after = add_star(after, source)
    exported = context.facts.names.exported(module)
    after = remove_unused(module.source, after, exported=exported)
    parse(after)
    return after


def _with_helper(source: str, helper: str) -> str:
    """Put a function of ours behind the imports."""
    tree = parse(source)
    line = 0
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            line = node.end_lineno or 0
        elif line:
            break
    edits = Edits(source)
    lines = source.splitlines()[line:]
    gap = len(lines) - len("\n".join(lines).lstrip("\n").splitlines())
    edits.insert_line(line + 1, f"\n{helper}" + "\n" * max(0, 2 - gap))
    return edits.apply()


__all__ = ["finish"]
