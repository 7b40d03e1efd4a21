"""SAW205: a sync session factory on an async engine."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from sqlawait.analysis import Analysis
from sqlawait.analysis.declarations import last_name
from sqlawait.analysis.special import keyword
from sqlawait.check.finding import Finding, Fix, replace
from sqlawait.check.rule import Example, Rule
from sqlawait.check.support import ASYNC_ENGINE, ASYNC_SESSION, is_one_of

RULE = Rule(
    code="SAW205",
    name="make-sync-factory",
    summary="`sessionmaker` is bound to an async engine.",
    why=(
        "It makes blocking sessions on an engine that cannot block: the first statement raises MissingGreenlet."
    ),
    remedy="Use `async_sessionmaker`.",
    wrong=(
        Example(
            code="""\
Factory = sessionmaker(engine, expire_on_commit=False)  # SAW205
""",
            fixed="""\
Factory = async_sessionmaker(engine, expire_on_commit=False)  # SAW205
""",
        ),
    ),
    right=(
        Example("Factory = async_sessionmaker(engine, expire_on_commit=False)\n"),
        Example("Factory = sessionmaker(sync_engine)\n"),
        Example("Factory = sessionmaker(engine, class_=AsyncSession, expire_on_commit=False)\n"),
    ),
    fix="safe",
)


@RULE.check
def find(analysis: Analysis) -> Iterator[Finding]:
    """Factories of blocking sessions whose engine is async."""
    for call in dict.fromkeys(analysis.project.collected.calls.get("sessionmaker", ())):
        if analysis.names.qualified(_named(call.func)) != "sqlalchemy.orm.sessionmaker":
            continue
        bind = keyword(call, "bind") or (call.args[0] if call.args else None)
        if bind is None or not is_one_of(analysis, analysis.types.type_of(bind), ASYNC_ENGINE):
            continue
        given = keyword(call, "class_")
        made = analysis.types.type_of(given) if given is not None else analysis.types.type_of(call)
        inner = [made] if given is not None else list(made.args)
        if any(is_one_of(analysis, each, ASYNC_SESSION) for each in inner):
            continue
        if given is not None and not any(each.known for each in inner):
            continue
        module = analysis.project.module_of(call)
        message = "`sessionmaker` makes blocking sessions, and this engine is async; use `async_sessionmaker`"
        yield RULE.at(module, call, message, fix=_renamed(analysis, call))


def _named(node: ast.expr) -> ast.expr:
    return node.value if isinstance(node, ast.Subscript) else node


def _renamed(analysis: Analysis, call: ast.Call) -> Fix | None:
    if last_name(call.func) != "sessionmaker" or not isinstance(call.func, ast.Name):
        return None
    if keyword(call, "class_") is not None:
        return None
    module = analysis.project.module_of(call)
    imports = (("sqlalchemy.ext.asyncio", "async_sessionmaker"),)
    return Fix(
        "Use async_sessionmaker",
        (replace(module, call.func, "async_sessionmaker"),),
        safe=True,
        imports=imports,
    )
