"""Database: engines, sessions, lifecycle, health: the one object a user makes."""

from __future__ import annotations

import asyncio
import os
import time
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar, TypeVarTuple

from sqlalchemy import URL, MetaData, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.orm import Session

from sqlawait.backends import Timeouts, failure_of, guard, masked, resolve
from sqlawait.backends.doomed import refuse_doomed
from sqlawait.backends.guard import to_the_end
from sqlawait.bridge import Bridge
from sqlawait.collector import rare_collections
from sqlawait.events import Observer
from sqlawait.exceptions import ConfigurationError, SqlawaitError, Unsupported, WrongLoop
from sqlawait.lanes import Lanes
from sqlawait.pool import FairPool
from sqlawait.replicas import Replica, Replicas, position_of
from sqlawait.session import AsyncSession, ReaderSession
from sqlawait.transactions import run_retried

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_RETRY_DEADLINE = 2.0

_WATCH = Timeouts(connect=1.0, command=1.0)
"""Of the connections that ask a server how it is: one that does not answer is as good as away."""


@dataclass(frozen=True, slots=True)
class Health:
    """Whether the database answers."""

    ok: bool
    seconds: float
    """How long the answer took, the wait for a connection included."""
    error: str | None
    """The kind of failure in one word; never the driver's message, which may hold what is secret."""


class Database:
    """A database: its engine, its pool and its sessions.

    It connects when it is first used and belongs to the event loop in which that happens. Where that loop
    has ended (a test's, a script's) the next use makes a fresh engine; where it still runs, use in another
    loop is an error.

    Parameters:
        url: where it is. ``postgresql://``, ``sqlite://``, ``mysql://`` and ``mariadb://`` are completed to
            their async drivers; a blocking driver is refused.
        pool_size: how many connections there may be. There is no overflow: under load that would mean a new
            connection for each request.
        pool_timeout: how long to wait for a free connection, in seconds, before :class:`PoolTimeout`.
        timeouts: how long the database may take; each has a default.
        isolation_level: of all transactions, where not the database's own default.
        pgbouncer: True where PgBouncer in transaction mode stands before PostgreSQL: nothing is prepared.
        echo: log every statement. Values are never logged.
        threads: how many blocking functions :meth:`run_sync` runs at once; fewer than ``pool_size``.
        observers: told of what happens, see :mod:`sqlawait.events`.
        replicas: the URLs of its streaming replicas (PostgreSQL). :meth:`reader` and ``ReaderDep`` read from
            those that are well, in turn; all else goes to ``url``. Each has a pool of ``pool_size``.
        max_lag: how far a replica may be behind, in seconds, before it is left out.

    Raises:
        SyncDriver: the URL names a blocking driver.
        UnknownDriver: the URL names no database or driver known here.
        DriverMissing: the driver is not installed.
        ConfigurationError: the sizes leave no room.
        Unsupported: replicas of a database that is no PostgreSQL.

    Example::

        db = Database("postgresql://app@localhost/shop")

        async with db, db.transaction() as session:
            await session.create(User, email="ada@example.com")
    """

    def __init__(
        self,
        url: str | URL,
        *,
        pool_size: int = 10,
        pool_timeout: float = 5.0,
        timeouts: Timeouts | None = None,
        isolation_level: str | None = None,
        pgbouncer: bool = False,
        echo: bool = False,
        threads: int = 4,
        observers: Sequence[Observer] = (),
        replicas: Sequence[str | URL] = (),
        max_lag: float = 5.0,
    ) -> None:
        self._url, self.backend = resolve(url)
        self.dialect = self.backend.name
        """``postgresql``, ``sqlite`` or ``mysql``."""
        self.pool_size = self.backend.pool_size(self._url, pool_size)
        self.pool_timeout = pool_timeout
        self.timeouts = timeouts or Timeouts()
        self.isolation_level = isolation_level
        self.pgbouncer = pgbouncer
        self.echo = echo
        self.threads = threads
        self.observers: list[Observer] = list(observers)
        if pool_size < 1:
            raise ConfigurationError(f"pool_size={pool_size} leaves no connection; give 1 or more")
        if threads >= self.pool_size > 1:
            raise ConfigurationError(
                f"threads={threads} could take all {self.pool_size} connections from the event loop;"
                f" give fewer than pool_size"
            )
        self._engine: AsyncEngine | None = None
        self._bridge: Bridge | None = None
        self._loop: weakref.ref[asyncio.AbstractEventLoop] | None = None
        self._lanes = Lanes()
        self._binds: dict[tuple[Any, ...], AsyncEngine] = {}
        self._replicas = self._make_replicas(replicas, max_lag) if replicas else None
        _databases.add(self)

    def __repr__(self) -> str:
        return f"Database({masked(self._url)!r})"

    # -- lifecycle

    @property
    def engine(self) -> AsyncEngine:
        """SQLAlchemy's engine, made on first use.

        Raises:
            WrongLoop: it was made in another event loop, which still runs.
        """
        if self._loop is not None:
            self._check_loop()
        if self._engine is None:
            self._engine = self._make_engine()
        if self._loop is None:
            self._loop = _running_loop()
        return self._engine

    async def open(self) -> None:
        """Connect, so that a wrong URL or a database away shows now and not at the first request.

        Raises:
            DatabaseAway: it cannot be reached.
            sqlalchemy.exc.DBAPIError: it refused the connection.
        """
        async with self._primary_reader().connect() as connection:
            await connection.execute(text("SELECT 1"))
        if self._replicas is not None:
            await self._replicas.open()

    async def close(self) -> None:
        """Close every connection. The database can be used again: it connects anew."""
        if self._replicas is not None:
            await self._replicas.close()
        engine, self._engine = self._engine, None
        self._forget()
        if engine is not None:
            await engine.dispose()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @asynccontextmanager
    async def lifespan(self, app: object) -> AsyncIterator[None]:
        """Open at the start of an application and close at its end: ``FastAPI(lifespan=db.lifespan)``.

        In between Python's garbage collector looks less often for cycles, and not among what was there before.
        """
        del app
        async with self:
            with rare_collections():
                yield

    async def health(self) -> Health:
        """Ask the database, of several servers the primary; never raises for a database that is away."""
        start = time.perf_counter()
        try:
            async with self._primary_reader().connect() as connection:
                await connection.execute(text("SELECT 1"))
        except (SQLAlchemyError, SqlawaitError) as error:
            kind = failure_of(error)
            return Health(
                ok=False, seconds=time.perf_counter() - start, error=str(kind or type(error).__name__)
            )
        return Health(ok=True, seconds=time.perf_counter() - start, error=None)

    async def create_all(self, metadata: MetaData) -> None:
        """Create the tables that are not there: for tests and scripts; an application migrates."""
        async with self.engine.begin() as connection:
            await connection.run_sync(metadata.create_all)

    # -- sessions

    def bind(
        self, *, isolation_level: str | None = None, read_only: bool = False, deferred: bool = False
    ) -> AsyncEngine:
        """The engine of sessions with these properties; parameters are those of :meth:`session`."""
        if self._replicas is not None and not read_only:
            self._replicas.note_write()
        options = self.backend.options(
            isolation_level=isolation_level or self.isolation_level, read_only=read_only, deferred=deferred
        )
        return self._bind(options)

    def reader_bind(self, *, after: int | None = None) -> AsyncEngine:
        """The engine of sessions that read and open no transaction; parameters are those of :meth:`reader`."""
        primary = self._bind(self.backend.reader_options())
        if self._replicas is not None:
            replica = self._replicas.choose(after)
            if replica is not None:
                return replica.reader_bind()
        return primary

    def session(
        self, *, isolation_level: str | None = None, read_only: bool = False, deferred: bool = False
    ) -> AsyncSession:
        """A session of your own: what is not committed when it closes is rolled back.

        Parameters:
            isolation_level: of its transactions, as SQLAlchemy names them (``"SERIALIZABLE"`` …).
            read_only: the database refuses writes.
            deferred: SQLite only: take the write lock at the first write, not at BEGIN. For transactions that
                mostly read; a write after another transaction's is refused and can be retried.

        Example::

            async with db.session() as session:
                session.add(User(email="ada@example.com"))
                await session.commit()
        """
        bind = self.bind(isolation_level=isolation_level, read_only=read_only, deferred=deferred)
        # once closed it is closed: a closed session that silently opens again leaks its connection
        return AsyncSession(bind, expire_on_commit=False, close_resets_only=False)

    @asynccontextmanager
    async def transaction(
        self, *, isolation_level: str | None = None, read_only: bool = False, deferred: bool = False
    ) -> AsyncIterator[AsyncSession]:
        """A session in one transaction: committed at the end of the block, rolled back on any exception.

        Parameters are those of :meth:`session`.

        Raises:
            CommitUnknown: COMMIT was sent and its outcome never came back.
        """
        session = self.session(isolation_level=isolation_level, read_only=read_only, deferred=deferred)
        try:
            yield session
            await session.flush()
        except BaseException:
            await asyncio.shield(session.close())
            raise
        await to_the_end(_finish(session))

    @asynccontextmanager
    async def reader(self, *, after: int | None = None) -> AsyncIterator[AsyncSession]:
        """A session that reads and opens no transaction: a statement is one round trip with its own snapshot.

        Writing in it raises :class:`ReadOnly`.

        Parameters:
            after: with replicas, a :meth:`position` that the server which is read from must hold. By default
                whoever has written, in this task or for the client of this request, reads what it has written.
        """
        session = AsyncSession(
            self.reader_bind(after=after),
            expire_on_commit=False,
            close_resets_only=False,
            sync_session_class=ReaderSession,
        )
        async with session:
            yield session

    async def position(self) -> int:
        """Where the primary's log is now: after a commit, a place that holds it.

        For ``reader(after=…)`` in another process; between requests the application carries it by itself.

        Raises:
            Unsupported: the database has no replicas.
        """
        if self._replicas is None:
            raise Unsupported(
                "positions", "a Database without replicas", "give it some: Database(url, replicas=[…])"
            )
        return await position_of(self._primary_reader())

    @property
    def replicas(self) -> Replicas | None:
        """The replicas, if it has any."""
        return self._replicas

    @property
    def engines(self) -> list[AsyncEngine]:
        """The primary's engine, and the replicas': for what listens to all of a database's statements."""
        return [self.engine, *(self._replicas.engines if self._replicas is not None else ())]

    async def run(
        self,
        work: Callable[[AsyncSession, *Ts], Awaitable[T]],
        *arguments: *Ts,
        isolation_level: str | None = None,
        deadline: float = _RETRY_DEADLINE,
    ) -> T:
        """Run a function as one transaction, again as a whole on a deadlock or a serialization failure.

        Parameters:
            work: called with a session and ``arguments``. It may be called several times, so it should do
                nothing that a rollback does not undo.
            arguments: passed on.
            isolation_level: of the transaction.
            deadline: seconds after which a failed attempt is the last.

        Returns:
            What ``work`` returned, committed.

        Raises:
            CommitUnknown: COMMIT was sent and its outcome never came back; never retried.

        Example::

            await db.run(transfer, 1, 2, Decimal("10"))
        """

        def begin() -> AbstractAsyncContextManager[AsyncSession]:
            return self.transaction(isolation_level=isolation_level)

        def bound(session: AsyncSession) -> Awaitable[T]:
            return work(session, *arguments)

        lane = self._lanes.of(work)
        return await run_retried(begin, bound, deadline=deadline, lane=lane, observers=self.observers)

    async def run_sync(self, work: Callable[[Session, *Ts], T], *arguments: *Ts) -> T:
        """Run a blocking function in a thread, with a sync ``Session`` on this database, in one transaction.

        At most ``threads`` run at once; further calls wait for their turn. Other requests are not slowed: the
        event loop stays free, and connections are left for it.

        Parameters:
            work: called with a :class:`sqlalchemy.orm.Session` and ``arguments``, in a thread.
            arguments: passed on.

        Returns:
            What ``work`` returned, committed.
        """
        engine = self.bind()
        if self._bridge is None:
            self._bridge = Bridge(self.threads)
        return await self._bridge.run(engine, lambda session: work(session, *arguments))

    # --

    def _make_replicas(self, urls: Sequence[str | URL], max_lag: float) -> Replicas:
        if self.dialect != "postgresql":
            raise Unsupported("reads from replicas", self.dialect, "use PostgreSQL with streaming replication")

        def server(url: str | URL) -> Database:
            return Database(
                url,
                pool_size=self.pool_size,
                pool_timeout=self.pool_timeout,
                timeouts=self.timeouts,
                pgbouncer=self.pgbouncer,
                echo=self.echo,
                threads=self.threads,
                observers=self.observers,
            )

        def watched(url: str | URL) -> Database:
            return Database(url, pool_size=1, timeouts=_WATCH, pgbouncer=self.pgbouncer)

        return Replicas(
            watched(self._url),
            [Replica(server(url), watched(url)) for url in urls],
            max_lag=max_lag,
            observers=self.observers,
        )

    def _primary_reader(self) -> AsyncEngine:
        return self._bind(self.backend.reader_options())

    def _bind(self, options: dict[str, Any]) -> AsyncEngine:
        engine = self.engine
        if not options:
            return engine
        key = tuple(options.items())
        bind = self._binds.get(key)
        if bind is None:
            bind = self._binds[key] = engine.execution_options(**options)
        return bind

    def _make_engine(self) -> AsyncEngine:
        engine = create_async_engine(
            self._url,
            connect_args=self.backend.connect_args(self._url, self.timeouts, pgbouncer=self.pgbouncer),
            poolclass=FairPool,
            pool_size=self.pool_size,
            pool_timeout=self.pool_timeout,
            observers=self.observers,
            backend=self.backend,
            hide_parameters=True,
            echo=self.echo,
        )
        guard(engine.sync_engine, self.backend)
        self.backend.prepare(engine.sync_engine, self.timeouts, pgbouncer=self.pgbouncer)
        refuse_doomed(engine.sync_engine, self.backend)
        return engine

    def _check_loop(self) -> None:
        assert self._loop is not None
        mine = self._loop()
        try:
            if mine is asyncio.get_running_loop():
                return
        except RuntimeError:
            return
        if mine is not None and not mine.is_closed():
            raise WrongLoop
        # that loop has ended, and its connections with it: nothing can be awaited on them any more
        self._abandon()

    def _abandon(self) -> None:
        """Let go of the engine without closing connections that belong to another process or an ended loop."""
        engine, self._engine = self._engine, None
        self._forget()
        if engine is not None:
            engine.sync_engine.dispose(close=False)

    def _forget(self) -> None:
        self._loop = None
        self._bridge = None
        self._lanes = Lanes()
        self._binds = {}
        if self._replicas is not None:
            self._replicas.forget()


async def _finish(session: AsyncSession) -> None:
    async with session:
        await session.commit()


def _running_loop() -> weakref.ref[asyncio.AbstractEventLoop] | None:
    try:
        return weakref.ref(asyncio.get_running_loop())
    except RuntimeError:
        return None


_databases: weakref.WeakSet[Database] = weakref.WeakSet()


def _abandon_all() -> None:
    """In a forked child: the parent's sockets are not the child's to use, so it starts with fresh engines."""
    for database in list(_databases):
        database._abandon()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_abandon_all)


__all__ = ["Database", "Health", "Timeouts"]
