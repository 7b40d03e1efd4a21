"""SAW403: a session that nobody closes."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from sqlawait.analysis import Analysis
from sqlawait.analysis.declarations import Class, Function, last_name
from sqlawait.analysis.flow import before
from sqlawait.analysis.types import members
from sqlawait.check.finding import Edit, Finding, Fix, source
from sqlawait.check.rule import Example, Rule
from sqlawait.check.support import calls, functions

RULE = Rule(
    code="SAW403",
    name="leave-session-open",
    summary="A session is made and never closed.",
    why=(
        "Its connection stays out of the pool until Python happens to collect the session, and an async"
        " session cannot"
        " even then give it back cleanly. Under load the pool runs dry and every request waits for its"
        " time-out."
    ),
    remedy=(
        "Open it by `with` or `async with`, or close it in a `finally`; in a dependency, `yield` it from such"
        " a block."
    ),
    wrong=(
        Example(
            code="""\
async def count_users() -> int:
    session = Sessions()  # SAW403
    users = await session.scalars(select(User))
    return len(users.all())
""",
            fixed="""\
async def count_users() -> int:
    async with Sessions() as session:  # SAW403
        users = await session.scalars(select(User))
        return len(users.all())
""",
        ),
        Example(
            code="""\
def noted(db):
    db.info["seen"] = True
    return db


async def count_users() -> int:
    session = noted(Sessions())  # SAW403
    users = await session.scalars(select(User))
    return len(users.all())
"""
        ),
    ),
    right=(
        Example("""\
async def count_users() -> int:
    async with Sessions() as session:
        return len((await session.scalars(select(User))).all())
"""),
        Example("""\
def get_other_db():
    db = SyncSessions()
    try:
        yield db
    finally:
        db.close()
"""),
        Example("""\
def noted(db):
    db.info["seen"] = True
    return db


def noting():
    return lambda: noted(Sessions())
"""),
    ),
    fix="safe",
    limits="A session that is stored in a container or handed to another object is taken to be closed there.",
)
CLOSING = {"close", "aclose", "remove", "__exit__", "__aexit__", "close_all"}


@RULE.check
def find(analysis: Analysis) -> Iterator[Finding]:
    """Sessions made in functions, with nothing that closes them."""
    for function in functions(analysis):
        for call in calls(function):
            if _makes(analysis, call) and not (_closed(analysis, function, call) or _finished(function, call)):
                message = (
                    "this session is never closed, and keeps its connection; open it by `with` or `async with`"
                )
                yield RULE.at(function.module, call, message, fix=_in_block(analysis, function, call))


def _makes(analysis: Analysis, call: ast.Call) -> bool:
    """Whether a call makes a session: a factory, a session's class, ``next`` of a generator of sessions."""
    if not any(analysis.is_session(each) for each in members(analysis.types.type_of(call))):
        return _anext(analysis, call)
    for callee in members(analysis.types.type_of(call.func)):
        if callee.name in (
            "builtins.next",
            "sqlalchemy.orm.sessionmaker",
            "sqlalchemy.ext.asyncio.async_sessionmaker",
        ):
            return True
        if (
            isinstance(callee.decl, Function)
            and not callee.decl.module.stub
            and _gives_away(analysis, callee.decl)
        ):
            return True
        if (
            callee.kind == "class"
            and callee.name not in PROXIES
            and analysis.is_session(analysis.types.instance_of(callee))
        ):
            return bool(call.args or call.keywords)
    return False


def _gives_away(analysis: Analysis, function: Function) -> bool:
    """Whether a plain function makes a session and returns it, for its caller to close."""
    if function.yields or function.is_async or function.decorator_names:
        return False
    return bool(function.returns) and all(
        isinstance(value, ast.Call)
        and analysis.project.function_of(value) is function
        and _makes(analysis, value)
        for value in function.returns
    )


PROXIES = ("sqlalchemy.orm.scoped_session", "sqlalchemy.ext.asyncio.async_scoped_session")


def _anext(analysis: Analysis, call: ast.Call) -> bool:
    if last_name(call.func) not in ("anext", "__anext__"):
        return False
    made = analysis.types.awaited(analysis.types.type_of(call))
    if last_name(call.func) == "__anext__" and isinstance(call.func, ast.Attribute):
        made = analysis.types.iterated(analysis.types.type_of(call.func.value))
    return any(analysis.is_session(each) for each in members(made))


def _finished(function: Function, call: ast.Call) -> bool:
    """Whether the generator that a session was taken from is closed, or asked again, by the same function."""
    bound = isinstance(call.func, ast.Attribute) and call.func.attr in ("__anext__", "__next__")
    generator = (
        call.func.value if bound and isinstance(call.func, ast.Attribute) else next(iter(call.args), None)
    )
    if not isinstance(generator, ast.Name):
        return False
    for node in function.own_nodes:
        if isinstance(node, ast.Call) and node is not call:
            asked = [node.func.value] if isinstance(node.func, ast.Attribute) else node.args[:1]
            if any(isinstance(each, ast.Name) and each.id == generator.id for each in asked):
                return True
    return False


def _closed(analysis: Analysis, function: Function, call: ast.Call) -> bool:
    """Whether the session that a call makes is closed, or leaves to where it may be."""
    project = analysis.project
    node: ast.AST = call
    parent = project.parent(node)
    while isinstance(parent, ast.Await | ast.IfExp | ast.BoolOp | ast.NamedExpr):
        node, parent = parent, project.parent(parent)
    if isinstance(parent, ast.withitem):
        return True
    if isinstance(parent, ast.Return):
        return not _is_dependency(analysis, function)
    if isinstance(parent, ast.Attribute):
        return parent.attr in CLOSING or parent.attr in ("begin", "__aenter__", "__enter__")
    if isinstance(parent, ast.Assign | ast.AnnAssign):
        targets = parent.targets if isinstance(parent, ast.Assign) else [parent.target]
        return all(_target_closed(analysis, function, target) for target in targets)
    if isinstance(parent, ast.Yield | ast.Expr):
        return False
    if isinstance(parent, ast.Call | ast.keyword):
        outer = parent if isinstance(parent, ast.Call) else project.parent(parent)
        if not isinstance(outer, ast.Call) or _taken_over(analysis, outer):
            return True
        return _handed_back(analysis, outer) and _closed(analysis, function, outer)
    return True


def _taken_over(analysis: Analysis, call: ast.Call) -> bool:
    """Whether what a new session is handed to may close it: anything but a plain function that does not."""
    targets = analysis.calls.reached(call)
    if not targets:
        return True
    for target in targets:
        if target.name == "__init__" or any(
            isinstance(node, ast.Attribute) and node.attr in CLOSING for node in target.own_nodes
        ):
            return True
    return any(isinstance(node, ast.With | ast.AsyncWith) for target in targets for node in target.own_nodes)


def _handed_back(analysis: Analysis, call: ast.Call) -> bool:
    """Whether a call gives back what it is handed: then it is for who has its result to close."""
    return any(
        isinstance(value, ast.Name) and value.id in {each.arg for each in target.params}
        for target in analysis.calls.reached(call)
        for value in target.returns
    )


def _is_dependency(analysis: Analysis, function: Function) -> bool:
    return function in analysis.injection.all


def _target_closed(analysis: Analysis, function: Function, target: ast.expr) -> bool:
    if isinstance(target, ast.Attribute):
        return _attribute_closed(analysis, target)
    if not isinstance(target, ast.Name):
        return True
    name = target.id
    scope = analysis.project.scope_of(target)
    bindings = scope.lookup(name)
    if bindings and isinstance(bindings[0].scope.node, ast.Module):
        return True  # a global is another finding
    returned = False
    for node in ast.walk(function.node):
        if not isinstance(node, ast.Name) or node.id != name or not isinstance(node.ctx, ast.Load):
            continue
        parent = analysis.project.parent(node)
        if isinstance(parent, ast.withitem):
            return True
        if isinstance(parent, ast.Attribute) and parent.attr in CLOSING:
            return not _left_before(analysis, function, target, node)
        if isinstance(parent, ast.Return | ast.Tuple | ast.Dict | ast.List):
            returned = returned or not isinstance(parent, ast.Return) or not _is_dependency(analysis, function)
        if isinstance(parent, ast.Assign | ast.AnnAssign) and parent.value is node:
            return True
        if isinstance(parent, ast.Call | ast.keyword):
            call = parent if isinstance(parent, ast.Call) else analysis.project.parent(parent)
            if isinstance(call, ast.Call) and _keeps(analysis, call):
                return True
    return returned


def _left_before(analysis: Analysis, function: Function, made: ast.expr, closing: ast.AST) -> bool:
    """Whether a ``return`` or ``raise`` leaves the function between the making and the closing."""
    for parent in analysis.project.ancestors(closing):
        if parent is function.node:
            break
        if isinstance(
            parent, ast.Try | ast.ExceptHandler | ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
        ):
            return False
    leaving = (node for node in function.own_nodes if isinstance(node, ast.Return | ast.Raise))
    return any(before(made, node) and before(node, closing) for node in leaving)


def _keeps(analysis: Analysis, call: ast.Call) -> bool:
    """Whether a call takes a session over: a constructor, ``closing``, an exit stack, a context variable."""
    if last_name(call.func) in (
        "closing",
        "aclosing",
        "set",
        "enter_context",
        "enter_async_context",
        "append",
        "setattr",
    ):
        return True
    for target in analysis.calls.reached(call):
        if target.name == "__init__":
            return target.cls is not None and bool(CLOSING & set(target.cls.methods))
        if any(isinstance(node, ast.Attribute) and node.attr in CLOSING for node in target.own_nodes):
            return True
    return False


def _attribute_closed(analysis: Analysis, target: ast.Attribute) -> bool:
    """Whether anything in the code base closes an attribute of that name, or enters it."""
    function = analysis.project.function_of(target)
    cls = function.cls if function is not None else None
    for name in CLOSING:
        for read in analysis.project.collected.attribute_reads.get(name, ()):
            if last_name(read.value) == target.attr and _same_owner(analysis, read, cls):
                return True
    for read in analysis.project.collected.attribute_reads.get(target.attr, ()):
        parent = analysis.project.parent(read)
        if isinstance(parent, ast.withitem | ast.Assign | ast.Call):
            return not isinstance(parent, ast.Call) or (read in parent.args and _keeps(analysis, parent))
    return False


def _same_owner(analysis: Analysis, read: ast.Attribute, cls: Class | None) -> bool:
    """Whether the closing of ``x.session`` may be that of the class: its own, its kin's, or from outside."""
    function = analysis.project.function_of(read)
    while function is not None and function.cls is None:
        function = function.outer
    other = function.cls if function is not None else None
    if cls is None or other is None:
        return True
    own = {base for base, _ in analysis.types.bases(cls)} | set(analysis.types.attributes.subclasses(cls))
    if other in own:
        return True
    inner = read.value.value if isinstance(read.value, ast.Attribute) else None
    return not isinstance(inner, ast.Name) or inner.id != "self"


def _in_block(analysis: Analysis, function: Function, call: ast.Call) -> Fix | None:
    """``session = Factory()`` and what follows it, in a block that closes the session."""
    statement = analysis.project.parent(call)
    if not isinstance(statement, ast.Assign) or statement.value is not call or len(statement.targets) != 1:
        return None
    target = statement.targets[0]
    of = list(members(analysis.types.type_of(call)))
    is_async = any(analysis.is_session(each, kind="async") for each in of)
    if not isinstance(target, ast.Name) or (is_async and not function.is_async):
        return None
    block = getattr(analysis.project.parent(statement), "body", [])
    if statement not in block:
        return None
    rest = block[block.index(statement) + 1 :]
    module = function.module
    if not rest or any("\n" in str(n.value) for s in rest for n in ast.walk(s) if isinstance(n, ast.Constant)):
        return None
    if statement.end_lineno != statement.lineno or rest[0].lineno == statement.lineno:
        return None
    word = "async with" if is_async else "with"
    line = module.line(statement.lineno)
    edits = [
        Edit(
            (statement.lineno, statement.col_offset),
            (statement.lineno, statement.end_col_offset or len(line)),
            f"{word} {source(module, call)} as {target.id}:",
            module.path,
        )
    ]
    last = rest[-1].end_lineno or rest[-1].lineno
    numbers = (each for each in range(statement.lineno + 1, last + 1) if module.line(each).strip())
    edits += (Edit((number, 0), (number, 0), "    ", module.path) for number in numbers)
    return Fix("Close the session by a block", tuple(edits), safe=True)
