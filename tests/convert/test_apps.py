"""Small apps, one a pattern of the field: converted as expected, and their own suites pass before and after.

Each folder of ``apps`` holds the app (``before``), what it must become (``after``) and its suite, which knows
the app by HTTP alone. With ``SQLAWAIT_WRITE_APPS=1`` what the conversion gives is written to ``after``: read
the diff.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from sqlawait.analysis.project import Project
from sqlawait.convert.conversion import Conversion, Phase
from sqlawait.convert.options import Options
from sqlawait.convert.result import Result
from sqlawait.convert.verify import new_findings
from sqlawait.embedded import EmbeddedPostgres

APPS = Path(__file__).parent / "apps"
PATTERNS = sorted(path.name for path in APPS.iterdir() if (path / "before").is_dir())
ON_POSTGRESQL = ["generic_crud", "rows", "sessions_by_hand", "stored_queries", "tasks", "writes"]
"""Those that run there too, all of them with ``SQLAWAIT_APPS=all``: where the database makes a difference."""
SLICES = {
    "generic_crud": "/notes/{note_id}",
    "receivers": "/items/{item_id}/restock",
    "rows": "/grouped",
    "sessions_by_hand": "/settings/{key}",
    "stored_queries": "/books/walked",
    "tasks": "/jobs/{job_id}",
}
"""Routes that are converted alone, with what they reach; the rest goes on with a sync session beside it."""
SYNC_PHASES: tuple[Phase, ...] = ("queries", "loading")
Outcomes = dict[str, dict[str, str]]
"""What each test of each package came to: empty when it passed."""


@dataclass
class Converted:
    """An app and its conversion."""

    folder: Path
    project: Project
    conversion: Conversion
    result: Result

    @property
    def after(self) -> dict[str, str]:
        """All its files after the conversion."""
        texts = {path: path.read_text() for path in self.folder.rglob("*.py")}
        texts.update({path: after for path, (_, after) in self.result.changes.items()})
        return {str(path.relative_to(self.folder)): text for path, text in texts.items()}


def convert(folder: Path, options: Options | None = None) -> Converted:
    """Convert the app in a folder, nothing is written."""
    project = Project.load([folder])
    conversion = Conversion(project, options or Options(), root=folder)
    return Converted(folder, project, conversion, conversion.run())


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Converted]:
    """Every app, converted from a copy."""
    folder = tmp_path_factory.mktemp("apps")
    return {name: convert(shutil.copytree(APPS / name / "before", folder / name)) for name in PATTERNS}


@pytest.fixture(scope="module")
def packages(converted: dict[str, Converted], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with each app as a package twice, before and after, each with its suite."""
    folder = tmp_path_factory.mktemp("packages")
    shutil.copy(APPS / "conftest.py", folder)
    for name, app in converted.items():
        before = {str(p.relative_to(app.folder)): p.read_text() for p in app.folder.rglob("*.py")}
        package(folder / f"before_{name}", before, name)
        package(folder / f"after_{name}", app.after, name)
        for phase in SYNC_PHASES:
            package(folder / f"{phase}_{name}", replace(app, result=app.conversion.run(phase)).after, name)
        if name in SLICES:
            part = convert(app.folder, Options(only=[SLICES[name]]))
            package(folder / f"slice_{name}", part.after, name)
    return folder


def runnable(database: str) -> list[str]:
    """The apps whose suites run on a database."""
    return PATTERNS if database == "sqlite" or os.environ.get("SQLAWAIT_APPS") == "all" else ON_POSTGRESQL


def package(folder: Path, files: dict[str, str], name: str) -> None:
    """Write an app and its suite as a package."""
    for path, text in {"__init__.py": "", **files, "suite.py": (APPS / name / "suite.py").read_text()}.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)


def run_suites(folder: Path, names: list[str], url: str | None = None) -> Outcomes:
    """Run the suites of these apps at every stage, in one process of their own, warnings being errors."""
    stages = ("before", "after") if url else ("before", *SYNC_PHASES, "slice", "after")
    suites = [folder / f"{stage}_{name}" / "suite.py" for name in names for stage in stages]
    report = folder / "report.xml"
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", os.devnull, "-W", "error"]
    command += [
        "-W",
        "ignore::sqlalchemy.exc.LegacyAPIWarning",
        "-W",
        "ignore::sqlalchemy.exc.MovedIn20Warning",
    ]
    command += ["-W", "ignore::ResourceWarning"]  # the apps do not close their pools
    command += [
        "--rootdir",
        str(folder),
        f"--junitxml={report}",
        *(str(suite) for suite in suites if suite.exists()),
    ]
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    environment.pop("APPS_URL", None)
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment | ({"APPS_URL": url} if url else {}),
        capture_output=True,
        text=True,
        check=False,
        timeout=400,
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    outcomes: Outcomes = defaultdict(dict)
    for case in ET.parse(report).iter("testcase"):
        bad = [each for each in case if each.tag in ("failure", "error")]
        message = "\n".join(each.text or "" for each in bad)
        outcomes[case.get("classname", "").partition(".")[0]][case.get("name", "")] = message
    return outcomes


@pytest.fixture(scope="module")
def on_sqlite(packages: Path) -> Outcomes:
    """The outcomes on SQLite."""
    return run_suites(packages, runnable("sqlite"))


@pytest.fixture(scope="module")
def on_postgresql(packages: Path, postgres_server: EmbeddedPostgres) -> Iterator[Outcomes]:
    """The outcomes on PostgreSQL."""
    url = postgres_server.create_database("apps")
    yield run_suites(packages, runnable("postgresql"), url)
    postgres_server.drop_database("apps")


@pytest.mark.parametrize("name", PATTERNS)
def test_expected(name: str, converted: dict[str, Converted]) -> None:
    """The conversion gives the expected files, byte for byte, and leaves nothing to do by hand."""
    after, expected = converted[name].after, APPS / name / "after"
    if os.environ.get("SQLAWAIT_WRITE_APPS"):
        shutil.rmtree(expected, ignore_errors=True)
        for path, text in after.items():
            (expected / path).parent.mkdir(parents=True, exist_ok=True)
            (expected / path).write_text(text)
    assert after == {str(p.relative_to(expected)): p.read_text() for p in expected.rglob("*.py")}
    assert converted[name].result.todos == []


@pytest.mark.parametrize("name", PATTERNS)
def test_again(name: str, tmp_path: Path) -> None:
    """Converting what was converted changes nothing."""
    again = convert(shutil.copytree(APPS / name / "after", tmp_path / name))
    assert again.result.changes == {}
    assert again.result.todos == []


@pytest.mark.parametrize("name", PATTERNS)
def test_nothing_new_for_check(name: str, converted: dict[str, Converted]) -> None:
    """``sqlawait check`` finds nothing in the result that it did not find before."""
    app = converted[name]
    after = {app.folder / path: text for path, text in app.after.items()}
    assert [
        f"{each.path}:{each.start[0]} {each.message}" for each in new_findings(app.project, after, app.folder)
    ] == []


@pytest.mark.parametrize(
    ("database", "name"), [(each, name) for each in ("sqlite", "postgresql") for name in runnable(each)]
)
def test_suite(database: str, name: str, request: pytest.FixtureRequest) -> None:
    """The app's own suite passes before and passes after, without a change."""
    outcomes: Outcomes = request.getfixturevalue(f"on_{database}")
    passes(outcomes, name, "before", "after")


@pytest.mark.parametrize("name", runnable("sqlite"))
def test_every_phase(name: str, on_sqlite: Outcomes) -> None:
    """After each phase that leaves the app sync, its suite passes."""
    passes(on_sqlite, name, "before", *SYNC_PHASES)


@pytest.mark.parametrize("name", SLICES)
def test_slice(name: str, on_sqlite: Outcomes, packages: Path) -> None:
    """One route converted, the others beside it on a sync session: the suite passes."""
    assert (packages / f"slice_{name}" / "main.py").read_text() != (
        packages / f"before_{name}" / "main.py"
    ).read_text()
    passes(on_sqlite, name, "before", "slice")


def passes(outcomes: Outcomes, name: str, *stages: str) -> None:
    """Assert that the same tests ran, and passed, at all these stages."""
    assert outcomes[f"before_{name}"], "no test ran"
    for stage in stages:
        failures = {test: message for test, message in outcomes[f"{stage}_{name}"].items() if message}
        assert failures == {}, "\n".join(failures.values())
        assert outcomes[f"{stage}_{name}"].keys() == outcomes[f"before_{name}"].keys()
