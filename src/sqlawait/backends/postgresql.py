"""PostgreSQL through asyncpg."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from sqlalchemy import URL, Column, Dialect, Table, TypeDecorator, event
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from sqlawait.backends.base import Backend, Failure, Timeouts
from sqlawait.backends.doomed import doom
from sqlawait.backends.hush import hush
from sqlawait.backends.late_begin import begin_late

# https://www.postgresql.org/docs/current/errcodes-appendix.html; a class is the first two characters
_CODES = {
    "23505": Failure.UNIQUE,
    "23P01": Failure.UNIQUE,  # exclusion constraint
    "23503": Failure.FOREIGN_KEY,
    "23001": Failure.FOREIGN_KEY,  # restrict
    "23502": Failure.NOT_NULL,
    "23514": Failure.CHECK,
    "40P01": Failure.DEADLOCK,
    "40001": Failure.SERIALIZATION,
    "55P03": Failure.LOCK_TIMEOUT,
    "57014": Failure.STATEMENT_TIMEOUT,
    "57P01": Failure.AWAY,
    "57P02": Failure.AWAY,
    "57P03": Failure.AWAY,
    "25P03": Failure.AWAY,  # idle-in-transaction time-out: the server has closed the connection
    "40003": Failure.AWAY,  # statement completion unknown
    "53300": Failure.AWAY,  # too many connections
}
_CLASSES = {"22": Failure.BAD_DATA, "08": Failure.AWAY}

_VALUES = (
    (re.compile(r"\nDETAIL:.*?(?=\nHINT:|\Z)", re.DOTALL), ""),  # Key (email)=(ada@example.com) already exists.
    (re.compile(r"(invalid input for query argument \$\d+): .*", re.DOTALL), r"\1"),  # asyncpg's own
    (re.compile(r"invalid UUID '.*", re.DOTALL), "invalid UUID"),  # which that comes from
    (re.compile(r'value ".*" is out of range', re.DOTALL), 'value "…" is out of range'),
    (
        re.compile(r': ".*"(?=\s*(\Z|\nHINT:))', re.DOTALL),
        ': "…"',
    ),  # invalid input syntax for type integer: "x"
)


class PostgreSQL(Backend):
    """PostgreSQL through asyncpg."""

    name: ClassVar[str] = "postgresql"
    schemes: ClassVar[frozenset[str]] = frozenset({"postgresql", "postgres"})
    drivers: ClassVar[tuple[str, ...]] = ("asyncpg",)
    sync_drivers: ClassVar[frozenset[str]] = frozenset({"psycopg2", "psycopg2cffi", "pg8000", "pygresql"})
    insert = staticmethod(insert)
    extra: ClassVar[str] = "postgresql"
    savepoints_heal: ClassVar[bool] = True

    def engine_url(self, url: URL) -> URL:
        """``sslmode``, libpq's word in most hosted URLs, is asyncpg's ``ssl``."""
        if "sslmode" in url.query:
            mode = url.query["sslmode"]
            url = url.difference_update_query(["sslmode"]).update_query_dict({"ssl": mode})
        return url

    def connect_args(self, url: URL, timeouts: Timeouts, *, pgbouncer: bool) -> dict[str, Any]:
        """Time-outs of the server and, one second later, of the driver: for a network gone silent."""
        del url
        arguments: dict[str, Any] = {"timeout": timeouts.connect, "command_timeout": timeouts.command + 1}
        if pgbouncer:
            # a prepared statement lives in one server connection, the next transaction may get another
            arguments |= {"statement_cache_size": 0, "prepared_statement_cache_size": 0}
        else:
            arguments["server_settings"] = {
                "application_name": "sqlawait",
                # pgvector's: go on until LIMIT and WHERE are satisfied, not until 40 neighbours were looked at
                "hnsw.iterative_scan": "strict_order",
                **_settings(timeouts),
            }
        return arguments

    def prepare(self, engine: Engine, timeouts: Timeouts, *, pgbouncer: bool) -> None:
        """Begin late; under PgBouncer, set the time-outs in each transaction."""
        if not pgbouncer:
            begin_late(engine.dialect)
        else:
            # PgBouncer refuses start-up parameters that it does not track
            calls = ", ".join(
                f"set_config('{name}', '{value}', true)" for name, value in _settings(timeouts).items()
            )

            @event.listens_for(engine, "begin")
            def set_timeouts(connection: Connection) -> None:
                if connection.get_isolation_level() != "AUTOCOMMIT":
                    connection.exec_driver_sql(f"SELECT {calls}")  # noqa: S608 - names and numbers of ours

    def options(self, *, isolation_level: str | None, read_only: bool, deferred: bool) -> dict[str, Any]:
        """Sent as part of BEGIN, so they cost no round trip."""
        del deferred
        chosen: dict[str, Any] = {}
        if isolation_level:
            chosen["isolation_level"] = isolation_level
        if read_only:
            chosen["postgresql_readonly"] = True
        return chosen

    def reader_options(self) -> dict[str, Any]:
        """Neither BEGIN nor ROLLBACK: a read is one round trip."""
        return {"isolation_level": "AUTOCOMMIT"}

    def failure(self, error: BaseException) -> Failure | None:
        """By SQLSTATE, which asyncpg gives where SQLAlchemy's class says nothing."""
        code = getattr(error, "sqlstate", None)
        if isinstance(code, str):
            return _CODES.get(code) or _CLASSES.get(code[:2])
        # the driver's own: a value that does not fit its parameter never reached the server
        cause = error.__cause__
        if type(cause).__name__ == "DataError" and type(cause).__module__.startswith("asyncpg"):
            return Failure.BAD_DATA
        return None

    def refused(self, error: BaseException) -> bool:
        """Whatever the server said with a code of its own, but for "I am going away"."""
        code = getattr(error, "sqlstate", None)
        return isinstance(code, str) and self.failure(error) is not Failure.AWAY

    def without_values(self, message: str) -> str:
        """Neither the DETAIL nor what a refused value looks like."""
        for pattern, instead in _VALUES:
            message = pattern.sub(instead, message)
        return message

    def dooms(self, error: BaseException, connection: Connection) -> bool:
        """Any error does."""
        del error, connection
        return True

    def in_transaction(self, driver_connection: Any) -> bool:
        """Asked of the protocol's state: no round trip (48 ns)."""
        return bool(driver_connection.is_in_transaction())

    def closed(self, driver_connection: Any) -> bool:
        """The loop has seen the server's end of the socket close."""
        return bool(driver_connection.is_closed())

    def abort(self, driver_connection: Any) -> None:
        """SQLAlchemy would say goodbye first, and wait two seconds for the answer."""
        driver_connection.terminate()

    async def copy(
        self,
        connection: AsyncConnection,
        table: Table,
        columns: Sequence[Column[Any]],
        records: Iterable[tuple[Any, ...]],
    ) -> bool:
        """COPY, in the session's own transaction; not of vectors, which asyncpg cannot send in COPY's form."""
        if any(_is_vector(column, connection.dialect) for column in columns):
            return False
        raw = await connection.get_raw_connection()
        adapted: Any = raw.dbapi_connection
        driver: Any = raw.driver_connection
        names = [column.name for column in columns]
        dbapi: Any = connection.dialect.dbapi
        if not self.in_transaction(driver):
            await connection.exec_driver_sql(
                "SELECT 1"
            )  # SQLAlchemy sends BEGIN with a first statement of its own
        try:
            try:
                await driver.copy_records_to_table(
                    table.name, schema_name=table.schema, columns=names, records=records
                )
            except (dbapi.asyncpg.PostgresError, dbapi.asyncpg.InterfaceError) as error:
                adapted._handle_exception(error)  # the dialect's own translation
        except dbapi.Error as error:
            doom(driver)
            hush(error, self.without_values)
            statement = f"COPY {table.name}"
            raise DBAPIError.instance(statement, None, error, dbapi.Error, hide_parameters=True) from error
        return True


def _is_vector(column: Column[Any], dialect: Dialect) -> bool:
    type_ = column.type.dialect_impl(dialect)
    plain = type_.impl_instance if isinstance(type_, TypeDecorator) else type_
    return type(plain).__module__.startswith("pgvector.")


def _settings(timeouts: Timeouts) -> dict[str, str]:
    """The server's settings for the time-outs, in milliseconds."""
    return {
        "statement_timeout": f"{timeouts.command * 1000:.0f}",
        "lock_timeout": f"{timeouts.lock * 1000:.0f}",
        "idle_in_transaction_session_timeout": f"{timeouts.idle_in_transaction * 1000:.0f}",
    }
