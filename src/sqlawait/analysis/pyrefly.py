"""pyrefly's opinion on what the inference here leaves open.

A copy of the code base is made in a temporary folder, each open expression in it wrapped in ``reveal_type(…)``,
and ``pyrefly check`` run over the copy once. Nothing of the code base is imported. Another checker that reveals
types can take its place: :class:`~.inference.TypeSource` is all that is asked of it.
"""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from .declarations import Module
from .inference import Inference
from .project import Project
from .types import UNKNOWN, Type

TIMEOUT = 60.0
"""Seconds that pyrefly may take before its opinion is done without."""
RECEIVERS = {
    "execute", "commit", "query", "scalars", "scalar", "refresh", "flush", "rollback", "add", "add_all",
    "merge", "exec",
}  # fmt: skip
"""Methods whose object is worth asking for: those of sessions and connections."""
WORTH = 0.02
"""The share of receivers that must be open before a checker is worth its seconds."""
_REVEALED = re.compile(r"[Rr]evealed type: (.+)")
_NAME = re.compile(r"^(?:\w+\.)*(\w+)(?:\[(.*)\])?$")


class PyreflyTypes:
    """Revealed types, by the expressions they were asked for."""

    def __init__(self, found: dict[ast.expr, Type]) -> None:
        self.found = found

    def type_of(self, node: ast.expr, module: Module) -> Type:  # noqa: ARG002 - what the protocol gives
        """The revealed type of an expression, or unknown."""
        return self.found.get(node, UNKNOWN)


def open_receivers(inference: Inference) -> list[ast.expr]:
    """The objects of session-like calls whose type is not known; none where they are too few to matter."""
    calls = inference.project.collected.calls
    total = 0
    found: list[ast.expr] = []
    for name in sorted(RECEIVERS):
        for call in calls.get(name, ()):
            if not isinstance(call.func, ast.Attribute) or inference.project.module_of(call).stub:
                continue
            total += 1
            of = inference.type_of(call.func.value)
            if not of.known or (of.kind == "external" and of.name.startswith(("builtins.", "typing."))):
                found.append(call.func.value)
    return list(dict.fromkeys(found)) if len(found) > WORTH * total else []


def is_installed() -> bool:
    """Whether pyrefly can be run by this Python."""
    return importlib.util.find_spec("pyrefly") is not None


def reveal(inference: Inference, nodes: Iterable[ast.expr]) -> PyreflyTypes:
    """Ask pyrefly for the types of expressions; what it cannot say stays unknown."""
    project = inference.project
    wanted: dict[Module, list[ast.expr]] = defaultdict(list)
    for node in nodes:
        wanted[project.module_of(node)].append(node)
    with tempfile.TemporaryDirectory(prefix="sqlawait-") as folder:
        places = _shadow(project, wanted, Path(folder))
        revealed = _run(Path(folder))
    found: dict[ast.expr, Type] = {}
    for place, text in revealed.items():
        if place in places:
            of = _read(inference, text)
            if of.known:
                found[places[place]] = of
    return PyreflyTypes(found)


Place = tuple[str, int, int]


def _shadow(project: Project, wanted: dict[Module, list[ast.expr]], folder: Path) -> dict[Place, ast.expr]:
    """Copy the modules with the wanted expressions wrapped; gives where each now stands."""
    root = _common(project)
    places: dict[Place, ast.expr] = {}
    for path, module in project.modules.items():
        target = folder / path.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        lines = [line.encode() for line in module.lines]
        shifts: dict[int, int] = defaultdict(int)
        for node in sorted(
            wanted.get(module, ()), key=lambda n: (n.lineno, n.col_offset, -(n.end_col_offset or 0))
        ):
            if node.end_lineno != node.lineno or node.end_col_offset is None:
                continue
            row, shift = node.lineno - 1, shifts[node.lineno]
            line = lines[row]
            start, end = node.col_offset + shift, node.end_col_offset + shift
            if line[start:end] != ast.get_source_segment(module.source, node, padded=False).encode():  # type: ignore[union-attr]  # its place is known
                continue
            lines[row] = line[:start] + b"reveal_type(" + line[start:end] + b")" + line[end:]
            places[target.relative_to(folder).as_posix(), node.lineno, start + len(b"reveal_type")] = node
            shifts[node.lineno] += len(b"reveal_type()")
        target.write_bytes(b"\n".join(lines))
    return places


def _common(project: Project) -> Path:
    paths = list(project.modules)
    root = paths[0].parent
    while not all(path.is_relative_to(root) for path in paths):
        root = root.parent
    return root


def _run(folder: Path) -> dict[Place, str]:
    command = [
        sys.executable,
        "-m",
        "pyrefly",
        "check",
        "--preset",
        "default",
        "--min-severity",
        "info",
        "--output-format",
        "json",
    ]
    command += [
        "--summary=none",
        "--python-interpreter-path",
        sys.executable,
        "--search-path",
        str(folder),
        "--relative-to",
        str(folder),
    ]
    try:
        done = subprocess.run(  # noqa: S603 - a fixed command
            command, cwd=folder, capture_output=True, text=True, timeout=TIMEOUT, check=False
        )
        errors = json.loads(done.stdout)["errors"]
    except (OSError, subprocess.TimeoutExpired, json.JSONDecodeError, KeyError):
        return {}
    found: dict[Place, str] = {}
    for error in errors:
        match = _REVEALED.search(str(error.get("description", "")))
        if match is not None:
            found[str(error["path"]), int(error["line"]), int(error["column"]) - 1] = match[1].strip()
    return found


def _read(inference: Inference, text: str) -> Type:
    """A revealed type as one of ours: a class of SQLAlchemy's stubs, or the only class of that name."""
    match = _NAME.match(text.removesuffix(" | None"))
    if match is None:
        return UNKNOWN
    name = match[1]
    project = inference.project
    for module in ("sqlalchemy.orm", "sqlalchemy.ext.asyncio", "sqlalchemy"):
        stub = project.stubs[module]
        for binding in stub.scope.bindings.get(name, ()):
            cls = project.collected.classes.get(binding.node)
            if cls is not None:
                return inference.instance_of(inference.class_type(cls))
    named = [cls for cls in project.classes if cls.name == name]
    return inference.instance_of(inference.class_type(named[0])) if len(named) == 1 else UNKNOWN


__all__ = ["PyreflyTypes", "is_installed", "open_receivers", "reveal"]
