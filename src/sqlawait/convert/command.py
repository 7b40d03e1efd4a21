"""The command: read, convert, show or write, report."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlawait.analysis.project import Progress, Project

from .apply import Refused, check_tree, write_all
from .conversion import Conversion
from .drivers import Drivers
from .options import Options
from .page import as_html
from .phases import commit_phases
from .report import as_json, as_text, unified
from .requirements import update_requirements
from .result import Result
from .tracing.run import trace_suite
from .tracing.table import as_table
from .tracing.trace import Trace
from .verify import new_findings

TRACE_FILE = ".sqlawait-trace.json"


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for."""

    root: Path
    write: bool = False
    force: bool = False
    commit: bool = False
    """Write, and commit each phase."""
    tests: bool = False
    only: Sequence[str] = ()
    driver: str | None = None
    report: Path | None = None
    trace: str | None = None
    """A command that runs the suite, or the file of a trace."""


def convert(request: Request, say: Callable[[str], None], progress: Progress | None = None) -> Result:
    """Convert a code base, or show what a conversion would do.

    Raises :class:`~sqlawait.convert.apply.Refused` when the tree may not be written to;
    nothing was written then.
    """
    started = time.monotonic()
    root = request.root.resolve()
    _check(request)
    if request.commit or (request.write and not request.force):
        check_tree(root)
    project = Project.load([root], progress=progress)
    drivers = Drivers(postgresql=request.driver) if request.driver else Drivers()
    trace = _trace(request.trace, root, say) if request.trace else None
    options = Options(tests=request.tests, drivers=drivers, only=request.only, trace=trace)
    conversion = Conversion(project, options, root=root, progress=progress)
    result = conversion.run()
    result.notes += [f"{broken.path}: {broken.reason}; it was left as it is" for broken in project.broken]
    if result.changes:
        texts = {path: after for path, (_, after) in result.changes.items() if path.suffix == ".py"}
        result.findings = new_findings(project, texts, root, progress=progress)
    update_requirements(root, result, drivers)
    if request.commit:
        committed = commit_phases(conversion, result, root)
        if committed:
            result.notes.append(f"committed, one a phase: {', '.join(committed)}")
    elif request.write:
        write_all({path: after for path, (_, after) in result.changes.items()})
    else:
        say(unified(result, root))
    seconds = time.monotonic() - started
    if request.report is not None:
        form = as_json if request.report.suffix == ".json" else as_html
        write_all({request.report.resolve(): form(result, root, seconds)})
    say(as_text(result, root, seconds))
    return result


def _check(request: Request) -> None:
    """Refuse what cannot be meant."""
    if request.driver not in (None, "psycopg", "asyncpg"):
        raise Refused(f"there is no driver {request.driver!r} for PostgreSQL here; take psycopg or asyncpg")
    if request.report is not None and request.report.suffix not in (".html", ".json"):
        raise Refused(f"{request.report.name} tells no format; name a file that ends in .html or .json")


def _trace(given: str, root: Path, say: Callable[[str], None]) -> Trace:
    """The trace in a file, or of a run of the suite, which is kept for the next time."""
    path, root = Path(given), root if root.is_dir() else root.parent
    if path.is_file():
        trace = Trace.read(path)
    else:
        trace = trace_suite(given, root)
        write_all({(root / TRACE_FILE): trace.as_json()})
        say(f"traced; {root / TRACE_FILE} can be given to --trace the next time")
    say(as_table(trace))
    changed = trace.changed(root)
    if changed:
        raise Refused(
            f"these files are not as they were when the suite was traced: {', '.join(changed)}; trace again"
        )
    return trace


__all__ = ["Request", "convert"]
