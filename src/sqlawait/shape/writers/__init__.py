"""How each database writes JSON, one file each."""

from __future__ import annotations

from sqlalchemy.engine.interfaces import Dialect

from sqlawait.shape.writers.base import MARK, UNWRITABLE, Writer
from sqlawait.shape.writers.mysql import MySQLWriter
from sqlawait.shape.writers.postgresql import PostgreSQLWriter
from sqlawait.shape.writers.sqlite import SQLiteWriter

_WRITERS: dict[str, type[Writer]] = {
    "postgresql": PostgreSQLWriter,
    "sqlite": SQLiteWriter,
    "mysql": MySQLWriter,
    "mariadb": MySQLWriter,
}


def writer_of(dialect: Dialect) -> Writer | None:
    """The writer for a database, None where it is none of those that are known."""
    found = _WRITERS.get(dialect.name)
    return None if found is None else found(dialect)


__all__ = ["MARK", "UNWRITABLE", "Writer", "writer_of"]
