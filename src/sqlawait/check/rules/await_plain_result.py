"""SAW203: await on what is not awaitable."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from sqlawait.analysis import Analysis
from sqlawait.analysis.declarations import Class, Function
from sqlawait.analysis.types import Type, members
from sqlawait.check.finding import Edit, Finding, Fix, span
from sqlawait.check.rule import Example, Rule
from sqlawait.check.support import functions

RULE = Rule(
    code="SAW203",
    name="await-plain-result",
    summary=(
        "`await` stands before what is not awaitable: `add`, a buffered result, a method of a sync session."
    ),
    why="The line raises TypeError when it runs: “object … can't be used in 'await' expression”.",
    remedy=(
        "Remove the `await`. Rows of an executed statement are there already; only `stream` gives an async"
        " result."
    ),
    wrong=(
        Example(
            code="""\
async def create(session: AsyncSession, name: str):
    await session.add(User(name=name))  # SAW203
    await session.commit()
""",
            fixed="""\
async def create(session: AsyncSession, name: str):
    session.add(User(name=name))  # SAW203
    await session.commit()
""",
        ),
        Example(
            code="""\
async def names(session: AsyncSession):
    result = await session.scalars(select(User.name))
    return await result.all()  # SAW203
""",
            fixed="""\
async def names(session: AsyncSession):
    result = await session.scalars(select(User.name))
    return result.all()  # SAW203
""",
        ),
    ),
    right=(
        Example("""\
async def names(session: AsyncSession):
    result = await session.stream(select(User.name))
    return await result.all()
"""),
        Example("""\
async def connect():
    connection = await engine.connect()
    await connection.close()
"""),
    ),
    fix="safe",
)


@RULE.check
def find(analysis: Analysis) -> Iterator[Finding]:
    """Awaits whose operand comes from a method of SQLAlchemy that is no coroutine."""
    for function in functions(analysis):
        for node in function.own_nodes:
            if isinstance(node, ast.Await):
                what = _plain(analysis, node.value)
                if what:
                    message = f"`{what}` is not awaitable: this raises TypeError; remove the `await`"
                    yield RULE.at(function.module, node, message, fix=_without(analysis, function, node))


def _plain(analysis: Analysis, operand: ast.expr) -> str:
    """What is awaited in vain, in words; empty where it may be awaitable."""
    if isinstance(operand, ast.Call):
        return _plain_call(analysis, operand)
    if isinstance(operand, ast.Name | ast.Attribute):
        found = list(members(analysis.types.type_of(operand)))
        if found and all(_stub_object(analysis, each) for each in found):
            return found[0].name.rpartition(".")[2]
    return ""


def _plain_call(analysis: Analysis, call: ast.Call) -> str:
    if not isinstance(call.func, ast.Attribute):
        return ""
    owners = list(members(analysis.types.type_of(call.func.value)))
    if any(each.name == "Coroutine" for each in owners):
        return ""  # the await that is missing inside is another finding
    names: list[str] = []
    for callee in members(analysis.types.type_of(call.func)):
        method = callee.decl
        if not isinstance(method, Function) or not method.module.stub or method.is_async or method.cls is None:
            return ""
        if any(_awaitable(analysis, each) for each in members(analysis.types.type_of(call))):
            return ""
        names.append(f"{method.cls.name}.{method.name}")
    return names[0] if names else ""


def _stub_object(analysis: Analysis, of: Type) -> bool:
    if of.kind != "instance" or not isinstance(of.decl, Class) or not of.decl.module.stub:
        return False
    return not _awaitable(analysis, of)


def _awaitable(analysis: Analysis, of: Type) -> bool:
    if of.name in ("Coroutine", "AsyncContextManager") or of.kind in ("external", "typevar"):
        return True
    return analysis.types.attributes.of(of, "__await__").kind == "function"


def _without(analysis: Analysis, function: Function, node: ast.Await) -> Fix | None:
    if isinstance(node.value, ast.Name | ast.Attribute) and isinstance(analysis.project.parent(node), ast.Expr):
        return None
    start, inner = span(function.module, node)[0], span(function.module, node.value)[0]
    if start[0] != inner[0]:
        return None
    line = function.module.line(start[0])
    if line[start[1] : inner[1]].strip() != "await":
        return None
    return Fix("Remove the await", (Edit(start, inner, "", function.module.path),), safe=True)
