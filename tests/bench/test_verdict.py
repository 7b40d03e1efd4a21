"""What the figures say, in words."""

from __future__ import annotations

from typing import Any

from sqlawait.bench.results import Cell, Measurement, Results
from sqlawait.bench.study import CEILING
from sqlawait.bench.verdict import findings

ALONE, MANY, FAR = Cell("one", 1), Cell("nested", 64), Cell("one", 64, 0.005)


def results(**rates: dict[Cell, float]) -> Results:
    made = Results()
    for name, by_cell in rates.items():
        for cell, rate in by_cell.items():
            for _ in range(2):
                made.add(cell, name, measured(rate))
    return made


def measured(rate: float, **more: Any) -> Measurement:
    figures: dict[str, Any] = {"p50": 0.01, "p90": 0.02, "p99": 0.03, "longest": 0.04, "mean": 0.01}
    return Measurement(seconds=1, completed=int(rate), rate=rate, **{**figures, **more})


def texts(made: Results, kind: str) -> list[str]:
    return [one.text for one in findings(made) if one.kind == kind]


def test_the_answer_follows_the_ratio() -> None:
    """Yes, hardly, or not by itself: by what the usual async stack gives against sync routes."""
    for rate, answer in ((300, "Yes"), (102, "Hardly"), (60, "Not by itself")):
        made = results(sync={MANY: 100}, usual={MANY: float(rate)})
        assert texts(made, "answer")[0].startswith(answer)


def test_the_answer_tells_near_from_far() -> None:
    """Beside the database and away from it are two answers."""
    made = results(sync={MANY: 100, FAR: 50}, usual={MANY: 120, FAR: 400})
    assert "1.2 times beside the database and 8.0 times away from it" in texts(made, "answer")[0]


def test_it_says_where_async_does_not_pay() -> None:
    """The places are listed with their ratios, and that with one client there is nothing to gain."""
    made = results(sync={ALONE: 100, MANY: 100}, usual={ALONE: 80, MANY: 300})
    assert texts(made, "costs")[0] == "Async alone does not pay in 1 of 2 places: one, 1 client: 0.80×."
    assert "nothing to do while the database works" in texts(made, "costs")[1]


def test_an_app_that_stopped_answering_is_named_with_the_reason() -> None:
    """A deadlock is no slow app: it is told as what it is."""
    made = results(sync={MANY: 100}, usual={MANY: 200})
    made.add(MANY, "halfway", measured(0, stalled=True, unfinished=64))
    told = texts(made, "broken")
    assert len(told) == 1
    assert told[0].startswith("“async over sync” stopped answering (a deadlock")
    assert told[0].endswith("nested, 64 clients.")


def test_failed_requests_are_told_with_their_kinds() -> None:
    """Errors are not hidden behind a rate."""
    made = Results()
    made.add(MANY, "usual", measured(10, errors={"HTTP 500": 1999}, unfinished=1))
    assert texts(made, "broken") == ["“usual async” failed 2,000 requests (HTTP 500) in nested, 64 clients."]


def test_shaped_reads_and_the_fair_pool_are_compared() -> None:
    """What sqlawait adds is told against the usual async stack and against sync routes."""
    made = results(sync={MANY: 100}, usual={MANY: 200}, shaped={MANY: 1400})
    made.add(MANY, "moved", measured(210, p99=0.003))
    told = texts(made, "pays")
    assert "7.0 times as many reads as the usual async stack" in told[0]
    assert "14.0 times as many reads as sync routes" in told[1]
    assert "3 ms instead of 30 ms" in told[2]


def test_the_load_generator_is_judged_too() -> None:
    """A generator with room to spare makes the figures sound, a busy one puts them in doubt."""
    for busy, kind in ((0.2, "sound"), (0.95, "doubt")):
        made = Results()
        made.add(CEILING, "nothing", measured(40_000))
        made.add(MANY, "shaped", measured(5000, load_busy=busy))
        assert "40,000 answers a second" in texts(made, kind)[0]


def test_rounds_that_differ_much_are_doubted() -> None:
    """Where the ratios of the rounds lie far apart, the reader is told to measure again."""
    made = results(sync={MANY: 100}, usual={MANY: 100})
    made.add(MANY, "sync", measured(100))
    made.add(MANY, "usual", measured(900))
    assert "Measure again" in texts(made, "doubt")[0]
