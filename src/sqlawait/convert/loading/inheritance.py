"""Joined tables: an object that was queried as its base class gets the columns of its own table at once.

A query of the base reads the table of the base alone; the rest was loaded when it was read, which can no longer
be. ``polymorphic_load="selectin"`` reads it with one more statement for each subclass that there are rows of.
"""

from __future__ import annotations

import ast

from sqlawait.analysis.declarations import Class
from sqlawait.analysis.types import members
from sqlawait.convert.context import Context
from sqlawait.convert.edits import Edits
from sqlawait.convert.facts import Facts

READERS = ("select", "query", "get", "get_one", "relationship", "aliased")
"""Calls that are given the class of the objects that they lead to."""


def load_subclass(model: Class, facts: Facts, context: Context) -> None:
    """Load the columns of a subclass along, where the code queries one of its bases."""
    options = _options(model)
    if options is None or "__tablename__" not in model.scope.bindings:
        return
    named = {key.value for key in options.keys if isinstance(key, ast.Constant)}
    if "polymorphic_identity" not in named or "polymorphic_load" in named:
        return
    bases = [
        base
        for base, _ in facts.inference.bases(model)[1:]
        if "__tablename__" in base.scope.bindings and facts.inference.models.is_model(base)
    ]
    if any(_is_queried(base, facts) for base in bases):
        add_option(options, '"polymorphic_load": "selectin"', context.edits)


def _options(model: Class) -> ast.Dict | None:
    for binding in model.scope.bindings.get("__mapper_args__", ()):
        if isinstance(binding.value, ast.Dict):
            return binding.value
    return None


def _is_queried(base: Class, facts: Facts) -> bool:
    for name in READERS:
        for call in facts.project.collected.calls.get(name, ()):
            for argument in call.args:
                if any(each.kind == "class" and each.decl is base for each in members(facts.type_of(argument))):
                    return True
                if isinstance(argument, ast.Constant) and argument.value == base.name:
                    return True
    return any(
        relationship.target is base
        for each in facts.inference.models.all()
        for relationship in facts.inference.models.relationships(each).values()
    )


def add_option(options: ast.Dict, text: str, edits: Edits) -> None:
    """Put an entry behind the last one of a dictionary, in the layout that is there."""
    if not options.values:
        start = edits.start(options) + 1
        edits.replace(start, start, text)
        return
    last, first = options.values[-1], options.keys[0] or options.values[0]
    end = edits.end(last)
    line = f"\n{edits.indent_of(first.lineno)}" if first.lineno > options.lineno else " "
    edits.replace(end, end, f",{line}{text}")


__all__ = ["add_option", "load_subclass"]
