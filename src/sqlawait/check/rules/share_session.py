"""SAW401: one session in several tasks."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from sqlawait.analysis import Analysis
from sqlawait.analysis.declarations import Function, last_name
from sqlawait.analysis.flow import before
from sqlawait.analysis.holding import Key
from sqlawait.analysis.types import members
from sqlawait.check.finding import Finding
from sqlawait.check.rule import Example, Rule
from sqlawait.check.support import calls, functions

RULE = Rule(
    code="SAW401",
    name="share-session",
    summary="One session is used by several tasks at once: `gather`, `TaskGroup`, `create_task`.",
    why=(
        "A session is one connection and one conversation on it. Two tasks either get an error or are silently"
        " served"
        " one after the other, and a task that is cancelled can hand a broken connection to the next request."
        " On SQLite"
        " nothing is raised at all, so tests do not show it."
    ),
    remedy="Give each task a session of its own, or await the calls one after the other.",
    wrong=(
        Example("""\
async def count_users(session: AsyncSession) -> int:
    return len((await session.scalars(select(User))).all())


async def count_posts(session: AsyncSession) -> int:
    return len((await session.scalars(select(Post))).all())


@router.get("/counts")
async def counts(session: SessionDep):
    return await asyncio.gather(count_users(session), count_posts(session))  # SAW401
"""),
    ),
    right=(
        Example("""\
async def count_users() -> int:
    async with Sessions() as session:
        return len((await session.scalars(select(User))).all())


@router.get("/counts")
async def counts():
    return await asyncio.gather(count_users(), count_users())
"""),
        Example("""\
async def count_users(session: AsyncSession) -> int:
    return len((await session.scalars(select(User))).all())


@router.get("/counts")
async def counts(session: SessionDep):
    return [await count_users(session), await count_users(session)]
"""),
    ),
    limits="Tasks that are made in one function and gathered in another are not followed.",
)
GATHERS = {"asyncio.gather", "asyncio.wait", "asyncio.as_completed"}
TASKS = {"create_task", "ensure_future", "start_soon"}


@RULE.check
def find(analysis: Analysis) -> Iterator[Finding]:
    """Gathers and tasks that hold the same session."""
    for function in functions(analysis):
        started: list[tuple[ast.Call, set[Key]]] = []
        for call in calls(function):
            name = last_name(call.func)
            if name in ("gather", "wait", "as_completed") and analysis.names.qualified(call.func) in GATHERS:
                if _shared(analysis, function, call):
                    message = (
                        "these tasks share one session, which one task at a time may use; give each a session"
                        " of its own"
                    )
                    yield RULE.at(function.module, call, message)
            elif name in TASKS and call.args:
                yield from _task(analysis, function, call, started)


def _task(
    analysis: Analysis, function: Function, call: ast.Call, started: list[tuple[ast.Call, set[Key]]]
) -> Iterator[Finding]:
    keys = _keys(analysis, call)
    if not keys:
        return
    message = "this task uses a session that is in use beside it; give it a session of its own"
    others = {key for _, each in started for key in each}
    if keys & others or _repeated(analysis, call, keys) or _used_after(analysis, function, call, keys):
        yield RULE.at(function.module, call, message)
    if _awaited_at_once(analysis, call):
        return
    started.append((call, keys))


def _keys(analysis: Analysis, call: ast.Call) -> set[Key]:
    """The sessions of the coroutine that a task runs."""
    if last_name(call.func) == "start_soon":
        return {key for each in call.args for key in analysis.holding.of(each)}
    return analysis.holding.of(call.args[0])


def _awaited_at_once(analysis: Analysis, call: ast.Call) -> bool:
    return isinstance(analysis.project.parent(call), ast.Await)


def _shared(analysis: Analysis, function: Function, call: ast.Call) -> bool:
    seen: set[Key] = set()
    arguments: list[ast.expr] = []
    for each in call.args:
        if isinstance(each, ast.List | ast.Tuple | ast.Set):
            arguments += each.elts
        else:
            arguments.append(each)
    for argument in arguments:
        inner = argument.value if isinstance(argument, ast.Starred) else argument
        if isinstance(inner, ast.ListComp | ast.GeneratorExp | ast.SetComp):
            if _outside(inner, analysis.holding.of(inner.elt)):
                return True
            continue
        if isinstance(inner, ast.Call) and last_name(inner.func) == "map" and inner.args:
            if analysis.holding.of(inner.args[0]):
                return True
            continue
        if isinstance(argument, ast.Starred) or any(
            each.name == "list" for each in members(analysis.types.type_of(inner))
        ):
            if isinstance(inner, ast.Name) and _collected(analysis, function, inner, seen):
                return True
            continue
        if isinstance(inner, ast.Name) and _made_task(analysis, inner):
            continue  # a task was judged where it was started
        keys = analysis.holding.of(inner)
        if keys & seen:
            return True
        seen |= keys
    return False


def _made_task(analysis: Analysis, name: ast.Name) -> bool:
    for binding in analysis.names.reaching(name):
        if isinstance(binding.value, ast.Call) and last_name(binding.value.func) in TASKS:
            return True
    return False


def _outside(comprehension: ast.AST, keys: set[Key]) -> bool:
    """Whether a session comes from outside a comprehension, so that all its items share it."""
    inside = {id(each) for each in ast.walk(comprehension)}
    return any(not (isinstance(key, tuple) and key[0] == "made" and key[1] in inside) for key in keys)


def _collected(analysis: Analysis, function: Function, name: ast.Name, seen: set[Key]) -> bool:
    """Whether a list of coroutines, built before, holds a session more than once."""
    for binding in analysis.names.reaching(name):
        value = binding.value
        if isinstance(value, ast.ListComp | ast.GeneratorExp):
            if last_name(getattr(value.elt, "func", value.elt)) in TASKS:
                continue
            if _outside(value, analysis.holding.of(value.elt)):
                return True
        elif isinstance(value, ast.List):
            for each in value.elts:
                keys = analysis.holding.of(each)
                if keys & seen:
                    return True
                seen |= keys
    return _appended(analysis, function, name, seen)


def _appended(analysis: Analysis, function: Function, name: ast.Name, seen: set[Key]) -> bool:
    """Whether what is appended to a list of coroutines holds a session more than once."""
    for call in calls(function):
        if last_name(call.func) != "append" or not isinstance(call.func, ast.Attribute) or not call.args:
            continue
        if last_name(call.func.value) != name.id or not before(call, name):
            continue
        item = call.args[0]
        if isinstance(item, ast.Call) and last_name(item.func) in TASKS:
            continue
        keys = analysis.holding.of(item)
        if keys & seen or _repeated(analysis, call, keys):
            return True
        seen |= keys
    return False


def _repeated(analysis: Analysis, call: ast.AST, keys: set[Key]) -> bool:
    """Whether a call stands in a loop that does not make its session anew each time."""
    for parent in analysis.project.ancestors(call):
        if isinstance(parent, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            return False
        loops = (ast.For, ast.AsyncFor, ast.While, ast.ListComp, ast.SetComp, ast.GeneratorExp, ast.DictComp)
        if isinstance(parent, loops) and keys and _outside(parent, keys):
            return True
    return False


def _used_after(analysis: Analysis, function: Function, call: ast.Call, keys: set[Key]) -> bool:
    """Whether the function goes on to use, or to close, the session of a task that it does not wait for."""
    statement = analysis.project.statement(call)
    if _waited_for(analysis, call):
        return False
    for parent in analysis.project.ancestors(call):
        if isinstance(parent, ast.AsyncWith | ast.With):
            for item in parent.items:
                entered = ("made", id(item.context_expr))
                if entered in keys:
                    return True  # the block closes it when the function leaves
    group = isinstance(call.func, ast.Attribute) and last_name(call.func.value) != "asyncio"
    if any(isinstance(key, tuple) and key[0] == "dependency" for key in keys) and not group:
        return True  # the request closes it when it ends
    for node in function.own_nodes:
        if (
            isinstance(node, ast.Name | ast.Attribute)
            and isinstance(node.ctx, ast.Load)
            and before(statement, node)
        ):
            for of in members(analysis.types.type_of(node)):
                if analysis.holding.is_session(of) and analysis.holding.identity(node) & keys:
                    return True
    return False


def _waited_for(analysis: Analysis, call: ast.Call) -> bool:
    """Whether the task is awaited before anything else happens."""
    if _awaited_at_once(analysis, call):
        return True
    parent = analysis.project.parent(call)
    if not isinstance(parent, ast.Assign) or not isinstance(parent.targets[0], ast.Name):
        return False
    name = parent.targets[0].id
    block = getattr(analysis.project.parent(parent), "body", [])
    if parent in block:
        following = block[block.index(parent) + 1 :][:1]
        for node in (n for s in following for n in ast.walk(s)):
            if isinstance(node, ast.Await) and any(
                isinstance(n, ast.Name) and n.id == name for n in ast.walk(node)
            ):
                return True
    return False
