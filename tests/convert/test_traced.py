"""Small apps whose sync suites are traced: what they load on access is placed, and they pass again, async."""

from __future__ import annotations

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from own_suite import PYTEST, run_suite

from sqlawait.analysis.project import Project
from sqlawait.convert.conversion import Conversion
from sqlawait.convert.options import Options
from sqlawait.convert.result import Result
from sqlawait.convert.tracing.run import NothingRecorded, trace_suite
from sqlawait.convert.tracing.table import as_table
from sqlawait.convert.tracing.trace import Load, Trace, UnreadableTrace

APPS = Path(__file__).parent / "traced"
GUARDED = ("-p", "guarded")
"""The plugin beside the apps that switches the guards on."""


@dataclass
class Traced:
    """An app, the trace of its suite and its conversion."""

    folder: Path
    trace: Trace
    result: Result

    def after(self, name: str) -> str:
        """A file as the conversion leaves it."""
        path = self.folder / name
        return self.result.changes[path][1] if path in self.result.changes else path.read_text()

    def load(self, attribute: str, at: str) -> Load:
        """What the trace tells of an attribute that was touched at a place."""
        return next(
            each
            for each in self.trace.loads
            if each.attribute == attribute and [str(place) for place in each.touched[:1]] == [at]
        )


def convert(folder: Path, trace: Trace | None) -> Result:
    """Convert an app and its suite; nothing is written."""
    project = Project.load([folder])
    return Conversion(project, Options(tests=True, trace=trace), root=folder).run()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Traced:
    """The shop: a relationship of each kind, read from each place."""
    folder = tmp_path_factory.mktemp("traced") / "shop"
    shutil.copytree(APPS / "shop" / "before", folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", ".")
        patch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        trace = trace_suite(" ".join(PYTEST), folder, folder=folder)
    return Traced(folder, trace, convert(folder, trace))


def test_suite_passes(shop: Traced) -> None:
    """The traced app is converted, and its own suite passes with the lazy-load guard raising."""
    for path, (_, after) in shop.result.changes.items():
        path.write_text(after)
    assert run_suite(shop.folder, *GUARDED, beside=APPS) == ""
    assert shop.result.todos == []
    assert shop.result.notes == []


def test_mapper_is_left_alone(shop: Traced) -> None:
    """Nothing that could be placed at a statement is loaded with every owner."""
    assert "lazy=" not in shop.after("models.py")


@pytest.mark.parametrize(
    ("name", "line"),
    [
        pytest.param(
            "crud.py",
            "models.User.id == user_id).options(selectinload(models.User.company),"
            " selectinload(models.User.items).selectinload(models.Item.tags))",
            id="schema, nested, through a helper",
        ),
        pytest.param(
            "crud.py", "db.execute(statement.options(selectinload(models.User.", id="statement handed in"
        ),
        pytest.param(
            "crud.py",
            "company_id, options=[selectinload(models.Company.users).selectinload(models.User.items)]",
            id="get, read by a template",
        ),
        pytest.param(
            "main.py", "filter_by(id=user_id).options(selectinload(models.User.items))", id="property"
        ),
        pytest.param(
            "main.py",
            "where(models.Item.id == item_id)"
            ".options(selectinload(models.Item.owner).selectinload(models.User.company))\n",
            id="stored statement, chained",
        ),
        pytest.param(
            "main.py",
            "\n            .options(selectinload(models.User.items))\n",
            id="chain over several lines",
        ),
        pytest.param("main.py", ".options(undefer(models.User.biography))", id="deferred column"),
        pytest.param(
            "main.py", ".options(selectin_polymorphic(models.Node, [models.Paper]))", id="columns of a subclass"
        ),
        pytest.param(
            "main.py",
            '    await db.commit()\n    await db.refresh(user, ["items"])\n',
            id="rows added in between",
        ),
        pytest.param(
            "crud.py",
            '    await db.commit()\n    await db.refresh(user, ["company", "items"])\n',
            id="made",
        ),
        pytest.param(
            "crud.py",
            "        await db.rollback()\n        if user is not None:\n            await db.refresh(user)\n",
            id="expired by rollback",
        ),
    ],
)
def test_placed(shop: Traced, name: str, line: str) -> None:
    """What was loaded on access comes with its statement, or is refreshed where rows changed in between."""
    assert line in shop.after(name)


def test_who_touches(shop: Traced) -> None:
    """The trace tells who touched an attribute: the app, a template, a serializer."""
    assert {load.by for load in shop.trace.loads} == {"app", "template", "serializer"}
    template = next(load for load in shop.trace.loads if load.by == "template" and load.attribute == "items")
    assert template.template is not None
    assert template.template[0].endswith("company.html")
    assert template.template[1] == 2


def test_where_loaded(shop: Traced) -> None:
    """The trace names the statement that loaded the owner, and the way from its rows to it."""
    load = shop.load("company", "main.py:82")
    assert load.owner is not None
    assert str(load.owner.site) == "main.py:81"
    assert load.owner.path == (("models.Item", "owner"),)


def test_what_expired(shop: Traced) -> None:
    """The trace names what expired an object that is read after it: here a commit that failed."""
    load = next(load for load in shop.trace.loads if load.how == "rollback")
    assert load.expired is not None
    assert str(load.expired[1]) == "crud.py:34"


def test_kept(shop: Traced, tmp_path: Path) -> None:
    """A trace that is written and read again is the same, and knows which files changed since."""
    path = tmp_path / "trace.json"
    path.write_text(shop.trace.as_json())
    assert Trace.read(path) == shop.trace
    copy = shutil.copytree(APPS / "shop" / "before", tmp_path / "shop")
    assert shop.trace.changed(copy) == []
    (copy / "crud.py").write_text("# changed\n")
    assert shop.trace.changed(copy) == ["crud.py"]


def test_no_trace(tmp_path: Path) -> None:
    """A file of something else is refused with what to do."""
    path = tmp_path / "trace.json"
    path.write_text("[]")
    with pytest.raises(UnreadableTrace, match="trace again with --trace"):
        Trace.read(path)


def test_table(shop: Traced) -> None:
    """The table shows attribute, statement, place, who and how often."""
    table = as_table(shop.trace)
    assert "10 tests traced" in table
    assert any(
        line.split()[:2] == ["Company.users", "crud.py:20"] and "company.html:2" in line
        for line in table.splitlines()
    )


def test_not_pytest(tmp_path: Path) -> None:
    """A command that runs no pytest is told apart from a suite without lazy loads."""
    with pytest.raises(NothingRecorded, match="give a command that runs pytest"):
        trace_suite(f"{sys.executable} -c pass", tmp_path)


def test_without_trace(shop: Traced, tmp_path: Path) -> None:
    """What a rollback expired is found by tracing alone; rows that were added meanwhile, by the code too."""
    copy = shutil.copytree(APPS / "shop" / "before", tmp_path / "shop")
    for path, (_, after) in convert(copy, None).changes.items():
        path.write_text(after)
    said = run_suite(copy, *GUARDED, beside=APPS)
    assert "FAILED tests/test_shop.py::test_rename" in said
    assert "FAILED tests/test_shop.py::test_add_item" not in said
    assert "FAILED tests/test_shop.py::test_read_user" not in said
