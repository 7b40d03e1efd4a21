"""A schema makes loader options: for those who want objects, with exactly the relationships that it names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

from pydantic import AliasChoices, BaseModel
from pydantic.fields import FieldInfo
from sqlalchemy import inspect
from sqlalchemy.orm import Mapper, load_only, selectinload
from sqlalchemy.orm.interfaces import ORMOption

from sqlawait.shape.schema import NeedsPython, Node, read


def load_for(model: type[Any], schema: type[BaseModel]) -> list[ORMOption]:
    """Loader options for objects that are to be turned into a schema.

    Parameters:
        model: the mapped class that is selected, or the alias of one.
        schema: a Pydantic model; the relationships that it names are loaded, one round trip a level.

    Example::

        users = await session.all(select(User).options(*load_for(User, UserWithPosts)))
    """
    return list(_options(model, schema, ()))


def _options(entity: Any, schema: type[BaseModel], above: tuple[type, ...]) -> Iterator[Any]:
    mapper: Mapper[Any] = inspect(entity).mapper
    only = _columns(mapper, schema)
    if only:
        yield load_only(*(getattr(entity, name) for name in only))
    for name, field in schema.model_fields.items():
        nested = next(_schemas(field.annotation), None)
        source = next((source for source in _sources(name, field) if source in mapper.relationships), None)
        if nested is None or source is None:
            continue
        attribute = getattr(entity, source)
        if nested is schema or nested in above:
            # A schema that contains itself: all the levels that there are.
            yield selectinload(attribute, recursion_depth=-1)
        else:
            below = _options(mapper.relationships[source].mapper.class_, nested, (*above, schema))
            yield selectinload(attribute).options(*below)


def _columns(mapper: Mapper[Any], schema: type[BaseModel]) -> list[str]:
    """The columns that the schema names; none where it may look at others through Python."""
    try:
        node: Node = read(schema)
    except NeedsPython:
        return []
    names: list[str] = []
    for field in node.fields:
        for source in field.sources:
            if source in mapper.column_attrs:
                names.append(source)
            elif hasattr(mapper.class_, source) and source not in mapper.relationships:
                return []
    return names


def _schemas(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models in an annotation: ``list[Post] | None`` holds Post."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _schemas(argument)


def _sources(name: str, field: FieldInfo) -> Iterator[str]:
    alias = field.validation_alias
    choices = alias.choices if isinstance(alias, AliasChoices) else [alias]
    yield from (choice for choice in choices if isinstance(choice, str))
    yield name


__all__ = ["load_for"]
