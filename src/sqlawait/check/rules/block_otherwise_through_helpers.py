"""SAW103: other blocking calls, some calls away from the coroutine."""

from __future__ import annotations

from collections.abc import Iterator

from sqlawait.analysis import Analysis
from sqlawait.check.finding import Finding
from sqlawait.check.rule import Example, Rule
from sqlawait.check.support import arrow, coroutines, led_to, path_of

RULE = Rule(
    code="SAW103",
    name="block-otherwise-through-helpers",
    summary=(
        "An `async def` calls a plain function that comes to `time.sleep`, `requests`, `subprocess` or the"
        " like."
    ),
    why="The call stops the event loop as a blocking statement does: every other request waits for it.",
    remedy=(
        "Use the async counterpart (`asyncio.sleep`, `httpx.AsyncClient`, `asyncio.create_subprocess_exec`),"
        " or hand the"
        " call to `asyncio.to_thread`."
    ),
    wrong=(
        Example("""\
def notify(user: User):
    requests.post("https://hooks.example", json={"user": user.name})


@router.post("/users/{user_id}/notify")
async def notify_user(user_id: int, session: SessionDep):
    user = await session.get(User, user_id)
    notify(user)  # SAW103
"""),
    ),
    right=(
        Example("""\
def notify(user: User):
    requests.post("https://hooks.example", json={"user": user.name})


@router.post("/users/{user_id}/notify")
async def notify_user(user_id: int, session: SessionDep):
    user = await session.get(User, user_id)
    await asyncio.to_thread(notify, user)
"""),
    ),
    limits=(
        "Only calls of libraries that are known by name; file access is not counted, it is quick on most"
        " machines."
    ),
)


@RULE.check
def find(analysis: Analysis) -> Iterator[Finding]:
    """Calls of plain functions that come to a blocking call of a known library."""
    for function in coroutines(analysis):
        for edge, trail in led_to(analysis, function, "blocking"):
            message = (
                f"this call blocks the event loop: {arrow(trail)};"
                " use an async counterpart, or hand the call to `asyncio.to_thread`"
            )
            yield RULE.at(function.module, edge.node, message, trail=path_of(trail))
