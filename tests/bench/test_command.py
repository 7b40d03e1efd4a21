"""``sqlawait bench`` from end to end, small."""

from __future__ import annotations

import json
from pathlib import Path

import psutil
import pytest
from sqlalchemy import create_engine, inspect
from typer.testing import CliRunner

from sqlawait.bench.command import Options, plan
from sqlawait.bench.contenders import CONTENDERS
from sqlawait.bench.results import Cell
from sqlawait.bench.runner import Runner, different_answers
from sqlawait.bench.target import prepared
from sqlawait.cli import app
from sqlawait.exceptions import ConfigurationError

TINY = ["--rounds", "1", "--seconds", "0.5", "--concurrency", "2"]


def test_a_run_on_sqlite_writes_table_verdict_json_and_report(tmp_path: Path) -> None:
    """The whole way: apps measured, their answers compared, files written, nothing left running."""
    figures, report = tmp_path / "figures.json", tmp_path / "report.html"
    options = [*TINY, "--database", "sqlite", "--json", str(figures), "--html", str(report)]
    workloads = ["--workload", "one", "--workload", "nested", "--workload", "mixed"]
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    done = CliRunner().invoke(app, ["bench", *options, *workloads, "--app", "usual"])
    assert done.exit_code == 0, done.output
    assert "It is not the bottleneck" in " ".join(done.output.split())
    assert {child.pid for child in psutil.Process().children(recursive=True)} == before
    written = json.loads(figures.read_text())
    assert written["different_answers"] == []
    assert {(one["workload"], one["app"]) for one in written["measurements"]} == {
        ("nothing", "nothing"),
        *((workload, "usual") for workload in ("one", "nested", "mixed")),
    }
    for one in written["measurements"]:
        assert one["rounds"][0]["rate"] > 0, one
        assert one["rounds"][0]["errors"] == {}, one
    assert "<svg" in report.read_text()


@pytest.mark.parametrize(
    ("database", "names"),
    [("postgresql", ("usual", "shaped", "handwritten", "bare")), ("mysql", ("verbs",))],
)
def test_every_app_answers_alike(database: str, names: list[str], request: pytest.FixtureRequest) -> None:
    """All ways of serving the API give the same JSON, a written row included; afterwards no schema is left."""
    url: str = request.getfixturevalue(f"{database}_url")
    with prepared(url, users=20) as target, Runner(target, users=20) as runner:
        contenders = [CONTENDERS[name] for name in names]
        assert different_answers(runner, contenders) == []
        for number, contender in enumerate(contenders):
            body = {"name": "New", "email": f"new{number}@example.com"}
            status, made = runner.answer(contender, "/users", "POST", body)
            assert (status, made["name"], made["active"]) == (201, "New", True), contender
            status, changed = runner.answer(contender, f"/users/{made['id']}", "PATCH", {"name": "Changed"})
            assert (status, changed) == (200, {**made, "name": "Changed"}), contender
        engine = create_engine(target.sync_url)
        assert target.schema in inspect(engine).get_schema_names()
    assert target.schema not in inspect(engine).get_schema_names()
    engine.dispose()


def test_a_deadlocked_app_is_survived(postgresql_url: str) -> None:
    """Async routes over a sync session stop answering at more clients than connections; the bench goes on."""
    halfway = CONTENDERS["halfway"]
    prepare = prepared(postgresql_url, connections=2, users=20)
    with prepare as target, Runner(target, patience=1.0, users=20) as runner:
        one = runner.measure(halfway, Cell("one", 16), seconds=20, warmup=0.1)
        assert one.stalled
        assert one.unfinished == 16
        again = runner.measure(halfway, Cell("one", 1), seconds=0.5, warmup=0.1)
        assert not again.stalled
        assert again.completed > 0


def test_the_proxy_stands_between_the_app_and_its_database(postgresql_url: str) -> None:
    """At 5 ms each way no answer of a route with two round trips, BEGIN and SELECT, comes within 20 ms."""
    usual = CONTENDERS["usual"]
    with prepared(postgresql_url, users=20) as target, Runner(target, users=20) as runner:
        far = runner.measure(usual, Cell("one", 1, 0.005), seconds=0.4, warmup=0.2)
    assert far.p50 >= 0.02


def test_what_is_not_there_is_refused_by_name() -> None:
    """A misspelt app or workload, and a database that cannot be used, are told with the remedy."""
    with pytest.raises(ConfigurationError, match="--database sqlite"), prepared("sqlite:///x.db"):
        pass
    with prepared("sqlite", users=1) as target:
        with pytest.raises(ConfigurationError, match="there is no app 'flask'; use sync, "):
            plan(Options(apps=["flask"]), target)
        with pytest.raises(ConfigurationError, match="there is no workload 'fast'"):
            plan(Options(workloads=["fast"]), target)
        with pytest.raises(ConfigurationError, match="never far away"):
            plan(Options(workloads=["slow"]), target)
        with pytest.raises(ConfigurationError, match="none of bare runs on sqlite"):
            plan(Options(apps=["bare"]), target)
        assert all(cell.latency is None for cell in plan(Options(quick=True), target).cells)
