"""SAW201: the legacy query on an async session."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from sqlawait.analysis import Analysis
from sqlawait.analysis.declarations import Module
from sqlawait.check.finding import Finding, Fix, replace, source
from sqlawait.check.rule import Example, Rule
from sqlawait.check.support import is_async_session

RULE = Rule(
    code="SAW201",
    name="query-async-session",
    summary="`.query` is called on an `AsyncSession`.",
    why="`AsyncSession` has no `query`: the line raises AttributeError when it first runs.",
    remedy="Write `select(…)` and await `session.execute`, `scalars` or `scalar`.",
    wrong=(
        Example(
            code="""\
@router.get("/users")
async def read_users(session: SessionDep):
    return session.query(User).filter(User.name != "").all()  # SAW201
""",
            fixed="""\
@router.get("/users")
async def read_users(session: SessionDep):
    return (await session.scalars(select(User).where(User.name != ""))).all()  # SAW201
""",
        ),
    ),
    right=(
        Example("""\
@router.get("/users")
async def read_users(session: SessionDep):
    return (await session.scalars(select(User).where(User.name != ""))).all()
"""),
        Example("""\
@router.get("/users")
async def read_users(session: SessionDep):
    return await session.run_sync(lambda db: db.query(User).all())
"""),
    ),
    fix="unsafe",
    limits="The fix rewrites chains of one entity that end in `all`, `first`, `one`, `one_or_none` or `get`.",
)
REFINING = {
    "filter": "where", "where": "where", "filter_by": "filter_by", "order_by": "order_by", "limit": "limit",
    "offset": "offset", "options": "options", "join": "join", "outerjoin": "outerjoin", "distinct": "distinct",
    "group_by": "group_by", "having": "having", "with_for_update": "with_for_update",
}  # fmt: skip
ENDING = {"all": "all", "first": "first", "one": "one", "one_or_none": "one_or_none"}


@RULE.check
def find(analysis: Analysis) -> Iterator[Finding]:
    """Calls of ``query`` on what can only be an async session."""
    for call in analysis.project.collected.calls.get("query", ()):
        if not isinstance(call.func, ast.Attribute):
            continue
        owner = analysis.types.type_of(call.func.value)
        if not is_async_session(analysis, owner) or analysis.types.type_of(call.func).known:
            continue
        module = analysis.project.module_of(call)
        message = (
            "an AsyncSession has no `query`: this raises AttributeError; write `select(…)` and await the"
            " execution"
        )
        yield RULE.at(module, call, message, fix=_as_select(analysis, call))


def _as_select(analysis: Analysis, call: ast.Call) -> Fix | None:
    function = analysis.project.function_of(call)
    if (
        function is None
        or not function.is_async
        or len(call.args) != 1
        or not isinstance(call.func, ast.Attribute)
    ):
        return None
    if analysis.types.type_of(call.args[0]).kind != "class":
        return None
    module = function.module
    session = source(module, call.func.value)
    statement = f"select({source(module, call.args[0])})"
    node: ast.Call = call
    while True:
        attribute = analysis.project.parent(node)
        outer = analysis.project.parent(attribute) if isinstance(attribute, ast.Attribute) else None
        if (
            not isinstance(attribute, ast.Attribute)
            or not isinstance(outer, ast.Call)
            or outer.func is not attribute
        ):
            return None
        given: list[ast.expr | ast.keyword] = [*outer.args, *outer.keywords]
        arguments = ", ".join(_argument(module, each) for each in given)
        if attribute.attr in REFINING:
            statement += f".{REFINING[attribute.attr]}({arguments})"
            node = outer
            continue
        if attribute.attr in ENDING and not arguments:
            ending = ENDING[attribute.attr]
            if ending == "first":
                statement += ".limit(1)"
            text = f"(await {session}.scalars({statement})).{ending}()"
        elif attribute.attr == "get" and node is call and arguments:
            text = f"(await {session}.get({source(module, call.args[0])}, {arguments}))"
        else:
            return None
        whole: ast.expr = outer
        above = analysis.project.parent(outer)
        if isinstance(above, ast.Await):
            whole = above
        if "\n" in text:
            return None
        imports = (("sqlalchemy", "select"),)
        return Fix("Write it as a select", (replace(module, whole, text),), safe=False, imports=imports)


def _argument(module: Module, node: ast.expr | ast.keyword) -> str:
    if isinstance(node, ast.keyword):
        return f"{node.arg}={source(module, node.value)}" if node.arg else f"**{source(module, node.value)}"
    return source(module, node)
