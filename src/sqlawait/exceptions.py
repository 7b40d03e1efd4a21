"""What sqlawait raises. Each exception writes its own message: a fact and a remedy.

::

    SqlawaitError
    ├── ConfigurationError          the program is wrong: fix it before it runs
    │   ├── SyncDriver              a blocking driver in the URL of an async engine
    │   ├── UnknownDriver           a driver that sqlawait does not know
    │   ├── DriverMissing           the URL's driver is not installed
    │   └── WrongLoop               a Database used in another event loop than the one it was opened in
    ├── InvalidRequest              the client's input is wrong (HTTP 422)
    │   ├── InvalidCursor
    │   ├── InvalidValue            a value that no column of its type can hold
    │   ├── InvalidVector
    │   └── NotAllowed              a filter or sort that is not on the allow-list
    ├── NotFound                    no such row (HTTP 404)
    ├── Unsupported                 this database cannot do that
    ├── GuardError                  a guard that is set to "raise" caught a mistake
    │   ├── LazyLoad                also a sqlalchemy MissingGreenlet
    │   ├── NPlusOne
    │   ├── SharedSession           also a sqlalchemy InvalidRequestError
    │   ├── BlockedLoop
    │   └── LeakedConnection
    ├── ReadOnly                    a write in a read-only session
    ├── Unavailable                 nothing was done, a later try may succeed (HTTP 503)
    │   ├── DatabaseAway            the database cannot be reached, or did not answer in time
    │   └── PoolTimeout             no connection came free in time; also a sqlalchemy TimeoutError
    └── CommitUnknown               COMMIT was sent and its outcome never came back

A failure of the database itself stays SQLAlchemy's own exception, so that code written for SQLAlchemy keeps
working; :func:`sqlawait.backends.failure_of` says what kind of failure it is.
"""

from __future__ import annotations

from typing import ClassVar

from sqlalchemy.exc import InvalidRequestError, MissingGreenlet, NoResultFound
from sqlalchemy.exc import TimeoutError as SQLAlchemyTimeout

from sqlawait.events import Finding, GuardName


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


class UnknownDriver(ConfigurationError):
    """A driver, or a database, that sqlawait does not know."""

    def __init__(self, given: str, known: list[str]) -> None:
        self.given = given
        super().__init__(
            f"{given} is not a database driver that sqlawait knows; use one of: {', '.join(known)}"
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


class InvalidValue(InvalidRequest):
    """A value that no column of its type can hold, found before it reached the database."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"a value does not fit its column ({reason}); check its range and its characters")


class InvalidVector(InvalidRequest):
    """A vector that its column cannot hold or compare."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the vector does not fit its column ({reason}); send one that does")


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


class ReadOnly(SqlawaitError):
    """A write in a session that was opened to read."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} in a read-only session; open it with db.transaction(), or use SessionDep")


class Unavailable(SqlawaitError):
    """The database could not be asked now: an HTTP 503, and a later try may succeed."""


class DatabaseAway(Unavailable):
    """The database cannot be reached, or did not answer in time."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(
            f"the database is away ({reason}); see that it runs and can be reached, then try again"
        )


class PoolTimeout(Unavailable, SQLAlchemyTimeout):
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


class GuardError(SqlawaitError):
    """A guard that is set to ``"raise"`` caught a mistake; ``finding`` holds the lines and the fix."""

    guard: ClassVar[GuardName]

    def __init__(self, finding: Finding) -> None:
        self.finding = finding
        super().__init__(finding.message)


class LazyLoad(GuardError, MissingGreenlet):
    """An attribute that is not loaded was touched where no SQL can run."""

    guard = "lazy-load"
    code = ""  # the message says more than the page that SQLAlchemy would link to


class NPlusOne(GuardError):
    """One request ran the same SELECT from the same line again and again."""

    guard = "n-plus-one"


class SharedSession(GuardError, InvalidRequestError):
    """Two tasks used one session at the same time."""

    guard = "shared-session"


class BlockedLoop(GuardError):
    """Blocking code ran on the event loop."""

    guard = "blocked-loop"


class LeakedConnection(GuardError):
    """A connection was kept when it was no longer used, or never given back."""

    guard = "leaked-connection"


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
    "BlockedLoop",
    "CommitUnknown",
    "ConfigurationError",
    "DatabaseAway",
    "DriverMissing",
    "GuardError",
    "InvalidCursor",
    "InvalidRequest",
    "InvalidValue",
    "InvalidVector",
    "LazyLoad",
    "LeakedConnection",
    "NPlusOne",
    "NotAllowed",
    "NotFound",
    "PoolTimeout",
    "ReadOnly",
    "SharedSession",
    "SqlawaitError",
    "SyncDriver",
    "Unavailable",
    "UnknownDriver",
    "Unsupported",
    "WrongLoop",
]
