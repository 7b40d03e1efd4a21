"""N+1: one request runs the same SELECT from the same line again and again, each time with other values.

Counted are executions of one SQL text from one stack of the application's lines, so a helper that is called
from many places is not taken for a loop. Silent: statements with the same values (polling, retries), the
batches of an eager loader, and pages (LIMIT with OFFSET, or with a comparison as keyset pages have it).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Column, Select, inspect
from sqlalchemy.orm import Mapper
from sqlalchemy.sql import operators, visitors
from sqlalchemy.sql.elements import BinaryExpression, BindParameter

from sqlawait.events import Site
from sqlawait.guards.scope import Scope
from sqlawait.guards.sites import Stack, innermost

EAGER = "sqlawait_eager"
"""Execution option of the statements that an eager loader sends by itself."""
LAZY = "sqlawait_lazy"
"""Execution option of a lazy load: the relationship's name and the line that loaded the parent."""

_COMPARISONS = {operators.lt, operators.le, operators.gt, operators.ge}


@dataclass(slots=True)
class Tally:
    """The executions of one statement from one line."""

    site: Site | None
    statement: Any
    """The statement object: the names in the message come from it. None for a string of SQL."""
    lazy: tuple[str, Site | None, bool] | None
    """Relationship, line that loaded the parent, and whether it is a collection, for a lazy load."""
    count: int = 0
    seconds: float = 0.0
    values: set[int] = field(default_factory=set)

    @property
    def distinct(self) -> int:
        """With how many different sets of values it ran."""
        return len(self.values)


def counts(sql: str, context: Any) -> bool:
    """Whether a statement can be part of an N+1: a SELECT that the application asked for."""
    if context is None or context.executemany or context.execution_options.get(EAGER):
        return False
    statement = _statement(context)
    return bool(statement is not None and statement.is_select) or sql.lstrip()[:6].upper() == "SELECT"


def count(scope: Scope, sql: str, parameters: Any, context: Any, stack: Stack) -> Tally:
    """Count one execution in its request."""
    key = (sql, stack)
    tally = scope.tallies.get(key)
    if tally is None:
        # Nothing of the context is kept: it holds the connection, which may have to be collected.
        lazy = context.execution_options.get(LAZY)
        tally = scope.tallies[key] = Tally(innermost(stack), _statement(context), lazy)
    tally.count += 1
    if len(tally.values) < 1_000:
        tally.values.add(_fingerprint(parameters))
    return tally


def too_many(scope: Scope, tally: Tally) -> bool:
    """Whether a tally is a finding."""
    return tally.distinct >= scope.guards.limits.repeats and not _is_page(tally.statement)


def worst(scope: Scope) -> list[Tally]:
    """The findings of a request: of several statements from one line, the one whose fix says most."""
    found: dict[Stack, Tally] = {}
    for (_, stack), tally in scope.tallies.items():
        if too_many(scope, tally) and (stack not in found or tally.lazy):
            found[stack] = tally
    return list(found.values())


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
    return context.invoked_statement if context.compiled is not None else None


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


__all__ = ["EAGER", "LAZY", "Tally", "count", "counts", "describe", "report", "too_many", "worst"]
