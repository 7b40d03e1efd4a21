"""SAW402: the request's session in a background task."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from sqlawait.analysis import Analysis
from sqlawait.analysis.declarations import last_name
from sqlawait.analysis.types import members
from sqlawait.check.finding import Finding
from sqlawait.check.rule import Example, Rule

RULE = Rule(
    code="SAW402",
    name="keep-session-for-background",
    summary="A session is handed to a background task, which runs after the response.",
    why=(
        "By then the dependency has closed the session, or is about to. With function scope it is closed for"
        " certain;"
        " without, the connection is held as long as the task runs, and what it writes is committed by nobody."
    ),
    remedy="Hand over the ids, and open a session inside the task.",
    wrong=(
        Example("""\
async def send(session: AsyncSession, user_id: int): ...


@router.post("/users/{user_id}/mail")
async def mail(user_id: int, session: SessionDep, tasks: BackgroundTasks):
    tasks.add_task(send, session, user_id)  # SAW402
"""),
    ),
    right=(
        Example("""\
async def send(user_id: int):
    async with Sessions() as session:
        await session.get(User, user_id)


@router.post("/users/{user_id}/mail")
async def mail(user_id: int, session: SessionDep, tasks: BackgroundTasks):
    tasks.add_task(send, user_id)
"""),
    ),
)


@RULE.check
def find(analysis: Analysis) -> Iterator[Finding]:
    """Background tasks whose function or arguments hold a session."""
    for name in ("add_task", "BackgroundTask"):
        for call in dict.fromkeys(analysis.project.collected.calls.get(name, ())):
            if last_name(call.func) != name or not _is_background(analysis, call, name):
                continue
            given = [*call.args, *(each.value for each in call.keywords)]
            if any(analysis.holding.kept(each) for each in given):
                module = analysis.project.module_of(call)
                message = (
                    "the task runs after the response, when this session is closed or held open; let it open"
                    " its own"
                )
                yield RULE.at(module, call, message)


def _is_background(analysis: Analysis, call: ast.Call, name: str) -> bool:
    if name == "BackgroundTask":
        return analysis.names.qualified(call.func).endswith("BackgroundTask")
    if not isinstance(call.func, ast.Attribute):
        return False
    owners = list(members(analysis.types.type_of(call.func.value)))
    if any("BackgroundTasks" in each.name for each in owners):
        return True
    return not owners and "task" in last_name(call.func.value).lower()
