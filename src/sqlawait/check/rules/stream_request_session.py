"""SAW409: the request's session in a streamed body."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from sqlawait.analysis import Analysis
from sqlawait.analysis.declarations import last_name
from sqlawait.analysis.special import keyword
from sqlawait.analysis.types import members
from sqlawait.check.finding import Finding
from sqlawait.check.rule import Example, Rule

RULE = Rule(
    code="SAW409",
    name="stream-request-session",
    summary="A streamed body uses the request's session.",
    why=(
        "The body is sent after the route has returned. A session with function scope is closed by then; one"
        " with request"
        " scope holds its connection for as long as the slowest client reads."
    ),
    remedy="Let the generator open its own session.",
    wrong=(
        Example("""\
async def lines(session: AsyncSession):
    async for name in await session.stream_scalars(select(User.name)):
        yield name


@router.get("/export")
async def export(session: SessionDep):
    return StreamingResponse(lines(session))  # SAW409
"""),
    ),
    right=(
        Example("""\
async def lines():
    async with Sessions() as session:
        async for name in await session.stream_scalars(select(User.name)):
            yield name


@router.get("/export")
async def export():
    return StreamingResponse(lines())
"""),
        Example("""\
@router.get("/export")
async def export(session: SessionDep):
    names = (await session.scalars(select(User.name))).all()
    return StreamingResponse(iter(names))
"""),
    ),
)


@RULE.check
def find(analysis: Analysis) -> Iterator[Finding]:
    """Streaming responses whose body is a generator that holds a session."""
    calls = analysis.project.collected.calls
    names = [
        name for name in calls if name.endswith(("StreamingResponse", "EventSourceResponse", "StreamResponse"))
    ]
    for name in names:
        for call in dict.fromkeys(calls[name]):
            body = keyword(call, "content") or (call.args[0] if call.args else None)
            if last_name(call.func) != name or body is None or not _generates(analysis, body):
                continue
            if analysis.holding.of(body):
                module = analysis.project.module_of(call)
                message = (
                    "this body is sent after the route returns, on the request's session; let it open a"
                    " session of its own"
                )
                yield RULE.at(module, call, message)


def _generates(analysis: Analysis, body: ast.expr) -> bool:
    """Whether a body is made while it is sent."""
    if isinstance(body, ast.GeneratorExp):
        return True
    return any(each.name in ("Generator", "AsyncGenerator") for each in members(analysis.types.type_of(body)))
