"""One new object, stored by one statement: what a flush does for it, without the plan that many would need.

A flush sorts, groups and cascades; for a single object that costs more than the INSERT. What is done here ends
in the same state; where anything else might have to happen, it is left to the flush.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Column, Table, insert
from sqlalchemy.orm import InstanceState, Mapper, Session
from sqlalchemy.orm.attributes import instance_state
from sqlalchemy.sql import ClauseElement
from sqlalchemy.sql.dml import Insert
from sqlalchemy.util import safe_reraise

_FLUSH_EVENTS = ("before_flush", "after_flush", "after_flush_postexec")
_MAPPER_EVENTS = ("before_insert", "after_insert")


@dataclass(slots=True)
class _Recipe:
    """How a class is stored."""

    columns: dict[str, Column[Any]]
    """By attribute."""
    returned: tuple[str, ...]
    """Attributes that an object has after it is stored: all but the deferred ones."""
    statements: dict[frozenset[str], tuple[Insert, tuple[str, ...]]] = field(default_factory=dict)
    """By the attributes that are given: the statement, and the attributes that it brings back."""


_recipes: WeakKeyDictionary[Mapper[Any], _Recipe | None] = WeakKeyDictionary()


def store(session: Session, instance: object) -> bool:
    """Store a new object, if nothing but its INSERT has to happen.

    Parameters:
        session: it has no other changes waiting, else nothing is done.
        instance: a new object of a mapped class, not yet in a session.

    Returns:
        Whether it is stored. If not, nothing has happened, and ``session.add`` and a flush will do it.

    Raises:
        sqlalchemy.exc.IntegrityError: a constraint refused it; the session has to be rolled back, as after a
            flush that failed.
    """
    state = instance_state(instance)
    mapper = state.mapper
    if mapper not in _recipes:
        _recipes[mapper] = _recipe(mapper)
    recipe = _recipes[mapper]
    if recipe is None or not _is_quiet(session, state) or not session.get_bind(mapper).dialect.insert_returning:
        return False
    given: dict[str, Any] = {}
    for name, value in state.dict.items():
        if name == "_sa_instance_state" or value is None:
            continue  # None leaves the column to its default, as in a flush
        if (
            name not in recipe.columns
            or isinstance(value, ClauseElement)
            or hasattr(value, "__clause_element__")
        ):
            return False
        given[name] = value
    key = frozenset(given)
    if key not in recipe.statements:
        missing = tuple(name for name in recipe.returned if name not in key)
        table = mapper.local_table
        assert isinstance(table, Table)
        recipe.statements[key] = insert(table).returning(*(recipe.columns[name] for name in missing)), missing
    statement, missing = recipe.statements[key]
    parameters = {recipe.columns[name].key: value for name, value in given.items()}
    session._save_impl(state)
    transaction = session._autobegin_t()._begin()
    try:
        connection = transaction.connection(mapper)
        result = connection.execute(statement, parameters)
        if missing:
            state.dict.update(zip(missing, result.one(), strict=True))
        session._register_persistent({state})
        transaction.commit()
    except BaseException:
        with safe_reraise():
            transaction.rollback(_capture_exception=True)
    return True


def _is_quiet(session: Session, state: InstanceState[Any]) -> bool:
    """Whether no other change waits and nobody listens to a flush."""
    dispatch: Any = state.mapper.dispatch
    manager: Any = state.manager
    return (
        session._is_clean()
        and type(session).flush is Session.flush
        and not any(getattr(session.dispatch, name) for name in _FLUSH_EVENTS)
        and not any(getattr(dispatch, name) for name in _MAPPER_EVENTS)
        and not manager.dispatch.refresh_flush
    )


def _recipe(mapper: Mapper[Any]) -> _Recipe | None:
    """None for a class that needs the whole unit of work."""
    table = mapper.local_table
    if (
        not isinstance(table, Table)
        or mapper.inherits is not None
        or mapper.polymorphic_on is not None
        or mapper.version_id_col is not None
    ):
        return None
    columns: dict[str, Column[Any]] = {}
    for attribute in mapper.column_attrs:
        column = attribute.columns[0]
        if len(attribute.columns) > 1 or not isinstance(column, Column) or column.table is not table:
            return None
        if column.type.should_evaluate_none:
            return None
        columns[attribute.key] = column
    returned = tuple(attribute.key for attribute in mapper.column_attrs if not attribute.deferred)
    return _Recipe(columns, returned)


__all__ = ["store"]
