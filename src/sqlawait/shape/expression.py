"""A schema and a mapped class make one SQL expression: the JSON of a row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json
from sqlalchemy import ColumnElement, Select, Table, case, inspect, literal_column, select
from sqlalchemy.ext.hybrid import HybridExtensionType
from sqlalchemy.orm import Mapper, RelationshipProperty, aliased
from sqlalchemy.sql import coercions, roles
from sqlalchemy.sql.util import ClauseAdapter

from sqlawait.exceptions import ConfigurationError
from sqlawait.shape.kinds import Kind, Stored
from sqlawait.shape.schema import Field, Leaf, NeedsPython, Nested, Node
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


class Finish:
    """Finishes in Python a value that the database only carried."""

    __slots__ = ("_carried", "_leaf", "_stored")

    def __init__(self, carried: Carried, stored: Stored, leaf: Leaf) -> None:
        self._carried = carried
        self._stored = stored
        self._leaf = leaf

    def __call__(self, json: bytes) -> bytes:
        """The value as Pydantic writes it."""
        given = from_json(json)
        raw = None if given is None else self._carried.decode(given)
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
        parts: list[str | ColumnElement[Any]] = ["{"]
        for number, field in enumerate(node.fields):
            parts += [("," if number else "") + field.key, *self._field(node, field, entity)]
        return self._joined([*parts, "}"])

    def _joined(self, parts: Sequence[str | ColumnElement[Any]]) -> ColumnElement[str]:
        """The parts as one text; constants that stand side by side become one."""
        joined: list[ColumnElement[Any]] = []
        constant = ""
        for part in [*parts, None]:
            if isinstance(part, str):
                constant += part
                continue
            if constant:
                joined.append(self.writer.text(constant))
                constant = ""
            if part is not None:
                joined.append(part)
        return self.writer.concat(joined)

    def _field(self, node: Node, field: Field, entity: Any) -> list[str | ColumnElement[Any]]:
        mapper: Mapper[Any] = inspect(entity).mapper
        where = f"{node.model.__name__}.{field.name}"
        source = _source(mapper, field, where)
        if source is None:
            assert field.default is not None  # else it would have been refused
            return [field.default]
        if source in mapper.relationships:
            if isinstance(field.content, Leaf):
                raise NeedsPython(f"{where} is no schema, but {mapper.class_.__name__}.{source} a relationship")
            return self._relationship(field.content, entity, mapper.relationships[source])
        if isinstance(field.content, Nested):
            raise NeedsPython(f"{where} is a schema, but {mapper.class_.__name__}.{source} no relationship")
        return [
            self._leaf(field.content, getattr(entity, source), where, hybrid=source not in mapper.column_attrs)
        ]

    # -- relationships

    def _relationship(
        self, content: Nested, entity: Any, relationship: RelationshipProperty[Any]
    ) -> list[str | ColumnElement[Any]]:
        _refuse_unusual(relationship, inspect(entity).mapper, many=content.many)
        target = aliased(relationship.mapper.class_)
        join = getattr(entity, relationship.key).of_type(target)
        rows: Select[Any] = select(inspect(target).selectable).where(join)
        item = self.row(content.node, target)
        if content.many:
            return ["[", self.writer.collect(item, _order(relationship, target), rows, entity), "]"]
        first = rows.with_only_columns(item).limit(literal_column("1"))
        one = first.correlate(entity).scalar_subquery()
        return [coalesce(one, self.writer.text("null") if content.nullable else self._unwritable())]

    # -- values

    def _leaf(self, leaf: Leaf, attribute: Any, where: str, *, hybrid: bool) -> ColumnElement[Any]:
        value: ColumnElement[Any] = coercions.expect(roles.ColumnArgumentRole, attribute)
        stored = Stored(value.type, self.writer.dialect)
        if hybrid and stored.kind in {Kind.FLOAT, Kind.DECIMAL, Kind.OTHER}:
            raise NeedsPython(f"{where} is computed, and Python may compute another {stored.kind}")
        if stored.kind is Kind.ENUM and stored.plain:
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
        carried = self.writer.carried(value, stored)
        if carried is None:
            raise NeedsPython(f"{where} is of a type that only the driver can read: {stored.type!r}")
        self.finishes.append(Finish(carried, stored, leaf))
        token = self._token(carried.json)
        return token if carried.when is None else case((carried.when, token), else_=self._unwritable())

    def _absent(self, leaf: Leaf, stored: Stored) -> ColumnElement[Any]:
        """What stands for NULL."""
        try:
            return self.writer.text(leaf.write(stored.value(None)).decode())
        except Exception:  # noqa: BLE001 - whatever a type or a validator raises is raised when a NULL comes
            return self._unwritable()

    def _token(self, json: ColumnElement[Any]) -> ColumnElement[Any]:
        number = f"{len(self.finishes) - 1}:"
        mark = self.writer.mark()
        return self.writer.concat([mark, self.writer.text(number), json, mark])

    def _unwritable(self) -> ColumnElement[Any]:
        return self.writer.text(UNWRITABLE.decode())


def _source(mapper: Mapper[Any], field: Field, where: str) -> str | None:
    """The mapped attribute that a field is read from; None where it has its default."""
    name = mapper.class_.__name__
    for source in field.sources:
        if source in mapper.relationships:
            return source
        if source in mapper.column_attrs:
            _refuse_overridden(mapper, source, where)
            return source
        descriptor = mapper.all_orm_descriptors.get(source)
        if descriptor is not None and descriptor.extension_type is HybridExtensionType.HYBRID_PROPERTY:
            return source
        if hasattr(mapper.class_, source):
            raise NeedsPython(f"{where} is read from {name}.{source}, which is Python's")
    if field.required:
        raise ConfigurationError(
            f"{where} is read from {name}.{field.sources[0]}, which does not exist;"
            " map it, give the field a default, or take it out of the schema"
        )
    if field.default is None:
        raise NeedsPython(f"{where} has a default that is made anew each time")
    return None


def _refuse_overridden(mapper: Mapper[Any], source: str, where: str) -> None:
    for child in mapper.self_and_descendants:
        if source not in child.column_attrs:
            raise NeedsPython(f"{where} is read from {child.class_.__name__}.{source}, which is Python's")


def _refuse_unusual(relationship: RelationshipProperty[Any], parent: Mapper[Any], *, many: bool) -> None:
    name = f"{relationship.parent.class_.__name__}.{relationship.key}"
    if bool(relationship.uselist) is not many:
        raise NeedsPython(f"{name} is {'one row' if many else 'a list'}, the schema asks for the other")
    if many and relationship.collection_class not in {None, list}:
        raise NeedsPython(f"{name} is collected in something else than a list")
    if not inspect(relationship.entity).is_mapper:
        raise NeedsPython(f"{name} leads to an alias")
    if not isinstance(parent.selectable, Table):
        raise NeedsPython(f"{parent.class_.__name__} is mapped to several tables")
    secondary = relationship.secondary
    if secondary is not None and not (isinstance(secondary, Table) and len(secondary.primary_key)):
        raise NeedsPython(f"{name} goes through a table without primary key, which may hold a row twice")


def _order(relationship: RelationshipProperty[Any], target: Any) -> list[Any]:
    """The relationship's own order, and the primary key among equals, so that the answer is always the same."""
    selectable = inspect(target).selectable
    adapter = ClauseAdapter(selectable)
    given = list(relationship.order_by) if relationship.order_by else []
    for clause in given:
        for column in clause._from_objects:
            if not relationship.mapper.persist_selectable.is_derived_from(column):
                raise NeedsPython(f"{relationship} is ordered by another table")
    key = relationship.mapper.primary_key
    return [adapter.traverse(clause) for clause in [*given, *key]]


__all__ = ["Builder", "Finish"]
