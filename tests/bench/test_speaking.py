"""How soon edges are seen: what counts as seen, and a small run."""

from __future__ import annotations

import itertools
import json
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.__main__ import main
from bench.speaking import Edge, Latencies, SpeakingReport, latencies, script, speaking_table


@pytest.fixture(autouse=True)
def same_cores_afterwards() -> Iterator[None]:
    """A command binds this process to a core."""
    before = os.sched_getaffinity(0)
    yield
    os.sched_setaffinity(0, before)


def test_scripts_leave_every_pause_to_be_seen() -> None:
    said, total_ms = script(20, random.Random(1))
    assert len(said) == 20
    assert said[0].start_ms >= 700
    for one, following in itertools.pairwise(said):
        assert following.start_ms - one.start_ms - one.duration_ms >= 700
    assert total_ms >= said[-1].start_ms + said[-1].duration_ms + 1000


def test_an_edge_is_seen_by_the_first_of_its_kind_before_the_next_one() -> None:
    truth = [Edge(1.0, True), Edge(2.0, False), Edge(3.0, True), Edge(4.0, False)]
    seen = [Edge(0.5, True), Edge(1.05, True), Edge(2.4, False), Edge(4.5, False)]
    found = latencies(truth, seen)
    assert [None if late is None else round(late) for late in found] == [50, 400, None, 500]


def test_the_table_says_what_was_seen() -> None:
    report = SpeakingReport(2, Latencies(4, 0, 40.0, 60.0, 70.0), Latencies(4, 1, 420.0, 430.0, 440.0), 5000, 4950)
    table = speaking_table(report)
    assert "| on | 4 | 0 | 40 ms | 60 ms | 70 ms | 150 ms |" in table
    assert "(-1.00%)" in table
    assert not report.is_well
    assert SpeakingReport(2, report.on, report.on, 5000, 5000).is_well


@pytest.mark.slow
def test_a_small_run(tmp_path: Path) -> None:
    file = tmp_path / "speaking.json"
    assert main(["speaking", "--rooms", "3", "--utterances", "2", "--json", str(file)]) == 0
    results = json.loads(file.read_text())
    assert (results["on"]["edges"], results["off"]["edges"]) == (6, 6)
    assert results["measured_ms"] == pytest.approx(results["spoken_ms"], rel=0.01)
