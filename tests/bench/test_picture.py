"""Charts are well-formed, and readable without their colours."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from bench.picture import Bar, Line, bar_chart, line_chart

SVG = "{http://www.w3.org/2000/svg}"


def texts(drawn: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(drawn).iter(f"{SVG}text")]


def test_bars_are_as_long_as_their_values_and_say_them() -> None:
    drawn = bar_chart(
        "A <title> & more", "µs", ["then", "now"], [Bar("a & b", [10.0, 5.0]), Bar("c", [None, 2500.0])], note="where"
    )
    tree = ElementTree.fromstring(drawn)
    bars = [element for element in tree.iter(f"{SVG}rect") if element.get("x") == "200"]
    widths = [float(element.get("width", "")) for element in bars]
    assert len(widths) == 3
    assert widths[2] == max(widths)
    assert widths[0] == pytest.approx(2 * widths[1], abs=0.2)
    assert {"A <title> & more", "a & b", "10 µs", "5 µs", "2,500 µs", "then", "now", "where"} <= set(texts(drawn))
    assert float((tree.get("viewBox") or "").split()[2]) >= max(200 + width for width in widths)


def test_both_schemes_have_colours_for_all_there_is() -> None:
    drawn = bar_chart("t", "s", ["x"], [Bar("a", [1.0])])
    light, dark = drawn.split("prefers-color-scheme: dark")
    for name in (".back", "text", ".quiet", ".grid", ".limit", ".c0", ".c1", ".c2", ".c3"):
        assert f"{name} {{" in light
        assert f"{name} {{" in dark
    assert "http" not in drawn.replace("http://www.w3.org/2000/svg", "")


def test_lines_rise_with_their_values_and_stay_inside() -> None:
    drawn = line_chart(
        "t", "load", "ms", [Line("p50", [(0, 0.1), (100, 1.0)]), Line("p99", [(0, 1.0), (100, 900.0)])], limit=20.0
    )
    tree = ElementTree.fromstring(drawn)
    _, _, width, height = map(float, (tree.get("viewBox") or "").split())
    lines = [
        [tuple(map(float, point.split(","))) for point in (line.get("points") or "").split()]
        for line in tree.iter(f"{SVG}polyline")
    ]
    assert [line[0][1] > line[1][1] for line in lines] == [True, True]
    assert all(0 < x < width and 0 < y < height for line in lines for x, y in line)
    assert {"0.1", "1", "10", "100", "1,000", "load", "ms", "p50", "p99"} <= set(texts(drawn))


def test_what_cannot_be_drawn() -> None:
    with pytest.raises(ValueError, match="nothing to draw"):
        line_chart("t", "x", "y", [])
    with pytest.raises(ValueError, match="one value for each series"):
        bar_chart("t", "s", ["a", "b"], [Bar("x", [1.0])])


def test_values_that_are_all_zero_are_drawn() -> None:
    assert "0 ms" in bar_chart("t", "ms", ["a"], [Bar("x", [0.0])])
    assert ElementTree.fromstring(line_chart("t", "x", "y", [Line("a", [(0, 0.0)])])) is not None
