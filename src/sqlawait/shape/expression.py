"""A schema and a mapped class make one SQL expression: the JSON of a row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json
from sqlalchemy import ColumnElement, Select, case, inspect, literal_column, select
from sqlalchemy.orm import Mapper, RelationshipProperty, aliased
from sqlalchemy.sql import coercions, roles

from sqlawait.shape.kinds import Kind, Stored
from sqlawait.shape.mapping import order_of, refuse_listeners, refuse_unusual, source_of
from sqlawait.shape.schema import Field, Leaf, NeedsObjects, NeedsPython, Nested, Node
from sqlawait.shape.writers import UNWRITABLE, Writer
from sqlawait.shape.writers.base import Carried, Native, coalesce

_EXACT = {
    Kind.BOOLEAN: "bool",
    Kind.INTEGER: "int",
    Kind.FLOAT: "float",
    Kind.DECIMAL: "decimal",
    Kind.STRING: "str",
    Kind.DATE: "date",
    Kind.TIME: "time",
    Kind.DATETIME: "datetime",
    Kind.UUID: "uuid",
}
"""The schema's type for which a value of this kind is written as it is."""

_SIMPLE = {*_EXACT.values(), "any", "enum", "literal"}
"""Types of a schema that make the same of the same value each time."""


class Finish:
    """Finishes in Python a value that the database only carried."""

    __slots__ = ("_decode", "_leaf", "_stored")

    def __init__(self, decode: Callable[[Any], Any], stored: Stored, leaf: Leaf) -> None:
        self._decode = decode
        self._stored = stored
        self._leaf = leaf

    def __call__(self, json: bytes) -> bytes:
        """The value as Pydantic writes it."""
        given = from_json(json)
        raw = None if given is None else self._decode(given)
        return self._leaf.write(self._stored.value(raw))


class Builder:
    """Builds the expression of one row's JSON.

    Attributes:
        writer: writes the database's JSON.
        finishes: what is to be finished in Python, by the number that stands in the text.
    """

    def __init__(self, writer: Writer) -> None:
        self.writer = writer
        self.finishes: list[Finish] = []

    def row(self, node: Node, entity: Any) -> ColumnElement[str]:
        """The JSON of one row of an entity.

        Raises:
            NeedsPython: the schema asks for what SQL cannot give.
            ConfigurationError: the schema asks for what the mapped class has not got.
        """
        if node.reason is not None:
            raise NeedsPython(node.reason)
        refuse_listeners(inspect(entity).mapper)
        parts: list[str | ColumnElement[Any]] = ["{"]
        for field in node.fields:
            value = self._field(node, field, entity)
            if not field.excluded:
                parts += [("," if len(parts) > 1 else "") + field.key, *value]
        return joined(self.writer, [*parts, "}"])

    def _field(self, node: Node, field: Field, entity: Any) -> list[str | ColumnElement[Any]]:
        mapper: Mapper[Any] = inspect(entity).mapper
        where = f"{node.model.__name__}.{field.name}"
        if field.reason is not None:
            raise NeedsPython(field.reason)
        source = source_of(mapper, node, field)
        if source is None:
            if field.default is None:
                raise NeedsPython(f"{where} has a default that is made anew each time")
            return [field.default]
        if source in mapper.relationships:
            if field.excluded:
                raise NeedsPython(f"{where} is checked, but not written")
            if not isinstance(field.content, Nested):
                raise NeedsObjects(no_schema(where, mapper, source))
            return self._relationship(field.content, entity, mapper.relationships[source])
        if not isinstance(field.content, Leaf):
            raise NeedsPython(f"{where} is a schema, but {mapper.class_.__name__}.{source} no relationship")
        value, stored = stored_of(self.writer, entity, source, where)
        if field.excluded:
            _refuse_checks(field.content, value, stored, where)
            return []
        return [self._leaf(field.content, value, stored, where)]

    # -- relationships

    def _relationship(
        self, content: Nested, entity: Any, relationship: RelationshipProperty[Any]
    ) -> list[str | ColumnElement[Any]]:
        target, rows = related(relationship, entity, many=content.many)
        item = self.row(content.node, target)
        if content.many:
            return ["[", self.writer.collect(item, order_of(relationship, target), rows, entity), "]"]
        first = rows.with_only_columns(item).limit(literal_column("1"))
        one = first.correlate(entity).scalar_subquery()
        return [coalesce(one, self.writer.text("null") if content.nullable else self._unwritable())]

    # -- values

    def _leaf(self, leaf: Leaf, value: Any, stored: Stored, where: str) -> ColumnElement[Any]:
        if stored.kind is Kind.ENUM and stored.plain and leaf.plain in _SIMPLE:
            known = self._labels(leaf, value, stored)
            return case(*known, (value.is_(None), self._absent(leaf, stored)), else_=self._unwritable())
        native, when = self._native(leaf, value, stored)
        if native is None:
            otherwise = self._carried(leaf, value, stored, where)
            return case((value.is_(None), self._absent(leaf, stored)), else_=otherwise)
        if when is None and native.passes_null:
            return coalesce(native.json, self._absent(leaf, stored))
        if when is None:
            return case((value.is_(None), self._absent(leaf, stored)), else_=native.json)
        rarely = native.rarely and not leaf.bounds
        otherwise = self._unwritable() if rarely else self._carried(leaf, value, stored, where)
        return case((value.is_(None), self._absent(leaf, stored)), (when, native.json), else_=otherwise)

    def _native(
        self, leaf: Leaf, value: Any, stored: Stored
    ) -> tuple[Native | None, ColumnElement[bool] | None]:
        """The value as the database writes it, and under which condition."""
        fits = stored.plain and leaf.plain in {_EXACT.get(stored.kind), "any"}
        native = self.writer.native(value, stored) if fits else None
        if native is None or not leaf.bounds:
            return native, None if native is None else native.when
        within = self.writer.fits(value, stored.kind, leaf.bounds)
        if within is None:
            return None, None
        return native, within if native.when is None else native.when & within

    def _labels(self, leaf: Leaf, value: Any, stored: Stored) -> list[tuple[Any, ColumnElement[Any]]]:
        """Each of an enumeration's values, written now: there are no others."""
        known = []
        for label in stored.labels:
            try:
                written = leaf.write(stored.value(label)).decode()
            except (ValidationError, LookupError):
                continue  # the schema refuses it: so it will when it comes
            known.append((self.writer.same(value, label), self.writer.text(written)))
        return known

    def _carried(self, leaf: Leaf, value: Any, stored: Stored, where: str) -> ColumnElement[Any]:
        """The value for Python to finish; a sign where it cannot even be carried."""
        carried = carried_of(self.writer, value, stored, where)
        token = self._token(carried.json, Finish(carried.decode, stored, leaf))
        return token if carried.when is None else case((carried.when, token), else_=self._unwritable())

    def _absent(self, leaf: Leaf, stored: Stored) -> ColumnElement[Any]:
        """What stands for NULL. A validator may answer differently each time, so it is asked each time."""
        if leaf.plain not in _SIMPLE or not stored.plain:
            return self._token(self.writer.text("null"), Finish(str, stored, leaf))
        try:
            return self.writer.text(leaf.write(stored.value(None)).decode())
        except ValidationError:  # so it is when a NULL comes
            return self._unwritable()

    def _token(self, json: ColumnElement[Any], finish: Finish) -> ColumnElement[Any]:
        self.finishes.append(finish)
        number = f"{len(self.finishes) - 1}:"
        mark = self.writer.mark()
        return self.writer.concat([mark, self.writer.text(number), json, mark])

    def _unwritable(self) -> ColumnElement[Any]:
        return self.writer.text(UNWRITABLE.decode())


def joined(writer: Writer, parts: Sequence[str | ColumnElement[Any]]) -> ColumnElement[str]:
    """The parts as one text; constants that stand side by side become one."""
    texts: list[ColumnElement[Any]] = []
    constant = ""
    for part in [*parts, None]:
        if isinstance(part, str):
            constant += part
            continue
        if constant:
            texts.append(writer.text(constant))
            constant = ""
        if part is not None:
            texts.append(part)
    return writer.concat(texts)


def related(relationship: RelationshipProperty[Any], entity: Any, *, many: bool) -> tuple[Any, Select[Any]]:
    """An alias of a relationship's other side, and the select of its rows for one of this side."""
    refuse_unusual(relationship, inspect(entity).mapper, many=many)
    target = aliased(relationship.mapper.class_)
    join = getattr(entity, relationship.key).of_type(target)
    return target, select(inspect(target).selectable).where(join)


def stored_of(writer: Writer, entity: Any, source: str, where: str) -> tuple[ColumnElement[Any], Stored]:
    """A mapped attribute as SQL, and how its values are kept.

    Raises:
        NeedsObjects: Python may compute another value than the database.
    """
    value: ColumnElement[Any] = coercions.expect(roles.ColumnArgumentRole, getattr(entity, source))
    stored = Stored(value.type, writer.dialect)
    hybrid = source not in inspect(entity).mapper.column_attrs
    if hybrid and stored.kind in {Kind.FLOAT, Kind.DECIMAL, Kind.OTHER}:
        raise NeedsObjects(f"{where} is computed, and Python may compute another {stored.kind}")
    return value, stored


def carried_of(writer: Writer, value: ColumnElement[Any], stored: Stored, where: str) -> Carried:
    """The value carried to Python inside of a text.

    Raises:
        NeedsPython: it cannot be.
    """
    carried = None if stored.expressed else writer.carried(value, stored)
    if carried is None:
        raise NeedsPython(f"{where} is of a type that only the driver can read: {stored.type!r}")
    return carried


def no_schema(where: str, mapper: Mapper[Any], source: str) -> str:
    """What is wrong with a field that would hold the objects of a relationship themselves."""
    return f"{where} is no schema, but {mapper.class_.__name__}.{source} a relationship"


def _refuse_checks(leaf: Leaf, value: ColumnElement[Any], stored: Stored, where: str) -> None:
    """Refuse to leave a value out that the schema might not have let pass."""
    never_null = leaf.nullable or getattr(value, "nullable", True) is False
    if not never_null or not stored.plain or leaf.bounds or leaf.plain not in {_EXACT.get(stored.kind), "any"}:
        raise NeedsPython(f"{where} is checked, but not written")


__all__ = ["Builder", "Finish", "carried_of", "joined", "no_schema", "related", "stored_of"]
