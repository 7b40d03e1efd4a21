"""Runs a sync test suite under the recorder, in the user's own environment, where nothing is installed."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

from .trace import Trace

RECORDER = Path(__file__).parent / "sqlawait_recorder.stub"
PLUGIN = "sqlawait_recorder"


class NothingRecorded(Exception):
    """The command did not run pytest with the recorder, or did not get to its end."""

    def __init__(self, command: str, code: int, output: str) -> None:
        tail = "\n".join(output.strip().splitlines()[-15:])
        super().__init__(
            f"nothing was recorded by: {command} (it ended with code {code}); give a command that runs pytest,"
            f' as you run it yourself, such as --trace ".venv/bin/python -m pytest tests"\n{tail}'
        )


def trace_suite(command: str, root: Path, *, folder: Path | None = None) -> Trace:
    """Run ``command`` in ``folder`` and give what its tests loaded on access.

    :param command: What runs the suite, without a shell: ``".venv/bin/python -m pytest -q tests"``.
    :param root: The code base; what lies outside of it belongs to libraries.
    :param folder: Where the command runs; the working directory when it is None.
    :raises NothingRecorded: The recorder was not reached: not pytest, or it ended before its session did.
    """
    with tempfile.TemporaryDirectory(prefix="sqlawait-trace-") as place:
        shutil.copyfile(RECORDER, Path(place) / f"{PLUGIN}.py")
        environment = {
            **os.environ,
            "SQLAWAIT_TRACE_ROOT": str(root),
            "SQLAWAIT_TRACE_FILE": str(Path(place) / "part"),
            "PYTHONPATH": os.pathsep.join(filter(None, [place, os.environ.get("PYTHONPATH", "")])),
            "PYTEST_ADDOPTS": f"{os.environ.get('PYTEST_ADDOPTS', '')} -p {PLUGIN}".strip(),
        }
        try:
            done = subprocess.run(  # noqa: S603  # the user's own command, and no shell
                shlex.split(command),
                cwd=folder,
                env=environment,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
            )
        except OSError as error:
            raise NothingRecorded(command, 127, str(error)) from error
        parts = [json.loads(each.read_text(encoding="utf-8")) for each in sorted(Path(place).glob("part.*"))]
    if not any(part["tests"] for part in parts):
        raise NothingRecorded(command, done.returncode, done.stdout + done.stderr)
    return Trace.recorded(parts)


__all__ = ["NothingRecorded", "trace_suite"]
