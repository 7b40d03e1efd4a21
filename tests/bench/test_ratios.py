"""``make ratios``: what is kept, what falls short, and the exit code that says so."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sqlawait.bench.contenders import CONTENDERS
from sqlawait.bench.ratios import ROWS, Row, judge, main
from sqlawait.bench.results import Cell, Measurement, Results

CELL = Cell("one", 4)
LEAST = Row("one against another", "sync", "usual", CELL, 2.0, database="sqlite")
ITSELF = replace(LEAST, title="is kept", above="usual", bar=0.5)
MOST = replace(LEAST, what="p99", most=True)


def measured(rate: float, p99: float = 1.0, **more: Any) -> Measurement:
    figures: dict[str, Any] = {"p50": 0.01, "p90": 0.02, "longest": 0.04, "mean": 0.01}
    return Measurement(seconds=1, completed=int(rate), rate=rate, p99=p99, **{**figures, **more})


def results(above: Measurement, below: Measurement) -> Results:
    made = Results()
    made.add(CELL, "sync", above)
    made.add(CELL, "usual", below)
    return made


@pytest.mark.parametrize(("rate", "ok"), [(19.0, False), (20.0, True), (21.0, True)])
def test_a_row_is_kept_from_its_bar_on(rate: float, ok: bool) -> None:
    """A ratio at the bar is kept, one below it falls short."""
    assert judge(LEAST, results(measured(rate), measured(10))).ok is ok


@pytest.mark.parametrize(("p99", "ok"), [(1.9, True), (2.0, True), (2.1, False)])
def test_an_upper_bar_is_kept_up_to_it(p99: float, ok: bool) -> None:
    """Latencies must stay at or below their bar."""
    assert judge(MOST, results(measured(1, p99), measured(1, 1.0))).ok is ok


def test_what_was_not_measured_is_not_kept() -> None:
    """An app that stalled or is not there does not pass by absence."""
    stalled = judge(LEAST, results(measured(100, stalled=True), measured(1)))
    assert (stalled.ok, stalled.trouble) == (False, "sync stalled")
    assert judge(LEAST, Results()).trouble == "not measured"


def test_errors_spoil_a_row_that_allows_none() -> None:
    """A fast answer that is an error is no answer."""
    found = results(measured(100, errors={"HTTP 503": 2}, unfinished=1), measured(1))
    assert judge(LEAST, found).ok
    flawless = judge(replace(LEAST, flawless=True), found)
    assert (flawless.ok, flawless.trouble) == (False, "3 requests failed")


def test_rows_name_apps_that_are_there() -> None:
    """Every row compares two apps that can run on its database."""
    for row in ROWS:
        for name in (row.above, row.below):
            assert row.database in CONTENDERS[name].databases, row.title


def test_the_exit_code_tells_and_json_holds_everything(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Kept: 0. Short: 1. The table says which row, the JSON file has each round of each app."""
    short = replace(ITSELF, title="falls short", bar=2)
    quick = ["--rounds", "1", "--seconds", "0.5"]
    path = tmp_path / "ratios.json"
    assert main([*quick, "--json", str(path)], rows=[ITSELF, short]) == 1
    printed = capsys.readouterr().out
    assert "short" in printed.split("falls short")[1]
    written = json.loads(path.read_text())
    assert [row["ok"] for row in written["rows"]] == [True, False]
    assert written["rows"][0]["ratio"] == 1
    measurements = written["results"]["sqlite"]["measurements"]
    assert {one["app"] for one in measurements} == {"usual"}
    assert all(round_["rate"] > 0 for one in measurements for round_ in one["rounds"])
    assert main([*quick, "--only", "kept"], rows=[ITSELF, short]) == 0


def test_a_choice_of_no_row_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """A misspelt choice does not pass as all rows kept."""
    with pytest.raises(SystemExit) as ended:
        main(["--only", "there is no such row"])
    assert ended.value.code == 2
    assert "no row's title contains" in capsys.readouterr().err
