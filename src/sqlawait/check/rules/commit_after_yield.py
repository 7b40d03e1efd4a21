"""SAW408: a commit that comes after the response."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from sqlawait.analysis import Analysis
from sqlawait.analysis.declarations import Function, last_name
from sqlawait.analysis.flow import before
from sqlawait.analysis.injection import Dependency
from sqlawait.analysis.types import members
from sqlawait.check.finding import Edit, Finding, Fix, span
from sqlawait.check.rule import Example, Rule
from sqlawait.check.support import commits

RULE = Rule(
    code="SAW408",
    name="commit-after-yield",
    summary="A dependency commits after its `yield`, and is not used with function scope.",
    why=(
        "What stands after the `yield` runs when the response has been sent. If the commit fails, the client"
        " has its 201"
        " already and the row is lost; if the client reads at once, the row is not there yet."
    ),
    remedy=(
        'Use the dependency with `scope="function"` (FastAPI 0.121): its exit then runs before the response is'
        " sent. Or commit in the route."
    ),
    wrong=(
        Example(
            code="""\
async def get_committing():
    async with Sessions() as session:
        yield session
        await session.commit()  # SAW408


@router.post("/users")
async def create_user(name: str, session: AsyncSession = Depends(get_committing)):
    session.add(User(name=name))
""",
            fixed="""\
async def get_committing():
    async with Sessions() as session:
        yield session
        await session.commit()  # SAW408


@router.post("/users")
async def create_user(name: str, session: AsyncSession = Depends(get_committing, scope="function")):
    session.add(User(name=name))
""",
        ),
    ),
    right=(
        Example("""\
async def get_committing():
    async with Sessions() as session:
        yield session
        await session.commit()


@router.post("/users")
async def create_user(name: str, session: AsyncSession = Depends(get_committing, scope="function")):
    session.add(User(name=name))
"""),
        Example("""\
@router.post("/users")
async def create_user(name: str, session: SessionDep):
    session.add(User(name=name))
    await session.commit()
"""),
    ),
    fix="safe",
    limits="The fix is left out where another dependency with a `yield` and request scope uses this one.",
)


@RULE.check
def find(analysis: Analysis) -> Iterator[Finding]:
    """Commits after the yield of functions that a dependency without function scope runs."""
    for function, uses in analysis.injection.all.items():
        late = [each for each in uses if each.scope != "function"]
        if not function.yields or not late or not function.module.checked:
            continue
        first = function.yields[0]
        message = (
            "this commit runs after the response is sent: a failure is never reported;"
            ' use the dependency with `scope="function"`, or commit in the route'
        )
        for node in function.own_nodes:
            if isinstance(node, ast.Call) and before(first, node) and _commits(analysis, node):
                yield RULE.at(function.module, node, message, fix=_function_scope(analysis, late))
        for parent in analysis.project.ancestors(first):
            if parent is function.node:
                break
            if isinstance(parent, ast.With | ast.AsyncWith):
                for item in parent.items:
                    if _begins(analysis, item.context_expr):
                        fix = _function_scope(analysis, late)
                        yield RULE.at(function.module, item.context_expr, message, fix=fix)


def _commits(analysis: Analysis, call: ast.Call) -> bool:
    if isinstance(call.func, ast.Attribute) and call.func.attr == "commit":
        found = list(members(analysis.types.type_of(call.func.value)))
        if any(analysis.is_session(each) for each in found):
            return True
    return any(commits(analysis, target) for target in analysis.calls.reached(call))


def _begins(analysis: Analysis, node: ast.expr) -> bool:
    if (
        not isinstance(node, ast.Call)
        or last_name(node.func) != "begin"
        or not isinstance(node.func, ast.Attribute)
    ):
        return False
    owner = list(members(analysis.types.type_of(node.func.value)))
    if any(analysis.is_session(each) for each in owner):
        return True
    entered = analysis.types.entered(analysis.types.type_of(node))
    return any(analysis.is_session(each) for each in members(entered))


def _function_scope(analysis: Analysis, uses: list[Dependency]) -> Fix | None:
    edits: list[Edit] = []
    for use in uses:
        call = use.node
        around = analysis.project.function_of(call) or _of_default(analysis, call)
        if around is not None and around in analysis.injection.all and around.yields:
            return None
        if use.scope is not None or not call.args:
            return None
        module = analysis.project.module_of(call)
        end = span(module, call.args[-1] if not call.keywords else call.keywords[-1].value)[1]
        edits.append(Edit(end, end, ', scope="function"', module.path))
    return Fix("Use the dependency with function scope", tuple(dict.fromkeys(edits)), safe=True)


def _of_default(analysis: Analysis, call: ast.Call) -> Function | None:
    """The function whose parameter a ``Depends`` stands at."""
    for parent in analysis.project.ancestors(call):
        found = analysis.project.collected.functions.get(parent)
        if found is not None:
            return found
    return None
