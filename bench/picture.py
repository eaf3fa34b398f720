"""Charts as SVG, readable on a light and on a dark page: bars beside each other, and lines over a load.

A picture is text with absolute places, made by hand: what is drawn here needs no library. Colours follow the reader's scheme;
every value stands beside its bar as text, so that no colour is needed to read it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape

__all__ = ["Bar", "Line", "bar_chart", "line_chart"]

_WIDTH: Final = 760
_STYLE: Final = """
  svg { color-scheme: light dark; font: 13px system-ui, sans-serif; }
  .back { fill: #ffffff; } text { fill: #1f2328; } .quiet { fill: #59636e; } .grid { stroke: #d1d9e0; }
  .limit { stroke: #cf222e; stroke-dasharray: 5 4; } .title { font-size: 16px; font-weight: 600; }
  .c0 { fill: #0969da; stroke: #0969da; } .c1 { fill: #bc4c00; stroke: #bc4c00; } .c2 { fill: #1a7f37; stroke: #1a7f37; }
  .c3 { fill: #8250df; stroke: #8250df; } .line { fill: none; stroke-width: 2; }
  @media (prefers-color-scheme: dark) {
    .back { fill: #0d1117; } text { fill: #e6edf3; } .quiet { fill: #9198a1; } .grid { stroke: #3d444d; }
    .limit { stroke: #f85149; } .c0 { fill: #58a6ff; stroke: #58a6ff; } .c1 { fill: #f0883e; stroke: #f0883e; }
    .c2 { fill: #56d364; stroke: #56d364; } .c3 { fill: #bc8cff; stroke: #bc8cff; } .line { fill: none; }
  }
"""
_COLOURS: Final = 4
_BAR: Final = 16
_LABELS: Final = 200
_VALUES: Final = 90


@dataclass(frozen=True, slots=True)
class Bar:
    """One group of bars: a value for each series, None where there is none."""

    label: str
    values: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Line:
    """One series of a line chart: points (x, y), in ascending order of x."""

    name: str
    points: Sequence[tuple[float, float]]


def bar_chart(title: str, unit: str, series: Sequence[str], bars: Sequence[Bar], *, note: str = "") -> str:
    """Horizontal bars from 0 on, grouped. Raises ValueError for a group that has not one value for each series."""
    if any(len(bar.values) != len(series) for bar in bars):
        raise ValueError("a group of bars has one value for each series")
    largest = max((value for bar in bars for value in bar.values if value is not None), default=0.0) or 1.0
    room = _WIDTH - _LABELS - _VALUES - 20
    body: list[str] = []
    y = 64.0
    for bar in bars:
        body.append(_text(_LABELS - 10, y + len(series) * _BAR / 2 + 4, bar.label, anchor="end"))
        for number, value in enumerate(bar.values):
            top = y + number * _BAR
            if value is not None:
                width = max(1.0, room * value / largest)
                shape = f'x="{_LABELS}" y="{top + 2:.1f}" width="{width:.1f}" height="{_BAR - 4}"'
                body.append(f'<rect class="c{number % _COLOURS}" {shape}/>')
                body.append(_text(_LABELS + width + 6, top + _BAR - 4, f"{_number(value)} {unit}"))
        y += len(series) * _BAR + 12
    return _page(title, series, body, y, note)


def line_chart(
    title: str, x_label: str, y_label: str, lines: Sequence[Line], *, limit: float | None = None, note: str = ""
) -> str:
    """Lines with a logarithmic y axis. `limit` is drawn across. Raises ValueError where there is nothing to draw."""
    points = [point for line in lines for point in line.points]
    if not points:
        raise ValueError("there is nothing to draw")
    heights = [max(y, 1e-9) for _, y in points] + ([limit] if limit is not None else [])
    low, high = math.floor(math.log10(min(heights))), math.ceil(math.log10(max(heights)))
    high = max(high, low + 1)
    right = max(x for x, _ in points) or 1.0
    left_edge, top_edge, width, height = 80.0, 84.0, _WIDTH - 120.0, 280.0

    def place(x: float, y: float) -> tuple[float, float]:
        share = (math.log10(max(y, 1e-9)) - low) / (high - low)
        return left_edge + width * x / right, top_edge + height * (1 - share)

    body: list[str] = []
    for power in range(low, high + 1):
        _, y = place(0, 10.0**power)
        body.append(f'<line class="grid" x1="{left_edge}" x2="{left_edge + width}" y1="{y:.1f}" y2="{y:.1f}"/>')
        body.append(_text(left_edge - 8, y + 4, _number(10.0**power), anchor="end", quiet=True))
    for step in range(5):
        x, _ = place(right * step / 4, 1)
        body.append(_text(x, top_edge + height + 20, _number(right * step / 4), anchor="middle", quiet=True))
    body.append(_text(left_edge + width / 2, top_edge + height + 40, x_label, anchor="middle", quiet=True))
    body.append(_text(left_edge - 8, top_edge - 14, y_label, anchor="end", quiet=True))
    if limit is not None:
        _, y = place(0, limit)
        body.append(f'<line class="limit" x1="{left_edge}" x2="{left_edge + width}" y1="{y:.1f}" y2="{y:.1f}"/>')
    for number, line in enumerate(lines):
        drawn = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in line.points))
        body.append(f'<polyline class="c{number % _COLOURS} line" points="{drawn}"/>')
        body += [
            f'<circle class="c{number % _COLOURS}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>'
            for x, y in (place(*point) for point in line.points)
        ]
    return _page(title, [line.name for line in lines], body, top_edge + height + 52, note)


def _page(title: str, series: Sequence[str], body: Sequence[str], height: float, note: str) -> str:
    legend: list[str] = []
    if len(series) > 1:
        x = 20.0
        for number, name in enumerate(series):
            legend.append(f'<rect class="c{number % _COLOURS}" x="{x:.1f}" y="38" width="10" height="10"/>')
            legend.append(_text(x + 15, 48, name, quiet=True))
            x += 30 + 7.5 * len(name)
    if note:
        legend.append(_text(20, height + 14, note, quiet=True))
        height += 24
    view = f'viewBox="0 0 {_WIDTH} {height:.0f}" role="img" aria-label="{_quoted(title)}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {view}>',
            f"<title>{escape(title)}</title>",
            f"<style>{_STYLE}</style>",
            f'<rect class="back" width="{_WIDTH}" height="{height:.0f}" rx="6"/>',
            f'<text class="title" x="20" y="26">{escape(title)}</text>',
            *legend,
            *body,
            "</svg>\n",
        ]
    )


def _text(x: float, y: float, text: str, *, anchor: str = "start", quiet: bool = False) -> str:
    kind = ' class="quiet"' if quiet else ""
    return f'<text{kind} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _quoted(text: str) -> str:
    return escape(text, {'"': "&quot;"})


def _number(value: float) -> str:
    """As people write it: three digits that count."""
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"
