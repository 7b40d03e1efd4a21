"""How hard the suites try: a short seeded run with the other tests, a long one by ``make promises``.

``PROMISES_SECONDS`` (of faults, each run), ``PROMISES_SEEDS`` (comma-separated), ``PROMISES_CLIENTS``,
``PROMISES_TRANSFERS`` (each client's), ``PROMISES_REQUESTS`` and ``PROMISES_ROWS`` (of the memory suite) say
how long; ``PROMISES_REPORT`` names a file that gets a line of JSON for each campaign of faults.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

SECONDS = float(os.environ.get("PROMISES_SECONDS", "2"))
SEEDS = [int(seed) for seed in os.environ.get("PROMISES_SEEDS", "1").split(",")]
CLIENTS = int(os.environ.get("PROMISES_CLIENTS", "32"))
TRANSFERS = int(os.environ.get("PROMISES_TRANSFERS", "4"))
REQUESTS = int(os.environ.get("PROMISES_REQUESTS", "3000"))
ROWS = int(os.environ.get("PROMISES_ROWS", "20000"))
LONG = "PROMISES_SECONDS" in os.environ

_TICK = 0.01


class Lateness:
    """How late the event loop was, on a machine that has other things to do."""

    def __init__(self) -> None:
        self.worst = 0.0
        """Seconds."""

    async def watch(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + _TICK
            await asyncio.sleep(_TICK)
            self.worst = max(self.worst, loop.time() - due)


@asynccontextmanager
async def lateness() -> AsyncIterator[Lateness]:
    """Watch the event loop: by its lateness a bound of time is longer than what the code may wait."""
    late = Lateness()
    watching = asyncio.create_task(late.watch())
    try:
        yield late
    finally:
        watching.cancel()
