"""``paginate(db.query(User))`` of fastapi-pagination is ``await apaginate(db, select(User))``."""

from __future__ import annotations

import ast

from sqlawait.convert.context import Context
from sqlawait.convert.refusals import Refusal
from sqlawait.convert.waits import PAGINATE

from .awaits import make_awaitable, put_await


def rewrite_pagination(call: ast.Call, context: Context) -> None:
    """Await the async counterpart, which takes the session first."""
    facts, edits = context.facts, context.edits
    if not call.args:
        raise Refusal("SAW901", "paginate() without a query in the first place")
    first = call.args[0]
    make_awaitable(call, context)
    session = ""
    if not facts.is_session(first):
        session = facts.sessions.behind(first) or facts.sessions.in_reach(first)
        if not session:
            raise Refusal("SAW903", f"the session that runs {edits.text(first)} is not in reach here")
    source = PAGINATE[facts.inference.names.qualified(call.func)]
    if isinstance(call.func, ast.Attribute):
        edits.rename(call.func, "apaginate")
    else:
        edits.replace_node(call.func, context.need(source, "apaginate"))
    if session:
        edits.wrap(edits.start(first), edits.end(first), f"{session}, ", "", outer=True)
    put_await(call, context)


__all__ = ["rewrite_pagination"]
