"""What is made of single measurements: joins, requests, memory, capacity, contests."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench.capacity import capacity, write
from bench.contest_report import ContestReport, Result, contest_table
from bench.crowd import CrowdReport, JoinCost
from bench.joins import PHASES, Burst, Entry, JoinOptions, JoinsReport, joins_table
from bench.kernel_share import Share
from bench.leaks import LeakReport, Sample, slope
from bench.limit import LimitReport, limit_table
from bench.pictures import draw_contest, draw_joins, draw_limit, draw_media, draw_rest
from bench.population import MemoryPoint, kib_a_participant
from bench.rest import RestOptions, RestReport, Times, rest_table
from bench.search import EndedBy
from bench.shapes import SHAPES
from tests.bench.test_report import GENERATOR, REPORT
from tests.bench.test_search import step

NOW = datetime(2026, 2, 13, 17, 30, tzinfo=UTC)
ENTRIES = [Entry((1.0, 2.0, 3.0, 4.0, 5.0, 15.0 + number)) for number in range(100)]
BURST = Burst.of([*ENTRIES, Entry((), "RestError: 503 Server at capacity")], 5.0, 1_000_000_000, 2_000_000_000)
SAMPLE = Sample(0, 14, 6, 0, 100_000)
LEAKS = LeakReport(1000, 20.0, SAMPLE, replace(SAMPLE, cycles=1000, resident_kib=101_000), [SAMPLE], 12.0)
CROWD = CrowdReport(503, 0.05, JoinCost(8.0, 10.0, 12.0), JoinCost(20.0, 30.0, 40.0))
JOINS = JoinsReport(JoinOptions(), BURST, None, LEAKS, CROWD, 5.0)
LIMIT = LimitReport(
    SHAPES["talk"], [step(2), step(4, p99_us=30_000.0)], step(2), EndedBy.SERVER, Share(100, 10, 400_000, 1, 0), 140.0, GENERATOR
)
REST = RestReport(RestOptions(), 8_000_000, 10.0, {"join": Times.of([1.0, 2.0, 3.0], 0)}, 0.5, 4.0, 0.2, 5.0)
OURS = Result("Weltenstimme", "SRTP_AEAD_AES_256_GCM", 22_500.0, 22_500.0, 8.0, 0.18, 0.0, 100.0, 700.0, 900.0, 0.3, 0.0)
JANUS = replace(OURS, name="Janus", us_per_packet=16.0)
RELAY = replace(OURS, name="aiortc MediaRelay", us_per_packet=1600.0, p50_us=None, p99_us=None, max_us=None)
CONTEST = ContestReport([SHAPES["talk"], SHAPES["talk"]], [(OURS, JANUS), (OURS, RELAY)], 5.0, {"Other": "is not installed"})


def test_joins_are_told_phase_by_phase() -> None:
    assert BURST.phases["rest"] == {"p50": 1.0, "p95": 1.0, "p99": 1.0}
    assert BURST.phases["total"] == {"p50": 65.0, "p95": 110.0, "p99": 114.0}
    assert tuple(BURST.phases) == PHASES
    assert (BURST.asked, BURST.failed, BURST.first_failure) == (101, 1, "RestError: 503 Server at capacity")
    assert (BURST.server_cpu, BURST.generator_cpu) == (0.2, 0.4)
    table = joins_table(JOINS)
    for expected in ("100 succeeded", "FAILED: 1, the first with RestError", "110.0 ms", "14 before", "2.50 times"):
        assert expected in table
    assert not JOINS.is_well
    assert json.loads(json.dumps(JOINS.as_json()))["summary"]["steady"]["p95"] == 110.0


def test_nobody_who_got_in_is_nothing_measured() -> None:
    burst = Burst.of([Entry((), "no")], 1.0, 0, 0)
    assert burst.phases["total"]["p95"] == 0.0
    assert burst.failed == 1


@pytest.mark.parametrize("change", [{"rate": -1.0}, {"storm": 10_000}, {"cycles": -1}, {"crowd": 5000}])
def test_senseless_joins(change: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="0 to"):
        JoinOptions(**change)  # type: ignore[arg-type]


def test_memory_is_the_slope_of_what_was_seen() -> None:
    points = [MemoryPoint(people, 80_000 + 140 * people) for people in (10, 20, 30, 40)]
    assert kib_a_participant(points) == pytest.approx(140)
    assert kib_a_participant(points[:2]) is None
    assert kib_a_participant(points[:3]) == pytest.approx(140)
    assert slope([(0.0, 1.0), (10.0, 21.0)]) == pytest.approx(2.0)
    assert slope([(5.0, 1.0), (5.0, 9.0)]) == 0.0


def test_the_limit_is_a_share_of_what_held(tmp_path: Path) -> None:
    found = capacity(LIMIT, 0.8, NOW)
    assert (found["packets_per_second"], found["highest_packets_per_second"], found["ended_by"]) == (7200, 9000, "server")
    assert found["measured_at"] == "2026-02-13T17:30:00Z"
    file = tmp_path / "new folder" / "capacity.json"
    write(found, file)
    write(found, file)
    assert json.loads(file.read_text()) == found
    assert [path.name for path in file.parent.iterdir()] == ["capacity.json"]
    with pytest.raises(ValueError, match="share"):
        capacity(LIMIT, 1.5, NOW)
    with pytest.raises(ValueError, match="not even the smallest"):
        capacity(replace(LIMIT, best=None), 0.8, NOW)


def test_the_table_of_a_limit_says_what_ended_it() -> None:
    table = limit_table(LIMIT)
    assert "DOES NOT HOLD" in table
    assert "9,000 packets/s out" in table
    assert "ratio 2.00" in table
    assert "THE GENERATOR WAS THE LIMIT" not in table
    assert "THE GENERATOR WAS THE LIMIT" in limit_table(replace(LIMIT, ended_by=EndedBy.GENERATOR))
    assert "no load held" in limit_table(replace(LIMIT, best=None, kernel=None))
    assert LIMIT.as_json()["summary"]["ratio"] == pytest.approx(2.0)


def test_requests_by_kind() -> None:
    times = Times.of([3.0, 1.0, 2.0], 1)
    assert (times.asked, times.refused, times.p50, times.p99, times.longest) == (4, 1, 2.0, 3.0, 3.0)
    assert Times.of([], 2).p99 == 0.0
    assert "10,000 sessions stored (8 MB)" in rest_table(REST)
    assert REST.is_well
    assert "REFUSED: 1" in rest_table(replace(REST, times={"join": times}))
    with pytest.raises(ValueError, match="sessions"):
        RestOptions(sessions=-1)


def test_a_contest_is_told_as_ratios() -> None:
    assert CONTEST.ratios() == {"Janus": 0.5, "aiortc MediaRelay": 0.005}
    table = contest_table(CONTEST)
    for expected in ("ours to Janus: 0.500", "it encodes anew", "SKIPPED: Other: is not installed"):
        assert expected in table
    assert json.loads(json.dumps(CONTEST.as_json()))["summary"]["ratios"]["Janus"] == 0.5


def test_everything_can_be_drawn() -> None:
    drawings = [draw_media(REPORT), draw_limit(LIMIT), draw_joins(JOINS), draw_rest(REST), draw_contest(CONTEST)]
    for drawn in drawings:
        assert ElementTree.fromstring(drawn).tag.endswith("svg")
