"""Applications with the tests that came with them: both are converted, and the tests pass before and after."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from own_suite import run_suite

from sqlawait.analysis.project import Project
from sqlawait.convert.conversion import Conversion
from sqlawait.convert.options import Options
from sqlawait.convert.result import Result
from sqlawait.convert.verify import new_findings

SUITES = Path(__file__).parent / "suites"
NAMES = sorted(path.name for path in SUITES.iterdir() if (path / "tests").is_dir())
LIBRARIES = SUITES / "libraries"
"""What the applications import and the conversion does not read."""


OPTIONS = ("-p", "anyio", "-W", "error", "-W", "ignore::ResourceWarning", "tests")


@pytest.fixture(scope="module", params=NAMES)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of an application, not converted yet."""
    folder = tmp_path_factory.mktemp("suites") / request.param
    shutil.copytree(SUITES / request.param, folder)
    return folder


@pytest.fixture(scope="module")
def project(folder: Path) -> Project:
    """The application as it was."""
    assert run_suite(folder, *OPTIONS, beside=LIBRARIES) == ""
    return Project.load([folder])


@pytest.fixture(scope="module")
def result(project: Project, folder: Path) -> Result:
    """Its conversion, written."""
    result = Conversion(project, Options(tests=True), root=folder).run()
    for path, (_, after) in result.changes.items():
        path.write_text(after)
    return result


def test_suite(result: Result, folder: Path) -> None:
    """The suite passes on the converted application, and nothing is left to do by hand."""
    assert run_suite(folder, *OPTIONS, beside=LIBRARIES) == ""
    assert result.todos == []


def test_nothing_new_for_check(result: Result, project: Project, folder: Path) -> None:
    """``sqlawait check`` finds nothing in application and tests that it did not find before."""
    after = {path: text for path, (_, text) in result.changes.items()}
    found = new_findings(project, after, folder)
    assert [f"{each.path}:{each.start[0]} {each.message}" for each in found] == []


def test_again(result: Result, folder: Path) -> None:
    """Converting the application again changes nothing."""
    assert result.changes
    assert Conversion(Project.load([folder]), Options(), root=folder).run().changes == {}
