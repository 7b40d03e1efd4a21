"""What sqlawait raises. Each exception writes its own message: a fact and a remedy.

::

    SqlawaitError
    ├── ConfigurationError          the program is wrong: fix it before it runs
    │   ├── SyncDriver              a blocking driver in the URL of an async engine
    │   ├── DriverMissing           the URL's driver is not installed
    │   └── WrongLoop               a Database used in another event loop than the one it was opened in
    ├── InvalidRequest              the client's input is wrong (HTTP 422)
    │   ├── InvalidCursor
    │   └── NotAllowed              a filter or sort that is not on the allow-list
    ├── NotFound                    no such row (HTTP 404)
    ├── Unsupported                 this database cannot do that
    ├── PoolTimeout                 no connection came free in time (HTTP 503); also a sqlalchemy TimeoutError
    └── CommitUnknown               COMMIT was sent and its outcome never came back

A failure of the database itself stays SQLAlchemy's own exception, so that code written for SQLAlchemy keeps
working; :func:`sqlawait.backends.failure_of` says what kind of failure it is.
"""

from __future__ import annotations

from sqlalchemy.exc import NoResultFound
from sqlalchemy.exc import TimeoutError as SQLAlchemyTimeout


class SqlawaitError(Exception):
    """The base of all that sqlawait raises."""


class ConfigurationError(SqlawaitError):
    """The program is wrong, whatever the data: fix the code or the settings."""


class SyncDriver(ConfigurationError):
    """A blocking driver stands in the URL of an async engine."""

    def __init__(self, given: str, instead: str) -> None:
        self.given = given
        self.instead = instead
        super().__init__(
            f"{given} is a blocking driver: it would stop the event loop at every statement; use {instead}"
        )


class DriverMissing(ConfigurationError):
    """The URL names a driver that is not installed."""

    def __init__(self, driver: str, extra: str) -> None:
        self.driver = driver
        super().__init__(f"the driver {driver} is not installed; run: pip install 'sqlawait[{extra}]'")


class WrongLoop(ConfigurationError):
    """A Database is used in another event loop than the one it was opened in."""

    def __init__(self) -> None:
        super().__init__(
            "this Database was opened in another event loop, which still runs and owns its connections;"
            " make one Database a loop, or close this one first"
        )


class InvalidRequest(SqlawaitError):
    """The client's input is wrong: an HTTP 422, never a 500."""


class InvalidCursor(InvalidRequest):
    """A page cursor that was not made for this query."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the cursor is not valid ({reason}); use the one that the last page gave, or none")


class NotAllowed(InvalidRequest):
    """A filter or sort that is not on the allow-list."""

    def __init__(self, kind: str, name: str, allowed: list[str]) -> None:
        self.name = name
        self.allowed = allowed
        super().__init__(f"{kind} by {name!r} is not allowed; use one of: {', '.join(allowed) or '(none)'}")


class NotFound(SqlawaitError, NoResultFound):
    """No row matches: an HTTP 404; also a sqlalchemy NoResultFound."""

    def __init__(self, what: str) -> None:
        self.what = what
        super().__init__(f"{what} does not exist")


class Unsupported(SqlawaitError):
    """This database cannot do what was asked."""

    def __init__(self, what: str, database: str, remedy: str) -> None:
        super().__init__(f"{database} cannot do {what}; {remedy}")


class PoolTimeout(SqlawaitError, SQLAlchemyTimeout):
    """No connection came free in time.

    It is a :class:`sqlalchemy.exc.TimeoutError` too, which is what SQLAlchemy's own pools raise.
    """

    def __init__(self, size: int, seconds: float, waiting: int) -> None:
        self.size = size
        self.seconds = seconds
        self.waiting = waiting
        super().__init__(
            f"no connection came free in {seconds:g} s (all {size} are out, {waiting} wait);"
            " shorten the transactions, raise pool_size, or admit fewer requests at once"
        )


class CommitUnknown(SqlawaitError):
    """COMMIT was sent and its outcome never came back: the transaction may or may not be in the database.

    Never retry the work blindly. Look whether it is there, or retry with an idempotency key.
    """

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(
            f"the outcome of COMMIT is unknown ({reason}): the transaction may be in the database or not;"
            " look for its rows before doing it again, or retry with the same idempotency key"
        )


__all__ = [
    "CommitUnknown",
    "ConfigurationError",
    "DriverMissing",
    "InvalidCursor",
    "InvalidRequest",
    "NotAllowed",
    "NotFound",
    "PoolTimeout",
    "SqlawaitError",
    "SyncDriver",
    "Unsupported",
    "WrongLoop",
]
