"""Run the suite that an application came with, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PYTEST = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, "--rootdir", "."]


def run_suite(folder: Path, *options: str, beside: Path) -> str:
    """What the suite says, empty when all of it passed; ``beside`` is where else it may import from."""
    done = subprocess.run(  # noqa: S603 # the suite of a test
        [*PYTEST, *options],
        cwd=folder,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([".", str(beside)]),
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return "" if done.returncode == 0 else done.stdout + done.stderr
