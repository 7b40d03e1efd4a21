"""Shaped reads: the response model is the query plan."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter
from pydantic_core import to_json
from sqlalchemy import BindParameter, Connection, Engine, Executable, Result, Select, bindparam, inspect, select
from sqlalchemy.exc import MultipleResultsFound
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession
from sqlalchemy.orm import LoaderCriteriaOption, Session

from sqlawait.exceptions import ConfigurationError, NotFound
from sqlawait.paging import Keyset, Page, keyset
from sqlawait.shape.columns import Unwritten
from sqlawait.shape.lanes import fetch, intercepts
from sqlawait.shape.loading import load_for
from sqlawait.shape.plan import Amount, Plan, Way, entity_of, plans_of, refuse_options

S = TypeVar("S", bound=BaseModel)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Explanation:
    """How a shaped read is done.

    Attributes:
        way: ``"json"``: the database writes the answer; ``"columns"``: Pydantic makes it of the columns of one
            statement; ``"objects"``: of objects, one round trip a level.
        reason: why it is not the first way.
        sql: the statement; of objects that of the first level.
    """

    way: Way
    reason: str | None
    sql: str


class ShapedReads(AsyncSession):
    """The shaped reads of a session.

    A schema is a Pydantic model, nested to any depth over relationships. The statement is a ``select()`` of one
    mapped class; its filters, joins, order and limits stay as they are. Only what the schema names is read,
    in one round trip, and the answer is byte for byte what FastAPI sends for that schema over the same
    objects.

    ``json_*`` answers with bytes that the database wrote. Where a schema needs Python (a computed field, a
    serializer, a validator of the model), and for the instances that ``read_*`` gives, Pydantic is given the
    columns of one statement instead. Only what looks at the objects themselves (a property, a validator that is
    given the object, a model that contains itself) has them loaded, one round trip a level.
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
        plan, rows = await self._fetch(statement, schema, "one", params)
        if plan.way == "json" and rows is not None:
            row = _only(rows, statement)
            with suppress(Unwritten):
                return self.json_type(plan.text(row))
            plan, rows = await self._fetch(statement, schema, "rows", params)
        instance = _only(await self._instances(plan, rows, statement, schema, params), statement)
        return self.json_type(_adapter(schema).dump_json(instance, by_alias=True))

    async def json_all(
        self,
        source: Select[Any] | type[Any],
        schema: type[BaseModel],
        params: Mapping[str, Any] | None = None,
        **equals: Any,
    ) -> Any:
        """The JSON of all rows, as a list; see :meth:`json_one`."""
        statement, params = _statement(source, params, equals)
        plan, rows = await self._fetch(statement, schema, "all", params)
        if plan.way == "json" and rows is not None:
            with suppress(Unwritten):
                return self.json_type(plan.list(rows))
            plan, rows = await self._fetch(statement, schema, "rows", params)
        instances = await self._instances(plan, rows, statement, schema, params)
        return self.json_type(_adapter(list[schema]).dump_json(instances, by_alias=True))  # type: ignore[valid-type]

    async def json_page(
        self, statement: Select[Any], schema: type[BaseModel], *, limit: int, cursor: str | None = None
    ) -> Any:
        """The JSON of one keyset page; a route declares ``response_model=Page[Schema]``.

        Parameters:
            statement: a ``select()`` of a mapped class with its ORDER BY; see
                :func:`sqlawait.paging.keyset` for what can be paged.
            schema: what to answer for each row.
            limit: how many rows at most.
            cursor: ``next`` or ``previous`` of another page of the same select; None is the first page.

        Raises:
            InvalidCursor: the cursor was changed, or made for another query.
            ConfigurationError: the select cannot be paged; the message says why.

        Example::

            @app.get("/users", response_model=Page[UserRead])
            async def users(session: ReaderDep, cursor: str | None = None):
                users = select(User).order_by(User.name)
                return await session.json_page(users, UserRead, limit=20, cursor=cursor)
        """
        query = self._keyset(statement, limit, cursor)
        plan, rows = await self._fetch(query.statement, schema, "page", None)
        if plan.way == "json" and rows is not None:
            page: Page[Any] = query.page([plan.placed(row) for row in rows])
            with suppress(Unwritten):
                return self.json_type(_page_json(page, plan.texts(page.items)))
            plan, rows = await self._fetch(query.statement, schema, "placed rows", None)
        page = await self._page(plan, rows, query, schema)
        return self.json_type(_adapter(Page[schema]).dump_json(page, by_alias=True))  # type: ignore[valid-type]

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
        plan, rows = await self._fetch(statement, schema, "rows", params)
        return await self._instances(plan, rows, statement, schema, params)

    async def read_page(
        self, statement: Select[Any], schema: type[S], *, limit: int, cursor: str | None = None
    ) -> Page[S]:
        """One keyset page as instances of the schema; see :meth:`json_page`."""
        query = self._keyset(statement, limit, cursor)
        plan, rows = await self._fetch(query.statement, schema, "placed rows", None)
        return await self._page(plan, rows, query, schema)

    async def explain(self, statement: Select[Any], schema: type[BaseModel]) -> Explanation:
        """How :meth:`json_one` would read; nothing is read.

        ``read_*`` goes by ``"columns"`` where this says ``"json"``, and else the same way.
        """
        plan, *_ = await self._plan(statement, schema, "one")
        if plan.way != "objects" and intercepts(self.sync_session):
            plan = Plan("objects", "something listens to do_orm_execute, and may change the statement")
        if plan.way == "objects":
            dialect = self._shape_bind(statement).dialect
            return Explanation(plan.way, plan.reason, str(_objects(statement, schema).compile(dialect=dialect)))
        return Explanation(plan.way, plan.reason, plan.sql)

    # --

    async def _plan(
        self, statement: Select[Any], schema: type[BaseModel], amount: Amount
    ) -> tuple[Plan, Sequence[BindParameter[Any]], Engine | Connection]:
        if "schema_translate_map" in statement._execution_options:
            raise ConfigurationError(
                "a shaped read cannot honour the execution option schema_translate_map of a statement;"
                " set it on the connection or the engine"
            )
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
    ) -> tuple[Plan, Sequence[Any] | None]:
        """The plan and the rows of its statement; None where objects have to be loaded."""
        plan, binds, bind = await self._plan(statement, schema, amount)
        if plan.way == "objects":
            return plan, None
        return plan, await fetch(self, bind, plan, plan.arguments(binds, params or {}))

    async def _instances(
        self,
        plan: Plan,
        rows: Sequence[Any] | None,
        statement: Select[Any],
        schema: type[S],
        params: Mapping[str, Any] | None,
    ) -> list[S]:
        """Instances of the rows that a plan has fetched, or else of objects."""
        if rows is not None and plan.way == "columns":
            with suppress(Unwritten):
                return _validated(plan.values(rows), schema)
        async with self._aside() as session:
            found = await session.execute(_objects(statement, schema), params)
            return _validated(_unique(found).scalars().all(), schema)

    async def _page(self, plan: Plan, rows: Sequence[Any] | None, query: Keyset, schema: type[S]) -> Page[S]:
        """The page of the rows that a plan has fetched, or else of objects."""
        if rows is not None and plan.way == "columns":
            page: Page[Any] = query.page([plan.placed(row) for row in rows])
            with suppress(Unwritten):
                return _page_of(page, _validated(plan.values(page.items), schema), schema)
        async with self._aside() as session:
            found = await session.execute(_objects(query.statement, schema))
            page = query.page(_unique(found).all())
            return _page_of(page, _validated(page.items, schema), schema)

    def _keyset(self, statement: Select[Any], limit: int, cursor: str | None) -> Keyset:
        entity_of(statement)  # nothing else has a shape
        return keyset(statement, dialect=self._shape_bind(statement).dialect.name, limit=limit, cursor=cursor)

    @asynccontextmanager
    async def _aside(self) -> AsyncIterator[AsyncSession]:
        """A session in the same transaction that knows no objects: those known here may be old."""
        sync = self.sync_session
        if sync.autoflush and not sync._is_clean():
            await self.flush()
        async with beside(self, await self.connection()) as session:
            yield session


def beside(session: AsyncSession, connection: AsyncConnection) -> ShapedReads:
    """A session like another on a connection of its own: whoever listens to the one hears both."""
    other = ShapedReads(
        connection,
        sync_session_class=session.sync_session_class,
        autoflush=False,
        expire_on_commit=False,
        join_transaction_mode="rollback_only",
    )
    sync: Session | None = session.__dict__.get("sync_session")
    if sync is not None:  # else nobody can listen to it yet
        other.sync_session.info.update(sync.info)
        dispatch: Any = other.sync_session.dispatch
        dispatch._update(sync.dispatch, only_propagate=False)
    return other


def _objects(statement: Select[Any], schema: type[BaseModel]) -> Select[Any]:
    """The statement of objects with what the schema reads of them, and nothing else."""
    refuse_options(statement)
    entity = statement.column_descriptions[0]["expr"]
    criteria = tuple(option for option in statement._with_options if isinstance(option, LoaderCriteriaOption))
    plain = statement._generate()
    plain._with_options = criteria
    return plain.options(*load_for(entity, schema))


def _statement(
    source: Select[Any] | type[Any], params: Mapping[str, Any] | None, equals: dict[str, Any]
) -> tuple[Select[Any], Mapping[str, Any] | None]:
    """The statement that is meant, and its parameters."""
    if isinstance(source, Select):
        return (source.filter_by(**equals) if equals else source), params
    if isinstance(source, Executable):
        raise ConfigurationError("a shaped read needs a select() of one mapped class, such as select(User)")
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


def _validated(values: Sequence[Any], schema: type[S]) -> list[S]:
    instances: list[S] = _adapter(list[schema]).validate_python(values, from_attributes=True)  # type: ignore[valid-type]
    return instances


def _unique(result: Result[Any]) -> Result[Any]:
    """Each object once, where a join has loaded a collection of it."""
    return result.unique() if result._unique_filter_state is not None else result


def _page_of(page: Page[Any], items: list[S], schema: type[S]) -> Page[S]:
    kind: Any = Page[schema]  # type: ignore[valid-type]
    made: Page[S] = kind.model_construct(items=items, next=page.next, previous=page.previous)
    return made


def _page_json(page: Page[Any], items: Sequence[bytes]) -> bytes:
    turns = to_json({"next": page.next, "previous": page.previous})
    return b'{"items":[' + b",".join(items) + b"]," + turns[1:]


def _only(rows: Sequence[T], statement: Select[Any]) -> T:
    if not rows:
        raise NotFound(f"the {inspect(entity_of(statement)).mapper.class_.__name__} asked for")
    if len(rows) > 1:
        raise MultipleResultsFound("several rows match; use json_all() or read_all(), or narrow the statement")
    return rows[0]


__all__ = ["Explanation", "ShapedReads", "beside"]
