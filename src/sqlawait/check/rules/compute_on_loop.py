"""SAW105: long computations on the loop."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from sqlawait.analysis import Analysis
from sqlawait.analysis.declarations import Function
from sqlawait.check.finding import Finding, Fix, replace, source
from sqlawait.check.rule import Example, Rule
from sqlawait.check.support import arrow, coroutines, led_to, path_of

RULE = Rule(
    code="SAW105",
    name="compute-on-loop",
    summary="An `async def` comes to a long computation: password hashing, images, data frames.",
    why=(
        "Password hashes are made to be slow: one bcrypt check takes 50 to 300 ms, during which the event loop"
        " serves"
        " nobody. Ten logins a second stop a worker."
    ),
    remedy="Hand the call to `asyncio.to_thread`; these libraries let other threads run while they compute.",
    wrong=(
        Example(
            code="""\
@router.post("/login")
async def login(password: str, hashed: bytes):
    return bcrypt.checkpw(password.encode(), hashed)  # SAW105
""",
            fixed="""\
@router.post("/login")
async def login(password: str, hashed: bytes):
    return await asyncio.to_thread(bcrypt.checkpw, password.encode(), hashed)  # SAW105
""",
        ),
    ),
    right=(
        Example("""\
@router.post("/login")
async def login(password: str, hashed: bytes):
    return await asyncio.to_thread(bcrypt.checkpw, password.encode(), hashed)
"""),
        Example("""\
@router.post("/login")
def login(password: str, hashed: bytes):
    return bcrypt.checkpw(password.encode(), hashed)
"""),
    ),
    fix="unsafe",
    limits="Only calls of libraries that are known by name, whatever the size of what they work on.",
)


@RULE.check
def find(analysis: Analysis) -> Iterator[Finding]:
    """Known long computations, in the coroutine or in what it calls."""
    for function in coroutines(analysis):
        for outward in analysis.calls.outward(function):
            if analysis.colours.effect(outward) == "cpu":
                message = (
                    f"`{outward.name}` computes for long on the event loop, in `async def {function.name}`;"
                    " hand it to `asyncio.to_thread`"
                )
                yield RULE.at(
                    function.module, outward.node, message, fix=_in_thread(analysis, function, outward.node)
                )
        for edge, trail in led_to(analysis, function, "cpu"):
            message = (
                f"this call computes for long on the event loop: {arrow(trail)}; hand it to `asyncio.to_thread`"
            )
            fix = _in_thread(analysis, function, edge.node)
            yield RULE.at(function.module, edge.node, message, trail=path_of(trail), fix=fix)


def _in_thread(analysis: Analysis, function: Function, node: ast.AST) -> Fix | None:
    if not isinstance(node, ast.Call) or analysis.project.function_of(node) is not function:
        return None
    if isinstance(analysis.project.parent(node), ast.GeneratorExp):
        return None
    module = function.module
    arguments = [source(module, each) for each in node.args]
    arguments += [
        f"{k.arg}={source(module, k.value)}" if k.arg else f"**{source(module, k.value)}" for k in node.keywords
    ]
    text = f"await asyncio.to_thread({', '.join([source(module, node.func), *arguments])})"
    if isinstance(
        analysis.project.parent(node), ast.Attribute | ast.Subscript | ast.BinOp | ast.Compare | ast.UnaryOp
    ):
        text = f"({text})"
    return Fix(
        "Hand the call to a thread", (replace(module, node, text),), safe=False, imports=(("asyncio", ""),)
    )
