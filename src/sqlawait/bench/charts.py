"""Charts as SVG text: their colours are the page's, so they follow its light and dark."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH = 640
_LEFT = 150
_RIGHT = 128
_ROW = 30


@dataclass(frozen=True, slots=True)
class Bar:
    """One row of a bar chart."""

    name: str
    """Of the contender: its colour."""
    title: str
    value: float | None
    low: float = 0.0
    high: float = 0.0
    note: str = ""
    """Beside the value, or in its place where there is none."""


@dataclass(frozen=True, slots=True)
class Span:
    """One row of a latency chart, in seconds."""

    name: str
    title: str
    p50: float
    p90: float
    p99: float


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a line chart; None where there is no value."""

    name: str
    title: str
    values: Sequence[float | None]


def bars(label: str, rows: Sequence[Bar]) -> str:
    """Horizontal bars, each with the least and the greatest of its rounds."""
    most = max((row.high or row.value or 0.0 for row in rows), default=0.0) or 1.0
    room = WIDTH - _LEFT - _RIGHT
    parts: list[str] = []
    for number, row in enumerate(rows):
        top = number * _ROW + 6
        middle = top + 9
        parts.append(_label(row.title, middle))
        if row.value is None:
            parts.append(f'<text class="lost" x="{_LEFT}" y="{middle}">{escape(row.note)}</text>')
            continue
        length = max(2.0, room * row.value / most)
        low, high = _LEFT + room * row.low / most, _LEFT + room * row.high / most
        parts.append(
            f'<rect class="fill {row.name}" x="{_LEFT}" y="{top}" width="{length:.1f}" height="18" rx="4"/>'
        )
        if row.high > row.low:
            parts.append(f'<path class="whisker" d="M{low:.1f} {middle}H{high:.1f}M{low:.1f} {middle - 4}v8"/>')
            parts.append(f'<path class="whisker" d="M{high:.1f} {middle - 4}v8"/>')
        end = max(_LEFT + length, high if row.high > row.low else 0.0) + 8
        parts.append(
            f'<text class="value" x="{end:.1f}" y="{middle}">{row.value:,.0f}'
            f'<tspan class="note" dx="7">{escape(row.note)}</tspan></text>'
        )
    return _svg(label, len(rows) * _ROW + 4, parts)


def spans(label: str, rows: Sequence[Span]) -> str:
    """From the median to the slowest one in a hundred, on a logarithmic scale of milliseconds."""
    low = math.floor(math.log10(max(min((row.p50 for row in rows), default=0.001), 1e-5) * 1000))
    high = max(low + 1, math.ceil(math.log10(max(max((row.p99 for row in rows), default=1.0), 1e-5) * 1000)))
    room = WIDTH - _LEFT - 70

    def at(seconds: float) -> float:
        share = (math.log10(max(seconds, 1e-6) * 1000) - low) / (high - low)
        return _LEFT + room * min(1.0, max(0.0, share))

    bottom = len(rows) * _ROW + 4
    parts: list[str] = []
    for power in range(low, high + 1):
        x = at(10**power / 1000)
        parts.append(f'<path class="grid" d="M{x:.1f} 2V{bottom}"/>')
        parts.append(f'<text class="tick" x="{x:.1f}" y="{bottom + 13}">{10.0**power:g} ms</text>')
    for number, row in enumerate(rows):
        middle = number * _ROW + 15
        parts.append(_label(row.title, middle))
        parts.append(f'<path class="line {row.name}" d="M{at(row.p50):.1f} {middle}H{at(row.p99):.1f}"/>')
        for seconds, radius in ((row.p50, 6.0), (row.p90, 4.0), (row.p99, 4.0)):
            parts.append(
                f'<circle class="fill {row.name}" cx="{at(seconds):.1f}" cy="{middle}" r="{radius}">'
                f"<title>{seconds * 1000:.1f} ms</title></circle>"
            )
        parts.append(
            f'<text class="value" x="{at(row.p99) + 9:.1f}" y="{middle}">{_short(row.p99 * 1000)}</text>'
        )
    return _svg(label, bottom + 20, parts)


def lines(label: str, ticks: Sequence[str], series: Sequence[Series]) -> str:
    """One line a contender over a few places."""
    height, top, left, right = 250, 10, 56, 150
    most = max((value for one in series for value in one.values if value is not None), default=1.0) or 1.0
    step = _round_up(most / 4)
    room, tall = WIDTH - left - right, height - top

    def x(number: int) -> float:
        return left + 16 + (room - 32) * (number / max(1, len(ticks) - 1))

    def y(value: float) -> float:
        return top + tall * (1 - value / (step * 4))

    parts: list[str] = []
    for number in range(5):
        at = y(step * number)
        parts.append(f'<path class="grid" d="M{left} {at:.1f}H{WIDTH - right}"/>')
        parts.append(f'<text class="axis" x="{left - 8}" y="{at:.1f}">{step * number:,.0f}</text>')
    for number, tick in enumerate(ticks):
        parts.append(f'<text class="tick" x="{x(number):.1f}" y="{height + 16}">{escape(tick)}</text>')
    ends: list[tuple[float, Series]] = []
    for one in series:
        points = [(x(number), y(value)) for number, value in enumerate(one.values) if value is not None]
        if not points:
            continue
        path = "L".join(f"{a:.1f} {b:.1f}" for a, b in points)
        parts.append(f'<path class="line {one.name}" d="M{path}"/>')
        parts += [f'<circle class="fill {one.name}" cx="{a:.1f}" cy="{b:.1f}" r="4"/>' for a, b in points]
        ends.append((points[-1][1], one))
    below = 0.0
    for at, one in sorted(ends, key=lambda end: end[0]):
        below = max(at, below + 16)  # names that would overlap move apart
        parts.append(
            f'<text class="end {one.name}" x="{WIDTH - right + 4}" y="{below:.1f}">{escape(one.title)}</text>'
        )
    return _svg(label, max(height + 24, int(below) + 12), parts)


def _short(milliseconds: float) -> str:
    return f"{milliseconds:,.0f}" if milliseconds >= 10 else f"{milliseconds:.1f}"


def _label(title: str, middle: float) -> str:
    return f'<text class="label" x="{_LEFT - 10}" y="{middle}">{escape(title)}</text>'


def _svg(label: str, height: int, parts: Sequence[str]) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(label)}"'
        f' xmlns="http://www.w3.org/2000/svg">{"".join(parts)}</svg>'
    )


def _round_up(value: float) -> float:
    """The next 1, 2, 2.5 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(max(value, 1e-9)))
    return next(power * nice for nice in (1, 2, 2.5, 5, 10) if power * nice >= value)


__all__ = ["WIDTH", "Bar", "Series", "Span", "bars", "lines", "spans"]
