"""The database under test: where it is, our own schema in it, and how many connections an app may have."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import URL, create_engine, make_url

from sqlawait.exceptions import ConfigurationError

from . import data

SYNC = {"postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql", "sqlite": "sqlite+pysqlite"}
ASYNC = {"postgresql": "postgresql+asyncpg", "mysql": "mysql+asyncmy", "sqlite": "sqlite+aiosqlite"}


@dataclass(frozen=True, slots=True)
class Target:
    """A database that holds the data set.

    Parameters:
        url: where it is; its driver is of no account.
        schema: the schema of the tables; None for SQLite.
        connections: how many connections each app may hold. The sync app gets as many as FastAPI has threads,
            40, since with fewer its threads and its connections wait for each other.
        about: what it is, for the report.
    """

    url: URL
    schema: str | None
    connections: int = 20
    about: str = ""

    @property
    def dialect(self) -> str:
        """``postgresql``, ``mysql`` or ``sqlite``."""
        name = self.url.get_backend_name()
        return "mysql" if name == "mariadb" else name

    @property
    def sync_url(self) -> URL:
        """The URL for the blocking driver."""
        return self.url.set(drivername=SYNC[self.dialect])

    @property
    def async_url(self) -> URL:
        """The URL for the asyncio driver."""
        return self.url.set(drivername=ASYNC[self.dialect])

    @property
    def plain_url(self) -> str:
        """The URL without a driver, with its password."""
        return self.url.set(drivername=self.dialect).render_as_string(hide_password=False)

    @property
    def address(self) -> tuple[str, int]:
        """The host and port, for the proxy."""
        return self.url.host or "127.0.0.1", self.url.port or {"postgresql": 5432, "mysql": 3306}[self.dialect]

    def at(self, port: int) -> Target:
        """The same database, reached through a port of this machine."""
        return replace(self, url=self.url.set(host="127.0.0.1", port=port))

    def environment(self) -> dict[str, str]:
        """The variables that tell an app about this target."""
        return {
            "SQLAWAIT_BENCH_URL": self.plain_url,
            "SQLAWAIT_BENCH_SCHEMA": self.schema or "",
            "SQLAWAIT_BENCH_CONNECTIONS": str(self.connections),
        }

    @classmethod
    def from_environment(cls) -> Target:
        """The target that :meth:`environment` describes; called by an app when it starts."""
        return cls(
            url=make_url(os.environ["SQLAWAIT_BENCH_URL"]),
            schema=os.environ["SQLAWAIT_BENCH_SCHEMA"] or None,
            connections=int(os.environ["SQLAWAIT_BENCH_CONNECTIONS"]),
        )


@contextmanager
def prepared(where: str, *, connections: int = 20, users: int = data.USERS) -> Iterator[Target]:
    """A target with the data set in it, removed at the end.

    Parameters:
        where: ``sqlite`` (a file for the run), ``postgresql`` (the server that comes with Python, for the run),
            or the URL of a PostgreSQL, MariaDB or MySQL server.
        connections: how many connections each app may hold.
        users: rows in the data set.

    Raises:
        ConfigurationError: the URL is one that ``bench`` cannot use.
    """
    with ExitStack() as stack:
        target = _place(where, connections, stack)
        engine = create_engine(target.sync_url)
        stack.callback(engine.dispose)
        if target.dialect != "sqlite":
            stack.callback(data.remove, engine, target.schema)
        data.create(engine, target.schema, users=users)
        yield target


def _place(where: str, connections: int, stack: ExitStack) -> Target:
    if where == "sqlite":
        folder = Path(tempfile.mkdtemp(prefix="sqlawait-bench-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        url = URL.create("sqlite", database=str(folder / "bench.db"))
        return Target(url, None, connections, about="SQLite, a file on this machine, in WAL mode")
    schema = f"sqlawait_bench_{secrets.token_hex(4)}"
    if where == "postgresql":
        from sqlawait.embedded import EmbeddedPostgres

        server = stack.enter_context(EmbeddedPostgres(settings={"max_connections": "400"}))
        about = "PostgreSQL 18 on this machine, started for the run with fsync off"
        return Target(make_url(server.url()), schema, connections, about=about)
    url = make_url(where)
    target = Target(url, schema, connections, about=url.render_as_string(hide_password=True))
    if target.dialect not in {"postgresql", "mysql"}:
        raise ConfigurationError(
            f"bench cannot use {target.dialect} by URL; use --database sqlite, which makes a file for the run,"
            " or the URL of a PostgreSQL, MariaDB or MySQL server"
        )
    return target


__all__ = ["Target", "prepared"]
