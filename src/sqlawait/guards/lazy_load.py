"""Lazy load: an attribute that is not loaded is touched where no SQL can run.

``do_orm_execute`` fires before the statement reaches the driver, so the finding comes in place of
MissingGreenlet, on every driver, with the names that MissingGreenlet does not know.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import FrameType
from typing import Any

import greenlet
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import (
    InstanceState,
    ORMExecuteState,
    QueryableAttribute,
    RelationshipProperty,
    Session,
)

from sqlawait.events import Site
from sqlawait.guards.loads import loaded_at
from sqlawait.guards.scope import active_for
from sqlawait.guards.sites import app_site, app_stack, frames, innermost

_ENDED = "sqlawait.ended"
_ADDED = "sqlawait.added"


def in_async_greenlet() -> bool:
    """Whether SQL can run here: within one of SQLAlchemy's greenlets."""
    return getattr(greenlet.getcurrent(), "__sqlalchemy_greenlet_provider__", False)


def remember_end(session: Session, how: str) -> None:
    """Note on a session which line ended its transaction: that is what expires objects."""
    session.info[_ENDED] = (how, app_stack())


def remember_added(_session: Session, instance: object) -> None:
    """Note on a new object which line added it."""
    _state(instance).info[_ADDED] = app_stack()


def execute_began(state: ORMExecuteState) -> None:
    """Judge an ORM statement that is about to run outside of SQLAlchemy's greenlets."""
    chosen = active_for("lazy-load")
    if chosen is None:
        return
    guards, scope = chosen
    site = app_site()
    attribute, instance = _touched(state)
    if attribute is None or instance is None:
        _used_directly("execute")
        return
    name = f"{instance.mapper.class_.__name__}.{attribute}"
    prop = instance.mapper.attrs.get(attribute)
    loaded = loaded_at(state.session, instance)
    added = innermost(instance.info.get(_ADDED, ()))
    related = {"loaded": loaded} if loaded else {"added": added} if added else {}
    if isinstance(prop, RelationshipProperty):
        message, fix = _relationship(name, attribute, prop, loaded, added)
    else:
        message, fix = _column(name, attribute, instance, loaded, state.session)
    guards.report(
        "lazy-load",
        f"{message} (touched at {site or 'a library'})",
        fix=fix,
        site=site,
        scope=scope,
        related=related,
    )


def blocking_use(session: Session) -> None:
    """Judge a commit of an async session's inner, blocking session."""
    if not in_async_greenlet() and is_async(session, {}):
        _used_directly("commit")


def used_directly(verb: str) -> None:
    """Judge a blocking use of an async engine or session, unless it has been: it ends in MissingGreenlet."""
    if not _told.get():
        _used_directly(verb)


def _used_directly(verb: str) -> None:
    chosen = active_for("lazy-load")
    if chosen is None:
        return
    guards, scope = chosen
    site = app_site()
    guards.report(
        "lazy-load",
        f"the blocking session inside of an AsyncSession was used directly ({verb} at {site or 'a library'});"
        " await the AsyncSession's own method, or use await session.run_sync(function)",
        fix="await session.run_sync(function)",
        site=site,
        scope=scope,
    )


_told: ContextVar[bool] = ContextVar("sqlawait_told", default=False)


@contextmanager
def told() -> Iterator[None]:
    """Within this block a mistake has been reported: what comes of it is no second one."""
    token = _told.set(True)
    try:
        yield
    finally:
        _told.reset(token)


def _relationship(
    name: str, key: str, prop: RelationshipProperty[Any], loaded: Site | None, added: Site | None
) -> tuple[str, str]:
    option = f"{'selectinload' if prop.uselist else 'joinedload'}({name})"
    if loaded is not None:
        return (
            f"relationship {name} was not loaded; add .options({option}) to the select at {loaded}",
            f".options({option})",
        )
    fix = f'await session.refresh(obj, ["{key}"])'
    where = f" added at {added}" if added else ""
    return f"relationship {name} of an object{where} was never loaded; {fix} before it is read", fix


def _column(
    name: str, key: str, instance: InstanceState[Any], loaded: Site | None, session: Session
) -> tuple[str, str]:
    refresh, refresh_one = "await session.refresh(obj)", f'await session.refresh(obj, ["{key}"])'
    prop = instance.mapper.column_attrs.get(key)
    if key not in instance.expired_attributes and prop is not None and prop.deferred:
        option = f".options(undefer({name}))"
        return f"column {name} is deferred; add {option} to the select at {loaded or 'its load'}", option
    if len(instance.expired_attributes) < len(
        instance.mapper.column_attrs
    ):  # not the whole object, so not by its end
        if prop is not None and any(column.onupdate or column.server_onupdate for column in prop.columns):
            fix = '__mapper_args__ = {"eager_defaults": True}'
            fact = f"column {name} was computed by the database in a flush and not read back"
            return f"{fact}; set {fix} on the model, or {refresh_one}", fix
        fact = f"column {name} is expired: it was set to an SQL expression, or expired by name"
        return f"{fact}; {refresh_one} before it is read", refresh_one
    how, stack = session.info.get(_ENDED, ("", ()))
    at = f" at {innermost(stack)}" if stack else ""
    if how == "commit" and session.expire_on_commit:
        fix = "expire_on_commit=False"
        fact = f"column {name} was expired by the commit{at}"
        return f"{fact}; make the session with {fix}, or {refresh} after the commit", fix
    if how == "rollback":
        return f"column {name} was expired by the rollback{at}; {refresh} after a rollback", refresh
    return f"column {name} is expired; {refresh} before it is read", refresh


def _touched(state: ORMExecuteState) -> tuple[str | None, InstanceState[Any] | None]:
    """The attribute and the object that made SQLAlchemy load something; None for a plain statement."""
    lazy = state.lazy_loaded_from
    if lazy is None and not state.is_column_load:
        return None, None
    for frame in frames():
        found = _attribute_in(frame)
        if found is not None:
            return found
    if (
        lazy is not None and state.loader_strategy_path is not None
    ):  # a set, or a backref: no __get__ on the stack
        prop = relationship_in(state.loader_strategy_path)
        if prop is not None:
            return prop.key, lazy
    return None, None


def relationship_in(path: Any) -> RelationshipProperty[Any] | None:
    """The relationship at the end of a loader's path."""
    return next((part for part in reversed(list(path)) if isinstance(part, RelationshipProperty)), None)


def _attribute_in(frame: FrameType) -> tuple[str, InstanceState[Any]] | None:
    if frame.f_code.co_name not in {"__get__", "__set__", "__delete__"}:
        return None
    attribute, instance = frame.f_locals.get("self"), frame.f_locals.get("instance")
    if not isinstance(attribute, QueryableAttribute) or instance is None:
        return None
    return attribute.key, _state(instance)


def _state(instance: object) -> InstanceState[Any]:
    state: InstanceState[Any] = instance._sa_instance_state  # type: ignore[attr-defined] # every mapped object's
    return state


def is_async(session: Session, bind_arguments: dict[str, Any] | None) -> bool:
    """Whether a session stands on an async engine."""
    bind: Any = session.bind
    if bind is None:
        try:
            bind = session.get_bind(**(bind_arguments or {}))
        except Exception:  # noqa: BLE001 # an unbound session's own error is for the statement to raise
            return False
    dialect: Dialect = bind.dialect
    return dialect.is_async


__all__ = [
    "blocking_use",
    "execute_began",
    "in_async_greenlet",
    "is_async",
    "relationship_in",
    "remember_added",
    "remember_end",
    "told",
    "used_directly",
]
