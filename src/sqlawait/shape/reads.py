"""Shaped reads: the response model is the query plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter
from sqlalchemy import BindParameter, Connection, Engine, Select, bindparam, inspect, select
from sqlalchemy.exc import MultipleResultsFound
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from sqlawait.exceptions import NotFound
from sqlawait.shape.lanes import fetch
from sqlawait.shape.loading import load_for
from sqlawait.shape.plan import Amount, Plan, Unwritten, entity_of, plans_of

S = TypeVar("S", bound=BaseModel)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Explanation:
    """How a shaped read is done.

    Attributes:
        way: ``"json"``: the database writes the answer; ``"python"``: objects are loaded and Pydantic writes
            it.
        reason: why it is the second way.
        sql: the one statement of the first way.
    """

    way: str
    reason: str | None
    sql: str | None


class ShapedReads(AsyncSession):
    """The shaped reads of a session.

    A schema is a Pydantic model, nested to any depth over relationships. The statement is a ``select()`` of one
    mapped class; its filters, joins, order and limits stay as they are. Only what the schema names is read,
    in one round trip, and the answer is byte for byte what FastAPI sends for that schema over the same
    objects.

    A schema that needs Python (a computed field, a validator of the whole model, a property) takes another
    way to the same bytes: objects are loaded, one round trip a level, and Pydantic writes them.
    :meth:`explain` tells.
    """

    json_type: Callable[[bytes], Any] = bytes
    """Makes the answer of its bytes; the sessions of a FastAPI route make a response."""

    async def json_one(
        self,
        source: Select[Any] | type[Any],
        schema: type[BaseModel],
        params: Mapping[str, Any] | None = None,
        **equals: Any,
    ) -> Any:
        r"""The JSON of one row.

        Parameters:
            source: a ``select()`` of a mapped class; or the class, which costs less: no statement is built.
            schema: what to answer.
            params: values for the statement's ``bindparam()``\\ s.
            equals: attributes by name and the values they must have.

        Returns:
            The bytes; in a FastAPI route a response that holds them.

        Raises:
            NotFound: there is no row.
            sqlalchemy.exc.MultipleResultsFound: there are several.
            ConfigurationError: the schema names what the mapped class has not got.
            pydantic.ValidationError: a value is none that the schema allows.

        Example::

            @app.get("/users/{user_id}", response_model=UserWithPosts)
            async def read_user(user_id: int, session: ReaderDep):
                return await session.json_one(User, UserWithPosts, id=user_id)
        """
        statement, params = _statement(source, params, equals)
        plan, texts = await self._fetch(statement, schema, "one", params)
        if texts is not None:
            with suppress(Unwritten):
                return self.json_type(_only(plan.rows(texts), statement))
        row = await self.read_one(statement, schema, params)
        return self.json_type(_adapter(schema).dump_json(row, by_alias=True))

    async def json_all(
        self,
        source: Select[Any] | type[Any],
        schema: type[BaseModel],
        params: Mapping[str, Any] | None = None,
        **equals: Any,
    ) -> Any:
        """The JSON of all rows, as a list; see :meth:`json_one`."""
        statement, params = _statement(source, params, equals)
        plan, texts = await self._fetch(statement, schema, "all", params)
        if texts is not None:
            with suppress(Unwritten):
                return self.json_type(plan.list(texts))
        rows = await self.read_all(statement, schema, params)
        return self.json_type(_adapter(list[schema]).dump_json(rows, by_alias=True))  # type: ignore[valid-type]

    async def read_one(
        self,
        source: Select[Any] | type[Any],
        schema: type[S],
        params: Mapping[str, Any] | None = None,
        **equals: Any,
    ) -> S:
        """One row as an instance of the schema; see :meth:`json_one`."""
        statement, params = _statement(source, params, equals)
        return _only(await self.read_all(statement, schema, params), statement)

    async def read_all(
        self,
        source: Select[Any] | type[Any],
        schema: type[S],
        params: Mapping[str, Any] | None = None,
        **equals: Any,
    ) -> list[S]:
        """All rows as instances of the schema; see :meth:`json_one`."""
        statement, params = _statement(source, params, equals)
        entity = entity_of(statement)
        found = await self.scalars(statement.options(*load_for(entity, schema)), params)
        rows: list[S] = _adapter(list[schema]).validate_python(found.all(), from_attributes=True)  # type: ignore[valid-type]
        return rows

    async def explain(self, statement: Select[Any], schema: type[BaseModel]) -> Explanation:
        """How :meth:`json_one` would read; nothing is read."""
        plan, *_ = await self._plan(statement, schema, "one")
        return Explanation("python" if plan.reason else "json", plan.reason, plan.sql or None)

    async def _plan(
        self, statement: Select[Any], schema: type[BaseModel], amount: Amount
    ) -> tuple[Plan, Sequence[BindParameter[Any]], Engine | Connection]:
        bind = self._shape_bind(statement)
        plans = plans_of(bind.dialect)
        if not plans.connected:  # only a connection knows which server it is
            await self._connect_once(bind)
            plans.connected = True
        return *plans.find(statement, schema, amount), bind

    def _shape_bind(self, statement: Select[Any]) -> Engine | Connection:
        return self.sync_session.get_bind(clause=statement)

    async def _connect_once(self, bind: Engine | Connection) -> None:
        if isinstance(bind, Engine) and not self.sync_session.in_transaction():
            async with AsyncEngine(bind).connect():
                pass
        else:
            await self.connection()

    async def _fetch(
        self,
        statement: Select[Any],
        schema: type[BaseModel],
        amount: Amount,
        params: Mapping[str, Any] | None,
    ) -> tuple[Plan, list[Any] | None]:
        """The plan and what the database wrote; None where Python has to."""
        plan, binds, bind = await self._plan(statement, schema, amount)
        if plan.reason is not None:
            return plan, None
        return plan, await fetch(self, bind, plan, plan.arguments(binds, params or {}))


def _statement(
    source: Select[Any] | type[Any], params: Mapping[str, Any] | None, equals: dict[str, Any]
) -> tuple[Select[Any], Mapping[str, Any] | None]:
    """The statement that is meant, and its parameters."""
    if isinstance(source, Select):
        return (source.filter_by(**equals) if equals else source), params
    if None in equals.values():  # which is not found by equality
        conditions = [getattr(source, name) == value for name, value in equals.items()]
        return select(source).where(*conditions), params
    model: Any = source  # mypy takes a class for something that may not be hashable
    return _by_equality(model, tuple(equals)), equals


@lru_cache(maxsize=512)
def _by_equality(model: Any, names: tuple[str, ...]) -> Select[Any]:
    mapped = inspect(model).all_orm_descriptors
    for name in names:
        if name not in mapped:
            raise TypeError(f"{model.__name__} has no mapped attribute {name!r}")
    return select(model).where(*(getattr(model, name) == bindparam(name) for name in names))


@lru_cache(maxsize=512)
def _adapter(schema: Any) -> TypeAdapter[Any]:
    return TypeAdapter(schema)


def _only(rows: Sequence[T], statement: Select[Any]) -> T:
    if not rows:
        raise NotFound(f"the {inspect(entity_of(statement)).mapper.class_.__name__} asked for")
    if len(rows) > 1:
        raise MultipleResultsFound("several rows match; use json_all() or read_all(), or narrow the statement")
    return rows[0]


__all__ = ["Explanation", "ShapedReads"]
