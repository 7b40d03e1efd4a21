"""SAW304: an async session factory that expires on commit."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from sqlawait.analysis import Analysis
from sqlawait.analysis.special import FACTORIES, keyword
from sqlawait.analysis.types import members
from sqlawait.check.finding import Edit, Finding, Fix, insert, replace
from sqlawait.check.rule import Example, Rule
from sqlawait.check.support import is_async_session

RULE = Rule(
    code="SAW304",
    name="expire-on-commit",
    summary="A factory of async sessions leaves `expire_on_commit` on.",
    why=(
        "After every commit, reading any attribute of a row sends a statement outside any `await` and raises"
        " MissingGreenlet. SQLAlchemy's own asyncio documentation switches it off."
    ),
    remedy="Pass `expire_on_commit=False`.",
    wrong=(
        Example(
            code="Factory = async_sessionmaker(engine)  # SAW304\n",
            fixed="Factory = async_sessionmaker(engine, expire_on_commit=False)  # SAW304\n",
        ),
        Example(
            code="Factory = sessionmaker(engine, class_=AsyncSession)  # SAW304\n",
            fixed="Factory = sessionmaker(engine, class_=AsyncSession, expire_on_commit=False)  # SAW304\n",
        ),
    ),
    right=(
        Example("Factory = async_sessionmaker(engine, expire_on_commit=False)\n"),
        Example("Factory = sessionmaker(sync_engine)\n"),
    ),
    fix="unsafe",
    limits="Options passed as `**options` that are not a literal dict are not judged.",
)


@RULE.check
def find(analysis: Analysis) -> Iterator[Finding]:
    """Factories whose sessions are async and expire."""
    for name in ("async_sessionmaker", "sessionmaker"):
        for call in dict.fromkeys(analysis.project.collected.calls.get(name, ())):
            named = call.func.value if isinstance(call.func, ast.Subscript) else call.func
            if analysis.names.qualified(named) not in FACTORIES:
                continue
            for factory in members(analysis.types.type_of(call)):
                made = factory.args[0] if factory.args else factory
                if (
                    not is_async_session(analysis, made)
                    or made.origin is None
                    or made.origin.expires is not True
                ):
                    continue
                if _configured(analysis, call):
                    continue
                module = analysis.project.module_of(call)
                message = (
                    "sessions of this factory expire their rows on commit, and reading one then raises"
                    " MissingGreenlet;"
                    " pass `expire_on_commit=False`"
                )
                yield RULE.at(module, call, message, fix=_switched_off(analysis, call))


def _configured(analysis: Analysis, call: ast.Call) -> bool:
    """Whether ``factory.configure(expire_on_commit=False)`` comes later."""
    for other in analysis.project.collected.calls.get("configure", ()):
        option = keyword(other, "expire_on_commit")
        if (
            not isinstance(option, ast.Constant)
            or option.value is not False
            or not isinstance(other.func, ast.Attribute)
        ):
            continue
        for definition in analysis.names.definitions(other.func.value):
            if getattr(definition, "value", None) is call:
                return True
    return False


def _switched_off(analysis: Analysis, call: ast.Call) -> Fix:
    module = analysis.project.module_of(call)
    given = keyword(call, "expire_on_commit")
    message = "Pass expire_on_commit=False"
    if given is not None:
        return Fix(message, (replace(module, given, "False"),), safe=False)
    arguments: list[ast.AST] = [*call.args, *(each.value for each in call.keywords)]
    if not arguments:
        end = insert(module, call, "", after=True).start
        place = (end[0], end[1] - 1)
        return Fix(message, (Edit(place, place, "expire_on_commit=False", module.path),), safe=False)
    last = max(arguments, key=lambda each: (getattr(each, "end_lineno", 0), getattr(each, "end_col_offset", 0)))
    return Fix(message, (insert(module, last, ", expire_on_commit=False", after=True),), safe=False)
