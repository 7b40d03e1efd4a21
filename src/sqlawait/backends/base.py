"""What a backend answers for, and the words in which a failure is told."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar

from sqlalchemy import URL, Column, Table
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.pool import ManagesConnection
from sqlalchemy.sql.dml import Insert


class Failure(StrEnum):
    """What kind of failure the database reported, whatever the driver calls it."""

    UNIQUE = "unique"
    FOREIGN_KEY = "foreign_key"
    NOT_NULL = "not_null"
    CHECK = "check"
    BAD_DATA = "bad_data"
    DEADLOCK = "deadlock"
    SERIALIZATION = "serialization"
    LOCK_TIMEOUT = "lock_timeout"
    STATEMENT_TIMEOUT = "statement_timeout"
    POOL_EXHAUSTED = "pool_exhausted"
    AWAY = "away"

    @property
    def retryable(self) -> bool:
        """True where the database has rolled the transaction back for others' sake: run it again as a whole."""
        return self in {Failure.DEADLOCK, Failure.SERIALIZATION}


@dataclass(frozen=True, kw_only=True)
class Timeouts:
    """How long a database may take, in seconds. Every one is always set.

    Attributes:
        connect: to open a connection.
        command: for one statement.
        lock: for a lock that another transaction holds.
        idle_in_transaction: for a transaction that sends nothing, before the database ends it.
    """

    connect: float = 5.0
    command: float = 30.0
    lock: float = 5.0
    idle_in_transaction: float = 60.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value > 0:
                raise ValueError(f"Timeouts({name}={value!r}) must be more than 0 seconds")


class Backend(ABC):
    """What differs between databases. One subclass each, without state."""

    name: ClassVar[str]
    """The dialect's name, as SQLAlchemy has it."""
    schemes: ClassVar[frozenset[str]]
    """The names that may stand for it before the driver in a URL."""
    drivers: ClassVar[tuple[str, ...]]
    """Its async drivers, the preferred one first."""
    sync_drivers: ClassVar[frozenset[str]]
    """Blocking drivers that are refused by name."""
    insert: Callable[[Table], Any]
    """The dialect's own INSERT, which knows what to do about a row that is there."""
    extra: ClassVar[str]
    """The extra of this package that installs the drivers."""
    savepoints_heal: ClassVar[bool] = False
    """Whether going back to a savepoint makes a transaction whole that an error has doomed."""

    # -- making an engine

    @abstractmethod
    def connect_args(self, url: URL, timeouts: Timeouts, *, pgbouncer: bool) -> dict[str, Any]:
        """Arguments for the driver's ``connect``."""

    def engine_url(self, url: URL) -> URL:
        """The URL as SQLAlchemy's dialect of this driver wants it."""
        return url

    def pool_size(self, url: URL, size: int) -> int:  # noqa: ARG002 - one backend needs the URL
        """How many connections the pool may hold."""
        return size

    def prepare(self, engine: Engine, timeouts: Timeouts, *, pgbouncer: bool) -> None:  # noqa: B027 - may do nothing
        """Add this backend's listeners to a new engine."""

    @abstractmethod
    def options(self, *, isolation_level: str | None, read_only: bool, deferred: bool) -> dict[str, Any]:
        """Execution options of a transaction with these properties."""

    @abstractmethod
    def reader_options(self) -> dict[str, Any]:
        """Execution options of a session that reads and opens no transaction."""

    # -- judging a failure

    @abstractmethod
    def failure(self, error: BaseException) -> Failure | None:
        """The kind of a driver's error; None where it is none of the known kinds."""

    def refused(self, error: BaseException) -> bool:
        """Whether an error at COMMIT is the database's own word that it has not committed."""
        kind = self.failure(error)
        return kind is not None and kind is not Failure.AWAY and kind is not Failure.STATEMENT_TIMEOUT

    def without_values(self, message: str) -> str:
        """A message of the driver without the values of rows that it quotes; SQLite's quote none."""
        return message

    @abstractmethod
    def dooms(self, error: BaseException, connection: Connection) -> bool:
        """Whether a statement's error has ended the transaction, as the driver tells it."""

    @abstractmethod
    def in_transaction(self, driver_connection: Any) -> bool:
        """Whether a driver's connection has a transaction open."""

    def closed(self, driver_connection: Any) -> bool:
        """Whether it is known, without asking the database, that a connection has ended."""
        del driver_connection
        return False

    def abort(self, driver_connection: Any) -> None:  # noqa: B027 - may do nothing
        """Drop a connection that does not answer, without a word that would have to be answered."""

    def start_clock(self, connection: ManagesConnection) -> None:  # noqa: B027 - may do nothing
        """Start the time limit of a statement that goes to the driver itself, where the driver has none."""

    # -- writing

    def upsert(
        self,
        table: Table,
        values: Mapping[str, Any],
        *,
        on: Sequence[Column[Any]],
        update: Sequence[str],
    ) -> Insert:
        """INSERT that updates the columns ``update`` where a row with the same ``on`` exists."""
        statement = self.insert(table).values(values)
        # where nothing is left to change, the key is set to itself: RETURNING needs a row that was touched
        changes = {name: statement.excluded[name] for name in update or [column.key for column in on]}
        return statement.on_conflict_do_update(index_elements=list(on), set_=changes)  # type: ignore[no-any-return]

    async def copy(
        self,
        connection: AsyncConnection,
        table: Table,
        columns: Sequence[Column[Any]],
        records: Iterable[tuple[Any, ...]],
    ) -> bool:
        """Insert rows by the database's bulk protocol; False where it has none."""
        del connection, table, columns, records
        return False


def option(connection: Connection, name: str, default: Any = None) -> Any:
    """One of the execution options that a session was opened with."""
    return connection.get_execution_options().get(name, default)


def is_stream(context: Any) -> bool:
    """Whether an execution's rows are fetched as they are taken: it lasts as long as its reader wants."""
    return bool(context.execution_options.get("stream_results"))


__all__ = ["Backend", "Failure", "Timeouts", "is_stream", "option"]
