"""The command: read, convert, show or write, report."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlawait.analysis.declarations import Function
from sqlawait.analysis.inference import Inference
from sqlawait.analysis.project import Progress, Project

from .apply import check_tree, commit, write_all
from .conversion import Conversion, Options, Result
from .drivers import Drivers
from .report import as_html, as_json, as_text, unified
from .requirements import update_requirements


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for."""

    root: Path
    write: bool = False
    force: bool = False
    commit: bool = False
    tests: bool = False
    only: Sequence[str] = ()
    driver: str | None = None
    report: Path | None = None


def convert(request: Request, say: Callable[[str], None], progress: Progress | None = None) -> Result:
    """Convert a code base, or show what a conversion would do.

    Raises :class:`~sqlawait.convert.apply.Refused` when the tree may not be written to;
    nothing was written then.
    """
    started = time.monotonic()
    root = request.root.resolve()
    if request.write and not request.force:
        check_tree(root)
    project = Project.load([root], progress=progress)
    drivers = Drivers(postgresql=request.driver) if request.driver else Drivers()
    options = Options(tests=request.tests, drivers=drivers, selected=_selected(project, request.only))
    result = Conversion(project, options, root=root, progress=progress).run()
    result.notes += [f"{broken.path}: {broken.reason}; it was left as it is" for broken in project.broken]
    update_requirements(root, result, drivers)
    seconds = time.monotonic() - started
    files = {path: after for path, (_, after) in result.changes.items()}
    if request.write:
        write_all(files)
        if request.commit and files:
            commit(root, files, "Convert to async SQLAlchemy")
    else:
        say(unified(result, root))
    if request.report is not None:
        text = (
            as_json(result, root, seconds)
            if request.report.suffix == ".json"
            else as_html(result, root, seconds)
        )
        write_all({request.report.resolve(): text})
    say(as_text(result, root, seconds))
    return result


def _selected(project: Project, only: Sequence[str]) -> Callable[[Function], bool] | None:
    """Whether a function is part of the slice: a route's path, a module, a function, or a folder."""
    if not only:
        return None
    routes = Inference(project).injection.routes

    def chosen(function: Function) -> bool:
        for each in only:
            if each.startswith("/") and function in routes:
                given = routes[function].decorator.args
                path = getattr(given[0], "value", "") if given else ""
                if isinstance(path, str) and re.fullmatch(re.escape(each).replace(r"\*", ".*"), path):
                    return True
            if function.id == each or function.id.endswith(f".{each}") or function.module.name == each:
                return True
            if function.module.name.endswith(f".{each}") or str(function.module.path).endswith(each):
                return True
            if Path(each).exists() and function.module.path.is_relative_to(Path(each).resolve()):
                return True
        return False

    return chosen


__all__ = ["Request", "convert"]
