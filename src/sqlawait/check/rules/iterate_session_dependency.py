"""SAW404: a dependency's generator used as a loop."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from sqlawait.analysis import Analysis
from sqlawait.analysis.declarations import Function
from sqlawait.analysis.types import members
from sqlawait.check.finding import Edit, Finding, Fix, source, span
from sqlawait.check.rule import Example, Rule
from sqlawait.check.support import functions

RULE = Rule(
    code="SAW404",
    name="iterate-session-dependency",
    summary="`async for session in get_session()` opens a session by a loop.",
    why=(
        "The generator's clean-up runs only when the loop asks for the next item. A `return`, `break` or"
        " exception inside"
        " the loop leaves it suspended: the session stays open until the garbage collector finds it, and an"
        " exception"
        " never reaches its `except`."
    ),
    remedy="Make it a context manager: `async with asynccontextmanager(get_session)() as session`.",
    wrong=(
        Example(
            code="""\
async def count_users() -> int:
    async for session in get_session():  # SAW404
        return len((await session.scalars(select(User))).all())
    return 0
""",
            fixed="""\
async def count_users() -> int:
    async with asynccontextmanager(get_session)() as session:  # SAW404
        return len((await session.scalars(select(User))).all())
    return 0
""",
        ),
    ),
    right=(
        Example("""\
async def count_users() -> int:
    async with Sessions() as session:
        return len((await session.scalars(select(User))).all())
"""),
        Example("""\
async def names(session: AsyncSession) -> list[str]:
    return [name async for name in await session.stream_scalars(select(User.name))]
"""),
    ),
    fix="safe",
)


@RULE.check
def find(analysis: Analysis) -> Iterator[Finding]:
    """Async loops over a generator that yields one session."""
    for function in functions(analysis):
        for node in function.own_nodes:
            if not isinstance(node, ast.AsyncFor | ast.comprehension):
                continue
            if isinstance(node, ast.comprehension) and not node.is_async:
                continue
            made = _made(analysis, node.iter)
            if made is None or not _yields_one_session(analysis, made):
                continue
            message = (
                "the generator's clean-up does not run when this loop is left early; open the session by"
                " `async with`"
            )
            place = node if isinstance(node, ast.AsyncFor) else node.iter
            yield RULE.at(function.module, place, message, fix=_in_block(function, node))


def _made(analysis: Analysis, node: ast.expr) -> ast.Call | None:
    """The call that makes the generator, also where a variable keeps it."""
    if isinstance(node, ast.Call):
        return node
    for binding in analysis.names.reaching(node) if isinstance(node, ast.Name) else ():
        if isinstance(binding.value, ast.Call) and binding.kind == "assign":
            return binding.value
    return None


def _yields_one_session(analysis: Analysis, call: ast.Call) -> bool:
    found = list(members(analysis.types.type_of(call)))
    if not found or not all(each.name == "AsyncGenerator" for each in found):
        return False
    item = analysis.types.iterated(analysis.types.type_of(call))
    if not any(analysis.is_session(each, kind="async") for each in members(item)):
        return False
    return not any(_yields_in_loop(analysis, target) for target in analysis.calls.reached(call))


def _yields_in_loop(analysis: Analysis, function: Function) -> bool:
    """Whether a generator yields many: one for each tenant, say."""
    for node in function.yields:
        for parent in analysis.project.ancestors(node):
            if parent is function.node:
                break
            if isinstance(parent, ast.For | ast.While):
                return True
    return False


def _in_block(function: Function, node: ast.AsyncFor | ast.comprehension) -> Fix | None:
    if not isinstance(node, ast.AsyncFor) or node.orelse or not isinstance(node.iter, ast.Call):
        return None
    if any(isinstance(each, ast.Break | ast.Continue) for s in node.body for each in ast.walk(s)):
        return None
    module = function.module
    start = span(module, node)[0]
    end = span(module, node.iter)[1]
    if start[0] != end[0]:
        return None
    callee = source(module, node.iter.func)
    arguments = source(module, node.iter)[len(callee) :]
    text = f"async with asynccontextmanager({callee}){arguments} as {source(module, node.target)}"
    edit = Edit(start, end, text, module.path)
    return Fix(
        "Open the session by async with", (edit,), safe=True, imports=(("contextlib", "asynccontextmanager"),)
    )
