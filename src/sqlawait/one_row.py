"""One object stored, changed or deleted by one statement: what a flush does, without the plan that many need.

A flush sorts, groups and cascades; for a single object that costs more than the statement. What is done here
ends in the same state; where anything else might have to happen, it is left to the flush.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Column, Delete, Table, Update, bindparam, delete, insert, update
from sqlalchemy.orm import InstanceState, Mapper, RelationshipProperty, Session
from sqlalchemy.orm.attributes import instance_state
from sqlalchemy.orm.exc import StaleDataError
from sqlalchemy.orm.interfaces import MANYTOONE
from sqlalchemy.sql import ClauseElement
from sqlalchemy.sql.dml import Insert
from sqlalchemy.util import safe_reraise

_FLUSH_EVENTS = ("before_flush", "after_flush", "after_flush_postexec")
_EAGER = {"joined", "selectin", "subquery", "immediate", False}
_KEY = "sqlawait_key_{}"


@dataclass(slots=True)
class _Recipe:
    """How a class is stored."""

    table: Table
    columns: dict[str, Column[Any]]
    """By attribute."""
    returned: tuple[str, ...]
    """Attributes that an object has after it is stored: all but the deferred ones."""
    evaluates_none: frozenset[str]
    """Attributes in which None is a value, and not the want of one."""
    keys: frozenset[str]
    """Attributes that say which row it is."""
    changed: tuple[str, ...]
    """Attributes that the database, or their column, gives another value at each UPDATE."""
    inserts: dict[frozenset[str], tuple[Insert, tuple[str, ...]]] = field(default_factory=dict)
    """By the attributes that are given: the statement, and the attributes that it brings back."""
    updates: dict[frozenset[str], tuple[Update, tuple[str, ...]]] = field(default_factory=dict)


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
    recipe = _recipe_of(state.mapper)
    if (
        recipe is None
        or not session._is_clean()
        or not _is_quiet(session, state.mapper, "insert")
        or not session.get_bind(state.mapper).dialect.insert_returning
    ):
        return False
    given: dict[str, Any] = {}
    for name, value in state.dict.items():
        if name == "_sa_instance_state":
            continue
        if name not in recipe.columns or _is_sql(value):
            return False
        if value is None:
            if name in recipe.evaluates_none:
                return False
            continue  # it leaves the column to its default, as in a flush
        given[name] = value
    statement, missing = _insert(recipe, frozenset(given))
    parameters = {recipe.columns[name].key: value for name, value in given.items()}
    session._save_impl(state)
    _execute(session, state, statement, parameters, missing)
    return True


def change(session: Session, instance: object) -> bool:
    """Store the changes of an object, if nothing but its UPDATE has to happen.

    Parameters:
        session: it has no other changes waiting, else nothing is done.
        instance: an object of this session.

    Returns:
        Whether they are stored. If not, nothing has happened, and a flush will do it.

    Raises:
        sqlalchemy.exc.IntegrityError: a constraint refused them; as for :func:`store`.
        sqlalchemy.orm.exc.StaleDataError: the row is gone.
    """
    state = instance_state(instance)
    recipe = _recipe_of(state.mapper)
    if recipe is None or state.key is None or not _is_only_change(session, state):
        return False
    dialect = session.get_bind(state.mapper).dialect
    if not _is_quiet(session, state.mapper, "update") or (recipe.changed and not dialect.update_returning):
        return False
    given: dict[str, Any] = {}
    for name, before in state.committed_state.items():
        value = state.dict.get(name)
        if name not in recipe.columns or name in recipe.keys or name not in state.dict or _is_sql(value):
            return False
        if state.manager[name].impl.is_equal(value, before) is not True:
            given[name] = value
    if not given:
        return False  # a flush has no statement either
    statement, missing = _update(recipe, frozenset(given))
    parameters = {recipe.columns[name].key: value for name, value in given.items()}
    parameters |= {_KEY.format(number): value for number, value in enumerate(state.key[1])}
    _execute(session, state, statement, parameters, missing)
    return True


def update_of(
    session: Session, mapper: Mapper[Any], identity: tuple[Any, ...], names: set[str]
) -> Update | None:
    """The UPDATE of one row that is as good as a change of its object; None where only the object will do.

    Parameters:
        session: that of the statement.
        mapper: the class.
        identity: the row's primary key.
        names: the attributes to be changed.
    """
    recipe = _recipe_of(mapper)
    if (
        recipe is None
        or not session.get_bind(mapper).dialect.update_returning
        or not names <= recipe.columns.keys() - recipe.keys
        or not _is_quiet(session, mapper, "update")
        or mapper.validators
        or any(mapper.class_manager[name].dispatch.set for name in names)
        or any(relationship.lazy in _EAGER for relationship in mapper.relationships)
        or len(recipe.returned) != len(recipe.columns)
        or mapper.identity_key_from_primary_key(identity) in session.identity_map
    ):
        return None
    return update(mapper.class_).where(*_matches(mapper, identity))


def delete_of(session: Session, mapper: Mapper[Any], identity: tuple[Any, ...]) -> Delete | None:
    """The DELETE of one row that is as good as that of its object; None where only the object will do."""
    if (
        _recipe_of(mapper) is None
        or mapper.identity_key_from_primary_key(identity) in session.identity_map
        or not _is_quiet(session, mapper, "delete")
        or any(map(_follows, mapper.relationships))
    ):
        return None
    return delete(mapper.class_).where(*_matches(mapper, identity))


def _follows(relationship: RelationshipProperty[Any]) -> bool:
    """Whether the deletion of an object has consequences for those that it is related to, or their rows."""
    if relationship.viewonly or relationship.passive_deletes:
        return False
    return relationship.direction is not MANYTOONE or relationship.cascade.delete


def _matches(mapper: Mapper[Any], identity: tuple[Any, ...]) -> list[Any]:
    return [column == value for column, value in zip(mapper.primary_key, identity, strict=True)]


def _execute(
    session: Session,
    state: InstanceState[Any],
    statement: Insert | Update,
    parameters: dict[str, Any],
    missing: tuple[str, ...],
) -> None:
    """Execute a statement for an object as a flush would, and note that it has what the row has."""
    transaction = session._autobegin_t()._begin()
    try:
        connection = transaction.connection(state.mapper)
        result = connection.execute(statement, parameters)
        found: Any = result.one_or_none() if missing else None
        if isinstance(statement, Update) and (found is None if missing else result.rowcount != 1):
            raise StaleDataError(
                f"UPDATE statement on table '{statement.table}' expected to update 1 row(s); 0 were matched."
            )
        if missing:
            state.dict.update(zip(missing, found, strict=True))
        session._register_persistent({state})
        transaction.commit()
    except BaseException:
        with safe_reraise():
            transaction.rollback(_capture_exception=True)


def _insert(recipe: _Recipe, given: frozenset[str]) -> tuple[Insert, tuple[str, ...]]:
    if given not in recipe.inserts:
        missing = tuple(name for name in recipe.returned if name not in given)
        statement = insert(recipe.table).returning(*(recipe.columns[name] for name in missing))
        recipe.inserts[given] = statement, missing
    return recipe.inserts[given]


def _update(recipe: _Recipe, given: frozenset[str]) -> tuple[Update, tuple[str, ...]]:
    if given not in recipe.updates:
        missing = tuple(name for name in recipe.changed if name not in given)
        keys = [
            column == bindparam(_KEY.format(number), type_=column.type)
            for number, column in enumerate(recipe.table.primary_key)
        ]
        statement = update(recipe.table).where(*keys)
        if missing:
            statement = statement.returning(*(recipe.columns[name] for name in missing))
        recipe.updates[given] = statement, missing
    return recipe.updates[given]


def _is_sql(value: Any) -> bool:
    return isinstance(value, ClauseElement) or hasattr(value, "__clause_element__")


def _is_only_change(session: Session, state: InstanceState[Any]) -> bool:
    """Whether an object is all that a flush would have to see to."""
    return not session._new and not session._deleted and session.identity_map._modified == {state}


def _is_quiet(session: Session, mapper: Mapper[Any], what: str) -> bool:
    """Whether nobody listens to a flush."""
    dispatch: Any = mapper.dispatch
    manager: Any = mapper.class_manager
    return (
        type(session).flush is Session.flush
        and not any(getattr(session.dispatch, name) for name in _FLUSH_EVENTS)
        and not getattr(dispatch, f"before_{what}")
        and not getattr(dispatch, f"after_{what}")
        and not manager.dispatch.refresh_flush
    )


def _recipe_of(mapper: Mapper[Any]) -> _Recipe | None:
    if mapper not in _recipes:
        _recipes[mapper] = _recipe(mapper)
    return _recipes[mapper]


def _recipe(mapper: Mapper[Any]) -> _Recipe | None:
    """None for a class that needs the whole unit of work."""
    table = mapper.local_table
    if (
        not isinstance(table, Table)
        or mapper.inherits is not None
        or mapper.polymorphic_on is not None
        or mapper.version_id_col is not None
        or getattr(mapper, "_insert_orm_defaults", {}).get(table)  # defaults that only a flush knows
        or tuple(mapper.primary_key) != tuple(table.primary_key)
    ):
        return None
    columns: dict[str, Column[Any]] = {}
    for attribute in mapper.column_attrs:
        column = attribute.columns[0]
        if len(attribute.columns) > 1 or not isinstance(column, Column) or column.table is not table:
            return None
        columns[attribute.key] = column
    return _Recipe(
        table=table,
        columns=columns,
        returned=tuple(attribute.key for attribute in mapper.column_attrs if not attribute.deferred),
        evaluates_none=frozenset(name for name, column in columns.items() if column.type.should_evaluate_none),
        keys=frozenset(name for name, column in columns.items() if column.primary_key),
        changed=tuple(
            name
            for name, column in columns.items()
            if column.onupdate is not None or column.server_onupdate is not None
        ),
    )


__all__ = ["change", "delete_of", "store", "update_of"]
