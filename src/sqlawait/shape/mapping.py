"""What of a mapped class a field of a schema reads."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Table, inspect
from sqlalchemy.ext.hybrid import HybridExtensionType
from sqlalchemy.orm import Mapper, RelationshipProperty
from sqlalchemy.sql.util import ClauseAdapter

from sqlawait.exceptions import ConfigurationError
from sqlawait.shape.schema import Field, NeedsObjects, Node


def refuse_listeners(mapper: Mapper[Any]) -> None:
    """Refuse a class whose objects are not just what was read.

    Raises:
        NeedsObjects: something is done to each object that is loaded.
    """
    name = mapper.class_.__name__
    manager: Any = mapper.class_manager
    for listener in manager.dispatch.load:
        # Mutable types note changes, of which there are none here; what is ours changes nothing.
        if not getattr(listener, "__module__", "").startswith(("sqlalchemy.ext.mutable", "sqlawait.")):
            raise NeedsObjects(f"something listens to the loading of {name}, and may change it")
    for kind in mapper.class_.__mro__:
        # Pydantic's, which SQLModel's tables have, is for private attributes.
        if "__getattr__" in vars(kind) and not kind.__module__.startswith("pydantic."):
            raise NeedsObjects(f"{name} has a __getattr__")


def source_of(mapper: Mapper[Any], node: Node, field: Field) -> str | None:
    """The mapped attribute that a field is read from; None where it has its default.

    Raises:
        NeedsObjects: it is one that only an object has.
        ConfigurationError: there is none.
    """
    where = f"{node.model.__name__}.{field.name}"
    name = mapper.class_.__name__
    for source in field.sources:
        for child in mapper.self_and_descendants:
            if source in child.all_orm_descriptors or hasattr(child.class_, source):
                _refuse_other(mapper, child, source, where)
        if source in mapper.relationships or source in mapper.column_attrs:
            return source
        descriptor = mapper.all_orm_descriptors.get(source)
        if descriptor is not None and descriptor.extension_type is HybridExtensionType.HYBRID_PROPERTY:
            return source
        if hasattr(mapper.class_, source):
            raise NeedsObjects(f"{where} is read from {name}.{source}, which is Python's")
    if field.required:
        raise ConfigurationError(
            f"{where} is read from {name}.{field.sources[0]}, which does not exist;"
            " map it, give the field a default, or take it out of the schema"
        )
    return None


def _refuse_other(mapper: Mapper[Any], child: Mapper[Any], source: str, where: str) -> None:
    """Refuse what is another attribute in a class below: which row is of which class is not known here."""
    descriptors = mapper.all_orm_descriptors, child.all_orm_descriptors
    mapped = source in mapper.attrs, source in child.attrs
    hybrid = not any(mapped) and descriptors[0].get(source) is not descriptors[1].get(source)
    if mapped[0] != mapped[1] or hybrid or not hasattr(mapper.class_, source):
        raise NeedsObjects(f"{where} is read from {child.class_.__name__}.{source}, which is Python's")


def refuse_unusual(relationship: RelationshipProperty[Any], parent: Mapper[Any], *, many: bool) -> None:
    """Refuse a relationship that is not followed by one correlated select.

    Raises:
        NeedsObjects: it is such a one.
    """
    name = f"{relationship.parent.class_.__name__}.{relationship.key}"
    if bool(relationship.uselist) is not many:
        raise NeedsObjects(f"{name} is {'one row' if many else 'a list'}, the schema asks for the other")
    if many and relationship.collection_class not in {None, list}:
        raise NeedsObjects(f"{name} is collected in something else than a list")
    if not inspect(relationship.entity).is_mapper:
        raise NeedsObjects(f"{name} leads to an alias")
    if not isinstance(parent.selectable, Table):
        raise NeedsObjects(f"{parent.class_.__name__} is mapped to several tables")
    secondary = relationship.secondary
    if secondary is not None and not (isinstance(secondary, Table) and len(secondary.primary_key)):
        raise NeedsObjects(f"{name} goes through a table without primary key, which may hold a row twice")


def order_of(relationship: RelationshipProperty[Any], target: Any) -> list[Any]:
    """The relationship's own order, and the primary key among equals, so that the answer is always the same."""
    selectable = inspect(target).selectable
    adapter = ClauseAdapter(selectable)
    given = list(relationship.order_by) if relationship.order_by else []
    for clause in given:
        for column in clause._from_objects:
            if not relationship.mapper.persist_selectable.is_derived_from(column):
                raise NeedsObjects(f"{relationship} is ordered by another table")
    key = relationship.mapper.primary_key
    return [adapter.traverse(clause) for clause in [*given, *key]]


__all__ = ["order_of", "refuse_listeners", "refuse_unusual", "source_of"]
