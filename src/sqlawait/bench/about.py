"""Where and with what it was measured: a figure without its machine says nothing."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from .target import Target

PACKAGES = (
    "sqlawait",
    "fastapi",
    "starlette",
    "pydantic",
    "sqlalchemy",
    "asyncpg",
    "psycopg",
    "aiosqlite",
    "uvicorn",
    "uvloop",
    "httptools",
)


def describe(target: Target) -> dict[str, Any]:
    """The machine, the database and the versions."""
    return {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "database": target.about,
        "connections": target.connections,
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": processor(),
        "processors": os.cpu_count(),
        "loop": "uvloop" if _version("uvloop") else "asyncio's own loop",
        "versions": {name: found for name in PACKAGES if (found := _version(name))},
    }


def processor() -> str:
    """The processor's name where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


__all__ = ["describe", "processor"]
