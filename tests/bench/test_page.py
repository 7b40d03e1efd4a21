"""The report and its charts."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest

from sqlawait.bench.charts import Bar, Series, Span, bars, lines, spans
from sqlawait.bench.page import render
from sqlawait.bench.results import Cell, Measurement, Results
from sqlawait.bench.verdict import Finding

ABOUT = {
    "database": "PostgreSQL <18>",
    "connections": 20,
    "processors": 2,
    "processor": "A & B",
    "python": "3.11.7",
    "when": "2026-01-01T00:00:00+00:00",
    "loop": "uvloop",
    "users": 1000,
    "rounds": 3,
    "seconds": 1.5,
    "versions": {"fastapi": "1"},
}


def measured(rate: float, *, stalled: bool = False) -> Measurement:
    return Measurement(1, int(rate), rate, 0.01, 0.02, 0.03, 0.04, 0.01, stalled=stalled, cpu=0.0005)


@pytest.fixture
def results() -> Results:
    made = Results(about=dict(ABOUT))
    for name, rate in (("sync", 100.0), ("usual", 250.0)):
        for cell in (Cell("one", 1), Cell("nested", 64), Cell("one", 64, 0.001), Cell("one", 64, 0.02)):
            made.add(cell, name, measured(rate))
            made.add(cell, name, measured(rate * 1.2))
    made.add(Cell("nested", 64), "halfway", measured(0, stalled=True))
    return made


class Reader(HTMLParser):
    """Collects the tags that are open and every address."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.tags: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.addresses += [value or "" for name, value in attrs if name in {"src", "href", "action"}]
        if tag not in {"meta", "link", "br"}:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_report_needs_nothing_but_itself(results: Results) -> None:
    """No script, no style sheet, font or picture from elsewhere: it opens offline."""
    page = render(results, [])
    reader = Reader()
    reader.feed(page)
    assert reader.open == []
    assert reader.addresses == []
    assert "script" not in reader.tags
    assert not re.search(r"@import|url\(", page)


def test_the_report_holds_the_verdict_and_every_figure(results: Results) -> None:
    """Answer, findings, machine, figures; what came from the machine is escaped."""
    page = render(results, [Finding("answer", "Yes & no"), Finding("costs", "Async <alone> does not pay")])
    assert "Yes &amp; no" in page
    assert "Async &lt;alone&gt; does not pay" in page
    assert "PostgreSQL &lt;18&gt;" in page
    assert "stopped answering" in page
    assert "2.50×" in page  # the usual stack against sync, of the rounds' ratios
    assert page.count("<tr><td>") == 9


def test_the_report_follows_light_and_dark(results: Results) -> None:
    """Every colour of the charts is a variable that both schemes set."""
    page = render(results, [])
    light, dark = re.findall(r":root \{(.*?)\}", page, flags=re.DOTALL)
    names = set(re.findall(r"(--[a-z]+):", light))
    assert names == set(re.findall(r"(--[a-z]+):", dark))
    assert set(re.findall(r"var\((--[a-z]+)\)", page)) <= names


def test_bars_are_as_long_as_their_values() -> None:
    """Half the value is half the length; a contender without a value shows its note."""
    chart = ET.fromstring(
        bars("label", [Bar("a", "A", 100.0), Bar("b", "B", 50.0), Bar("c", "C", None, note="gone")])
    )
    lengths = [float(one.attrib["width"]) for one in chart.iter() if one.tag.endswith("rect")]
    assert lengths[1] == pytest.approx(lengths[0] / 2, abs=0.1)
    assert "gone" in [one.text for one in chart.iter()]


def test_charts_are_well_formed_whatever_the_values() -> None:
    """Zero, one place, names with markup: still SVG."""
    charts = [
        bars("<&>", [Bar("a", "<A>", 0.0, note="&")]),
        spans("x", [Span("a", "A", 0.0, 0.0, 0.0), Span("b", "B", 0.001, 0.5, 90.0)]),
        lines("x", ["0 ms"], [Series("a", "A", [1.0]), Series("b", "B", [None])]),
        lines("x", ["0 ms", "5 ms"], [Series("a", "A", [1.0, None]), Series("b", "B", [1.0, 1.0])]),
        lines("x", [], []),
    ]
    for chart in charts:
        assert ET.fromstring(chart).attrib["role"] == "img"
