"""How hard the suites try: a short seeded run with the other tests, a long one by ``make promises``.

``PROMISES_SECONDS`` (of faults, each run), ``PROMISES_SEEDS`` (comma-separated), ``PROMISES_CLIENTS`` and
``PROMISES_TRANSFERS`` (each client's) say how long.
"""

from __future__ import annotations

import os

SECONDS = float(os.environ.get("PROMISES_SECONDS", "2"))
SEEDS = [int(seed) for seed in os.environ.get("PROMISES_SEEDS", "1").split(",")]
CLIENTS = int(os.environ.get("PROMISES_CLIENTS", "32"))
TRANSFERS = int(os.environ.get("PROMISES_TRANSFERS", "4"))
LONG = "PROMISES_SECONDS" in os.environ
