"""SAW102: a blocking session, some calls away from the coroutine."""

from __future__ import annotations

from collections.abc import Iterator

from sqlawait.analysis import Analysis
from sqlawait.check.finding import Finding
from sqlawait.check.rule import Example, Rule
from sqlawait.check.support import arrow, coroutines, led_to, path_of

RULE = Rule(
    code="SAW102",
    name="block-through-helpers",
    summary="An `async def` calls a plain function that comes to a blocking session, however many calls away.",
    why=(
        "A plain function called from a coroutine runs on the event loop, and so does all that it calls. The"
        " blocking"
        " statement stands in another file, which is why nobody sees it in review."
    ),
    remedy=(
        "Make the helper async on an `AsyncSession`, or hand the call to `run_in_threadpool`, or make the"
        " route a plain"
        " `def`. The finding prints the path of calls."
    ),
    wrong=(
        Example("""\
def find_user(db: Session, user_id: int):
    return db.get(User, user_id)


@router.get("/users/{user_id}")
async def read_user(user_id: int, db: Session = Depends(get_db)):
    return find_user(db, user_id)  # SAW102
"""),
    ),
    right=(
        Example("""\
def find_user(db: Session, user_id: int):
    return db.get(User, user_id)


@router.get("/users/{user_id}")
async def read_user(user_id: int, db: Session = Depends(get_db)):
    return await run_in_threadpool(find_user, db, user_id)
"""),
        Example("""\
def find_user(db: Session, user_id: int):
    return db.get(User, user_id)


@router.get("/users/{user_id}")
async def read_user(user_id: int, session: SessionDep):
    return await session.run_sync(find_user, user_id)
"""),
    ),
    limits="Calls that cannot be resolved, such as those through a dict of functions, are not followed.",
)


@RULE.check
def find(analysis: Analysis) -> Iterator[Finding]:
    """Calls of plain functions that come to the database."""
    for function in coroutines(analysis):
        for edge, trail in led_to(analysis, function, "database"):
            message = (
                f"this call waits for the database on the event loop: {arrow(trail)};"
                " make the helper async, or hand the call to `run_in_threadpool`"
            )
            yield RULE.at(function.module, edge.node, message, trail=path_of(trail))
