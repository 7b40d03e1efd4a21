"""SAW406: a transaction held open while another service is awaited."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from sqlawait.analysis import Analysis
from sqlawait.analysis.declarations import Class, Function, last_name
from sqlawait.analysis.flow import before, reach
from sqlawait.analysis.holding import Key
from sqlawait.analysis.types import members
from sqlawait.check.finding import Finding
from sqlawait.check.rule import Example, Rule
from sqlawait.check.support import STATEMENTS, commits, coroutines, executes

RULE = Rule(
    code="SAW406",
    name="await-in-transaction",
    summary="A transaction stays open while the coroutine awaits HTTP, a sleep or another service.",
    why=(
        "The connection and the row locks are held for as long as the other side takes. When it is slow, the"
        " pool runs"
        " dry and the database's locks queue up: one slow service stops all routes."
    ),
    remedy="Commit before the call, or call first and open the transaction after.",
    wrong=(
        Example("""\
async def pay(session: AsyncSession, client: httpx.AsyncClient, user_id: int):
    user = await session.get(User, user_id, with_for_update=True)
    await client.post("https://pay.example", json={"user": user_id})  # SAW406
    user.balance -= 1
    await session.commit()
"""),
    ),
    right=(
        Example("""\
async def pay(session: AsyncSession, client: httpx.AsyncClient, user_id: int):
    await client.post("https://pay.example", json={"user": user_id})
    user = await session.get(User, user_id, with_for_update=True)
    user.balance -= 1
    await session.commit()
"""),
        Example("""\
async def pay(session: AsyncSession, client: httpx.AsyncClient, user_id: int):
    user = await session.get(User, user_id)
    await session.commit()
    await client.post("https://pay.example", json={"user": user.id})
"""),
    ),
    limits=(
        "Only services that are known by their client's name; what a dependency of the route has read is not"
        " counted."
    ),
)
EXTERNAL = re.compile(
    r"""
    httpx\.AsyncClient\(\)\.(get|post|put|patch|delete|head|options|request|send)
    | aiohttp\.(ClientSession\(\)\.)?(get|post|put|patch|delete|head|request|ws_connect)
    | (asyncio|anyio|trio)\.sleep
    | (aioboto3|aiobotocore)\..*
    | (openai\.Async\w+|anthropic\.Async\w+|mistralai\.\w+|groq\.Async\w+)\(\)(\.\w+)*
    | aiosmtplib\.send | fastapi_mail\.FastMail\(\)\.send_message
    | elasticsearch\.AsyncElasticsearch\(\)(\.\w+)*
    | aio_pika\..* | aiokafka\..*
    | litellm\.a\w+
    | stripe\..*_async
    """,
    re.VERBOSE,
)
ENDING = {"commit", "rollback", "close", "aclose"}


@RULE.check
def find(analysis: Analysis) -> Iterator[Finding]:
    """Awaits of other services where a session of the function has begun a transaction."""
    for function in coroutines(analysis):
        awaits = [node for node in function.own_nodes if _waits(analysis, node)]
        if not awaits:
            continue
        for node in awaits:
            if _in_transaction(analysis, function, node):
                message = (
                    "the transaction and its locks are held while this is awaited; commit before it, or call"
                    " it first"
                )
                yield RULE.at(function.module, node, message)


def _waits(analysis: Analysis, node: ast.AST) -> bool:
    return isinstance(node, ast.Await) and isinstance(node.value, ast.Call) and _external(analysis, node.value)


def _external(analysis: Analysis, call: ast.Call, depth: int = 0) -> bool:
    """Whether awaiting a call waits for another service, in the coroutine that it runs or deeper."""
    if any(
        each.kind == "external" and EXTERNAL.fullmatch(each.name)
        for each in members(analysis.types.type_of(call.func))
    ):
        pause = call.args[0] if call.args else None
        return not (isinstance(pause, ast.Constant) and pause.value == 0)
    if last_name(call.func) in ("wait_for", "shield", "gather"):
        return any(isinstance(each, ast.Call) and _external(analysis, each, depth) for each in call.args)
    return depth < 4 and any(
        _calls_out(analysis, target, depth + 1) for target in analysis.calls.reached(call) if target.is_async
    )


def _calls_out(analysis: Analysis, function: Function, depth: int) -> bool:
    for node in function.own_nodes:
        if (
            isinstance(node, ast.Await)
            and isinstance(node.value, ast.Call)
            and _external(analysis, node.value, depth)
        ):
            return True
        if isinstance(node, ast.AsyncWith):
            for item in node.items:
                if (
                    isinstance(item.context_expr, ast.Call)
                    and last_name(item.context_expr.func)
                    in (
                        "get",
                        "post",
                        "request",
                    )
                    and _external(analysis, item.context_expr, depth)
                ):
                    return True
    return False


def _in_transaction(analysis: Analysis, function: Function, place: ast.AST) -> bool:
    for parent in analysis.project.ancestors(place):
        if parent is function.node:
            break
        if isinstance(parent, ast.AsyncWith) and any(
            _begins(analysis, item.context_expr) for item in parent.items
        ):
            return True
    begun: dict[Key, ast.AST] = {}
    for node in function.own_nodes:
        if not isinstance(node, ast.Call) or not before(node, place):
            continue
        for key, ends in _events(analysis, node):
            if ends:
                if reach(analysis.project, node, place) == "always" or _same_block(
                    analysis, node, begun.get(key)
                ):
                    begun.pop(key, None)
            elif reach(analysis.project, node, place):
                begun[key] = node
    return any(not _left(analysis, node, place) for node in begun.values())


def _same_block(analysis: Analysis, one: ast.AST, other: ast.AST | None) -> bool:
    if other is None:
        return False
    return analysis.project.parent(analysis.project.statement(one)) is analysis.project.parent(
        analysis.project.statement(other)
    )


def _begins(analysis: Analysis, node: ast.expr) -> bool:
    """``session.begin()`` or ``Factory.begin()``."""
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute) or node.func.attr != "begin":
        return False
    owner = analysis.types.type_of(node.func.value)
    if any(analysis.is_session(each, kind="async") for each in members(owner)):
        return True
    entered = analysis.types.entered(analysis.types.type_of(node))
    names = ("sqlalchemy.ext.asyncio.AsyncSession", "sqlalchemy.ext.asyncio.AsyncConnection")
    return any(analysis.types.is_a(each, name) for each in members(entered) for name in names)


def _events(analysis: Analysis, call: ast.Call) -> Iterator[tuple[Key, bool]]:
    """The sessions whose transaction a call begins (False) or ends (True)."""
    if isinstance(call.func, ast.Attribute):
        owner = call.func.value
        if any(analysis.is_session(each, kind="async") for each in members(analysis.types.type_of(owner))):
            if call.func.attr in STATEMENTS | {"flush"}:
                for key in analysis.holding.identity(owner):
                    yield key, False
            elif call.func.attr in ENDING:
                for key in analysis.holding.identity(owner):
                    yield key, True
            return
    for target in analysis.calls.reached(call):
        ends = commits(analysis, target)
        if (ends or (target.is_async and executes(analysis, target))) and not _own_session(analysis, target):
            for key in analysis.holding.of(call):
                yield key, ends


def _own_session(analysis: Analysis, function: Function) -> bool:
    """Whether a helper opens the session that it uses."""
    for node in function.own_nodes:
        if isinstance(node, ast.AsyncWith):
            for item in node.items:
                entered = analysis.types.entered(analysis.types.type_of(item.context_expr))
                if not _begins(analysis, item.context_expr) and any(
                    analysis.is_session(m) for m in members(entered)
                ):
                    return True
    return False


def _left(analysis: Analysis, node: ast.AST, place: ast.AST) -> bool:
    """Whether the block that opened the session is over at the place."""
    for parent in analysis.project.ancestors(node):
        if isinstance(parent, ast.AsyncWith) and before(parent, place):
            for item in parent.items:
                entered = analysis.types.entered(analysis.types.type_of(item.context_expr))
                if any(analysis.is_session(each) for each in members(entered)) or _begins(
                    analysis, item.context_expr
                ):
                    return True
                if any(_holds(analysis, each.decl) for each in members(entered)):
                    return True
    return False


def _holds(analysis: Analysis, decl: object) -> bool:
    return isinstance(decl, Class) and not decl.module.stub and bool(analysis.holding.session_attributes(decl))
