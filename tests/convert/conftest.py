"""Two verbs for the tests of rewrites: what changes into what, and what does not change."""

from __future__ import annotations

import ast
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from sqlawait.analysis.project import Project
from sqlawait.convert.conversion import Conversion
from sqlawait.convert.options import Options
from sqlawait.convert.result import Result

sys.path.insert(0, str(Path(__file__).parent))
collect_ignore = ["apps", "suites", "traced"]


@pytest.fixture
def conversion(tmp_path: Path) -> Callable[..., Conversion]:
    """The conversion of files, given by name, in a folder of their own."""

    def read(files: dict[str, str], options: Options | None = None) -> Conversion:
        for name, source in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(source).lstrip("\n"))
        return Conversion(Project.load([tmp_path]), options or Options(), root=tmp_path)

    return read


@pytest.fixture
def convert(conversion: Callable[..., Conversion]) -> Callable[..., Result]:
    """Convert files, given by name, in a folder of their own."""

    def run(files: dict[str, str], options: Options | None = None) -> Result:
        return conversion(files, options).run()

    return run


@pytest.fixture
def check_transformed(convert: Callable[..., Result], tmp_path: Path) -> Callable[..., None]:
    """The source becomes the other one, which parses and which a second conversion leaves alone."""

    def check(before: str, after: str, *, todos: int = 0) -> None:
        wanted = textwrap.dedent(after).lstrip("\n")
        result = convert({"module.py": before})
        path = tmp_path / "module.py"
        found = result.changes[path][1] if path in result.changes else path.read_text()
        assert found == wanted
        assert len(result.todos) == todos
        ast.parse(found)
        again = convert({"module.py": found})
        assert again.changes == {}

    return check


@pytest.fixture
def check_noop(convert: Callable[..., Result]) -> Callable[[str], None]:
    """The source is not changed."""

    def check(source: str) -> None:
        result = convert({"module.py": source})
        assert result.changes == {}
        assert result.todos == []

    return check
