"""A sandbox for tests: everything happens in one transaction that is rolled back at the end.

The engine keeps one real connection with one real transaction. A transaction of the application becomes a
savepoint in it: its commit releases the savepoint, its rollback returns to it. So the code under test commits,
fails and retries as it does in production, and the database is as it was when the test has ended.

Savepoints nest. So may transactions here: one that is begun within another's task, or in a task that was
started from there, goes on top of it; any other waits until the top is free: concurrent tasks take turns.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from contextvars import ContextVar
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Connection, Dialect, Engine
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import Pool, PoolProxiedConnection
from sqlalchemy.pool.base import _ConnectionFairy, _ConnectionRecord
from sqlalchemy.util import await_only, greenlet_spawn

from sqlawait.backends.sqlite_writers import TURN
from sqlawait.database import Database
from sqlawait.exceptions import ConfigurationError
from sqlawait.pool import FairPool, Lease

_SAVEPOINT = "sqlawait_sandbox"
_PATIENCE = 10.0
_BEGINS = ("BEGIN", "START TRANSACTION", "SET TRANSACTION")


class Nesting:
    """Who is inside of whose transaction: the top may go on, the others wait."""

    def __init__(self) -> None:
        self._open: list[object] = []
        self._waiting: set[asyncio.Future[None]] = set()
        self._within: ContextVar[tuple[object, ...]] = ContextVar("sqlawait_sandbox", default=())
        self._shared: set[object] = set()
        self.running = False
        """True once the test itself runs: what its fixtures left open holds nobody up."""

    async def enter(self, token: object) -> None:
        """Wait until the innermost open transaction is one of one's own, and go on top of it."""
        await self._until(lambda: not self._open or self._open[-1] in self._mine())
        self._open.append(token)
        self._within.set((*self._within.get(), token))
        if not self.running:
            self._shared.add(token)

    async def leave(self, token: object) -> None:
        """Wait until nothing lies on top. It is still open then: :meth:`left` lets the next one on."""
        await self._until(lambda: token not in self._open or self._open[-1] is token)

    def left(self, token: object) -> None:
        """The transaction has ended."""
        with suppress(ValueError):
            self._open.remove(token)
        self._within.set(tuple(one for one in self._within.get() if one is not token))
        for turn in self._waiting:
            if not turn.done():
                turn.set_result(None)

    def clear(self) -> None:
        """All transactions have ended: their connection is gone."""
        for token in list(self._open):
            self.left(token)

    def _mine(self) -> set[object]:
        return {*self._within.get(), *self._shared}

    async def _until(self, free: Callable[[], bool]) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + _PATIENCE
        while not free():
            turn: asyncio.Future[None] = loop.create_future()
            self._waiting.add(turn)
            try:
                async with asyncio.timeout_at(end):
                    await turn
            except TimeoutError:
                raise ConfigurationError(
                    "in a sandbox all transactions share one connection, and one that is open elsewhere has"
                    f" not ended for {_PATIENCE:g} s; commit or close the test's own session before the"
                    " application is called, or use @pytest.mark.real_commits"
                ) from None
            finally:
                self._waiting.discard(turn)


class SandboxPool(FairPool):
    """One real connection that is never closed or reset between its users."""

    def __init__(self, original: Pool, nesting: Nesting) -> None:
        dialect: Any = original._dialect
        super().__init__(original._creator, pool_size=1, dialect=dialect, reset_on_return=None)
        self._original = original
        self._nesting = nesting
        self._begins_by_itself = dialect.name != "sqlite"
        self._connection: Any = None
        self._info: dict[Any, Any] = {}
        self._opening = asyncio.Lock()

    def recreate(self) -> SandboxPool:
        """A new one, with a new connection."""
        return SandboxPool(self._original, self._nesting)

    def dispose(self) -> None:
        """Close the connection, and so roll everything back."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._original._dialect.do_close(connection)

    def free(self) -> int:
        """None beyond the one: parallel reads take turns."""
        return 0

    async def take(self) -> Lease:
        """The one connection, when no other transaction is on top."""
        token = object()
        await self._nesting.enter(token)
        proxy = await greenlet_spawn(self.connect)
        proxy.info[_SAVEPOINT] = token
        return Lease(proxy, proxy)

    async def give(self, lease: Lease, *, broken: BaseException | None = None) -> None:
        """Take a lease back."""
        del broken  # a savepoint cures what a pool would have to throw away
        token = lease._holder.info.pop(_SAVEPOINT)
        await self._nesting.leave(token)
        await greenlet_spawn(lease._holder.close)
        self._nesting.left(token)

    def _do_get(self) -> _ConnectionRecord:
        record = _ConnectionRecord(self, connect=False)  # each user has its own record of the one connection
        record.starttime = time.time()
        await_only(self._opening.acquire())
        try:
            if self._connection is None:
                self._open(record)
        finally:
            self._opening.release()
        record.dbapi_connection = self._connection
        record.info.update(self._info)
        return record

    def _open(self, record: _ConnectionRecord) -> None:
        connection = self._original._invoke_creator(record)
        record.dbapi_connection = connection
        for listener in self._original.dispatch.connect:
            listener(connection, record)
        if not self._begins_by_itself:
            _execute(connection, "BEGIN")
        # its one transaction never ends: none that is begun within has to wait for a turn to write
        self._connection, self._info = connection, {**record.info, TURN: True}

    def _do_return_conn(self, record: Any) -> None:
        record.dbapi_connection = None

    def _close_connection(self, connection: Any, *, terminate: bool = False) -> None:
        if connection is self._connection:  # invalidated: a disconnect, a cancelled statement
            self._connection = None
            self._original._close_connection(connection, terminate=terminate)


class _Savepoints:
    """What the dialect does in place of BEGIN, COMMIT and ROLLBACK."""

    def __init__(self, dialect: Dialect, nesting: Nesting) -> None:
        self._real = (dialect.do_begin, dialect.do_commit, dialect.do_rollback)
        self._nesting = nesting
        self._numbers = itertools.count(1)

    def begin(self, connection: PoolProxiedConnection) -> None:
        """SAVEPOINT, when it is this task's turn."""
        if not isinstance(connection, _ConnectionFairy):
            self._real[0](connection)  # SQLAlchemy's own first look at the server, on no pool's connection
            return
        name = f"{_SAVEPOINT}_{next(self._numbers)}"
        await_only(self._nesting.enter(name))
        try:
            _execute(connection, f"SAVEPOINT {name}")
        except BaseException:
            self._nesting.left(name)
            raise
        connection.info[_SAVEPOINT] = name

    def commit(self, connection: PoolProxiedConnection) -> None:
        """RELEASE."""
        if isinstance(connection, _ConnectionFairy):
            self._end(connection, "RELEASE SAVEPOINT {}")
        else:
            self._real[1](connection)

    def rollback(self, connection: PoolProxiedConnection) -> None:
        """ROLLBACK TO, and RELEASE."""
        if isinstance(connection, _ConnectionFairy):
            self._end(connection, "ROLLBACK TO SAVEPOINT {}", "RELEASE SAVEPOINT {}")
        else:
            self._real[2](connection)

    def _end(self, connection: PoolProxiedConnection, *statements: str) -> None:
        name = connection.info.get(_SAVEPOINT)
        if name is None:
            return
        await_only(self._nesting.leave(name))
        for statement in statements:
            _execute(connection, statement.format(name))
        del connection.info[_SAVEPOINT]
        self._nesting.left(name)


def isolate(engine: Engine, nesting: Nesting) -> None:
    """Turn an engine into a sandbox: its transactions into savepoints of one that never commits."""
    engine.pool = SandboxPool(engine.pool, nesting)
    dialect: Any = engine.dialect
    savepoints = _Savepoints(dialect, nesting)
    dialect.do_begin = savepoints.begin
    dialect.do_commit = savepoints.commit
    dialect.do_rollback = savepoints.rollback
    # isolation levels and read-only modes belong to the one real transaction, which has begun
    dialect._set_connection_characteristics = lambda *_: None
    dialect._reset_characteristics = lambda *_: None

    @event.listens_for(engine, "before_cursor_execute", retval=True)
    def skip_begin(
        _connection: Connection, _cursor: Any, statement: str, parameters: Any, *_: Any
    ) -> tuple[str, Any]:
        # what backends send to begin by hand, or to set the mode of the transaction that begins
        return ("SELECT 1" if statement.upper().startswith(_BEGINS) else statement), parameters

    @event.listens_for(engine, "rollback")
    def release(connection: Connection) -> None:
        if connection.invalidated:  # such a transaction ends without the dialect, and all others with it
            nesting.clear()


def _execute(connection: Any, statement: str) -> None:
    cursor = connection.cursor()
    try:
        cursor.execute(statement)
    finally:
        cursor.close()


@contextmanager
def sandboxed(db: Database) -> Iterator[Nesting]:
    """Let a Database make sandboxed engines from now on; those that it has are let go.

    Close the Database in the event loop that used it before the block ends.
    """
    nesting = Nesting()
    make = db._make_engine

    def make_isolated() -> AsyncEngine:
        engine = make()
        isolate(engine.sync_engine, nesting)
        return engine

    db._abandon()
    db._make_engine = make_isolated  # type: ignore[method-assign] # for the length of a test
    try:
        yield nesting
    finally:
        del db._make_engine  # the class's own again


@asynccontextmanager
async def sandbox(db: Database) -> AsyncIterator[Database]:
    """Run a block in a sandbox of its own: nothing that it commits is there afterwards.

    Parameters:
        db: any Database; it is closed at the end of the block.

    Example::

        async with sandbox(db):
            async with db.transaction() as session:
                await session.create(User, email="ada@example.com")
    """
    await db.close()
    with sandboxed(db) as nesting:
        nesting.running = True
        try:
            yield db
        finally:
            await db.close()


__all__ = ["Nesting", "isolate", "sandbox", "sandboxed"]
