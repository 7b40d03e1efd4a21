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
from sqlawait.guards.scope import Execution, Scope, Tally
from sqlawait.guards.sites import Stack, innermost
from sqlawait.watching import STATEMENT

EAGER = "sqlawait_eager"
"""Execution option of the statements that an eager loader sends by itself."""
LAZY = "sqlawait_lazy"
"""Execution option of a lazy load: the relationship and the lines that loaded the parent."""

_COMPARISONS = {operators.lt, operators.le, operators.gt, operators.ge}


def count_execution(scope: Scope, sql: str, parameters: Any, context: Any, stack: Stack) -> Execution | None:
    """Count one execution in its request, as SQLAlchemy runs it; None where it can be no part of an N+1.

    Raises:
        NPlusOne: it is one too many, and the guard is set to raise.
    """
    options = context.execution_options
    statement = context.invoked_statement if context.compiled is not None else options.get(STATEMENT)
    if (statement is None or not statement.is_select) and sql.lstrip()[:6].upper() != "SELECT":
        return None
    if EAGER in options:
        return None
    # Nothing of the context is kept: it holds the connection, which may have to be collected.
    execution = Execution(sql, parameters, stack, statement, options.get(LAZY))
    if scope.tallies.setdefault(sql, execution) is not execution:
        count(scope, execution)
    return execution


def count(scope: Scope, execution: Execution) -> None:
    """Count one execution that is not the first of its SQL in its request.

    Raises:
        NPlusOne: it is one too many, and the guard is set to raise.
    """
    sql, stack = execution.sql, execution.stack
    seen = scope.tallies[sql]
    if isinstance(seen, Execution):
        scope.repeats = True
        seen = scope.tallies[sql] = [Tally(seen)]
    tally = next((tally for tally in seen if tally.stack == stack), None)
    if tally is None:
        seen.append(Tally(execution))
        return
    tally.add(execution)
    if (
        tally.count >= scope.guards.limits.repeats
        and scope.guards.actions["n-plus-one"] == "raise"
        and too_many(scope, tally)
        and scope.first("n-plus-one", sql, stack)
    ):
        report(scope, tally)


def too_many(scope: Scope, tally: Tally) -> bool:
    """Whether a tally is a finding."""
    return tally.distinct >= scope.guards.limits.repeats and not _is_page(tally.statement)


def scope_ended(scope: Scope) -> None:
    """Report what a request has done again and again, where the guard logs: a finding a line."""
    repeats = scope.guards.limits.repeats
    found: dict[Stack, Tally] = {}
    for seen in scope.tallies.values():
        for tally in seen if isinstance(seen, list) else ():
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
        prop, stack = tally.lazy
        loaded = innermost(stack)
        name = f"{prop.parent.class_.__name__}.{prop.key}" if prop is not None else "of the object"
        many = prop is None or prop.uselist
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


__all__ = ["EAGER", "LAZY", "count", "count_execution", "describe", "scope_ended"]
