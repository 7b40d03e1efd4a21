"""URLs: completed, or refused with the one to use."""

from __future__ import annotations

import pytest

from sqlawait import ConfigurationError, Database
from sqlawait.backends import masked, resolve
from sqlawait.exceptions import DriverMissing, SyncDriver, UnknownDriver


@pytest.mark.parametrize(
    ("given", "completed"),
    [
        ("postgresql://u@h/d", "postgresql+asyncpg://u@h/d"),
        ("postgres://u@h/d", "postgresql+asyncpg://u@h/d"),
        ("postgresql+asyncpg://u@h/d", "postgresql+asyncpg://u@h/d"),
        ("postgresql://u@h/d?sslmode=require", "postgresql+asyncpg://u@h/d?ssl=require"),
        ("sqlite:///a.db", "sqlite+aiosqlite:///a.db"),
        ("mysql://u@h/d", "mysql+asyncmy://u@h/d"),
        ("mariadb://u@h/d", "mysql+asyncmy://u@h/d"),
        ("mysql+aiomysql://u@h/d", "mysql+aiomysql://u@h/d"),
    ],
)
def test_a_url_is_completed_to_its_async_driver(given: str, completed: str) -> None:
    """A URL without a driver gets the async one of its database."""
    assert resolve(given)[0].render_as_string(hide_password=False) == completed


@pytest.mark.parametrize(
    ("given", "instead"),
    [
        ("postgresql+psycopg2://u:pw@h/d", "postgresql+asyncpg://u:***@h/d"),
        ("postgresql+pg8000://u@h/d", "postgresql+asyncpg://u@h/d"),
        ("sqlite+pysqlite:///a.db", "sqlite+aiosqlite:///a.db"),
        ("mysql+pymysql://u@h/d", "mysql+asyncmy://u@h/d"),
        ("mariadb+mysqldb://u@h/d", "mysql+asyncmy://u@h/d"),
    ],
)
def test_a_blocking_driver_is_refused_with_the_url_to_use(given: str, instead: str) -> None:
    """The error names the async URL, and no password."""
    with pytest.raises(SyncDriver) as caught:
        Database(given)
    assert instead in str(caught.value)
    assert "pw" not in str(caught.value)


@pytest.mark.parametrize("given", ["oracle://u@h/d", "postgresql+psycopg://u@h/d", "mysql+nonsense://u@h/d"])
def test_an_unknown_driver_is_refused_with_those_that_are_known(given: str) -> None:
    """What sqlawait has not been tested with it does not pretend to know."""
    with pytest.raises(UnknownDriver, match=r"asyncpg|asyncmy"):
        Database(given)


def test_a_missing_driver_is_named_with_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """The remedy is a command to paste."""
    monkeypatch.setattr("sqlawait.backends.find_spec", lambda _: None)
    with pytest.raises(DriverMissing, match=r"pip install 'sqlawait\[postgresql\]'"):
        Database("postgresql://u@h/d")


def test_a_password_is_never_shown() -> None:
    """Neither before the host nor in the query, neither in repr nor in the masked URL."""
    db = Database("postgresql://u:hidden1@h/d?password=hidden2")
    assert "hidden" not in repr(db)
    assert "hidden" not in masked(resolve("mysql://u:hidden1@h/d?passwd=hidden2")[0])


@pytest.mark.parametrize("sizes", [{"pool_size": 0}, {"pool_size": 4, "threads": 4}])
def test_sizes_that_leave_no_room_are_refused(sizes: dict[str, int]) -> None:
    """Threads may not take every connection from the event loop."""
    with pytest.raises(ConfigurationError, match="give"):
        Database("postgresql://u@h/d", **sizes)
