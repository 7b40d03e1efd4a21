"""SAW202: a coroutine of a session that nobody awaits."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from sqlawait.analysis import Analysis
from sqlawait.analysis.declarations import Function, dotted
from sqlawait.check.finding import Finding, Fix, insert
from sqlawait.check.rule import Example, Rule
from sqlawait.check.support import functions, stub_method

RULE = Rule(
    code="SAW202",
    name="forget-await",
    summary="A coroutine of a session, connection, result or engine is not awaited.",
    why=(
        "Nothing happens: the statement is not sent, the commit is not made, and what the caller holds is a"
        " coroutine"
        " instead of a result. The only sign is a RuntimeWarning at some later time."
    ),
    remedy="Put `await` before the call.",
    wrong=(
        Example(
            code="""\
async def rename(session: AsyncSession, user: User, name: str):
    user.name = name
    session.commit()  # SAW202
""",
            fixed="""\
async def rename(session: AsyncSession, user: User, name: str):
    user.name = name
    await session.commit()  # SAW202
""",
        ),
        Example(
            code="""\
async def names(session: AsyncSession):
    return session.scalars(select(User.name)).all()  # SAW202
""",
            fixed="""\
async def names(session: AsyncSession):
    return (await session.scalars(select(User.name))).all()  # SAW202
""",
        ),
    ),
    right=(
        Example("""\
async def rename(session: AsyncSession, user: User, name: str):
    user.name = name
    session.add(user)
    await session.commit()
"""),
        Example("""\
def users(session: AsyncSession):
    return session.scalars(select(User))
"""),
        Example("""\
async def users(session: AsyncSession):
    return await asyncio.wait_for(session.scalars(select(User)), timeout=2)
"""),
    ),
    fix="safe",
)
USED = (
    ast.Attribute, ast.Subscript, ast.BoolOp, ast.Compare, ast.UnaryOp, ast.BinOp, ast.FormattedValue, ast.If,
    ast.While, ast.For, ast.AsyncFor, ast.comprehension, ast.IfExp, ast.Expr, ast.Assert,
)  # fmt: skip
"""Parents that need the result, not the coroutine."""


@RULE.check
def find(analysis: Analysis) -> Iterator[Finding]:
    """Calls of coroutine methods whose coroutine is used as if it were the result, or not at all."""
    for function in functions(analysis):
        for outward in analysis.calls.outward(function):
            call = outward.node
            if outward.function is None or not outward.function.is_async or not isinstance(call, ast.Call):
                continue
            if stub_method(analysis, call) is None or not _forgotten(analysis, function, call):
                continue
            cls = outward.function.cls.name if outward.function.cls is not None else ""
            message = (
                f"`{cls}.{outward.function.name}` is a coroutine and is not awaited: nothing is sent; put"
                f" `await` before it"
            )
            yield RULE.at(function.module, call, message, fix=_awaited(analysis, function, call))


def _forgotten(analysis: Analysis, function: Function, call: ast.Call) -> bool:
    project = analysis.project
    parent = project.parent(call)
    if isinstance(parent, ast.IfExp) and call is not parent.test:
        return False
    if isinstance(parent, ast.NamedExpr):
        return True
    if isinstance(parent, USED):
        return True
    if isinstance(parent, ast.Return):
        return function.is_async and not function.yields
    if isinstance(parent, ast.Assign | ast.AnnAssign):
        target = parent.targets[0] if isinstance(parent, ast.Assign) else parent.target
        if isinstance(target, ast.Tuple):
            return True
        return isinstance(target, ast.Name) and _misused(analysis, function, target.id, parent)
    if isinstance(parent, ast.Call):
        plain = (
            "list",
            "len",
            "print",
            "str",
            "dict",
            "set",
            "tuple",
            "bool",
            "int",
            "sorted",
            "enumerate",
            "zip",
            "next",
        )
        return dotted(parent.func) in plain
    return False


def _misused(analysis: Analysis, function: Function, name: str, assignment: ast.stmt) -> bool:
    """Whether the coroutine that a variable keeps is never awaited, handed on or returned."""
    named = (node for node in ast.walk(function.node) if isinstance(node, ast.Name) and node.id == name)
    uses = [
        node
        for node in named
        if isinstance(node.ctx, ast.Load)
        and any(binding.node is assignment for binding in analysis.names.reaching(node))
    ]
    parents = [analysis.project.parent(use) for use in uses]
    if any(
        isinstance(parent, ast.Await | ast.Return | ast.Yield | ast.Starred | ast.List) for parent in parents
    ):
        return False
    return not parents or any(isinstance(parent, (*USED, ast.Dict)) for parent in parents)


def _awaited(analysis: Analysis, function: Function, call: ast.Call) -> Fix | None:
    if not function.is_async:
        return None
    for each in analysis.project.ancestors(call):
        if isinstance(each, ast.GeneratorExp | ast.Lambda):
            return None
        if isinstance(each, ast.stmt):
            break
    module = function.module
    parent = analysis.project.parent(call)
    tight = isinstance(parent, ast.Attribute | ast.Subscript)
    edits = [insert(module, call, "(await " if tight else "await ")]
    if tight:
        edits.append(insert(module, call, ")", after=True))
    return Fix("Await the call", tuple(edits), safe=True)
