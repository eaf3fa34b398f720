"""Whether a version got worse."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from bench.__main__ import main
from bench.compare import compare, comparison_table, figures

MEDIA: dict[str, Any] = {
    "benchmark": "media",
    "shape": {"rooms": 5, "seconds": 10.0},
    "summary": {"ratio": 1.8, "delay_p50_us": 120.0, "delay_p99_us": 700.0, "loss": 0.0},
    "kib_a_participant": 130.0,
}
LIMIT: dict[str, Any] = {
    "benchmark": "limit",
    "shape": {"rooms": 40, "seconds": 2.0},
    "summary": {"packets_per_second": 100_000.0, "kernel_us_per_packet": 4.0, "ratio": 1.7},
}
JOINS: dict[str, Any] = {
    "benchmark": "joins",
    "options": {"rate": 20.0},
    "summary": {"kernel_us_per_packet": 5.0},
    "steady": {"phases": {"total": {"p95": 40.0}}, "failed": 0, "asked": 200},
    "storm": None,
    "leaks": {"bytes_a_cycle": 20.0},
}
REST: dict[str, Any] = {
    "benchmark": "rest",
    "options": {"sessions": 10_000},
    "summary": {"kernel_us_per_packet": 5.0},
    "times": {"join": {"p99": 10.0}},
    "write_p99_ms": 4.0,
}
PEERS: dict[str, Any] = {"benchmark": "peers", "shapes": [{"rooms": 5, "seconds": 9.0}], "summary": {"ratios": {"Janus": 0.5}}}


def changed(result: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A copy; `a__b` is a field in a field."""
    copy = deepcopy(result)
    for path, value in changes.items():
        *way, last = path.split("__")
        place = copy
        for name in way:
            place = place[name]
        place[last] = value
    return copy


def worse(old: dict[str, Any], new: dict[str, Any], tolerance: float = 0.15) -> list[str]:
    return [entry.name for entry in compare(old, new, tolerance) if entry.is_worse]


@pytest.mark.parametrize("result", [MEDIA, LIMIT, JOINS, REST, PEERS], ids=lambda result: result["benchmark"])
def test_the_same_is_not_worse(result: dict[str, Any]) -> None:
    assert figures(result)
    assert worse(result, result, 0.0) == []


@pytest.mark.parametrize(
    ("old", "new", "name"),
    [
        (MEDIA, changed(MEDIA, summary__ratio=2.2), "CPU a packet / kernel's share"),
        (MEDIA, changed(MEDIA, summary__delay_p99_us=12_000.0), "delay p99, µs"),
        (MEDIA, changed(MEDIA, summary__loss=0.01), "loss"),
        (MEDIA, changed(MEDIA, kib_a_participant=200.0), "KiB a participant"),
        (LIMIT, changed(LIMIT, summary__packets_per_second=80_000.0), "highest load x kernel's share"),
        (JOINS, changed(JOINS, steady__phases__total__p95=60.0), "steady: join until heard p95 / kernel's share"),
        (JOINS, changed(JOINS, steady__failed=3), "steady: share that failed"),
        (JOINS, changed(JOINS, leaks__bytes_a_cycle=9000.0), "bytes left behind by a join"),
        (REST, changed(REST, times__join__p99=20.0), "join p99 / kernel's share"),
        (PEERS, changed(PEERS, summary__ratios__Janus=0.7), "CPU a packet / that of Janus"),
    ],
)
def test_each_figure_can_get_worse(old: dict[str, Any], new: dict[str, Any], name: str) -> None:
    assert worse(old, new) == [name]
    assert worse(new, old) == []


def test_a_slower_machine_is_no_slower_version() -> None:
    slower = changed(REST, summary__kernel_us_per_packet=10.0, times__join__p99=20.0, write_p99_ms=8.0)
    assert worse(REST, slower) == []
    assert worse(LIMIT, changed(LIMIT, summary__kernel_us_per_packet=8.0, summary__packets_per_second=50_000.0)) == []


def test_delays_of_a_quiet_machine_do_not_get_worse_by_doubling() -> None:
    assert worse(MEDIA, changed(MEDIA, summary__delay_p50_us=240.0, summary__delay_p99_us=1400.0)) == []


def test_time_measured_is_no_part_of_the_load() -> None:
    assert worse(MEDIA, changed(MEDIA, shape__seconds=3.0)) == []
    with pytest.raises(ValueError, match="different loads"):
        compare(MEDIA, changed(MEDIA, shape__rooms=6), 0.1)


def test_what_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match="cannot be compared with"):
        compare(MEDIA, REST, 0.1)
    with pytest.raises(ValueError, match="'garbage' cannot be compared"):
        figures({"benchmark": "garbage"})
    with pytest.raises(ValueError, match="not complete"):
        figures({"benchmark": "media"})


def test_the_table_has_a_verdict_for_each() -> None:
    table = comparison_table(compare(MEDIA, changed(MEDIA, summary__ratio=2.7, kib_a_participant=90.0), 0.15), 0.15)
    assert "+50.0%  WORSE" in table
    assert "better" in table
    assert "the same" in table


@pytest.mark.parametrize(("ratio", "status"), [(1.8, 0), (2.05, 0), (2.2, 1)])
def test_the_command_ends_with_1_where_it_got_worse(tmp_path: Path, ratio: float, status: int) -> None:
    old, new, out = tmp_path / "old.json", tmp_path / "new.json", tmp_path / "out.json"
    old.write_text(json.dumps(MEDIA))
    new.write_text(json.dumps(changed(MEDIA, summary__ratio=ratio)))
    assert main(["compare", str(old), str(new), "--json", str(out)]) == status
    assert len(json.loads(out.read_text())["compared"]) == 5


@pytest.mark.parametrize(
    ("text", "complaint"),
    [("{", "is no JSON"), ("[]", "is no result"), ('{"benchmark": "media"}', "does not say how it came about")],
)
def test_files_that_are_no_results(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, complaint: str) -> None:
    file = tmp_path / "old.json"
    file.write_text(text)
    assert main(["compare", str(file)]) == 2
    assert complaint in capsys.readouterr().err
