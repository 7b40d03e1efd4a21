"""AsyncSession: SQLAlchemy's own, plus the verbs.

A verb flushes where it writes, and never commits: the unit of work that opened the session does. The types are
those of SQLAlchemy 2.1, where ``select(User)`` is a ``Select[User]``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, islice
from typing import Any, TypeVar, cast, overload

from sqlalchemy import (
    Column,
    ColumnElement,
    Executable,
    Result,
    ScalarResult,
    Select,
    Table,
    event,
    func,
    insert,
    inspect,
    select,
    tuple_,
)
from sqlalchemy.exc import MultipleResultsFound
from sqlalchemy.orm import InstanceState, InstrumentedAttribute, Mapper, ORMExecuteState, Session
from sqlalchemy.orm.interfaces import ORMOption
from sqlalchemy.util import greenlet_spawn

from sqlawait.backends import Backend, backend_of
from sqlawait.bulk import BulkRows
from sqlawait.exceptions import NotFound, ReadOnly
from sqlawait.paging import OffsetPage, Page, keyset
from sqlawait.paging import offset as offset_query
from sqlawait.parallel import ParallelReads
from sqlawait.writes import change, delete_of, store, update_of

T = TypeVar("T")

_BATCH = 1_000
"""Rows in one statement of a bulk insert where the database has no bulk protocol."""


class AsyncSession(ParallelReads):
    """SQLAlchemy's ``AsyncSession`` with verbs.

    All that SQLAlchemy's session does it does unchanged: a library that takes an ``AsyncSession`` takes it.

    Example::

        user = await session.create(User, email="ada@example.com")
        same = await session.find(User, email="ada@example.com")
        await session.update(user, name="Ada")
        await session.delete(user)
    """

    # -- reading

    async def find(self, model: type[T], /, *where: ColumnElement[bool], **equals: Any) -> T | None:
        """The one row of ``model`` that matches, or None.

        Parameters:
            model: a mapped class.
            where: conditions, for what equality cannot say.
            equals: attributes by name and the values they must have.

        Raises:
            sqlalchemy.exc.MultipleResultsFound: several rows match; use :meth:`first` or :meth:`find_all`.
        """
        statement = _matching(model, where, equals).limit(2)
        return _values(await self.execute(statement)).one_or_none()

    async def find_all(self, model: type[T], /, *where: ColumnElement[bool], **equals: Any) -> list[T]:
        """All rows of ``model`` that match, in primary-key order."""
        return await self.all(_matching(model, where, equals).order_by(*_mapper(model).primary_key))

    async def first(self, statement: Select[T]) -> T | None:
        """The first row's object or value, or None; the statement is sent with LIMIT 1."""
        return _values(await self.execute(statement.limit(1))).first()

    async def one(self, statement: Select[T]) -> T:
        """The only row's object or value.

        Raises:
            NotFound: there is none.
            sqlalchemy.exc.MultipleResultsFound: there are several.
        """
        found = _values(await self.execute(statement.limit(2))).all()
        if not found:
            raise NotFound(_subject(statement))
        if len(found) > 1:
            raise MultipleResultsFound(f"several rows match {_subject(statement)}; use first() or all()")
        return found[0]

    async def all(self, statement: Select[T]) -> list[T]:
        """Every row's object or value."""
        return list(_values(await self.execute(statement)))

    async def count(
        self, source: type[Any] | Select[Any], /, *where: ColumnElement[bool], **equals: Any
    ) -> int:
        """How many rows of a model match, or how many rows a select has (its limit and offset included)."""
        rows = _rows(source, where, equals)
        return (await self.execute(select(func.count()).select_from(rows.subquery()))).scalar_one()

    async def exists(
        self, source: type[Any] | Select[Any], /, *where: ColumnElement[bool], **equals: Any
    ) -> bool:
        """Whether any row of a model matches, or a select has any row."""
        return bool((await self.execute(select(_rows(source, where, equals).exists()))).scalar_one())

    async def page(self, statement: Select[T], *, limit: int, cursor: str | None = None) -> Page[T]:
        """One keyset page of a select, in its order.

        Parameters:
            statement: the select, with its ORDER BY; see :func:`sqlawait.paging.keyset` for what can be paged.
            limit: how many rows at most.
            cursor: ``next`` or ``previous`` of another page of the same select; None is the first page.

        Raises:
            InvalidCursor: the cursor was changed, or made for another query.
            ConfigurationError: the select cannot be paged; the message says why.

        Example::

            page = await session.page(select(User).order_by(User.name), limit=20)
            more = await session.page(select(User).order_by(User.name), limit=20, cursor=page.next)
        """
        query = keyset(statement, dialect=self._backend.name, limit=limit, cursor=cursor)
        return query.page((await self.execute(query.statement)).unique().all())

    async def offset_page(
        self, statement: Select[T], *, limit: int, offset: int = 0, total: bool = False
    ) -> OffsetPage[T]:
        """One page of a select by its offset, which costs what all the rows before it cost.

        Parameters:
            statement: the select, with its ORDER BY.
            limit: how many rows at most.
            offset: how many rows to leave out, at most :data:`sqlawait.paging.MAX_OFFSET`.
            total: also count all rows, in a second statement.

        Raises:
            InvalidRequest: the offset is negative or too far in.
        """
        query = offset_query(statement, dialect=self._backend.name, limit=limit, offset=offset)
        rows = (await self.execute(query.statement)).unique().all()
        return query.page(rows, (await self.execute(query.count)).scalar_one() if total else None)

    async def exec(self, statement: Executable, **options: Any) -> Result[Any] | ScalarResult[Any]:
        """Execute as SQLModel's session does: a select of one thing gives its values, any other gives rows."""
        result = await self.execute(statement, **options)
        if isinstance(statement, Select) and len(statement.column_descriptions) == 1:
            return result.scalars()
        return result

    # -- writing

    async def create(self, model: type[T], /, **values: Any) -> T:
        """Add a row and give its object, with the values that the database chose.

        Raises:
            sqlalchemy.exc.IntegrityError: a constraint refused it.
        """
        instance = model(**values)
        if not await greenlet_spawn(store, self.sync_session, instance):
            self.add(instance)
            await self.flush()
            await self._load_generated(instance)
        return instance

    @overload
    async def update(self, target: type[T], identity: Any, /, **values: Any) -> T: ...

    @overload
    async def update(self, target: T, /, **values: Any) -> T: ...

    async def update(self, target: Any, identity: Any = None, /, **values: Any) -> Any:
        """Change attributes of an object, or of a row by its primary key, and store them.

        Parameters:
            target: an object of this session; or a mapped class, where the object need not be loaded first.
            identity: with a class, the row's primary key (a tuple where it has several columns).
            values: attributes by name.

        Returns:
            The object as it is stored now.

        Raises:
            TypeError: there is no such attribute.
            NotFound: no row has this primary key.
            sqlalchemy.exc.IntegrityError: a constraint refused it.

        Example::

            await session.update(user, name="Ada")
            user = await session.update(User, 5, name="Ada", logins=User.logins + 1)
        """
        if isinstance(target, type):
            return await self._update_row(target, identity, values)
        for name in values:
            _attribute(type(target), name)
        for name, value in values.items():
            setattr(target, name, value)
        if not await greenlet_spawn(change, self.sync_session, target):
            await self.flush()
        await self._load_generated(target)
        return target

    async def _update_row(self, model: type[T], identity: Any, values: dict[str, Any]) -> T:
        names = {_attribute(model, name) for name in values}
        mapper = _mapper(model)
        if not self.sync_session._is_clean():
            await self.flush()
        key = _key(identity)
        if len(key) == len(mapper.primary_key) and values:
            statement = update_of(self.sync_session, mapper, key, names)
            if statement is not None:
                result = await self.execute(
                    statement.values(values).returning(model), execution_options={"synchronize_session": False}
                )
                updated: T | None = result.scalar_one_or_none()
                if updated is None:
                    raise NotFound(f"{model.__name__} {identity}")
                return updated
        instance = await self.get(model, identity)
        if instance is None:
            raise NotFound(f"{model.__name__} {identity}")
        return await self.update(instance, **values)

    async def delete(self, instance: object, identity: Any = None) -> None:
        """Delete an object, as SQLAlchemy does with the next flush; or a row by its primary key, at once.

        Parameters:
            instance: an object of this session; or a mapped class, where the object need not be loaded first.
            identity: with a class, the row's primary key (a tuple where it has several columns).

        Raises:
            NotFound: no row has this primary key.
            sqlalchemy.exc.IntegrityError: a constraint refused it.

        Example::

            await session.delete(user)
            await session.delete(User, 5)
        """
        if not isinstance(instance, type):
            await super().delete(instance)
            return
        model: type[Any] = instance
        if not self.sync_session._is_clean():
            await self.flush()
        mapper: Mapper[Any] = _mapper(model)
        key = _key(identity)
        if len(key) == len(mapper.primary_key):
            statement = delete_of(self.sync_session, mapper, key)
            if statement is not None:
                deleted: Any = await self.execute(statement, execution_options={"synchronize_session": False})
                if not deleted.rowcount:
                    raise NotFound(f"{model.__name__} {identity}")
                return
        found = await self.get(model, identity)
        if found is None:
            raise NotFound(f"{model.__name__} {identity}")
        await super().delete(found)
        await self.flush()

    async def upsert(
        self, model: type[T], /, *, on: str | InstrumentedAttribute[Any] | Sequence[Any] = (), **values: Any
    ) -> T:
        """Insert a row, or update the one that is there, in one statement that no other transaction can split.

        Parameters:
            model: a mapped class.
            on: the attribute or attributes, by name or as ``Model.attribute``, that say which row it is; they
                need a unique constraint. Default: the primary key.
            values: the row's attributes. Those not in ``on`` overwrite what is stored.

        Returns:
            The object as it is stored now.
        """
        mapper = _mapper(model)
        keys = _keys(mapper, on)
        columns = {mapper.column_attrs[name].columns[0].key: value for name, value in values.items()}
        missing = [key.key for key in keys if key.key not in columns]
        if missing:
            raise TypeError(f"upsert on {', '.join(missing)} needs a value for it")
        await self.flush()
        changed = [name for name in columns if name not in {key.key for key in keys}]
        statement = self._backend.upsert(_table(mapper), columns, on=keys, update=changed)
        await self.execute(statement, execution_options={"synchronize_session": False})
        where = [key == columns[key.key] for key in keys]
        return await self.one(select(model).where(*where).execution_options(populate_existing=True))

    async def bulk_insert(self, model: type[Any], /, rows: Iterable[Mapping[str, Any]]) -> int:
        """Insert many rows, past the unit of work: COPY on PostgreSQL, batches elsewhere.

        Parameters:
            model: a mapped class.
            rows: attributes by name, the same names in each; they are taken one by one, so a generator of
                millions needs no memory for them. An attribute that is not named gets its column's default.

        Returns:
            How many rows were inserted.

        Raises:
            ValueError: a row has other names than the first.
        """
        iterator = iter(rows)
        head = next(iterator, None)
        if head is None:
            return 0
        await self.flush()
        bulk = BulkRows(_mapper(model), head, chain([head], iterator))
        if bulk.plain:
            connection = await self.connection()
            if await self._backend.copy(connection, bulk.table, bulk.columns, bulk.records(connection.dialect)):
                return bulk.count
        named = bulk.named()
        while batch := list(islice(named, _BATCH)):
            await self.execute(insert(model), batch)
        return bulk.count

    async def lock(
        self, model: type[T], /, identities: Iterable[Any], *, options: Sequence[ORMOption] = ()
    ) -> list[T]:
        """Lock rows until the end of the transaction, always in primary-key order, so that two cannot deadlock.

        Parameters:
            model: a mapped class.
            identities: primary keys (tuples where the key has several columns).
            options: loader options.

        Returns:
            The objects as they are stored now, in the order in which they were asked for.

        Raises:
            NotFound: one of them does not exist.
        """
        wanted = list(identities)
        mapper = _mapper(model)
        key = mapper.primary_key
        within = key[0].in_(set(wanted)) if len(key) == 1 else tuple_(*key).in_(set(wanted))
        statement = (
            select(model)
            .where(within)
            .order_by(*key)
            .with_for_update(of=mapper.local_table if self._backend.name == "postgresql" else None)
            .options(*options)
            .execution_options(populate_existing=True)
        )
        locked: dict[Any, T] = {}
        for instance in await self.all(statement):
            identity = mapper.primary_key_from_instance(instance)
            locked[identity[0] if len(key) == 1 else tuple(identity)] = instance
        for identity in wanted:
            if identity not in locked:
                raise NotFound(f"{model.__name__} {identity}")
        return [locked[identity] for identity in wanted]

    # --

    @property
    def _backend(self) -> Backend:
        return backend_of(self.get_bind().dialect)

    async def _load_generated(self, instance: object) -> None:
        """Load the columns that the database chose and the flush could not bring back.

        Touching one later would be a lazy load, which an async session cannot do.
        """
        state: InstanceState[Any] = inspect(instance)
        missing = state.unloaded.intersection(state.mapper.column_attrs.keys())
        deferred = {attribute.key for attribute in state.mapper.column_attrs if attribute.deferred}
        if missing - deferred:
            await self.refresh(instance, missing - deferred)


class ReaderSession(Session):
    """The sync side of a read-only session: it refuses to write."""

    def flush(self, objects: Sequence[Any] | None = None) -> None:
        """Refuse where there is anything to write."""
        if self.new or self.deleted or any(self.is_modified(instance) for instance in self.dirty):
            raise ReadOnly("a changed object was to be stored")
        super().flush(objects)


@event.listens_for(ReaderSession, "do_orm_execute")
def _refuse_writes(state: ORMExecuteState) -> None:
    if state.is_insert or state.is_update or state.is_delete:
        raise ReadOnly("an INSERT, UPDATE or DELETE was to be executed")


def _values(result: Result[T]) -> ScalarResult[T]:
    """Each row's first value; of objects whose collections were loaded by a join, each once.

    SQLAlchemy insists on ``unique()`` for those and only those, and keeps to itself that it does. To call it
    always would drop values that happen to be equal.
    """
    return (result.unique() if result._unique_filter_state is not None else result).scalars()


def _mapper(model: type[T]) -> Mapper[T]:
    mapper: Mapper[T] = inspect(model)
    return mapper


def _table(mapper: Mapper[Any]) -> Table:
    assert isinstance(mapper.local_table, Table)  # a class mapped to a join or a select cannot be inserted
    return mapper.local_table


def _matching(model: type[T], where: Sequence[ColumnElement[bool]], equals: dict[str, Any]) -> Select[T]:
    return select(model).where(*where, *_equalities(model, equals))


def _rows(
    source: type[Any] | Select[Any], where: Sequence[ColumnElement[bool]], equals: dict[str, Any]
) -> Select[Any]:
    if isinstance(source, Select):
        return source.where(*where).filter_by(**equals)
    return select(*_mapper(source).primary_key).select_from(source).where(*where, *_equalities(source, equals))


def _equalities(model: type[Any], equals: dict[str, Any]) -> list[ColumnElement[bool]]:
    return [getattr(model, _attribute(model, name)) == value for name, value in equals.items()]


def _attribute(model: type[Any], name: str) -> str:
    """The name, if the class maps it: nothing else may be reached by a name that comes from elsewhere."""
    if name not in _mapper(model).all_orm_descriptors:
        raise TypeError(f"{model.__name__} has no mapped attribute {name!r}")
    return name


def _keys(mapper: Mapper[Any], on: Any) -> list[Column[Any]]:
    if not on:
        return [cast("Column[Any]", column) for column in mapper.primary_key]
    names = [on] if isinstance(on, (str, InstrumentedAttribute)) else on
    attributes = [mapper.column_attrs[name if isinstance(name, str) else name.key] for name in names]
    return [cast("Column[Any]", attribute.columns[0]) for attribute in attributes]


def _key(identity: Any) -> tuple[Any, ...]:
    """The values of a primary key as a tuple; empty where only SQLAlchemy knows how to read it."""
    if isinstance(identity, dict):
        return ()
    return tuple(identity) if isinstance(identity, (tuple, list)) else (identity,)


def _subject(statement: Select[Any]) -> str:
    entity = statement.column_descriptions[0].get("entity")
    return f"the {entity.__name__} asked for" if entity is not None else "the row asked for"


__all__ = ["AsyncSession"]
