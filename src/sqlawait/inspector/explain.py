"""EXPLAIN of a statement that was seen, where that is safe: a SELECT, never executed."""

from __future__ import annotations

import asyncio
import re
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from sqlawait.events import StatementRan
from sqlawait.inspector.schemas import Plan

_PLACEHOLDER = re.compile(r"%\((\w+)\)s|%s|\?")
_QUOTED = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"")


def can_explain(statement: StatementRan) -> bool:
    """Whether its plan can be asked for: one SELECT, and values where the database needs them."""
    sql = statement.sql.strip().rstrip(";")
    if ";" in sql or not sql.upper().startswith(("SELECT", "WITH")) or statement.many != 1:
        return False
    if statement.dialect in {"mysql", "mariadb"}:
        return statement.parameters is not None or not _PLACEHOLDER.search(_QUOTED.sub("", sql))
    return statement.dialect in {"postgresql", "sqlite"}


async def explain(statement: StatementRan) -> Plan:
    """Ask for a plan.

    Raises:
        sqlalchemy.exc.DBAPIError: the database refuses (PostgreSQL before 16 has no generic plans).
    """
    engine: Any = statement.engine
    sql, values, note = _question(statement)
    if engine.dialect.is_async:
        async with AsyncEngine(engine).connect() as connection:
            rows = (await connection.exec_driver_sql(sql, values)).all()
    else:
        rows = await asyncio.to_thread(_ask, engine, sql, values)
    return Plan(lines=[_text(statement.dialect, row) for row in rows], note=note)


def _ask(engine: Engine, sql: str, values: Any) -> list[Any]:
    with engine.connect() as connection:
        return list(connection.exec_driver_sql(sql, values).all())


def _question(statement: StatementRan) -> tuple[str, Any, str]:
    sql, values = statement.sql, statement.parameters
    if statement.dialect == "postgresql":  # a generic plan looks at no values
        return f"EXPLAIN (GENERIC_PLAN) {sql}", _nulls(sql), "EXPLAIN (GENERIC_PLAN): the plan for any values"
    if statement.dialect == "sqlite":
        return f"EXPLAIN QUERY PLAN {sql}", _nulls(sql) if values is None else values, "EXPLAIN QUERY PLAN"
    return f"EXPLAIN {sql}", values, "EXPLAIN"


def _nulls(sql: str) -> Any:
    """NULL for each placeholder, in the driver's own style."""
    plain = _QUOTED.sub("", sql)
    named = re.findall(r"%\((\w+)\)s", plain)
    if named:
        return dict.fromkeys(named)
    numbered = {int(number) for number in re.findall(r"\$(\d+)", plain)}
    return (None,) * (max(numbered) if numbered else len(_PLACEHOLDER.findall(plain)))


def _text(dialect: str, row: Any) -> str:
    if dialect == "sqlite":
        return str(row[3])
    return "  ".join("-" if value is None else str(value) for value in row)


__all__ = ["DBAPIError", "can_explain", "explain"]
