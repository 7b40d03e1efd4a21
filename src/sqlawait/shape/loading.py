"""A schema makes loader options: for those who want objects, with exactly the relationships that it names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

from pydantic import AliasChoices, BaseModel
from pydantic.fields import FieldInfo
from sqlalchemy import inspect
from sqlalchemy.orm import Mapper, lazyload, load_only, selectin_polymorphic, selectinload, undefer
from sqlalchemy.orm.interfaces import ORMOption

from sqlawait.exceptions import ConfigurationError
from sqlawait.shape.mapping import refuse_listeners, source_of
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
    yield from _columns(entity, mapper, schema)
    named = set()
    for name, field in schema.model_fields.items():
        nested = next(_schemas(field.annotation), None)
        source = next((source for source in _sources(name, field) if source in mapper.relationships), None)
        if source is None or mapper.relationships[source].lazy in {"dynamic", "write_only"}:
            continue
        named.add(source)
        attribute = getattr(entity, source)
        if nested is None:
            yield selectinload(attribute)
        elif nested is schema or nested in above:
            # A schema that contains itself: all the levels that there are.
            yield selectinload(attribute, recursion_depth=-1)
        else:
            below = _options(mapper.relationships[source].mapper.class_, nested, (*above, schema))
            yield selectinload(attribute).options(*below)
    for relationship in mapper.relationships:
        if relationship.key not in named and relationship.lazy in _EAGER:
            yield lazyload(getattr(entity, relationship.key))


_EAGER = {"joined", "selectin", "subquery", "immediate", False}


def _columns(entity: Any, mapper: Mapper[Any], schema: type[BaseModel]) -> Iterator[Any]:
    """The columns that the schema names; all where it may look at others through Python."""
    try:
        refuse_listeners(mapper)
        node: Node = read(schema)
        sources = {source_of(mapper, node, field) for field in node.fields}
        if sources <= {None, *mapper.column_attrs.keys(), *mapper.relationships.keys()}:
            names = [name for name in sources if name is not None and name in mapper.column_attrs]
            if names:
                yield load_only(*(getattr(entity, name) for name in names))
            return
    except (NeedsPython, ConfigurationError):  # what is wrong is said where the object is validated
        pass
    asked = {source for name, field in schema.model_fields.items() for source in _sources(name, field)}
    for attribute in mapper.column_attrs:
        if attribute.deferred and attribute.key in asked:
            yield undefer(getattr(entity, attribute.key))
    below = [
        child.class_
        for child in mapper.self_and_descendants
        if any(name in child.attrs and name not in mapper.attrs for name in asked)
    ]
    if below:
        yield selectin_polymorphic(entity, below)


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
