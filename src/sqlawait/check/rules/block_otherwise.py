"""SAW104: other blocking calls in a coroutine itself."""

from __future__ import annotations

from collections.abc import Iterator

from sqlawait.analysis import Analysis
from sqlawait.check.finding import Finding
from sqlawait.check.rule import Example, Rule
from sqlawait.check.support import coroutines

RULE = Rule(
    code="SAW104",
    name="block-otherwise",
    summary="An `async def` calls `time.sleep`, `requests`, `subprocess` or the like itself.",
    why="The call stops the event loop: every other request waits for it.",
    remedy="Use the async counterpart, or hand the call to `asyncio.to_thread`.",
    wrong=(
        Example("""\
@router.get("/slow")
async def slow():
    time.sleep(1)  # SAW104
"""),
    ),
    right=(
        Example("""\
@router.get("/slow")
async def slow():
    await asyncio.sleep(1)
"""),
        Example("""\
@router.get("/slow")
def slow():
    time.sleep(1)
"""),
    ),
    limits="Off by default, since ruff's ASYNC rules find most of these; select it with `--select SAW104`.",
    default=False,
)


@RULE.check
def find(analysis: Analysis) -> Iterator[Finding]:
    """Blocking calls of known libraries."""
    for function in coroutines(analysis):
        for outward in analysis.calls.outward(function):
            if analysis.colours.effect(outward) == "blocking":
                message = (
                    f"`{outward.name}` blocks the event loop, in `async def {function.name}`;"
                    " use an async counterpart, or hand the call to `asyncio.to_thread`"
                )
                yield RULE.at(function.module, outward.node, message)
