"""SAW106: a second event loop inside the first."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from sqlawait.analysis import Analysis
from sqlawait.analysis.declarations import dotted
from sqlawait.check.finding import Finding
from sqlawait.check.rule import Example, Rule
from sqlawait.check.support import arrow, coroutines, led_to, path_of

RULE = Rule(
    code="SAW106",
    name="nest-event-loop",
    summary="`asyncio.run` or `run_until_complete` is reached from a coroutine.",
    why=(
        "A loop cannot run inside a running loop: the call raises RuntimeError, at the first request that"
        " takes that"
        " path. Patches that allow it stop the outer loop meanwhile."
    ),
    remedy="Await the coroutine, and make the functions between async.",
    wrong=(
        Example("""\
async def load() -> int:
    return 1


def helper() -> int:
    return asyncio.run(load())


@router.get("/")
async def read():
    return helper()  # SAW106
"""),
    ),
    right=(
        Example("""\
async def load() -> int:
    return 1


@router.get("/")
async def read():
    return await load()
"""),
        Example("""\
async def load() -> int:
    return 1


@router.get("/")
def read():
    return asyncio.run(load())
"""),
    ),
    limits="A helper that looks for a running loop first is left alone.",
)


@RULE.check
def find(analysis: Analysis) -> Iterator[Finding]:
    """Loops started from coroutines."""
    for function in coroutines(analysis):
        for outward in analysis.calls.outward(function):
            if analysis.colours.effect(outward) == "loop" and not _guarded(analysis, outward.node):
                message = (
                    f"`{outward.name}` inside a running event loop raises RuntimeError; await the coroutine"
                    f" instead"
                )
                yield RULE.at(function.module, outward.node, message)
        for edge, trail in led_to(analysis, function, "loop"):
            if not _guarded(analysis, trail.steps[-1].node):
                message = (
                    f"this call starts an event loop inside the running one: {arrow(trail)};"
                    " make the functions between async and await the coroutine"
                )
                yield RULE.at(function.module, edge.node, message, trail=path_of(trail))


def _guarded(analysis: Analysis, node: ast.AST) -> bool:
    """Whether the function asks first if a loop runs."""
    function = analysis.project.function_of(node)
    if function is None:
        return False
    asks = ("get_running_loop", "is_running", "current_async_library", "_get_running_loop")
    return any(isinstance(each, ast.Call) and dotted(each.func).endswith(asks) for each in function.own_nodes)
