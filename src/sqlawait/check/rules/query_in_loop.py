"""SAW305: a statement for each item of a loop."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from sqlawait.analysis import Analysis
from sqlawait.analysis.declarations import Binding, Class, Function, last_name
from sqlawait.analysis.types import members
from sqlawait.check.finding import Finding
from sqlawait.check.rule import Example, Rule
from sqlawait.check.support import STATEMENTS, calls, commits, executes, functions, is_async_session, names_in

RULE = Rule(
    code="SAW305",
    name="query-in-loop",
    summary="A loop sends a statement for each item.",
    why=(
        "A hundred items are a hundred round trips, one after the other. On a machine next to the database"
        " that is 50 ms;"
        " across a network it is seconds, and a connection is held all the while."
    ),
    remedy=(
        "Ask once: `where(Model.id.in_(ids))`, a loader option for relationships, `insert(Model)` with a list"
        " of rows."
    ),
    wrong=(
        Example("""\
async def names(session: AsyncSession, ids: list[int]) -> list[str]:
    found = []
    for user_id in ids:
        user = await session.get(User, user_id)  # SAW305
        found.append(user.name)
    return found
"""),
    ),
    right=(
        Example("""\
async def names(session: AsyncSession, ids: list[int]) -> list[str]:
    return list(await session.scalars(select(User.name).where(User.id.in_(ids))))
"""),
        Example("""\
async def load(session: AsyncSession, user_id: int) -> User | None:
    for _ in range(3):
        try:
            return await session.get(User, user_id)
        except OSError:
            await asyncio.sleep(0.1)
    return None
"""),
    ),
    limits=(
        "Loops over `range`, over literals and over chunks, `while` loops, and loops that open a session for"
        " each item"
        " are left alone; so are blocking sessions."
    ),
)
CHUNKS = ("batch", "chunk", "page", "slice", "group", "partition", "window", "block", "shard")
COUNTING = ("range", "count", "repeat", "cycle", "stop_after_attempt", "Retrying", "AsyncRetrying")
LITERALS = (ast.Tuple, ast.List, ast.Set, ast.Dict, ast.Constant)
Loop = ast.For | ast.AsyncFor | ast.comprehension


@RULE.check
def find(analysis: Analysis) -> Iterator[Finding]:
    """Statements in loops that depend on the loop's item."""
    for function in functions(analysis):
        for call in calls(function):
            loop = _loop(analysis, function, call)
            if loop is None or not _sends(analysis, call) or not _depends(loop, call):
                continue
            if not _awaited(analysis, call) or _bulk(analysis, call) or _opens_session(analysis, loop, call):
                continue
            if _own_transaction(analysis, loop, call):
                continue
            message = "this statement is sent once for each item of the loop; ask for all of them at once"
            yield RULE.at(function.module, call, message)


def _own_transaction(analysis: Analysis, loop: Loop, call: ast.Call) -> bool:
    """Whether each item has a transaction or savepoint of its own, and so its own statements on purpose."""
    if not isinstance(loop, ast.For | ast.AsyncFor):
        return False
    if any(commits(analysis, target) for target in analysis.calls.reached(call)):
        return True
    for node in (each for statement in loop.body for each in ast.walk(statement)):
        if isinstance(node, ast.Call) and last_name(node.func) in ("commit", "begin_nested", "begin"):
            return True
    return False


def _loop(analysis: Analysis, function: Function, call: ast.Call) -> Loop | None:
    """The innermost loop over data whose body a call stands in."""
    child: ast.AST = call
    for parent in analysis.project.ancestors(call):
        if parent is function.node:
            return None
        if (
            isinstance(parent, ast.For | ast.AsyncFor)
            and child is not parent.iter
            and child not in parent.orelse
        ) and _over_data(analysis, parent):
            return parent
        if isinstance(parent, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
            first = parent.generators[0]
            inside = child is not first or not _within(call, first.iter)
            if inside and _over_data(analysis, first):
                return first
        child = parent
    return None


def _within(node: ast.AST, root: ast.AST) -> bool:
    return any(each is node for each in ast.walk(root))


def _over_data(analysis: Analysis, loop: Loop) -> bool:
    iterable = loop.iter
    if isinstance(loop, ast.AsyncFor):
        return any(
            each.name.startswith("sqlalchemy.ext.asyncio.Async")
            for each in members(analysis.types.type_of(iterable))
        )
    if _counted(iterable) or _literal(analysis, iterable):
        return False
    targets = names_in(loop.target)
    if any(word in name.lower() for name in targets for word in (*CHUNKS, "attempt", "retry")):
        return False
    item = analysis.types.iterated(analysis.types.type_of(iterable))
    return not any(each.name == "list" for each in members(item))


def _counted(iterable: ast.expr) -> bool:
    """Whether a loop counts, retries or goes by chunks."""
    if not isinstance(iterable, ast.Call):
        return False
    name = last_name(iterable.func)
    if name in ("enumerate", "reversed", "sorted", "list") and iterable.args:
        return _counted(iterable.args[0])
    return name in COUNTING or any(word in name.lower() for word in CHUNKS)


def _literal(analysis: Analysis, iterable: ast.expr) -> bool:
    """Whether a loop runs over what is written out in the source."""
    if isinstance(iterable, ast.Call) and last_name(iterable.func) in (
        "enumerate",
        "reversed",
        "sorted",
        "list",
    ):
        return bool(iterable.args) and _literal(analysis, iterable.args[0])
    if isinstance(iterable, ast.Name | ast.Attribute):
        values = [each for each in analysis.names.definitions(iterable) if isinstance(each, Binding)]
        return any(isinstance(b.value, LITERALS) and isinstance(b.scope.node, ast.Module) for b in values)
    return isinstance(iterable, LITERALS)


def _sends(analysis: Analysis, call: ast.Call) -> bool:
    """Whether a call sends a statement: a method of an async session, or a helper that is given one."""
    if (
        isinstance(call.func, ast.Attribute)
        and call.func.attr in STATEMENTS
        and is_async_session(analysis, analysis.types.type_of(call.func.value))
    ):
        return True
    for target in analysis.calls.reached(call):
        if (
            target.is_async
            and not target.yields
            and executes(analysis, target)
            and _given_session(analysis, call, target)
        ):
            return True
    return False


def _given_session(analysis: Analysis, call: ast.Call, target: Function) -> bool:
    arguments = [*call.args, *(each.value for each in call.keywords)]
    for argument in arguments:
        if any(analysis.is_session(each, kind="async") for each in members(analysis.types.type_of(argument))):
            return True
    if not isinstance(call.func, ast.Attribute) or target.cls is None:
        return False
    for owner in members(analysis.types.type_of(call.func.value)):
        if isinstance(owner.decl, Class) and analysis.holding.session_attributes(owner.decl):
            return True
    return False


def _depends(loop: Loop, call: ast.Call) -> bool:
    """Whether the call's arguments come from the loop's item."""
    tainted = names_in(loop.target)
    body = loop.body if isinstance(loop, ast.For | ast.AsyncFor) else []
    for _ in range(3):
        for statement in body:
            for node in ast.walk(statement):
                if isinstance(node, ast.Assign) and names_in(node.value) & tainted:
                    for target in node.targets:
                        tainted |= {
                            n.id
                            for n in ast.walk(target)
                            if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)
                        }
                elif isinstance(node, ast.For) and names_in(node.iter) & tainted:
                    tainted |= names_in(node.target)
    given = [*call.args, *(each.value for each in call.keywords)]
    return any(names_in(each) & tainted for each in given)


def _awaited(analysis: Analysis, call: ast.Call) -> bool:
    """Whether the loop waits for the call: coroutines that are only collected run at once, later."""
    return isinstance(analysis.project.parent(call), ast.Await | ast.AsyncFor)


def _bulk(analysis: Analysis, call: ast.Call) -> bool:
    """Whether one statement works on many items: a list of rows, a chunk of keys."""
    for argument in call.args[1:2]:
        if isinstance(argument, ast.List | ast.ListComp):
            return True
        if isinstance(argument, ast.Call) and last_name(argument.func) == "list":
            return True
        if any(each.name == "list" for each in members(analysis.types.type_of(argument))):
            return True
    return False


def _opens_session(analysis: Analysis, loop: Loop, call: ast.Call) -> bool:
    """Whether the loop's body opens the session that the call uses."""
    if not isinstance(loop, ast.For | ast.AsyncFor):
        return False
    for statement in loop.body:
        for node in ast.walk(statement):
            if isinstance(node, ast.AsyncWith | ast.With) and _within(call, node):
                for item in node.items:
                    entered = analysis.types.entered(analysis.types.type_of(item.context_expr))
                    begun = isinstance(item.context_expr, ast.Call) and last_name(item.context_expr.func) in (
                        "begin",
                        "begin_nested",
                    )
                    if not begun and any(analysis.is_session(each) for each in members(entered)):
                        return True
    return False
