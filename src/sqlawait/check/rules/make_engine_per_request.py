"""SAW407: an engine for each request."""

from __future__ import annotations

import ast
from collections import deque
from collections.abc import Iterator

from sqlawait.analysis import Analysis
from sqlawait.analysis.declarations import Function, last_name
from sqlawait.check.finding import Finding
from sqlawait.check.rule import Example, Rule
from sqlawait.check.support import place

RULE = Rule(
    code="SAW407",
    name="make-engine-per-request",
    summary="An engine is made in a function that requests run.",
    why=(
        "Every engine has a pool of its own: each request opens a new connection, pays for its handshake, and"
        " leaves the"
        " pool behind. The database runs out of connections before the pool's limit is ever reached."
    ),
    remedy="Make the engine once, in the module or in the lifespan.",
    wrong=(
        Example("""\
async def get_own_session():
    own = create_async_engine("postgresql+asyncpg://localhost/shop")  # SAW407
    async with AsyncSession(own, expire_on_commit=False) as session:
        yield session


@router.get("/users")
async def read_users(session: AsyncSession = Depends(get_own_session)):
    return (await session.scalars(select(User))).all()
"""),
    ),
    right=(
        Example("""\
own = create_async_engine("postgresql+asyncpg://localhost/shop")


async def get_own_session():
    async with AsyncSession(own, expire_on_commit=False) as session:
        yield session
"""),
    ),
    limits="A function that keeps what it makes, by a cache, a global or a check for None, is left alone.",
)
MAKERS = {
    "sqlalchemy.create_engine", "sqlalchemy.engine_from_config", "sqlalchemy.ext.asyncio.create_async_engine",
    "sqlalchemy.ext.asyncio.async_engine_from_config", "sqlmodel.create_engine",
}  # fmt: skip
CACHES = {"lru_cache", "cache", "cached", "cached_property", "singleton", "alru_cache"}


@RULE.check
def find(analysis: Analysis) -> Iterator[Finding]:
    """Calls that make an engine in functions that requests reach."""
    reached = _reached(analysis)
    for name in ("create_engine", "create_async_engine", "engine_from_config", "async_engine_from_config"):
        for call in dict.fromkeys(analysis.project.collected.calls.get(name, ())):
            function = analysis.project.function_of(call)
            if function is None or function not in reached or analysis.names.qualified(call.func) not in MAKERS:
                continue
            if _kept(analysis, call) or _kept_by_callers(analysis, function):
                continue
            message = (
                "each request makes an engine with a pool of its own; make it once, in the module or the"
                " lifespan"
            )
            yield RULE.at(function.module, call, message, trail=reached[function])


def _reached(analysis: Analysis) -> dict[Function, tuple[str, ...]]:
    """The functions that requests run, with the way there."""
    found: dict[Function, tuple[str, ...]] = {}
    pending: deque[Function] = deque()
    for function in [*analysis.injection.routes, *analysis.injection.all, *_middleware(analysis)]:
        if function not in found and not function.decorator_names & CACHES:
            found[function] = (f"{function.qualname} ({place(function, function.node)})",)
            pending.append(function)
    while pending:
        function = pending.popleft()
        for edge in analysis.calls.edges(function):
            target = edge.target
            if target not in found and not target.decorator_names & CACHES:
                found[target] = (*found[function], f"{target.qualname} ({place(function, edge.node)})")
                pending.append(target)
        for call in [node for node in function.own_nodes if isinstance(node, ast.Call)]:
            for use in analysis.types.calling.targets(call):
                target = use.function
                if use.handed_on and target not in found and not target.module.stub:
                    found[target] = (*found[function], f"{target.qualname} ({place(function, call)})")
                    pending.append(target)
    return found


def _middleware(analysis: Analysis) -> Iterator[Function]:
    for function in analysis.project.functions:
        if "middleware" in function.decorator_names or (
            function.cls is not None
            and function.name == "dispatch"
            and any("Middleware" in name for name in analysis.types.attributes.outside_bases(function.cls))
        ):
            yield function


def _kept_by_callers(analysis: Analysis, function: Function, seen: frozenset[Function] = frozenset()) -> bool:
    """Whether all that call the function keep what it gives them."""
    seen |= {function}
    callers = analysis.calls.callers(function)
    return bool(callers) and all(
        _kept(analysis, call)
        or (outer is not None and outer.decorator_names & CACHES)
        or (outer is not None and outer not in seen and _kept_by_callers(analysis, outer, seen))
        for outer, call in callers
    )


def _kept(analysis: Analysis, call: ast.Call) -> bool:
    """Whether the engine is kept for the next time."""
    project = analysis.project
    function = project.function_of(call)
    statement = project.statement(call)
    for parent in project.ancestors(call):
        if function is not None and parent is function.node:
            break
        if isinstance(parent, ast.If) and any(
            word in ast.unparse(parent.test) for word in (" is None", "not ", " in ")
        ):
            return True
        if isinstance(parent, ast.Call) and last_name(parent.func) in ("setdefault", "setattr"):
            return True
    if not isinstance(statement, ast.Assign | ast.AnnAssign):
        return False
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    for target in targets:
        if isinstance(target, ast.Subscript):
            return True
        if isinstance(target, ast.Attribute):
            return function is None or function.name != "__init__" or function.cls is None
        if isinstance(target, ast.Name):
            bindings = project.scope_of(target).lookup(target.id)
            if bindings and isinstance(bindings[0].scope.node, ast.Module):
                return True
            if function is not None and _stored(function, target.id):
                return True
    return False


def _stored(function: Function, name: str) -> bool:
    """Whether a local engine goes into a dict or an attribute that outlives the call."""
    for node in function.own_nodes:
        if (
            isinstance(node, ast.Assign)
            and isinstance(node.value, ast.Name)
            and node.value.id == name
            and any(isinstance(target, ast.Subscript | ast.Attribute) for target in node.targets)
        ):
            return True
    return False
