"""MariaDB and MySQL through asyncmy or aiomysql."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from functools import partial
from importlib import import_module
from typing import Any, ClassVar

from sqlalchemy import URL, Column, Table, event
from sqlalchemy.dialects.mysql import insert
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.engine.interfaces import DBAPIConnection, Dialect
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.sql.dml import Insert
from sqlalchemy.util import await_only, greenlet_spawn

from sqlawait.backends.asyncmy_reads import bound_reads
from sqlawait.backends.base import Backend, Failure, Timeouts, is_stream, option
from sqlawait.backends.guard import to_the_end

# https://mariadb.com/kb/en/mariadb-error-codes/ and MySQL's list: they agree on these
_CODES = {
    1022: Failure.UNIQUE,
    1062: Failure.UNIQUE,
    1169: Failure.UNIQUE,
    1586: Failure.UNIQUE,
    1216: Failure.FOREIGN_KEY,
    1217: Failure.FOREIGN_KEY,
    1451: Failure.FOREIGN_KEY,
    1452: Failure.FOREIGN_KEY,
    1048: Failure.NOT_NULL,
    1364: Failure.NOT_NULL,  # no default
    3819: Failure.CHECK,
    4025: Failure.CHECK,
    1213: Failure.DEADLOCK,
    1020: Failure.SERIALIZATION,  # MariaDB: the record has changed since it was read
    1205: Failure.LOCK_TIMEOUT,
    3572: Failure.LOCK_TIMEOUT,  # NOWAIT
    1969: Failure.STATEMENT_TIMEOUT,
    3024: Failure.STATEMENT_TIMEOUT,
    1264: Failure.BAD_DATA,  # out of range
    1265: Failure.BAD_DATA,
    1292: Failure.BAD_DATA,
    1366: Failure.BAD_DATA,
    1406: Failure.BAD_DATA,  # too long
    1040: Failure.AWAY,  # too many connections
    1053: Failure.AWAY,  # shutting down
    1152: Failure.AWAY,
    1158: Failure.AWAY,
    1159: Failure.AWAY,
    1160: Failure.AWAY,
    1161: Failure.AWAY,
    1317: Failure.AWAY,  # the query was interrupted
    1927: Failure.AWAY,  # the connection was killed
    2002: Failure.AWAY,
    2003: Failure.AWAY,
    2006: Failure.AWAY,
    2013: Failure.AWAY,
    2014: Failure.AWAY,
    4031: Failure.AWAY,  # idle for too long
    927: Failure.AWAY,  # idle in transaction for too long
}

_ENDING = {1020, 1206, 1213, 1614}
"""Errors with which the server rolls the whole transaction back, savepoints and all."""

_LOCK_TIMEOUT = 1205
_ROLLBACK_ON_TIMEOUT = "sqlawait_rollback_on_timeout"
_TRANSACTION = "sqlawait_transaction"
_VALUES = (
    (re.compile(r"Duplicate entry '.*' for key", re.DOTALL), "Duplicate entry for key"),
    (re.compile(r"(value:?) '.*'(?= for (column|function)|\W*\Z)", re.DOTALL), r"\1 '…'"),
    (re.compile(r"near '.*' at line", re.DOTALL), "near '…' at line"),
)
_IN_TRANSACTION = 0x0001
"""SERVER_STATUS_IN_TRANS of the protocol."""


class MySQL(Backend):
    """MariaDB and MySQL through asyncmy or aiomysql."""

    name: ClassVar[str] = "mysql"
    schemes: ClassVar[frozenset[str]] = frozenset({"mysql", "mariadb"})
    drivers: ClassVar[tuple[str, ...]] = ("asyncmy", "aiomysql")
    sync_drivers: ClassVar[frozenset[str]] = frozenset(
        {"pymysql", "mysqldb", "mysqlconnector", "mariadbconnector", "pyodbc", "cymysql"}
    )
    insert = staticmethod(insert)
    extra: ClassVar[str] = "mysql"

    def connect_args(self, url: URL, timeouts: Timeouts, *, pgbouncer: bool) -> dict[str, Any]:
        """Time-outs of the driver; those of the server are set when it is known which server it is."""
        del pgbouncer
        arguments: dict[str, Any] = {
            "connect_timeout": max(1, round(timeouts.connect)),
            "async_creator_fn": partial(_connect, url.get_driver_name(), timeouts),
        }
        if url.get_driver_name() == "asyncmy":
            arguments["read_timeout"] = timeouts.command + 1
        if "charset" not in url.query:
            arguments["charset"] = "utf8mb4"
        return arguments

    def prepare(self, engine: Engine, timeouts: Timeouts, *, pgbouncer: bool) -> None:
        """Set the server's time-outs and strictness on each connection, and read-only at BEGIN."""
        del pgbouncer
        _put_off_cancellation(engine.dialect, self)
        if engine.dialect.driver == "asyncmy":
            bound_reads(engine, timeouts.command + 1)

        @event.listens_for(engine, "connect")
        def set_up(connection: DBAPIConnection, entry: ConnectionPoolEntry) -> None:
            cursor = connection.cursor()
            try:
                cursor.execute("SELECT VERSION(), @@innodb_rollback_on_timeout")
                ((version, rolls_back),) = cursor.fetchall()
                mariadb = "mariadb" in str(version).lower()
                entry.info[_ROLLBACK_ON_TIMEOUT] = bool(rolls_back)
                cursor.execute("SET SESSION " + ", ".join(_settings(timeouts, mariadb=mariadb)))
            finally:
                cursor.close()

        @event.listens_for(engine, "before_cursor_execute", retval=True)
        def unbound_stream(
            connection: Connection, _1: Any, statement: str, parameters: Any, context: Any, _2: bool
        ) -> tuple[str, Any]:
            # to the server a statement runs until its last row is taken
            if is_stream(context):
                dialect: Any = connection.dialect
                statement = _unbounded(statement, mariadb=dialect.is_mariadb)
            return statement, parameters

        @event.listens_for(engine, "begin")
        def begin(connection: Connection) -> None:
            characteristics = option(connection, _TRANSACTION)
            if characteristics:
                connection.exec_driver_sql(f"SET TRANSACTION {characteristics}")

    def options(self, *, isolation_level: str | None, read_only: bool, deferred: bool) -> dict[str, Any]:
        """Of the next transaction only.

        SQLAlchemy would set the connection at check-out, and back on return: two more round trips.
        """
        del deferred
        if isolation_level and isolation_level.upper() == "AUTOCOMMIT":
            return {"isolation_level": isolation_level}
        characteristics = [f"ISOLATION LEVEL {isolation_level}"] if isolation_level else []
        if read_only:
            characteristics.append("READ ONLY")
        return {_TRANSACTION: ", ".join(characteristics)} if characteristics else {}

    def reader_options(self) -> dict[str, Any]:
        """Each statement reads its own snapshot."""
        return self.options(isolation_level="READ COMMITTED", read_only=True, deferred=False)

    def failure(self, error: BaseException) -> Failure | None:
        """By the server's error number, the first of the driver's arguments."""
        return _CODES.get(_number(error))

    def without_values(self, message: str) -> str:
        """Neither the duplicate's key nor what a refused value or statement looks like."""
        for pattern, instead in _VALUES:
            message = pattern.sub(instead, message)
        return message

    def dooms(self, error: BaseException, connection: Connection) -> bool:
        """A deadlock and its kin; a lock time-out where the server is set so."""
        code = _number(error)
        return code in _ENDING or (code == _LOCK_TIMEOUT and connection.info.get(_ROLLBACK_ON_TIMEOUT, False))

    def in_transaction(self, driver_connection: Any) -> bool:
        """The flag that the server sent with its last answer."""
        status = getattr(driver_connection, "server_status", None)
        return status is not None and bool(status & _IN_TRANSACTION)

    def closed(self, driver_connection: Any) -> bool:
        """The loop has seen the server's end of the socket close; neither driver has a public way to ask."""
        protocol = getattr(driver_connection, "_proto", None)  # asyncmy
        if protocol is not None:
            return bool(protocol.eof or protocol.transport is None)
        reader = getattr(driver_connection, "_reader", None)  # aiomysql, and asyncmy of old
        return reader is not None and (reader.exception() is not None or reader._eof)

    def upsert(
        self,
        table: Table,
        values: Mapping[str, Any],
        *,
        on: Sequence[Column[Any]],
        update: Sequence[str],
    ) -> Insert:
        """INSERT … ON DUPLICATE KEY UPDATE, which any unique key of the table sets off."""
        statement = self.insert(table).values(values)
        names = update or [column.key for column in on]
        return statement.on_duplicate_key_update({name: statement.inserted[name] for name in names})


async def _connect(driver: str, timeouts: Timeouts, **arguments: Any) -> Any:
    """Connect within the time-out, the server's greeting included: the drivers bound TCP's part only.

    They do that by ``asyncio.wait_for``, which may drop a cancellation on Python 3.11.
    """
    task = asyncio.current_task()
    asked = task.cancelling() if task is not None else 0
    async with asyncio.timeout(timeouts.connect):
        connection = await import_module(driver).connect(**arguments)
    if task is not None and task.cancelling() > asked:
        connection.close()
        raise asyncio.CancelledError
    if driver == "aiomysql":
        _bound_reads(connection, timeouts.command + 1)
    return connection


def _bound_reads(connection: Any, seconds: float) -> None:
    """Have aiomysql give a silent network up, for which it would wait for ever."""
    read = connection._read_bytes

    async def read_bytes(size: int) -> bytes:
        async with asyncio.timeout(seconds):
            data: bytes = await read(size)
            return data

    connection._read_bytes = read_bytes


def _number(error: BaseException) -> int:
    """The server's number of an error; 0 where it has none."""
    first = error.args[0] if error.args else None
    return first if isinstance(first, int) else 0


def _put_off_cancellation(dialect: Dialect, backend: Backend) -> None:
    """Let a task be cancelled after a connection is set up or put in order, not while it is.

    Its isolation level is set at check-out, when SQLAlchemy's connection is half made: it would be lost, and
    its place in the pool come back only by garbage collection. The ROLLBACK of nothing comes behind a COMMIT,
    when the connection is given back: what is committed would be told as cancelled.
    """
    set_level, rollback = dialect.set_isolation_level, dialect.do_rollback

    def set_isolation_level(connection: DBAPIConnection, level: Any) -> None:
        await_only(to_the_end(greenlet_spawn(set_level, connection, level)))

    def do_rollback(connection: Any) -> None:
        if backend.in_transaction(connection.driver_connection):
            rollback(connection)
        else:
            await_only(to_the_end(greenlet_spawn(rollback, connection)))

    dialect.set_isolation_level = set_isolation_level  # type: ignore[method-assign, assignment] # other names
    dialect.do_rollback = do_rollback  # type: ignore[method-assign, assignment] # other names


def _unbounded(statement: str, *, mariadb: bool) -> str:
    """The statement without the time-out of its session."""
    if mariadb:
        return f"SET STATEMENT max_statement_time = 0 FOR {statement}"
    return re.sub(r"^\s*SELECT\b", "SELECT /*+ MAX_EXECUTION_TIME(4294967295) */", statement, count=1)


def _settings(timeouts: Timeouts, *, mariadb: bool) -> list[str]:
    lock = max(1, round(timeouts.lock))
    settings = [
        f"innodb_lock_wait_timeout = {lock}",
        f"lock_wait_timeout = {lock}",
        "sql_mode = CONCAT(@@sql_mode, ',STRICT_ALL_TABLES')",  # a value that does not fit is refused, not cut
    ]
    if mariadb:
        settings.append(f"max_statement_time = {timeouts.command:g}")
        settings.append(f"idle_transaction_timeout = {max(1, round(timeouts.idle_in_transaction))}")
    else:
        settings.append(f"max_execution_time = {timeouts.command * 1000:.0f}")
    return settings
