"""What differs between databases, one file each; and what a failure is, whatever the database."""

from __future__ import annotations

from importlib.util import find_spec

from sqlalchemy import URL, make_url
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as SQLAlchemyTimeout

from sqlawait.backends.base import Backend, Failure, Timeouts
from sqlawait.backends.guard import guard
from sqlawait.backends.mysql import MySQL
from sqlawait.backends.postgresql import PostgreSQL
from sqlawait.backends.sqlite import SQLite
from sqlawait.exceptions import (
    DatabaseAway,
    DriverMissing,
    InvalidValue,
    PoolTimeout,
    SyncDriver,
    UnknownDriver,
)

_BACKENDS: tuple[Backend, ...] = (PostgreSQL(), SQLite(), MySQL())
_DRIVERS = frozenset({"sqlalchemy", "asyncpg", "sqlite3", "aiosqlite", "asyncmy", "aiomysql", "pymysql"})
"""Whose errors are judged: an error of the program may hold the same numbers."""


def resolve(url: str | URL) -> tuple[URL, Backend]:
    """Complete a URL to its async driver, or refuse it.

    Returns:
        The URL with an async driver, and the database's backend.

    Raises:
        SyncDriver: the URL names a blocking driver; the message gives the async URL to use.
        UnknownDriver: neither the database nor the driver is known.
        DriverMissing: the driver is not installed.
    """
    parsed = _with_password_in_place(make_url(url))
    scheme, _, driver = parsed.drivername.partition("+")
    backend = next((backend for backend in _BACKENDS if scheme in backend.schemes), None)
    if backend is None:
        raise UnknownDriver(scheme, [f"{one.name}+{name}" for one in _BACKENDS for name in one.drivers])
    if driver in backend.sync_drivers:
        instead = parsed.set(drivername=f"{backend.name}+{backend.drivers[0]}")
        raise SyncDriver(parsed.drivername, masked(instead))
    if driver and driver not in backend.drivers:
        raise UnknownDriver(parsed.drivername, [f"{backend.name}+{name}" for name in backend.drivers])
    driver = driver or next((name for name in backend.drivers if find_spec(name)), backend.drivers[0])
    if find_spec(driver) is None:
        raise DriverMissing(driver, backend.extra)
    return backend.engine_url(parsed.set(drivername=f"{backend.name}+{driver}")), backend


def _with_password_in_place(url: URL) -> URL:
    """A password in the query goes before the host, where everybody knows to hide it."""
    for name in ("password", "passwd"):
        if isinstance(password := url.query.get(name), str):
            url = url.difference_update_query([name]).set(password=password)
    return url


def backend_of(dialect: Dialect) -> Backend:
    """The backend of an engine's dialect.

    Raises:
        UnknownDriver: it is none of those that sqlawait knows.
    """
    name = "mysql" if dialect.name == "mariadb" else dialect.name
    for backend in _BACKENDS:
        if backend.name == name:
            return backend
    raise UnknownDriver(dialect.name, [backend.name for backend in _BACKENDS])


def masked(url: URL) -> str:
    """A URL that can be shown: no password, neither before the host nor in the query."""
    hidden = {key: "***" for key in url.query if "password" in key.lower() or "passwd" in key.lower()}
    return url.update_query_dict(hidden).render_as_string(hide_password=True)


def failure_of(error: BaseException) -> Failure | None:
    """What kind of failure an exception is, whatever the driver calls it.

    Parameters:
        error: what SQLAlchemy or this library raised, or a driver's own error.

    Returns:
        The kind, or None where it is no failure of the database that has a name here.
    """
    if isinstance(error, DatabaseAway):
        return Failure.AWAY
    if isinstance(error, (PoolTimeout, SQLAlchemyTimeout)):
        return Failure.POOL_EXHAUSTED
    if isinstance(error, InvalidValue):
        return Failure.BAD_DATA
    original = error.orig if isinstance(error, DBAPIError) else error
    if original is None or type(original).__module__.partition(".")[0] not in _DRIVERS:
        return None
    for backend in _BACKENDS:
        kind = backend.failure(original)
        if kind is not None:
            return kind
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return Failure.AWAY
    return None


__all__ = ["Backend", "Failure", "Timeouts", "backend_of", "failure_of", "guard", "masked", "resolve"]
