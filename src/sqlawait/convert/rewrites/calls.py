"""Calls of functions that became coroutines, generators and context managers of the async kind."""

from __future__ import annotations

import ast

from sqlawait.analysis.declarations import Function, last_name
from sqlawait.convert.context import Context, Refusal
from sqlawait.convert.waits import TO_THREAD

from .awaits import after_comma, listed, make_awaitable, put_await
from .constructors import name_of


def rewrite_call(call: ast.Call, targets: list[Function], awaited: set[Function], context: Context) -> None:
    """Await a call of functions that became async; nothing happens when none of them did."""
    hit = [each for each in targets if each in awaited]
    if not hit or all(each.is_async for each in hit):
        return  # a call of what was a coroutine function before is awaited, or kept as a coroutine, as it was
    if len(hit) != len(targets):
        names = ", ".join(each.qualname for each in targets if each not in awaited)
        raise Refusal("SAW908", f"this calls either a function that became async or one that did not ({names})")
    if all(each.name == "__init__" and each.cls is not None for each in hit):
        made = hit[0].cls
        assert made is not None
        end = context.edits.end(call.func)
        make_awaitable(call, context)
        context.edits.replace(end, end, f".{name_of(made)}")
        put_await(call, context)
        return
    if any(each.yields for each in hit):
        if not all(each.yields for each in hit):
            raise Refusal("SAW908", "this calls either a generator or a function")
        if all(each.decorator_names & {"contextmanager", "asynccontextmanager"} for each in hit):
            return  # the with statement around it is rewritten
        if isinstance(context.facts.parent(call), ast.withitem):
            return
        rewrite_walk(call, context)
        return
    make_awaitable(call, context)
    put_await(call, context)


def rewrite_walk(call: ast.expr, context: Context) -> None:
    """Walk what became an async generator, or an object with one, where it is walked."""
    edits, facts = context.edits, context.facts
    parent = facts.parent(call)
    if isinstance(parent, ast.For) and parent.iter is call:
        make_awaitable(parent, context)
        edits.replace(edits.start(parent), edits.start(parent) + len("for"), "async for")
    elif isinstance(parent, ast.comprehension) and parent.iter is call:
        owner = facts.parent(parent)
        if isinstance(owner, ast.GeneratorExp):
            listed(owner, context)
        position = edits.between(0, edits.start(parent.target)).encode().rfind(b"for")
        edits.replace(position, position + len("for"), "async for")
    elif isinstance(parent, ast.Call) and last_name(parent.func) == "next" and parent.args[:1] == [call]:
        if isinstance(call, ast.Call) and _entered(parent, call, context):
            return
        edits.replace_node(parent.func, "anext")
        make_awaitable(parent, context)
        put_await(parent, context)
    elif (
        isinstance(parent, ast.Call)
        and last_name(parent.func) in ("list", "set", "tuple", "sorted")
        and parent.args == [call]
    ):
        make_awaitable(call, context)
        edits.wrap_node(call, "[each async for each in ", "]")
    elif isinstance(parent, ast.Call) and last_name(parent.func) in (
        "StreamingResponse",
        "EventSourceResponse",
        "closing",
        "aclosing",
    ):
        return
    elif isinstance(parent, (ast.Assign, ast.Return)):
        raise Refusal("SAW909", "an async generator is kept for later: walk it with async for")
    else:
        raise Refusal("SAW909", "an async generator is walked with async for, and this is no such place")


def _entered(step: ast.Call, call: ast.Call, context: Context) -> bool:
    """``db = next(get_db())`` is ``async with asynccontextmanager(get_db)() as db`` around the rest of a block.

    An async generator that nobody holds is closed by the loop while its session is in use.
    """
    statement = context.facts.parent(step)
    if not isinstance(statement, ast.Assign) or len(step.args) != 1 or len(statement.targets) != 1:
        return False
    block = _block_of(statement, context)
    rest = block[block.index(statement) + 1 :]
    if not rest or rest[0].lineno == statement.lineno:
        return False
    make_awaitable(step, context)
    edits = context.edits
    manager = context.need("contextlib", "asynccontextmanager")
    edits.replace(edits.start(statement), edits.start(call.func), f"async with {manager}(")
    edits.wrap_node(call.func, "", ")")
    edits.replace(edits.end(call), edits.end(statement), f" as {edits.text(statement.targets[0])}:")
    edits.indent(statement.lineno + 1, rest[-1].end_lineno or rest[-1].lineno)
    return True


def _block_of(statement: ast.stmt, context: Context) -> list[ast.stmt]:
    """The statements that one stands among."""
    parent = context.facts.parent(statement)
    for name in ("body", "orelse", "finalbody"):
        block = getattr(parent, name, None)
        if isinstance(block, list) and statement in block:
            return block
    return [statement]


def rewrite_handed(call: ast.Call, awaited: set[Function], context: Context) -> None:
    """``await run_in_threadpool(f, db)`` is ``await f(db)`` once f is a coroutine function."""
    if last_name(call.func) not in TO_THREAD or not call.args:
        return
    at = 1 if last_name(call.func) == "run_in_executor" else 0
    if len(call.args) <= at:
        return
    handed = call.args[at]
    found = context.facts.type_of(handed).decl
    if isinstance(found, Function) and found in awaited:
        edits = context.edits
        edits.replace(edits.start(call), edits.start(handed), "")
        if call.args[at + 1 :] or call.keywords:
            edits.replace(edits.end(handed), after_comma(handed, context), "(")
        else:
            edits.replace(edits.end(handed), edits.end(call) - 1, "(")


def rewrite_manager(call: ast.Call, awaited: set[Function], context: Context) -> None:
    """``contextmanager(get_db)`` is ``asynccontextmanager(get_db)`` once get_db is an async generator."""
    if last_name(call.func) != "contextmanager" or not call.args:
        return
    managed = context.facts.type_of(call.args[0]).decl
    if isinstance(managed, Function) and managed in awaited and not managed.is_async:
        context.edits.replace_node(call.func, context.need("contextlib", "asynccontextmanager"))


__all__ = ["rewrite_call", "rewrite_handed", "rewrite_manager", "rewrite_walk"]
