"""N+1: one request runs the same SELECT from the same line again and again, each time with other values.

Counted are executions of one SQL text from one stack of the application's lines, so a helper that is called
from many places is not taken for a loop. Silent: statements with the same values (polling, retries), the
batches of an eager loader, and pages (LIMIT with OFFSET, or with a comparison as keyset pages have it).
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, Select, inspect
from sqlalchemy.orm import Mapper
from sqlalchemy.sql import operators, visitors
from sqlalchemy.sql.elements import BinaryExpression, BindParameter

from sqlawait.events import Site
from sqlawait.guards.scope import Lazy, Scope, Tally
from sqlawait.guards.sites import Stack
from sqlawait.watching import STATEMENT

EAGER = "sqlawait_eager"
"""Execution option of the statements that an eager loader sends by itself."""
LAZY = "sqlawait_lazy"
"""Execution option of a lazy load: the relationship's name and the line that loaded the parent."""

_VALUES = 1_000
"""Different values that are kept of one line: by then it is a finding many times over."""
_COMPARISONS = {operators.lt, operators.le, operators.gt, operators.ge}


def watches(scope: Scope) -> bool:
    """Whether a scope's statements are counted."""
    return scope.guards.actions["n-plus-one"] != "off" and not scope.endless


def counts(sql: str, context: Any) -> bool:
    """Whether a statement can be part of an N+1: a SELECT that the application asked for."""
    if context is None or context.executemany or context.execution_options.get(EAGER):
        return False
    statement = _statement(context)
    if statement is not None and statement.is_select:
        return True
    return sql.lstrip()[:6].upper() == "SELECT"


def count_execution(scope: Scope, sql: str, parameters: Any, context: Any, stack: Stack) -> Tally:
    """Count one execution in its request, as SQLAlchemy runs it."""
    # Nothing of the context is kept: it holds the connection, which may have to be collected.
    return count(
        scope, sql, parameters, stack, statement=_statement(context), lazy=context.execution_options.get(LAZY)
    )


def count(
    scope: Scope, sql: str, parameters: Any, stack: Stack, *, statement: Any, lazy: Lazy | None = None
) -> Tally:
    """Count one execution in its request.

    Raises:
        NPlusOne: it is one too many, and the guard is set to raise.
    """
    lines = scope.tallies.get(sql)
    if lines is None:
        lines = scope.tallies[sql] = []
    for tally in lines:
        if tally.stack == stack:
            break
    else:
        tally = Tally(stack, statement, lazy)
        lines.append(tally)
    tally.count += 1
    if len(tally.values) < _VALUES:
        tally.values.add(_fingerprint(parameters))
    if (
        tally.count >= scope.guards.limits.repeats
        and scope.guards.actions["n-plus-one"] == "raise"
        and too_many(scope, tally)
        and scope.first("n-plus-one", sql, stack)
    ):
        report(scope, tally)
    return tally


def too_many(scope: Scope, tally: Tally) -> bool:
    """Whether a tally is a finding."""
    return tally.distinct >= scope.guards.limits.repeats and not _is_page(tally.statement)


def scope_ended(scope: Scope) -> None:
    """Report what a request has done again and again, where the guard logs: a finding a line."""
    repeats = scope.guards.limits.repeats
    found: dict[Stack, Tally] = {}
    for lines in scope.tallies.values():
        for tally in lines:
            # of several statements from one line, the one whose fix says most
            if tally.count >= repeats and too_many(scope, tally) and (tally.stack not in found or tally.lazy):
                found[tally.stack] = tally
    for tally in found.values():
        report(scope, tally)


def report(scope: Scope, tally: Tally) -> None:
    """Tell of one N+1."""
    message, fix, related = describe(tally)
    fact = f"one SELECT ran {tally.count} times in {scope.label}, from {tally.site or 'a library'}"  # noqa: S608 # a message, not SQL
    scope.guards.report(
        "n-plus-one",
        fact + message,
        fix=fix,
        site=tally.site,
        scope=scope,
        count=tally.count,
        seconds=tally.seconds,
        related=related,
    )


def describe(tally: Tally) -> tuple[str, str, dict[str, Site]]:
    """The end of the message, the fix to paste, and the other line that matters."""
    if tally.lazy is not None:
        name, loaded, many = tally.lazy
        option = f".options({'selectinload' if many else 'joinedload'}({name}))"
        where = f" at {loaded}" if loaded else " that loads the objects"
        return (
            f" (relationship {name}, loaded lazily); add {option} to the select{where}",
            option,
            {"loaded": loaded} if loaded else {},
        )
    one = _looked_up(tally.statement)
    if one is None:
        return "; read all rows at once, with where(column.in_(values))", "where(column.in_(values))", {}
    entity, column = one
    fix = f"select({entity}).where({entity}.{column}.in_(values))"
    return f"; read them all at once: {fix}", fix, {}


def _statement(context: Any) -> Any:
    if context.compiled is not None:
        return context.invoked_statement
    return context.execution_options.get(STATEMENT)


def _is_page(statement: Any) -> bool:
    if not isinstance(statement, Select) or statement._limit_clause is None:
        return False
    if statement._offset_clause is not None:
        return True
    where = statement.whereclause
    return where is not None and any(
        isinstance(part, BinaryExpression) and part.operator in _COMPARISONS for part in visitors.iterate(where)
    )


def _looked_up(statement: Any) -> tuple[str, str] | None:
    """The entity and the column of a ``WHERE column = :value``."""
    if not isinstance(statement, Select) or statement.whereclause is None:
        return None
    entity = statement.column_descriptions[0].get("entity")
    for part in visitors.iterate(statement.whereclause):
        if not isinstance(part, BinaryExpression) or part.operator is not operators.eq:
            continue
        column = part.left if isinstance(part.right, BindParameter) else part.right
        if not isinstance(column, Column):
            continue
        if isinstance(entity, type):
            mapper: Mapper[Any] = inspect(entity)
            table = column.table
            if table is mapper.local_table:
                return entity.__name__, mapper.get_property_by_column(column._deannotate()).key
        return str(column.table), f"c.{column.key}"
    return None


def _fingerprint(parameters: Any) -> int:
    values = tuple(parameters.values()) if isinstance(parameters, dict) else parameters
    try:
        return hash(values)
    except TypeError:  # a list or a dict among the values
        return hash(repr(values))


__all__ = ["EAGER", "LAZY", "count", "count_execution", "counts", "describe", "scope_ended", "watches"]
