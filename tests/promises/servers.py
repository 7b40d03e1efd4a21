"""Servers to be killed: the databases' own, and workers that serve an application."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from random import Random
from typing import Protocol, Self

import httpx
import psutil
import pymysql
import pytest

from sqlawait.embedded import EmbeddedPostgres

_HERE = Path(__file__).parent
_PATIENCE = 300.0
"""Seconds that a server may take to start on a machine that has other things to do."""


class Crashing(Protocol):
    """A database server that can be crashed and started again, with its data."""

    def start(self) -> None: ...
    def crash(self) -> None: ...
    def restart(self) -> None: ...
    def close(self) -> None: ...
    def new_database(self, name: str) -> str: ...


class CrashingPostgres:
    """The embedded PostgreSQL."""

    def __init__(self) -> None:
        self.server = EmbeddedPostgres()

    def start(self) -> None:
        """Start, also after a crash: the orphans of a killed server leave within moments."""
        for _ in range(100):
            try:
                self.server.start()
            except RuntimeError as error:
                last = error
            else:
                return
        raise last

    def crash(self) -> None:
        pid = int((self.server.folder / "postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGKILL)

    def restart(self) -> None:
        """An immediate restart: no goodbye to anyone, recovery at the start."""
        self.server.stop(mode="immediate")
        self.start()

    def close(self) -> None:
        self.server.close()

    def new_database(self, name: str) -> str:
        return self.server.create_database(name)


class CrashingMariaDB:
    """A MariaDB of our own: the one that others use is not ours to kill."""

    def __init__(self) -> None:
        install = shutil.which("mariadb-install-db")
        self._program = shutil.which("mariadbd") or shutil.which("mariadbd", path="/usr/sbin")
        if install is None or self._program is None:
            pytest.skip("no mariadbd and mariadb-install-db on this machine: there is none to kill")
        self._folder = Path(tempfile.mkdtemp(prefix="sqlawait-mariadb-"))
        self._user = [f"--user={'root' if os.getuid() == 0 else os.environ.get('USER', '')}"]
        options = ["--no-defaults", f"--datadir={self._folder}", "--skip-test-db"]
        subprocess.run(
            [install, *options, "--auth-root-authentication-method=normal", *self._user],
            check=True,
            capture_output=True,
        )
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()

    def start(self) -> None:
        assert self._program is not None
        self._process = subprocess.Popen(
            [
                self._program,
                "--no-defaults",
                f"--datadir={self._folder}",
                f"--socket={self._folder / 'socket'}",
                f"--port={self.port}",
                "--bind-address=127.0.0.1",
                "--innodb-flush-log-at-trx-commit=1",
                *self._user,
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                self._connect().close()
            except pymysql.err.OperationalError:
                assert self._process.poll() is None, "mariadbd has ended"
                assert time.monotonic() < deadline, "mariadbd does not answer"
                time.sleep(0.02)
            else:
                return

    def crash(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def restart(self) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait()
        self.start()

    def close(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.crash()
        shutil.rmtree(self._folder)

    def new_database(self, name: str) -> str:
        with self._connect() as connection, connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {name} CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
        return f"mysql://root@127.0.0.1:{self.port}/{name}"

    def _connect(self) -> pymysql.Connection[pymysql.cursors.Cursor]:
        return pymysql.connect(host="127.0.0.1", port=self.port, user="root", connect_timeout=5)


CRASHING = {"postgresql": CrashingPostgres, "mysql": CrashingMariaDB}


class Workers:
    """uvicorn with several worker processes, which it replaces when they die.

    Parameters:
        app: what they serve, as uvicorn takes it.
        count: how many.
        environ: added to their environment.
    """

    def __init__(self, app: str, *, count: int, **environ: str) -> None:
        self._command = [
            sys.executable,
            "-m",
            "uvicorn",
            app,
            "--workers",
            str(count),
            "--log-level",
            "critical",
        ]
        self._count = count
        self._environ = os.environ | environ
        self._process: asyncio.subprocess.Process | None = None
        self.port = free_port()
        self.base = f"http://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            "--port",
            str(self.port),
            "--log-level",
            "critical",
            # else the supervisor ends workers that a busy machine keeps from starting in time
            "--timeout-worker-healthcheck",
            "60",
            cwd=_HERE.parent,
            env=self._environ,
        )
        try:
            await self.serving()
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._process is not None
        workers = self._workers()
        self._process.terminate()
        try:
            async with asyncio.timeout(10):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        for worker in workers:  # of a supervisor that was killed, or that they have outlived
            if worker.is_running():
                worker.kill()
        await asyncio.to_thread(psutil.wait_procs, workers, 10)

    async def serving(self) -> None:
        """Wait until one of them answers."""
        async with asyncio.timeout(_PATIENCE), httpx.AsyncClient(base_url=self.base) as http:
            while True:
                try:
                    await http.get("/openapi.json")
                except httpx.TransportError:
                    await asyncio.sleep(0.05)
                else:
                    return

    def peak(self) -> int:
        """Bytes of memory that the started process has had at most: with one worker, the one that serves."""
        assert self._process is not None
        try:
            status = Path(f"/proc/{self._process.pid}/status").read_text()
        except FileNotFoundError:  # no Linux: what it has now
            return int(psutil.Process(self._process.pid).memory_info().rss)
        return next(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmHWM:"))

    def kill(self, random: Random) -> bool:
        """kill -9 a worker, wherever it is; False where none is there to be killed."""
        workers = self._workers()
        if not workers:
            return False
        random.choice(workers).kill()
        return True

    def _workers(self) -> list[psutil.Process]:
        assert self._process is not None
        children = psutil.Process(self._process.pid).children()
        return [child for child in children if "spawn_main" in " ".join(_command(child))]


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.NoSuchProcess:
        return []


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
