"""Rows on their way into a table past the unit of work."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, cast

from sqlalchemy import Column, Table
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.orm import Mapper


class BulkRows:
    """Rows given as attributes by name, checked and turned into what a database takes, one by one.

    Parameters:
        mapper: the mapped class's mapper.
        head: the first row, whose names every other row must have.
        rows: all rows, the first included.
    """

    def __init__(self, mapper: Mapper[Any], head: Mapping[str, Any], rows: Iterable[Mapping[str, Any]]) -> None:
        assert isinstance(mapper.local_table, Table)  # a class mapped to a join or a select cannot be inserted
        self.table = mapper.local_table
        self.count = 0
        """Rows taken so far."""
        self._rows = rows
        self._names = tuple(head)
        by_name = {one.key: cast("Column[Any]", one.columns[0]) for one in mapper.column_attrs}
        unknown = [name for name in self._names if name not in by_name]
        if unknown:
            raise ValueError(f"{mapper.class_.__name__} has no column attribute {unknown[0]!r}")
        given = [by_name[name] for name in self._names]
        taken = {column.key for column in given}
        self._defaulted = [
            column for column in self.table.columns if column.default is not None and column.key not in taken
        ]
        self.columns: list[Column[Any]] = [*given, *self._defaulted]
        # a default that is SQL or looks at the statement, and inheritance over several tables, need SQLAlchemy
        self.plain = mapper.inherits is None and mapper.polymorphic_on is None
        self.plain = self.plain and all(_python_default(column) is not None for column in self._defaulted)

    def named(self) -> Iterator[Mapping[str, Any]]:
        """The rows as they were given, checked."""
        expected = set(self._names)
        for row in self._rows:
            if row.keys() != expected:
                odd = sorted(row.keys() ^ expected)
                raise ValueError(
                    f"row {self.count} differs from the first in {', '.join(odd)}: give each the same names"
                )
            self.count += 1
            yield row

    def records(self, dialect: Dialect) -> Iterator[tuple[Any, ...]]:
        """The rows as tuples in the order of ``columns``, each value as the driver takes it."""
        processors = [column.type.dialect_impl(dialect).bind_processor(dialect) for column in self.columns]
        defaults = [_python_default(column) for column in self._defaulted]
        for row in self.named():
            values = [row[name] for name in self._names]
            values += [default() for default in defaults if default is not None]
            yield tuple(
                value if process is None else process(value)
                for value, process in zip(values, processors, strict=True)
            )


def _python_default(column: Column[Any]) -> Callable[[], Any] | None:
    """What makes a column's default without a statement; None where it takes one."""
    default: Any = column.default
    if default.is_scalar:
        return lambda: default.arg
    if default.is_callable:
        return lambda: default.arg(None)  # SQLAlchemy has wrapped it to take a context
    return None
