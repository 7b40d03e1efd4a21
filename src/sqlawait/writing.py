"""The verbs that write: each flushes, and none commits; the unit of work that opened the session does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, islice
from typing import Any, TypeVar, overload

from sqlalchemy import insert, inspect, select, tuple_
from sqlalchemy.orm import InstanceState, InstrumentedAttribute, Mapper
from sqlalchemy.orm.interfaces import ORMOption
from sqlalchemy.util import greenlet_spawn

from sqlawait.bulk import BulkRows
from sqlawait.exceptions import NotFound
from sqlawait.mapped import attribute_of, keeping_relationships, key_of, keys_of, mapper_of, table_of
from sqlawait.one_row import change, delete_of, store, update_of
from sqlawait.reading import ReadingVerbs

T = TypeVar("T")

_BATCH = 1_000
"""Rows in one statement of a bulk insert where the database has no bulk protocol."""


class WritingVerbs(ReadingVerbs):
    """What a session writes in one call."""

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
            attribute_of(type(target), name)
        for name, value in values.items():
            setattr(target, name, value)
        if not await greenlet_spawn(change, self.sync_session, target):
            await self.flush()
        await self._load_generated(target)
        return target

    async def _update_row(self, model: type[T], identity: Any, values: dict[str, Any]) -> T:
        names = {attribute_of(model, name) for name in values}
        mapper = mapper_of(model)
        if not self.sync_session._is_clean():
            await self.flush()
        key = key_of(identity)
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
        mapper: Mapper[Any] = mapper_of(model)
        key = key_of(identity)
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
        mapper = mapper_of(model)
        keys = keys_of(mapper, on)
        columns = {mapper.column_attrs[name].columns[0].key: value for name, value in values.items()}
        missing = [key.key for key in keys if key.key not in columns]
        if missing:
            raise TypeError(f"upsert on {', '.join(missing)} needs a value for it")
        await self.flush()
        changed = [name for name in columns if name not in {key.key for key in keys}]
        statement = self._backend.upsert(table_of(mapper), columns, on=keys, update=changed)
        await self.execute(statement, execution_options={"synchronize_session": False})
        where = [key == columns[key.key] for key in keys]
        with keeping_relationships(self.sync_session, mapper):
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
        bulk = BulkRows(mapper_of(model), head, chain([head], iterator))
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
        mapper = mapper_of(model)
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
        with keeping_relationships(self.sync_session, mapper):
            found = await self.all(statement)
        for instance in found:
            identity = mapper.primary_key_from_instance(instance)
            locked[identity[0] if len(key) == 1 else tuple(identity)] = instance
        for identity in wanted:
            if identity not in locked:
                raise NotFound(f"{model.__name__} {identity}")
        return [locked[identity] for identity in wanted]

    # --

    async def _load_generated(self, instance: object) -> None:
        """Load the columns that the database chose and the flush could not bring back.

        Touching one later would be a lazy load, which an async session cannot do.
        """
        state: InstanceState[Any] = inspect(instance)
        missing = state.unloaded.intersection(state.mapper.column_attrs.keys())
        deferred = {attribute.key for attribute in state.mapper.column_attrs if attribute.deferred}
        if missing - deferred:
            await self.refresh(instance, missing - deferred)


__all__ = ["WritingVerbs"]
