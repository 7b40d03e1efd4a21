"""Shaped reads: the response model is the query plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar
from weakref import WeakSet

from pydantic import BaseModel, TypeAdapter
from sqlalchemy import BindParameter, Connection, Engine, Select, inspect
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.exc import MultipleResultsFound
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession

from sqlawait.exceptions import NotFound
from sqlawait.shape.lanes import fetch
from sqlawait.shape.loading import load_for
from sqlawait.shape.plan import Amount, Plan, Unwritten, entity_of, plans_of

S = TypeVar("S", bound=BaseModel)
T = TypeVar("T")

_connected: WeakSet[Dialect] = WeakSet()


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
        self, statement: Select[Any], schema: type[BaseModel], params: Mapping[str, Any] | None = None
    ) -> Any:
        r"""The JSON of the one row of a statement.

        Parameters:
            statement: a ``select()`` of a mapped class.
            schema: what to answer.
            params: values for the statement's ``bindparam()``\\ s.

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
                return await session.json_one(select(User).where(User.id == user_id), UserWithPosts)
        """
        plan, texts = await self._fetch(statement, schema, "one", params)
        if texts is not None:
            with suppress(Unwritten):
                return self.json_type(_only(plan.rows(texts), statement))
        row = await self.read_one(statement, schema, params)
        return self.json_type(_adapter(schema).dump_json(row, by_alias=True))

    async def json_all(
        self, statement: Select[Any], schema: type[BaseModel], params: Mapping[str, Any] | None = None
    ) -> Any:
        """The JSON of all rows of a statement, as a list; see :meth:`json_one`."""
        plan, texts = await self._fetch(statement, schema, "all", params)
        if texts is not None:
            with suppress(Unwritten):
                return self.json_type(plan.list(texts))
        rows = await self.read_all(statement, schema, params)
        return self.json_type(_adapter(list[schema]).dump_json(rows, by_alias=True))  # type: ignore[valid-type]

    async def read_one(
        self, statement: Select[Any], schema: type[S], params: Mapping[str, Any] | None = None
    ) -> S:
        """The one row of a statement as an instance of the schema; see :meth:`json_one`."""
        return _only(await self.read_all(statement, schema, params), statement)

    async def read_all(
        self, statement: Select[Any], schema: type[S], params: Mapping[str, Any] | None = None
    ) -> list[S]:
        """All rows of a statement as instances of the schema; see :meth:`json_one`."""
        entity = entity_of(statement)
        found = await self.scalars(statement.options(*load_for(entity, schema)), params)
        rows: list[S] = _adapter(list[schema]).validate_python(found.all(), from_attributes=True)  # type: ignore[valid-type]
        return rows

    async def explain(self, statement: Select[Any], schema: type[BaseModel]) -> Explanation:
        """How :meth:`json_one` would read; nothing is read."""
        plan, _ = await self._plan(statement, schema, "one")
        return Explanation("python" if plan.reason else "json", plan.reason, plan.sql or None)

    async def _plan(
        self, statement: Select[Any], schema: type[BaseModel], amount: Amount
    ) -> tuple[Plan, Sequence[BindParameter[Any]]]:
        dialect = self._shape_bind(statement).dialect
        if dialect not in _connected:  # only a connection knows which server it is
            await self._connect_once(statement)
            _connected.add(dialect)
        return plans_of(dialect).find(statement, schema, amount)

    def _shape_bind(self, statement: Select[Any]) -> Engine | Connection:
        return self.sync_session.get_bind(clause=statement)

    async def _connect_once(self, statement: Select[Any]) -> None:
        bind = self._shape_bind(statement)
        if isinstance(bind, Engine) and not self.sync_session.in_transaction():
            connection: AsyncConnection
            async with AsyncEngine(bind).connect() as connection:
                del connection
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
        plan, binds = await self._plan(statement, schema, amount)
        if plan.reason is not None:
            return plan, None
        arguments = plan.arguments(binds, params or {})
        return plan, await fetch(self, self._shape_bind(statement), plan, arguments)


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
