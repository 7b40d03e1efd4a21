"""Questions that several rules ask."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from sqlawait.analysis import Analysis
from sqlawait.analysis.calls import Edge
from sqlawait.analysis.colours import Trail
from sqlawait.analysis.declarations import Class, Function, last_name
from sqlawait.analysis.library import Effect
from sqlawait.analysis.types import Type, members

ASYNC_SESSION = "sqlalchemy.ext.asyncio.AsyncSession"
ASYNC_ENGINE = "sqlalchemy.ext.asyncio.AsyncEngine"
ASYNC_CONNECTION = "sqlalchemy.ext.asyncio.AsyncConnection"
STATEMENTS = {
    "execute", "scalar", "scalars", "get", "get_one", "exec", "refresh", "stream", "stream_scalars", "merge",
    "find", "find_all", "first", "one", "count", "exists", "read_one", "json_one", "lock", "upsert",
}  # fmt: skip
"""Methods of an async session that send a statement of their own."""


def functions(analysis: Analysis) -> Iterator[Function]:
    """The functions of the files that are checked."""
    return (each for each in analysis.project.functions if each.module.checked)


def coroutines(analysis: Analysis) -> Iterator[Function]:
    """The ``async def`` functions of the files that are checked."""
    return (each for each in functions(analysis) if each.is_async)


def calls(function: Function) -> Iterator[ast.Call]:
    """The calls in a function's own body, in source order."""
    return (node for node in function.own_nodes if isinstance(node, ast.Call))


def led_to(analysis: Analysis, function: Function, effect: Effect) -> Iterator[tuple[Edge, Trail]]:
    """The calls of a coroutine to plain functions that come to an effect, each once, with the way there."""
    seen: set[ast.AST] = set()
    for edge in analysis.calls.edges(function):
        if edge.target.is_async:
            continue
        trail = analysis.colours.effects(edge.target).get(effect)
        if trail is not None and edge.node not in seen:
            seen.add(edge.node)
            yield edge, trail


def path_of(trail: Trail) -> tuple[str, ...]:
    """A trail as lines of text, nearest call first."""
    lines = [f"{step.function.qualname} ({place(step.function, step.node)})" for step in trail.steps]
    return (*lines, trail.what)


def arrow(trail: Trail) -> str:
    """A trail in a few words: ``load_user → Query.first``."""
    return " → ".join([*(step.function.name for step in trail.steps), trail.what])


def place(function: Function, node: ast.AST) -> str:
    """``crud.py:12``."""
    return f"{function.module.path.name}:{getattr(node, 'lineno', function.line)}"


def is_async_session(analysis: Analysis, of: Type) -> bool:
    """Whether every object it can be is an async session."""
    found = list(members(of))
    return bool(found) and all(analysis.is_session(each, kind="async") for each in found)


def is_one_of(analysis: Analysis, of: Type, *names: str) -> bool:
    """Whether something it can be is of one of these classes."""
    return any(analysis.types.is_a(each, name) for each in members(of) for name in names)


def stub_method(analysis: Analysis, call: ast.Call) -> Function | None:
    """The method of SQLAlchemy that a call runs, when it can be no other function."""
    found = list(members(analysis.types.type_of(call.func)))
    if len({each.decl for each in found}) != 1 or found[0].kind != "function":
        return None
    method = found[0].decl
    return method if isinstance(method, Function) and method.module.stub else None


def commits(analysis: Analysis, function: Function) -> bool:
    """Whether a function commits a session, itself or by what it calls."""

    def does(each: Function) -> bool:
        return any(outward.name.endswith("Session.commit") for outward in analysis.calls.outward(each))

    return function in analysis.colours.carriers("commits", does)


def executes(analysis: Analysis, function: Function) -> bool:
    """Whether a function sends a statement on an async session, itself or by what it calls."""

    def does(each: Function) -> bool:
        return any(
            outward.function is not None and outward.function.is_async and outward.function.name in STATEMENTS
            for outward in analysis.calls.outward(each)
        )

    return function in analysis.colours.carriers("executes", does)


def in_greenlet(analysis: Analysis, function: Function | None) -> bool:
    """Whether a function runs inside ``run_sync``, where blocking code is right."""
    while function is not None:
        node = function.node
        parent = analysis.project.parent(node)
        if isinstance(parent, ast.Call) and last_name(parent.func) == "run_sync":
            return True
        uses = list(analysis.types.calling.uses(function)) if not isinstance(node, ast.Lambda) else []
        if any(use.handed_on and use.injected is not None for use in uses):
            return True
        function = function.outer
    return False


def enclosing_call(analysis: Analysis, node: ast.AST) -> ast.Call | None:
    """The call that an expression is an argument of."""
    parent = analysis.project.parent(node)
    if isinstance(parent, ast.keyword | ast.Starred):
        parent = analysis.project.parent(parent)
    return parent if isinstance(parent, ast.Call) and node is not parent.func else None


def class_of(function: Function) -> Class | None:
    """The class that a function, or the function around it, is a method of."""
    each: Function | None = function
    while each is not None:
        if each.cls is not None:
            return each.cls
        each = each.outer
    return None


def names_in(node: ast.AST) -> set[str]:
    """The names that an expression reads."""
    return {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
