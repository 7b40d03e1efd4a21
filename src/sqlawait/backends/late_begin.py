"""BEGIN when it makes a difference: a transaction that has only read rows so far needs none.

SQLAlchemy sends BEGIN before a session's first statement and ROLLBACK when it closes: three round trips for a
route that reads one row. Under READ COMMITTED each statement sees what is committed when it starts, in a
transaction or out of it, so that a plain SELECT is the same without; the first statement of any other kind then
begins the transaction, and all that follows is in it.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from sqlalchemy.engine import Dialect

_CALL = re.compile(
    r'(?<![\w$".])(?!(?:select|from|where|join|on|and|or|not|in|any|all|exists|as|union|except|intersect|case|when'
    r"|then|else|over|filter|distinct|by|cast|count|sum|min|max|avg|coalesce|nullif|lower|upper|length)"
    r'\s*\()[\w$".]+\s*\(',
    re.IGNORECASE,
)
"""A function, but for those known to be harmless, and words that only look like one."""
_TELLING = re.compile(
    r"--|/\*|;|\b(?:for|into|operator|current_date|current_time|current_timestamp|localtime|localtimestamp)\b",
    re.IGNORECASE,
)
_ALIKE = {"read_committed", "READ COMMITTED"}
"""The level at which each statement has a snapshot of its own, as the connection and the dialect call it."""


@lru_cache(maxsize=1000)
def only_reads(sql: str) -> bool:
    """Whether a statement is a SELECT that gives the same outside of a transaction and leaves nothing behind.

    It locks no rows, calls no function but those known to be harmless, and asks for no transaction's time. What
    is not sure counts as not so.
    """
    return sql[:7].upper() in {"SELECT ", "SELECT\n"} and not _TELLING.search(sql) and not _CALL.search(sql)


def begin_late(dialect: Dialect) -> None:
    """Have an asyncpg engine's transactions begin with their first statement that does more than read."""
    execute = dialect.do_execute

    def do_execute(cursor: Any, statement: str, parameters: Any, context: Any = None) -> None:
        connection = cursor._adapt_connection
        if (
            context is None
            or context.compiled is None  # the text is not SQLAlchemy's own
            or context.is_text
            or cursor.server_side
            or connection.driver_connection.is_in_transaction()
            or (connection.isolation_level or dialect.default_isolation_level) not in _ALIKE
            or not only_reads(statement)
        ):
            execute(cursor, statement, parameters, context)
            return
        connection.autocommit = True
        try:
            execute(cursor, statement, parameters, context)
        finally:
            connection.autocommit = False

    dialect.do_execute = do_execute  # type: ignore[method-assign] # a listener would cost each statement 10 µs


__all__ = ["begin_late", "only_reads"]
