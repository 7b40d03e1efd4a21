"""``create_engine``, ``sessionmaker``, ``scoped_session`` and ``Session(engine)`` make the async ones."""

from __future__ import annotations

import ast

from sqlawait.analysis.declarations import Binding, last_name
from sqlawait.convert.context import Context
from sqlawait.convert.drivers import Drivers, async_url

from .definitions import ASYNCIO, counterpart_of

ENGINE_ONLY_SYNC = {
    "executemany_mode",
    "executemany_batch_page_size",
    "executemany_values_page_size",
    "client_encoding",
    "server_side_cursors",
}
"""Options of create_engine that belong to psycopg2."""


def rewrite_factory(call: ast.Call, kind: str, context: Context, drivers: Drivers) -> None:
    """Rewrite a call that makes an engine, a session factory or a session."""
    if kind == "engine":
        _engine(call, context, drivers)
    elif kind == "maker":
        _maker(call, context)
    elif kind == "scoped":
        _scoped(call, context)
    elif kind == "session":
        _session(call, context)
    elif kind == "object":
        _function(call, "async_object_session", ASYNCIO, context)


def rewrite_session_of_state(node: ast.Attribute, context: Context) -> None:
    """Let ``inspect(user).session`` be the async session that the object is in."""
    context.edits.rename(node, "async_session")


def keep_after_commit(call: ast.Call, kind: str, context: Context) -> None:
    """Let a factory's sessions keep what they have loaded, as async ones must, while they are still sync."""
    if kind == "maker" or (kind == "session" and counterpart_of(call.func, context) is not None):
        _keep_after_commit(call, context)


def _function(call: ast.Call, name: str, source: str, context: Context) -> None:
    """Replace the function that is called."""
    local = context.need(source, name)
    context.edits.replace_node(call.func, local)


def _engine(call: ast.Call, context: Context, drivers: Drivers) -> None:
    if last_name(call.func) == "engine_from_config":
        _function(call, "async_engine_from_config", ASYNCIO, context)
        return
    _function(call, "create_async_engine", ASYNCIO, context)
    url = call.args[0] if call.args else next((k.value for k in call.keywords if k.arg == "url"), None)
    if url is not None:
        async_url(url, context, drivers)
    for keyword in call.keywords:
        if keyword.arg in ENGINE_ONLY_SYNC:
            _drop(keyword, call, context)
        elif keyword.arg == "poolclass" and last_name(keyword.value) in ("QueuePool", "SingletonThreadPool"):
            context.edits.replace_node(keyword.value, context.need("sqlalchemy.pool", "AsyncAdaptedQueuePool"))


def _drop(keyword: ast.keyword, call: ast.Call, context: Context) -> None:
    edits = context.edits
    start, end = edits.start(keyword), edits.end(keyword)
    after = edits.between(end, edits.end(call))
    comma = len(after) - len(after.lstrip())
    if after.lstrip().startswith(","):
        end += len(after[:comma].encode()) + 1
        rest = edits.between(end, edits.end(call))
        end += len(rest) - len(rest.lstrip(" "))
    edits.replace(start, end, "")


def _maker(call: ast.Call, context: Context) -> None:
    _function(call, "async_sessionmaker", ASYNCIO, context)
    for keyword in call.keywords:
        if keyword.arg == "class_":
            counterpart = counterpart_of(keyword.value, context)
            if counterpart is not None:
                context.edits.replace_node(keyword.value, context.need(*counterpart))
    sqlmodel = _uses_sqlmodel(context)
    if sqlmodel and not any(k.arg == "class_" for k in call.keywords):
        append_keyword(call, f"class_={context.need('sqlmodel.ext.asyncio.session', 'AsyncSession')}", context)
    _keep_after_commit(call, context)


def _uses_sqlmodel(context: Context) -> bool:
    return any(
        isinstance(binding.node, ast.alias)
        and isinstance(statement := context.facts.parent(binding.node), ast.ImportFrom)
        and (statement.module or "").startswith("sqlmodel")
        for bindings in context.module.scope.bindings.values()
        for binding in bindings
    )


def _keep_after_commit(call: ast.Call, context: Context) -> None:
    """What a commit expires would have to be loaded again where it is next read, which cannot be awaited."""
    for keyword in call.keywords:
        if keyword.arg == "expire_on_commit":
            context.edits.replace_node(keyword.value, "False")
            return
    if any(keyword.arg is None and not isinstance(keyword.value, ast.Dict) for keyword in call.keywords):
        for keyword in call.keywords:
            if keyword.arg is None and _names_option(keyword.value, context):
                return
    append_keyword(call, "expire_on_commit=False", context)


def _names_option(value: ast.expr, context: Context) -> bool:
    for definition in context.facts.inference.names.definitions(value):
        if isinstance(definition, Binding) and definition.value is not None:
            return "expire_on_commit" in ast.dump(definition.value)
    return False


def append_keyword(call: ast.Call, text: str, context: Context) -> None:
    """Put an argument behind the last one, in the layout that is there."""
    edits = context.edits
    parts: list[ast.expr | ast.keyword] = [*call.args, *call.keywords]
    if not parts:
        end = edits.end(call) - 1
        edits.replace(end, end, text)
        return
    last = max(parts, key=lambda each: (each.end_lineno or 0, each.end_col_offset or 0))
    end = edits.end(last)
    first = min(parts, key=lambda each: (each.lineno, each.col_offset))
    if first.lineno != call.lineno and len({part.lineno for part in parts}) == len(parts):
        edits.replace(end, end, f",\n{edits.indent_of(last.lineno)}{text}")
    else:
        edits.replace(end, end, f", {text}")


def _scoped(call: ast.Call, context: Context) -> None:
    _function(call, "async_scoped_session", ASYNCIO, context)
    if len(call.args) < 2 and not any(keyword.arg == "scopefunc" for keyword in call.keywords):
        append_keyword(call, f"scopefunc={context.need('asyncio', 'current_task')}", context)


def _session(call: ast.Call, context: Context) -> None:
    counterpart = counterpart_of(call.func, context)
    if counterpart is None:
        return  # a session factory's own call stays as it is
    context.edits.replace_node(call.func, context.need(*counterpart))
    _keep_after_commit(call, context)


__all__ = ["append_keyword", "keep_after_commit", "rewrite_factory", "rewrite_session_of_state"]
