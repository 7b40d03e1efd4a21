"""A schema and a mapped class make columns, and their values what Pydantic validates.

The row's own values come as columns, read by the driver. What is nested comes as one column for each
relationship: a text of JSON arrays, in which every value is carried without loss. So it is one statement too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic_core import from_json
from sqlalchemy import ColumnElement, case, inspect, literal_column
from sqlalchemy.orm import Mapper, RelationshipProperty

from sqlawait.shape.expression import carried_of, joined, no_schema, related, stored_of
from sqlawait.shape.kinds import Stored
from sqlawait.shape.mapping import order_of, refuse_listeners, source_of
from sqlawait.shape.schema import NeedsObjects, NeedsPython, Nested, Node
from sqlawait.shape.writers import MARK, UNWRITABLE, Writer
from sqlawait.shape.writers.base import coalesce

Reader = Callable[[Any], Any]

_MARK = MARK.decode()


class Unwritten(Exception):
    """A value came that the database can neither write nor carry."""


@dataclass(frozen=True, eq=False, slots=True)
class Level:
    """How a row becomes a mapping that a schema validates as it would the object.

    Attributes:
        names: the mapped attributes, in the order of the values.
        readers: what makes the attribute's value, for those that are not yet.
    """

    names: tuple[str, ...]
    readers: tuple[tuple[str, Reader], ...]

    def values(self, row: Sequence[Any]) -> dict[str, Any]:
        """The attributes of one row; what follows them in the row is left alone.

        Raises:
            Unwritten: objects have to be loaded.
        """
        values = dict(zip(self.names, row, strict=False))
        for name, read in self.readers:
            values[name] = read(values[name])
        return values


class ColumnsBuilder:
    """Builds the columns of a row."""

    def __init__(self, writer: Writer) -> None:
        self._writer = writer

    def row(self, node: Node, entity: Any) -> tuple[list[ColumnElement[Any]], Level]:
        """The columns of one row of an entity, and how they are read.

        Raises:
            NeedsObjects: only objects have what the schema asks for.
            ConfigurationError: the schema asks for what the mapped class has not got.
        """
        columns: list[ColumnElement[Any]] = []
        names: list[str] = []
        readers: list[tuple[str, Reader]] = []
        for source, nested, where in _sources(node, entity):
            if nested is None:
                value, stored = stored_of(self._writer, entity, source, where)
                reader: Reader | None = stored.processor
            else:
                value, below = self._nested(nested, entity, source)
                reader = _Parsed(below)
            columns.append(value.label(f"value_{len(names)}"))
            names.append(source)
            if reader is not None:
                readers.append((source, reader))
        return columns, Level(tuple(names), tuple(readers))

    def _carried_row(self, node: Node, entity: Any) -> tuple[ColumnElement[str], Level]:
        """One row of an entity as a JSON array, and how it is read."""
        parts: list[str | ColumnElement[Any]] = []
        names: list[str] = []
        readers: list[tuple[str, Reader]] = []
        for source, nested, where in _sources(node, entity):
            parts.append("," if parts else "[")
            reader: Reader | None
            if nested is None:
                value, stored = stored_of(self._writer, entity, source, where)
                json, reader = self._carried(value, stored, where)
            else:
                json, reader = self._nested(nested, entity, source)
            parts.append(json)
            names.append(source)
            if reader is not None:
                readers.append((source, reader))
        return joined(self._writer, [*parts, "]"] if parts else ["[]"]), Level(tuple(names), tuple(readers))

    def _nested(self, nested: Nested, entity: Any, source: str) -> tuple[ColumnElement[Any], Reader]:
        relationship: RelationshipProperty[Any] = inspect(entity).mapper.relationships[source]
        target, rows = related(relationship, entity, many=nested.many)
        item, level = self._carried_row(nested.node, target)
        if nested.many:
            items = self._writer.collect(item, order_of(relationship, target), rows, entity)
            return joined(self._writer, ["[", items, "]"]), _Many(level)
        first = rows.with_only_columns(item).limit(literal_column("1"))
        one = first.correlate(entity).scalar_subquery()
        return coalesce(one, self._writer.text("null")), _One(level)

    def _carried(
        self, value: ColumnElement[Any], stored: Stored, where: str
    ) -> tuple[ColumnElement[Any], Reader | None]:
        try:
            carried = carried_of(self._writer, value, stored, where)
        except NeedsObjects:
            raise
        except NeedsPython as reason:
            raise NeedsObjects(str(reason)) from None
        absent = (value.is_(None), self._writer.text("null"))
        if carried.when is None:
            json = case(absent, else_=carried.json)
        else:
            json = case(absent, (carried.when, carried.json), else_=self._writer.text(UNWRITABLE.decode()))
        as_it_is = stored.processor is None and carried.decode in {int, str}
        return json, None if as_it_is else _Carried(carried.decode, stored.processor)


def _sources(node: Node, entity: Any) -> list[tuple[str, Nested | None, str]]:
    """The mapped attributes that a schema reads, with what they hold where that is nested."""
    mapper: Mapper[Any] = inspect(entity).mapper
    refuse_listeners(mapper)
    found: dict[str, tuple[Nested | None, str]] = {}
    for field in node.fields:
        where = f"{node.model.__name__}.{field.name}"
        source = source_of(mapper, node, field)
        if source is None:
            continue
        if source not in mapper.relationships:
            found[source] = None, where
            continue
        if not isinstance(field.content, Nested):
            raise NeedsObjects(no_schema(where, mapper, source))
        if source in found:
            raise NeedsObjects(f"{mapper.class_.__name__}.{source} is read twice")
        found[source] = field.content, where
    return [(source, *rest) for source, rest in found.items()]


class _Carried:
    """Reads a value that was carried in JSON."""

    __slots__ = ("_decode", "_processor")

    def __init__(self, decode: Reader, processor: Reader | None) -> None:
        self._decode = decode
        self._processor = processor

    def __call__(self, given: Any) -> Any:
        raw = None if given is None else self._decode(given)
        return raw if self._processor is None else self._processor(raw)


class _One:
    """Reads the row of a relationship to one."""

    __slots__ = ("_level",)

    def __init__(self, level: Level) -> None:
        self._level = level

    def __call__(self, given: list[Any] | None) -> dict[str, Any] | None:
        return None if given is None else self._level.values(given)


class _Many:
    """Reads the rows of a relationship to many."""

    __slots__ = ("_level",)

    def __init__(self, level: Level) -> None:
        self._level = level

    def __call__(self, given: list[list[Any]]) -> list[dict[str, Any]]:
        return [self._level.values(row) for row in given]


class _Parsed:
    """Reads what is nested out of its text."""

    __slots__ = ("_below",)

    def __init__(self, below: Reader) -> None:
        self._below = below

    def __call__(self, text: str | None) -> Any:
        if text is None or _MARK in text:
            raise Unwritten
        return self._below(from_json(text))


__all__ = ["ColumnsBuilder", "Level", "Unwritten"]
