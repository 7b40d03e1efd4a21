"""What is asked of a mapped class."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar, cast

from sqlalchemy import Column, Table, inspect
from sqlalchemy.orm import InstanceState, InstrumentedAttribute, Mapper, RelationshipProperty, Session
from sqlalchemy.orm.attributes import set_committed_value

T = TypeVar("T")


def mapper_of(model: type[T]) -> Mapper[T]:
    """Its mapper."""
    mapper: Mapper[T] = inspect(model)
    return mapper


def table_of(mapper: Mapper[Any]) -> Table:
    """The table that its rows are inserted into."""
    assert isinstance(mapper.local_table, Table)  # a class mapped to a join or a select cannot be inserted
    return mapper.local_table


def attribute_of(model: type[Any], name: str) -> str:
    """The name, if the class maps it: nothing else may be reached by a name that comes from elsewhere."""
    if name not in mapper_of(model).all_orm_descriptors:
        raise TypeError(f"{model.__name__} has no mapped attribute {name!r}")
    return name


def keys_of(mapper: Mapper[Any], on: Any) -> list[Column[Any]]:
    """The columns that say which row is meant: those of the attributes ``on``, else the primary key."""
    if not on:
        return [cast("Column[Any]", column) for column in mapper.primary_key]
    names = [on] if isinstance(on, (str, InstrumentedAttribute)) else on
    attributes = [mapper.column_attrs[name if isinstance(name, str) else name.key] for name in names]
    return [cast("Column[Any]", attribute.columns[0]) for attribute in attributes]


def key_of(identity: Any) -> tuple[Any, ...]:
    """The values of a primary key as a tuple; empty where only SQLAlchemy knows how to read it."""
    if isinstance(identity, dict):
        return ()
    return tuple(identity) if isinstance(identity, (tuple, list)) else (identity,)


@contextmanager
def keeping_relationships(session: Session, mapper: Mapper[Any]) -> Iterator[None]:
    """Read objects anew, and leave loaded what was loaded of their relationships.

    ``populate_existing`` forgets relationships that the statement does not load, and the next touch of one
    would be a lazy load. What a foreign key no longer points to is forgotten all the same.
    """
    before: list[tuple[Any, str, Any, tuple[Any, ...]]] = []
    for state in session.identity_map.all_states() if mapper.relationships else ():
        instance = state.obj()
        if instance is not None and state.mapper.isa(mapper):
            before += [
                (instance, one.key, state.dict[one.key], _links(state, one))
                for one in state.mapper.relationships
                if one.key in state.dict
            ]
    yield
    for instance, name, value, links in before:
        state = inspect(instance)
        if name not in state.dict and _links(state, state.mapper.relationships[name]) == links:
            set_committed_value(instance, name, value)


def _links(state: InstanceState[Any], relationship: RelationshipProperty[Any]) -> tuple[Any, ...]:
    """What an object holds of the columns that lead to the others."""
    mapped = state.mapper.columns
    columns = [cast("Column[Any]", one) for one in relationship.local_columns]
    names = [state.mapper.get_property_by_column(one).key for one in columns if mapped.contains_column(one)]
    return tuple(state.dict.get(name) for name in sorted(names))


__all__ = ["attribute_of", "keeping_relationships", "key_of", "keys_of", "mapper_of", "table_of"]
