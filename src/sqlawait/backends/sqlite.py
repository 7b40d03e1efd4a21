"""SQLite through aiosqlite, made trustworthy for concurrent writers."""

from __future__ import annotations

import asyncio
import math
import sqlite3
import threading
import time
from contextlib import suppress
from typing import Any, ClassVar

import aiosqlite
from aiosqlite.core import _STOP_RUNNING_SENTINEL
from sqlalchemy import URL, event
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import MissingGreenlet
from sqlalchemy.pool import ConnectionPoolEntry, ManagesConnection
from sqlalchemy.util import await_only

from sqlawait.backends.base import Backend, Failure, Timeouts, is_stream, option
from sqlawait.backends.sqlite_vectors import load_sqlite_vec
from sqlawait.backends.sqlite_writers import WritersTurn

# https://www.sqlite.org/rescode.html
_CODES = {
    sqlite3.SQLITE_CONSTRAINT_UNIQUE: Failure.UNIQUE,
    sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY: Failure.UNIQUE,
    sqlite3.SQLITE_CONSTRAINT_ROWID: Failure.UNIQUE,
    sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY: Failure.FOREIGN_KEY,
    sqlite3.SQLITE_CONSTRAINT_NOTNULL: Failure.NOT_NULL,
    sqlite3.SQLITE_CONSTRAINT_CHECK: Failure.CHECK,
    sqlite3.SQLITE_BUSY_SNAPSHOT: Failure.SERIALIZATION,  # a reader that writes after another has written
    sqlite3.SQLITE_BUSY: Failure.LOCK_TIMEOUT,
    sqlite3.SQLITE_LOCKED: Failure.LOCK_TIMEOUT,
    sqlite3.SQLITE_INTERRUPT: Failure.STATEMENT_TIMEOUT,
    sqlite3.SQLITE_TOOBIG: Failure.BAD_DATA,
    sqlite3.SQLITE_MISMATCH: Failure.BAD_DATA,
    sqlite3.SQLITE_CANTOPEN: Failure.AWAY,
    sqlite3.SQLITE_IOERR: Failure.AWAY,
    sqlite3.SQLITE_FULL: Failure.AWAY,
}

_WRITE = "BEGIN IMMEDIATE"
_BEGIN = "sqlawait_begin"
_QUERY_ONLY = "sqlawait_query_only"
_DEADLINE = "sqlawait_deadline"

_LAST_WORDS = 2.0
"""Seconds to wait, at the end, for the thread of a connection that was cancelled."""

_STEPS_BETWEEN_LOOKS = 50_000
"""SQLite's virtual machine steps between two looks at the clock: about a millisecond."""


class SQLite(Backend):
    """SQLite through aiosqlite."""

    name: ClassVar[str] = "sqlite"
    schemes: ClassVar[frozenset[str]] = frozenset({"sqlite"})
    drivers: ClassVar[tuple[str, ...]] = ("aiosqlite",)
    sync_drivers: ClassVar[frozenset[str]] = frozenset({"pysqlite", "pysqlcipher"})
    insert = staticmethod(insert)
    extra: ClassVar[str] = "all"

    def connect_args(self, url: URL, timeouts: Timeouts, *, pgbouncer: bool) -> dict[str, Any]:
        """The driver's own transactions are off: it opens them late, and never for a SELECT."""
        del url, pgbouncer
        return {
            "isolation_level": None,
            "timeout": timeouts.lock,
            "check_same_thread": False,
            "async_creator_fn": _connect,
        }

    def pool_size(self, url: URL, size: int) -> int:
        """One connection is the whole of a database in memory."""
        return 1 if in_memory(url) else size

    def prepare(self, engine: Engine, timeouts: Timeouts, *, pgbouncer: bool) -> None:
        """Set each connection up, begin as the session asks, and leave nothing behind."""
        del pgbouncer
        _set_up_connections(engine, timeouts)
        _begin_explicitly(engine, timeouts)
        _bound_statements(engine, timeouts)
        _leave_nothing_behind(engine)

    def options(self, *, isolation_level: str | None, read_only: bool, deferred: bool) -> dict[str, Any]:
        """A writer takes its lock at BEGIN: a reader that turns writer is refused if another has written."""
        if isolation_level and isolation_level.upper() == "AUTOCOMMIT":
            return {_BEGIN: None}
        # every other level is weaker than what SQLite always gives: serializable
        return {_BEGIN: "BEGIN" if read_only or deferred else _WRITE, _QUERY_ONLY: read_only}

    def reader_options(self) -> dict[str, Any]:
        """No BEGIN: each statement reads its own snapshot."""
        return {_BEGIN: None}

    def failure(self, error: BaseException) -> Failure | None:
        """By SQLite's extended result code, then by the primary one in its low byte."""
        code = getattr(error, "sqlite_errorcode", None)
        if code is not None:
            return _CODES.get(code) or _CODES.get(code & 0xFF)
        return None

    def dooms(self, error: BaseException, connection: Connection) -> bool:
        """An interrupted write, a full disk and the like: SQLite has left the transaction then."""
        del error
        begun = option(connection, _BEGIN, _WRITE) is not None
        return begun and not self.in_transaction(connection.connection.driver_connection)

    def in_transaction(self, driver_connection: Any) -> bool:
        """Read from the connection's own state, without a hop to its thread."""
        return driver_connection._connection is not None and bool(driver_connection.in_transaction)

    def start_clock(self, connection: ManagesConnection) -> None:
        """The progress handler looks at it."""
        deadline = connection.info.get(_DEADLINE)
        if deadline is not None:
            deadline[0] = time.monotonic() + deadline[1]


def in_memory(url: URL) -> bool:
    """Whether the database lives in the memory of one connection."""
    return url.database in (None, "", ":memory:")


async def _connect(*arguments: Any, **options: Any) -> aiosqlite.Connection:
    connection = aiosqlite.connect(*arguments, **options)
    thread = _thread_of(connection)
    thread.daemon = True  # a statement that does not end must not keep the process alive
    try:
        return await connection
    except BaseException:
        await asyncio.to_thread(thread.join, _LAST_WORDS)
        raise


def _thread_of(connection: Any) -> threading.Thread:
    thread: threading.Thread = getattr(connection, "_thread", connection)  # an older connection is its thread
    return thread


def _set_up_connections(engine: Engine, timeouts: Timeouts) -> None:
    @event.listens_for(engine, "connect")
    def set_up(connection: DBAPIConnection, entry: ConnectionPoolEntry) -> None:
        entry.info[_DEADLINE] = deadline = [float("inf"), timeouts.command]
        cursor = connection.cursor()
        try:
            cursor.execute(f"PRAGMA busy_timeout = {timeouts.lock * 1000:.0f}")
            cursor.execute("PRAGMA journal_mode = WAL")  # readers and the writer do not wait for each other
            cursor.execute("PRAGMA synchronous = FULL")  # a committed row outlives a loss of power
            cursor.execute("PRAGMA foreign_keys = ON")
        finally:
            cursor.close()
        driver: Any = entry.driver_connection
        setattr(driver, _DEADLINE, deadline)
        raw = driver._connection  # aiosqlite has no public way to set a progress handler
        raw.set_progress_handler(lambda: time.monotonic() > deadline[0], _STEPS_BETWEEN_LOOKS)
        load_sqlite_vec(raw)


def _begin_explicitly(engine: Engine, timeouts: Timeouts) -> None:
    alone = in_memory(engine.url) or str(engine.url.database).startswith("file:")
    turn = WritersTurn(timeouts.lock, None if alone else engine.url.database)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        query_only = bool(option(connection, _QUERY_ONLY, default=False))
        if connection.info.get(_QUERY_ONLY, False) != query_only:
            connection.exec_driver_sql(f"PRAGMA query_only = {query_only:d}")
            connection.info[_QUERY_ONLY] = query_only
        statement = option(connection, _BEGIN, _WRITE)
        if statement == _WRITE:
            await_only(turn.take(connection.info))
        if statement:
            connection.exec_driver_sql(statement)

    @event.listens_for(engine, "checkin")
    @event.listens_for(engine, "invalidate")
    def end(connection: DBAPIConnection | None, entry: ConnectionPoolEntry, *_: Any) -> None:
        del connection
        turn.give(entry.info)

    @event.listens_for(engine, "engine_disposed")
    def close(engine: Engine) -> None:
        del engine
        turn.close()


def _bound_statements(engine: Engine, timeouts: Timeouts) -> None:
    # With retval=True SQLAlchemy calls it itself, without a wrapper that would hide whose it is.
    @event.listens_for(engine, "before_cursor_execute", retval=True)
    def set_deadline(
        connection: Connection, _cursor: Any, statement: str, parameters: Any, context: Any, _many: bool
    ) -> tuple[str, Any]:
        deadline = connection.info.get(_DEADLINE)
        if deadline is not None:
            # a stream runs for as long as its rows are taken
            deadline[0] = math.inf if is_stream(context) else time.monotonic() + timeouts.command
        return statement, parameters


def _leave_nothing_behind(engine: Engine) -> None:
    ending: list[threading.Thread] = []

    roll_back_always = engine.dialect.do_rollback

    def roll_back_if_open(connection: Any) -> None:
        # a hop to the thread that is not made is also one in which a committed transaction cannot be cancelled
        driver = connection.driver_connection
        if driver._connection is not None and driver.in_transaction:
            roll_back_always(connection)

    engine.dialect.do_rollback = roll_back_if_open  # type: ignore[method-assign, assignment] # every way ends there

    @event.listens_for(engine, "reset")
    def roll_back(connection: DBAPIConnection, *_: Any) -> None:
        # SQLAlchemy takes a failed COMMIT for the end of the transaction; SQLite keeps it open, and the
        # next request's COMMIT would store the failed one's rows
        if connection.driver_connection.in_transaction:
            connection.rollback()

    def terminate(connection: Any) -> None:
        # A task cancelled in mid-statement leaves it running in aiosqlite's thread, its write lock held: stop
        # the statement, and let the thread end the connection behind it. SQLAlchemy's own way waits for the
        # thread, and for ever if it is cancelled once more meanwhile.
        driver = connection.driver_connection
        raw, driver._connection = driver._connection, None
        if raw is None:
            return
        driver._running = False
        # not interrupt(): while any statement has rows left, that would stop the roll-back too
        getattr(driver, _DEADLINE, [0])[0] = 0
        # an older aiosqlite insists on a future to tell the outcome to, and on a word of its own to stop
        told = asyncio.get_running_loop().create_future()
        driver._tx.put_nowait((told, lambda: _end(raw)))
        if hasattr(driver, "_stop_running"):
            driver._stop_running()
        ending.append(_thread_of(driver))

    engine.dialect.do_terminate = terminate  # type: ignore[method-assign, assignment] # no other way waits for nothing

    @event.listens_for(engine, "engine_disposed")
    def wait_for_threads(engine: Engine) -> None:
        # they tell their last outcomes to the event loop, which must not have ended by then
        del engine
        while ending:
            thread = ending.pop()
            with suppress(MissingGreenlet):  # disposed without closing: the loop has ended already
                await_only(asyncio.to_thread(thread.join, _LAST_WORDS))


def _end(raw: sqlite3.Connection) -> object:
    with suppress(sqlite3.Error):
        raw.rollback()
    with suppress(sqlite3.Error):
        raw.close()
    return _STOP_RUNNING_SENTINEL
