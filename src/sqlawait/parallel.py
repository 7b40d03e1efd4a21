"""Independent queries at once, each on its own connection, on one snapshot where the database can.

One connection is waited for like any other; further ones are taken only where they are free at once. So whoever
holds a connection never waits for another, and the pool cannot be locked up, however many do this at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from pydantic import BaseModel
from sqlalchemy import Engine, Select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.orm.loading import merge_frozen_result

from sqlawait.exceptions import PoolTimeout
from sqlawait.pool import FairPool, without_waiting
from sqlawait.shape import ShapedReads
from sqlawait.shape.reads import beside

Query = Select[Any] | tuple[Select[Any], type[BaseModel]]
"""A statement; or a statement and the schema in which its rows are wanted."""


class ParallelReads(ShapedReads):
    """Adds :meth:`parallel` to a session."""

    async def parallel(self, *queries: Query) -> list[list[Any]]:
        """Run independent reads at once.

        Each runs on its own connection as far as connections are free, the rest one after the other. On
        PostgreSQL all see the same snapshot; elsewhere each sees its own. A session that has begun a
        transaction, or has changes, runs them on its own connection, where they see what it has written.

        Parameters:
            queries: select() statements, or pairs of a statement and a schema.

        Returns:
            For each query, in order, its rows: objects or values of a statement for one thing, rows of a
            statement for several, instances of the schema.

        Raises:
            PoolTimeout: not even one connection came free in time.
            Exception: the first error of a query; the others are cancelled.

        Example::

            users, posts = await session.parallel(select(User), (select(Post).limit(10), PostRead))
        """
        bind = self._shape_bind(_statement(queries[0])) if queries else None
        busy = "sync_session" in self.__dict__ and (
            self.sync_session.in_transaction() or not self.sync_session._is_clean()
        )
        if busy or not isinstance(bind, Engine) or not isinstance(bind.pool, FairPool):
            return [await _rows(self, query) for query in queries]
        return await _Crew(self, AsyncEngine(bind), queries).run()


class _Crew:
    """The connections that work on the queries of one call."""

    def __init__(self, session: ShapedReads, engine: AsyncEngine, queries: Sequence[Query]) -> None:
        self._session = session
        self._engine = engine
        self._queries = queries
        self._todo = iter(range(len(queries)))
        self._results: list[list[Any]] = [[] for _ in queries]
        self._snapshot: str | None = None

    async def run(self) -> list[list[Any]]:
        try:
            async with self._connection() as first:
                if self._engine.dialect.name == "postgresql" and len(self._queries) > 1:
                    self._snapshot = await first.scalar(text("SELECT pg_export_snapshot()"))
                async with asyncio.TaskGroup() as group:
                    for _ in self._queries[1:]:
                        group.create_task(self._help())
                    group.create_task(self._work(first))
        except BaseExceptionGroup as failed:
            raise failed.exceptions[0] from None
        return self._results

    async def _help(self) -> None:
        """Take a share of the work, if a connection is free now."""
        async with AsyncExitStack() as stack:
            try:
                with without_waiting():
                    helper = await stack.enter_async_context(self._engine.connect())
            except PoolTimeout:
                return
            await self._begin(helper)
            if self._snapshot is not None:
                # a name that PostgreSQL itself has given, and SET takes no parameters
                await helper.execute(text(f"SET TRANSACTION SNAPSHOT '{self._snapshot}'"))
            await self._work(helper)

    async def _work(self, connection: AsyncConnection) -> None:
        """Run queries until none is left. What they load goes over into the session that asked."""
        async with beside(self._session, connection) as worker:
            for number in self._todo:
                self._results[number] = await _rows(worker, self._queries[number], into=self._session)

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[AsyncConnection]:
        async with self._engine.connect() as connection:
            await self._begin(connection)
            yield connection

    async def _begin(self, connection: AsyncConnection) -> None:
        if self._engine.dialect.name == "postgresql":
            await connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        await connection.begin()


async def _rows(session: ShapedReads, query: Query, *, into: ShapedReads | None = None) -> list[Any]:
    if isinstance(query, tuple):
        statement, schema = query
        return list(await session.read_all(statement, schema))
    result = await session.execute(query)
    if into is not None:
        # SQLAlchemy has it without types
        merge: Any = merge_frozen_result
        result = merge(into.sync_session, query, result.freeze(), load=False)()
    single = len(query.column_descriptions) == 1
    if result._unique_filter_state is not None:  # collections that a join has loaded
        result = result.unique()
    return list(result.scalars() if single else result)


def _statement(query: Query) -> Select[Any]:
    return query[0] if isinstance(query, tuple) else query


__all__ = ["ParallelReads", "Query"]
