"""SAW206: schema work on an async engine or connection."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from sqlawait.analysis import Analysis
from sqlawait.analysis.declarations import Function, last_name
from sqlawait.analysis.special import keyword
from sqlawait.analysis.types import members
from sqlawait.check.finding import Finding, Fix, replace, source
from sqlawait.check.rule import Example, Rule
from sqlawait.check.support import ASYNC_CONNECTION, ASYNC_ENGINE, ASYNC_SESSION, is_one_of

RULE = Rule(
    code="SAW206",
    name="reflect-async-engine",
    summary="`create_all`, `inspect` or reflection gets an async engine or connection.",
    why="They are blocking functions that know nothing of async engines: the call raises at once.",
    remedy="Run them by `await connection.run_sync(…)` on a connection of the async engine.",
    wrong=(
        Example(
            code="""\
async def start():
    async with engine.begin() as connection:
        Base.metadata.create_all(connection)  # SAW206
""",
            fixed="""\
async def start():
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)  # SAW206
""",
        ),
        Example(
            code="""\
async def start():
    Base.metadata.create_all(bind=engine)  # SAW206
""",
            fixed="""\
async def start():
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)  # SAW206
""",
        ),
    ),
    right=(
        Example("""\
async def start():
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
"""),
        Example("Base.metadata.create_all(sync_engine)\n"),
    ),
    fix="safe",
)
METHODS = ("create_all", "drop_all", "reflect", "prepare", "create", "drop")
ASYNC = (ASYNC_ENGINE, ASYNC_CONNECTION, ASYNC_SESSION)


@RULE.check
def find(analysis: Analysis) -> Iterator[Finding]:
    """Schema functions whose engine or connection is async."""
    project = analysis.project
    for name in (*METHODS, "inspect", "Table", "automap_base"):
        for call in dict.fromkeys(project.collected.calls.get(name, ())):
            bind = _bind(analysis, call, name)
            if bind is None:
                continue
            of = analysis.types.type_of(bind)
            behind = isinstance(bind, ast.Attribute) and bind.attr in ("sync_engine", "sync_connection")
            if not is_one_of(analysis, of, *ASYNC) and not behind:
                continue
            if behind and not _on_loop(analysis, call):
                continue
            module = project.module_of(call)
            message = (
                f"`{name}` cannot work on an async engine or connection; use `await connection.run_sync(…)`"
            )
            yield RULE.at(module, call, message, fix=_run_sync(analysis, call, bind, name))


def _bind(analysis: Analysis, call: ast.Call, name: str) -> ast.expr | None:
    if name == "inspect":
        if not analysis.names.qualified(call.func).startswith("sqlalchemy"):
            return None
        return call.args[0] if call.args else None
    if name in ("Table", "automap_base"):
        return keyword(call, "autoload_with")
    if not isinstance(call.func, ast.Attribute) or _own(analysis, call):
        return None
    if name in ("create", "drop") and last_name(call.func.value) != "__table__":
        return None
    for option in ("bind", "autoload_with", "engine"):
        given = keyword(call, option)
        if given is not None:
            return given
    return call.args[0] if call.args else None


def _own(analysis: Analysis, call: ast.Call) -> bool:
    """Whether the method is the code base's own, of the same name: it is, or it can be awaited."""
    if isinstance(analysis.project.parent(call), ast.Await) and isinstance(call.func, ast.Attribute):
        return last_name(call.func.value).rpartition("_")[2] not in ("metadata", "meta")
    found = members(analysis.types.type_of(call.func))
    return any(isinstance(each.decl, Function) and not each.decl.module.stub for each in found)


def _on_loop(analysis: Analysis, call: ast.Call) -> bool:
    function = analysis.project.function_of(call)
    return function is not None and function.is_async


def _run_sync(analysis: Analysis, call: ast.Call, bind: ast.expr, name: str) -> Fix | None:
    function = analysis.project.function_of(call)
    statement = analysis.project.parent(call)
    if function is None or not function.is_async or name not in ("create_all", "drop_all", "reflect"):
        return None
    if not isinstance(statement, ast.Expr) or len(call.args) + len(call.keywords) != 1:
        return None
    module = function.module
    of = analysis.types.type_of(bind)
    target = source(module, call.func)
    if is_one_of(analysis, of, ASYNC_CONNECTION):
        text = f"await {source(module, bind)}.run_sync({target})"
    elif is_one_of(analysis, of, ASYNC_ENGINE):
        indent = " " * statement.col_offset
        text = (
            f"async with {source(module, bind)}.begin() as connection:\n{indent}    await"
            f" connection.run_sync({target})"
        )
    else:
        return None
    return Fix("Run it by run_sync", (replace(module, call, text),), safe=True)
