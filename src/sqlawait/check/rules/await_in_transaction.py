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
        for node in function.own_nodes:
            if not isinstance(node, ast.Await) or not isinstance(node.value, ast.Call):
                continue
            trail = _external(analysis, node.value)
            begun = _begun(analysis, function, node) if trail else None
            if begun is None:
                continue
            message = (
                f"the transaction begun in line {begun} is held open while this awaits `{trail[-1]}`;"
                " commit before it, or call it first"
            )
            yield RULE.at(function.module, node, message, trail=trail if len(trail) > 1 else ())


def _external(analysis: Analysis, call: ast.Call, depth: int = 0) -> tuple[str, ...]:
    """The calls by which awaiting a call comes to another service; empty when it does not."""
    for each in members(analysis.types.type_of(call.func)):
        if each.kind == "external" and EXTERNAL.fullmatch(each.name):
            return () if each.name.endswith(".sleep") and _backs_off(analysis, call, depth) else (each.name,)
    if last_name(call.func) in ("wait_for", "shield", "gather"):
        trails = (_external(analysis, each, depth) for each in call.args if isinstance(each, ast.Call))
        return next((each for each in trails if each), ())
    for target in analysis.calls.reached(call) if depth < 4 else ():
        if target.is_async and (trail := _calls_out(analysis, target, depth + 1)):
            return (target.qualname, *trail)
    return ()


def _backs_off(analysis: Analysis, sleep: ast.Call, depth: int) -> bool:
    """Whether a sleep is none (``sleep(0)``), or comes between a failed statement and its repetition."""
    pause = sleep.args[0] if sleep.args else None
    if isinstance(pause, ast.Constant) and pause.value == 0:
        return True
    for parent in analysis.project.ancestors(sleep):
        if isinstance(parent, ast.FunctionDef | ast.AsyncFunctionDef):
            return False
        if isinstance(parent, ast.Try) and any(sleep in ast.walk(each) for each in parent.handlers):
            tried = (node for each in parent.body for node in ast.walk(each) if isinstance(node, ast.Call))
            return depth > 0 or any(key for each in tried for key in _events(analysis, each))
    return False


def _calls_out(analysis: Analysis, function: Function, depth: int) -> tuple[str, ...]:
    for node in function.own_nodes:
        waited: list[ast.expr] = [node.value] if isinstance(node, ast.Await) else []
        if isinstance(node, ast.AsyncWith):
            entered = (item.context_expr for item in node.items)
            waited = [
                each
                for each in entered
                if isinstance(each, ast.Call) and last_name(each.func) in ("get", "post", "request")
            ]
        for each in waited:
            if isinstance(each, ast.Call) and (trail := _external(analysis, each, depth)):
                return trail
    return ()


def _begun(analysis: Analysis, function: Function, place: ast.AST) -> int | None:
    """The line that began a transaction which is still open at a place."""
    for parent in analysis.project.ancestors(place):
        if parent is function.node:
            break
        if isinstance(parent, ast.AsyncWith) and any(
            _begins(analysis, item.context_expr) for item in parent.items
        ):
            return parent.lineno
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
            elif reach(analysis.project, node, place) and (
                key not in begun or _left(analysis, begun[key], place)
            ):
                begun[key] = node
    lines = [getattr(node, "lineno", 0) for node in begun.values() if not _left(analysis, node, place)]
    return min(lines, default=None)


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
