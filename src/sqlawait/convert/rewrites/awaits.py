"""What waits for the database is awaited: calls on sessions, connections and engines."""

from __future__ import annotations

import ast
from itertools import pairwise

from sqlawait.convert.context import Context, Refusal
from sqlawait.convert.edits import INDENT
from sqlawait.convert.waits import Wait

from .lambdas import rewrite_per_item
from .registries import rewrite_close

CONCURRENCY = "sqlalchemy.util"


def make_awaitable(node: ast.AST, context: Context) -> None:
    """Make sure that ``await`` may stand at a node; raises Refusal where it cannot."""
    project = context.facts.project
    child = node
    source: ast.comprehension | None = None
    for parent in project.ancestors(node):
        if isinstance(parent, ast.Lambda):
            rewrite_per_item(parent, context)
        if isinstance(parent, ast.comprehension):
            source = parent if child is parent.iter else None
        if isinstance(parent, ast.GeneratorExp) and source is not parent.generators[0]:
            listed(parent, context)
        if isinstance(parent, ast.FunctionDef | ast.AsyncFunctionDef):
            return
        child = parent


def listed(node: ast.GeneratorExp, context: Context) -> None:
    """A generator expression that awaits would be asynchronous: it becomes a list where a call takes it."""
    call = context.facts.parent(node)
    if not isinstance(call, ast.Call) or node not in call.args:
        raise Refusal("SAW904", "a generator expression that awaits must be walked with async for")
    start, end = context.edits.start(node), context.edits.end(node)
    if len(call.args) == 1 and not call.keywords:
        context.edits.wrap(start + 1, end - 1, "[", "]")
    else:
        context.edits.replace(start, start + 1, "[")
        context.edits.replace(end - 1, end, "]")


def put_await(node: ast.expr, context: Context) -> None:
    """Put ``await`` before an expression, with parentheses where they are needed and not there yet."""
    if isinstance(context.facts.parent(node), ast.Await):
        return
    if context.facts.needs_parentheses(node) and not in_parentheses(node, context):
        context.edits.wrap_node(node, "(await ", ")")
    else:
        context.edits.wrap_node(node, "await ", "")


def in_parentheses(node: ast.expr, context: Context) -> bool:
    """Whether parentheses of its own stand around an expression whose attribute or item is taken."""
    edits = context.edits
    before, after = edits.between(0, edits.start(node)), edits.between(edits.end(node), len(edits))
    return before.rstrip().endswith("(") and after.lstrip().startswith(")")


def rewrite_wait(wait: Wait, context: Context) -> None:
    """Rewrite one place that is not a query chain and not a ``with``."""
    node = wait.node
    if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
        if wait.kind == "thread":
            _thread(node, context)
        return
    if wait.kind == "thread":
        _thread(node, context)
    elif wait.kind == "bulk":
        make_awaitable(node, context)
        _bulk(node, node.func, context)
    elif wait.kind == "callback":
        make_awaitable(node, context)
        _callback(node, context)
    elif wait.kind in ("session", "begin", "connection", "transaction"):
        make_awaitable(node, context)
        _refuse_streams(node)
        rewrite_close(node, node.func, context)
        put_await(node, context)
    elif wait.kind == "engine":
        if node.func.attr == "raw_connection":
            raise Refusal("SAW906", "a raw DBAPI connection has no async counterpart")
        if node.func.attr == "begin":
            raise Refusal("SAW906", "an engine's begin() outside a with statement")
        make_awaitable(node, context)
        put_await(node, context)


def _refuse_streams(node: ast.Call) -> None:
    for each in ast.walk(node):
        if isinstance(each, ast.keyword) and each.arg in ("stream_results", "yield_per"):
            raise Refusal("SAW907", "a streamed result is read with session.stream() and async for")


def _bulk(node: ast.Call, func: ast.Attribute, context: Context) -> None:
    edits = context.edits
    edits.replace(
        edits.end(func.value), edits.end(func), f".run_sync(lambda sync_session: sync_session.{func.attr}"
    )
    edits.wrap_node(node, "await ", ")")


def _callback(node: ast.Call, context: Context) -> None:
    """A call of a library that uses the session runs where sync code may wait."""
    if any(isinstance(each, ast.Await | ast.NamedExpr) for each in ast.walk(node)):
        raise Refusal("SAW904", "this call uses the session of the request, and its arguments are awaited")
    session = context.facts.sessions.in_reach(node)
    run = (
        f"{session}.run_sync(lambda _: "
        if session
        else f"{context.need(CONCURRENCY, 'greenlet_spawn')}(lambda: "
    )
    if context.facts.needs_parentheses(node) and not in_parentheses(node, context):
        context.edits.wrap_node(node, f"(await {run}", "))")
    else:
        context.edits.wrap_node(node, f"await {run}", ")")


def on_sync_session(node: ast.expr, context: Context) -> None:
    """What sync code keeps and uses is the sync session inside the async one."""
    end = context.edits.end(node)
    context.edits.replace(end, end, ".sync_session")


def _thread(node: ast.expr, context: Context) -> None:
    """``await run_in_threadpool(db.commit)`` is ``await db.commit()``."""
    assert isinstance(node, ast.Call)
    edits = context.edits
    at = 1 if isinstance(node.func, ast.Attribute) and node.func.attr == "run_in_executor" else 0
    handed = node.args[at]
    rest = [*node.args[at + 1 :], *(keyword.value for keyword in node.keywords)]
    edits.replace(edits.start(node), edits.start(handed), "")
    if rest:
        edits.replace(edits.end(handed), after_comma(handed, context), "(")
    else:
        edits.replace(edits.end(handed), edits.end(node) - 1, "(")


def after_comma(node: ast.expr, context: Context) -> int:
    """Where the argument behind this one starts, on the same line at least."""
    edits = context.edits
    at = edits.find(",", edits.end(node)) + 1
    while edits.between(at, at + 1) == " ":
        at += 1
    return at


def rewrite_with(node: ast.With, asynchronous: list[ast.expr], context: Context) -> None:
    """``with SessionLocal() as db`` becomes ``async with``; others of its items get a ``with`` inside."""
    make_awaitable(node, context)
    edits = context.edits
    waits = [item.context_expr in asynchronous for item in node.items]
    start = edits.start(node)
    if all(waits):
        edits.replace(start, start + len("with"), "async with")
        return
    last = node.items[-1]
    if node.body[0].lineno == (last.optional_vars or last.context_expr).end_lineno:
        raise Refusal(
            "SAW905", "a with statement on one line holds both what is entered with await and without"
        )
    indent = edits.indent_of(node.lineno)
    edits.replace(start, edits.start(node.items[0].context_expr), _with(waits[0]))
    depth = 0
    for (one, next_one), (before, after) in zip(pairwise(node.items), pairwise(waits), strict=True):
        if before == after:
            continue
        depth += 1
        edits.replace(
            edits.end(one.optional_vars or one.context_expr),
            edits.start(next_one.context_expr),
            f":\n{indent}{INDENT * depth}{_with(after)}",
        )
        edits.indent(node.body[0].lineno, node.end_lineno or node.lineno)
    end = edits.end(last.optional_vars or last.context_expr)
    edits.replace(end, edits.find(":", end), "")


def _with(waits: bool) -> str:
    return "async with " if waits else "with "


def on_sync_engine(node: ast.expr, context: Context) -> None:
    """Listeners and instrumentation go on the sync engine inside the async one."""
    end = context.edits.end(node)
    context.edits.replace(end, end, ".sync_engine")


__all__ = [
    "after_comma",
    "in_parentheses",
    "listed",
    "make_awaitable",
    "on_sync_engine",
    "on_sync_session",
    "put_await",
    "rewrite_wait",
    "rewrite_with",
]
