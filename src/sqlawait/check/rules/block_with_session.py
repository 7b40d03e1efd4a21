"""SAW101: a blocking session in a coroutine."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from sqlawait.analysis import Analysis
from sqlawait.analysis.colours import short
from sqlawait.analysis.declarations import Function
from sqlawait.check.finding import Edit, Finding, Fix, span
from sqlawait.check.rule import Example, Rule
from sqlawait.check.support import coroutines

RULE = Rule(
    code="SAW101",
    name="block-with-session",
    summary="A blocking session, connection or engine is used in an `async def`.",
    why=(
        "The call waits for the database in the event loop's own thread. Until it returns no other request is"
        " served,"
        " no timeout fires, no health check answers. Under load the loop also waits for a connection that only"
        " the"
        " loop itself could give back, and every request fails."
    ),
    remedy=(
        "Use an `AsyncSession`, or make the route a plain `def` (FastAPI runs it in a thread), or hand the"
        " blocking"
        " part to `run_in_threadpool`."
    ),
    wrong=(
        Example(
            code="""\
@router.get("/users")
async def read_users(db: Session = Depends(get_db)):
    return db.query(User).all()  # SAW101
""",
            fixed="""\
@router.get("/users")
def read_users(db: Session = Depends(get_db)):
    return db.query(User).all()  # SAW101
""",
        ),
        Example(
            code="""\
async def rename(user_id: int, name: str):
    with SyncSessions() as db:
        user = db.get(User, user_id)  # SAW101
        user.name = name
        db.commit()  # SAW101
""",
        ),
    ),
    right=(
        Example("""\
@router.get("/users")
async def read_users(session: SessionDep):
    return (await session.scalars(select(User))).all()
"""),
        Example("""\
@router.get("/users")
def read_users(db: Session = Depends(get_db)):
    return db.query(User).all()
"""),
        Example("""\
@router.get("/users")
async def read_users(db: Session = Depends(get_db)):
    return await run_in_threadpool(lambda: db.query(User).all())
"""),
    ),
    fix="unsafe",
    limits=(
        "What only builds (`query(…)` that is not run, `add`) is left alone. The fix makes a route that awaits"
        " nothing a"
        " plain `def`; it is offered only where the whole function allows it."
    ),
)


@RULE.check
def find(analysis: Analysis) -> Iterator[Finding]:
    """Calls in coroutines that SQLAlchemy's stubs mark as blocking."""
    for function in coroutines(analysis):
        fix: Fix | None = None
        asked = False
        for outward in analysis.calls.outward(function):
            if analysis.colours.effect(outward) != "database":
                continue
            if not asked:
                fix, asked = _as_plain_route(analysis, function), True
            what = short(outward.name)
            message = (
                f"`{what}` waits for the database on the event loop, in `async def {function.name}`;"
                " use an AsyncSession, a plain `def` route, or `run_in_threadpool`"
            )
            yield RULE.at(function.module, outward.node, message, fix=fix)


def _as_plain_route(analysis: Analysis, function: Function) -> Fix | None:
    """A route that awaits nothing can be a plain ``def``."""
    if function not in analysis.injection.routes or function.yields:
        return None
    waiting = (ast.Await, ast.AsyncFor, ast.AsyncWith)
    if any(isinstance(each, waiting) for each in ast.walk(function.node)):
        return None
    if any(edge.target.is_async for edge in analysis.calls.edges(function)):
        return None
    line, column = span(function.module, function.node)[0]
    if not function.module.line(line)[column:].startswith("async def"):
        return None
    edit = Edit((line, column), (line, column + len("async ")), "", function.module.path)
    return Fix("Make the route a plain def", (edit,), safe=False)
