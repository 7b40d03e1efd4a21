"""Ratios and their spread."""

from __future__ import annotations

from typing import Any

from sqlawait.bench.results import Cell, Measurement, Ratio, Results, ratio, spread

CELL = Cell("one", 64)


def measured(rate: float, **more: Any) -> Measurement:
    figures: dict[str, Any] = {"p50": 0.01, "p90": 0.02, "p99": 0.03, "longest": 0.04, "mean": 0.01}
    return Measurement(seconds=1, completed=int(rate), rate=rate, **{**figures, **more})


def test_a_ratio_pairs_the_rounds() -> None:
    """A slow minute that hurt both apps in one round does not change their ratio."""
    quick = [measured(rate) for rate in (200, 20, 210)]
    slow = [measured(rate) for rate in (100, 10, 100)]
    assert ratio(quick, slow, lambda one: one.rate) == Ratio(2.0, 2.0, 2.1)


def test_there_is_no_ratio_to_an_app_that_stalled() -> None:
    """An app that stopped answering has no speed."""
    assert ratio([measured(5)], [measured(1, stalled=True)], lambda one: one.rate) is None
    assert ratio([measured(5)], [], lambda one: one.rate) is None
    assert ratio([measured(5)], [measured(0)], lambda one: one.rate) is None


def test_spread_is_the_least_and_the_greatest() -> None:
    """The middle of the rounds, between their ends; nothing of nothing."""
    assert spread([3.0, 1.0, 2.0]) == Ratio(2.0, 1.0, 3.0)
    assert spread([]) is None


def test_results_hold_rounds_by_cell_and_app() -> None:
    """What was added is found again, in the order in which it came."""
    results = Results()
    for rate in (10, 30, 20):
        results.add(CELL, "sync", measured(rate))
    results.add(Cell("nested", 1), "usual", measured(1, stalled=True))
    assert results.cells() == [CELL, Cell("nested", 1)]
    assert results.contenders() == ["sync", "usual"]
    assert results.typical(CELL, "sync") == 20
    assert results.typical(CELL, "usual") is None
    assert results.typical(Cell("nested", 1), "usual") is None
    assert results.stalled(Cell("nested", 1), "usual")


def test_a_cells_title_says_where() -> None:
    """The words of the report."""
    assert Cell("one", 1).title == "one, 1 client"
    assert Cell("one", 1000, 0.005).title == "one, 1,000 clients, database 5 ms away"
