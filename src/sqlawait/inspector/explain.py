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
    if statement.dialect == "postgresql":
        return (
            f"EXPLAIN (GENERIC_PLAN) {_numbered(sql)}",
            None,
            "the plan for any values (EXPLAIN GENERIC_PLAN)",
        )
    if statement.dialect == "sqlite":
        if values is None:
            values = (None,) * len(_PLACEHOLDER.findall(_QUOTED.sub("", sql)))
        return f"EXPLAIN QUERY PLAN {sql}", values, "EXPLAIN QUERY PLAN"
    return f"EXPLAIN {sql}", values, "EXPLAIN"


def _numbered(sql: str) -> str:
    """psycopg's placeholders as PostgreSQL's own; asyncpg's are already."""
    names: dict[str, int] = {}

    def number(match: re.Match[str]) -> str:
        name = match.group(1) or f"_{len(names)}"
        return f"${names.setdefault(name, len(names) + 1)}"

    return _PLACEHOLDER.sub(number, sql) if "$1" not in sql else sql


def _text(dialect: str, row: Any) -> str:
    if dialect == "sqlite":
        return str(row[3])
    return "  ".join("-" if value is None else str(value) for value in row)


__all__ = ["DBAPIError", "can_explain", "explain"]
