"""``Base.metadata.create_all(engine)`` runs inside ``run_sync`` of an async connection.

| before | after |
| --- | --- |
| ``Base.metadata.create_all(connection)`` | ``await connection.run_sync(Base.metadata.create_all)`` |
| ``Base.metadata.create_all(bind=engine)`` | the same, in ``async with engine.begin() as connection:`` |
"""

from __future__ import annotations

import ast

from sqlawait.convert.context import Context, Refusal
from sqlawait.convert.edits import INDENT
from sqlawait.convert.waits import bind_of

from .awaits import make_awaitable

INSPECT = {"sqlalchemy.inspect", "sqlalchemy.inspection.inspect"}


def rewrite_schema(call: ast.Call, context: Context) -> None:
    """Hand the call to ``run_sync``."""
    bind = bind_of(call, context.facts)
    assert bind is not None
    statement = context.facts.parent(call)
    on_engine = context.facts.is_engine(bind)
    if on_engine and not isinstance(statement, ast.Expr | ast.Return):
        raise Refusal("SAW906", f"what {context.facts.text(call.func)}() gives is used where it stands")
    make_awaitable(call, context)
    rest = [context.render(each) for each in call.args if each is not bind]
    rest += [
        f"{each.arg}={context.render(each.value)}" if each.arg else f"**{context.render(each.value)}"
        for each in call.keywords
        if each.value is not bind
    ]
    arguments = ", ".join([context.render(call.func), *rest])
    if not on_engine:
        context.edits.replace_node(call, f"await {context.render_session(bind)}.run_sync({arguments})")
        return
    name = _free("connection", call, context)
    indent = context.edits.indent_of(call.lineno) + INDENT
    given = "return " if isinstance(statement, ast.Return) else ""
    context.edits.replace_node(
        statement if isinstance(statement, ast.Return) else call,
        f"async with {context.render(bind)}.begin() as {name}:\n"
        f"{indent}{given}await {name}.run_sync({arguments})",
    )


def refuse_reflection(call: ast.Call, context: Context) -> None:
    """Refuse ``inspect(engine)`` and ``Table(…, autoload_with=engine)``: they run queries themselves."""
    name = context.facts.inference.names.qualified(call.func)
    given = call.args[:1] if name in INSPECT else [k.value for k in call.keywords if k.arg == "autoload_with"]
    if any(context.facts.is_engine(each) or context.facts.is_connection(each) for each in given):
        raise Refusal("SAW906", "this reads the schema by itself; hand it to run_sync() of an async connection")


def _free(name: str, node: ast.AST, context: Context) -> str:
    """A name that the function around a node does not use for something else."""
    function = context.facts.project.function_of(node)
    return f"schema_{name}" if function is not None and name in function.scope.bindings else name


__all__ = ["refuse_reflection", "rewrite_schema"]
