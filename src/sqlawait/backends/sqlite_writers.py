"""The line in which the writers of a SQLite database wait for its one write lock."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

if sys.platform != "win32":  # there, processes wait for each other in SQLite's way
    import fcntl

TURN = "sqlawait_turn"
"""True in the ``info`` of a connection whose turn it is."""

_LOOK = 0.001
"""Seconds between two looks at another process's lock: a call into the kernel of about a microsecond."""

_TURN_LASTS = 0.02
"""Seconds for which a process with more to write keeps the lock. To pass it on costs about a millisecond."""

_FIRST, _WRITING = 0, 1
"""Bytes of the lock file: who is next, and who writes."""


class WritersTurn:
    """First come, first served within a process; processes take turns.

    SQLite itself lets a waiting writer sleep and look again, longer each time, so that under load some never
    find the lock free while late arrivals take it.

    Parameters:
        seconds: how long to wait for the turn; after that SQLite decides.
        database: the database's file; None where no other process can have it.
    """

    def __init__(self, seconds: float, database: str | None) -> None:
        self._seconds = seconds
        self._lock = asyncio.Lock()
        self._waiting = 0
        self._processes = _Turnstile(database)

    async def take(self, info: dict[Any, Any]) -> None:
        """Wait for the turn and note it in the connection's ``info``."""
        if info.get(TURN):
            return
        self._waiting += 1
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._seconds):
                    await self._lock.acquire()
                    info[TURN] = True
                    await self._processes.enter()
        finally:
            self._waiting -= 1
            if not self._waiting and not self._lock.locked():
                self._processes.leave()  # it was kept for one that has given up

    def give(self, info: dict[Any, Any]) -> None:
        """Pass the turn on, if this connection has it."""
        if info.pop(TURN, False):
            if not self._waiting or self._processes.held_for() > _TURN_LASTS:
                self._processes.leave()
            self._lock.release()

    def close(self) -> None:
        """Close the lock file."""
        self._processes.close()


class _Turnstile:
    """One process at a time, and none twice while another waits.

    To be next is a lock of its own: a process that has just written finds it taken by the one that waits, and
    lines up behind. Without it, whoever lets go takes hold again before a waiting process has looked.

    The locks are the kernel's (``lockf`` on a file beside the database): those of a process that was killed are
    gone. Where the file cannot be made, every process is let through, to wait in SQLite's way.
    """

    def __init__(self, database: str | None) -> None:
        self._database = database
        self._file: int | None = None
        self._since: float | None = None

    async def enter(self) -> None:
        """Wait until no other process writes."""
        if self._since is not None or not self._open():
            return
        await self._lock(_FIRST)
        try:
            await self._lock(_WRITING)
            self._since = time.monotonic()
        finally:
            self._unlock(_FIRST)

    def leave(self) -> None:
        """Let others write."""
        if self._since is not None:
            self._since = None
            self._unlock(_WRITING)

    def held_for(self) -> float:
        """Seconds since this process has entered."""
        return 0.0 if self._since is None else time.monotonic() - self._since

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _open(self) -> bool:
        if sys.platform != "win32" and self._file is None and self._database is not None:
            try:
                mode = Path(self._database).stat().st_mode & 0o777
                self._file = os.open(f"{self._database}-turn", os.O_RDWR | os.O_CREAT, mode)
            except OSError:
                self._database = None
        return self._file is not None

    async def _lock(self, byte: int) -> None:
        assert self._file is not None
        while True:
            try:
                fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, byte)
            except (BlockingIOError, PermissionError):  # which of the two it is depends on the system
                await asyncio.sleep(_LOOK)
            else:
                return

    def _unlock(self, byte: int) -> None:
        if self._file is not None:
            fcntl.lockf(self._file, fcntl.LOCK_UN, 1, byte)


__all__ = ["TURN", "WritersTurn"]
