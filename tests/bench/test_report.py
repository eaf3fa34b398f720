"""What a run reports."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from bench.kernel_share import Share
from bench.report import GeneratorHealth, MediaReport, Round, ServerWindow, machine, media_table
from bench.shapes import SHAPES
from bench.streams import Delays

GENERATOR = GeneratorHealth(
    cpu_share=0.3, others_cpu_share=0.02, lateness=Delays(10, 1.0, 80.0, 200.0), drops=0, send_failures=0, cores_shared=False
)
WINDOW = ServerWindow(
    seconds=2.0,
    packets=45_000,
    cpu_ns=360_000_000,
    user_seconds=0.2,
    system_seconds=0.16,
    wake_ups=5000,
    delays=Delays(100, 50.0, 400.0, 900.0),
    lateness=Delays(10, 1.0, 80.0, 200.0),
    generator_cpu_ns=600_000_000,
    others_cpu_seconds=0.04,
)
REPORT = MediaReport(
    shape=SHAPES["talk"],
    profile="SRTP_AEAD_AES_256_GCM",
    rounds=[
        Round(WINDOW, Share(20_000, 2000, 100_000_000, 1_000_000_000, 0)),
        Round(WINDOW, Share(20_000, 2000, 80_000_000, 1_000_000_000, 0)),
    ],
    datagram_bytes=108,
    sent=10_000,
    expected=90_000,
    received=89_991,
    gaps=9,
    late=1,
    sampled=200,
    unreadable=0,
    strays=0,
    server_media={"packets_in": 10_000},
    resident_kib=81_920,
    kib_a_participant=140.0,
    generator=GENERATOR,
)


def test_derived_figures() -> None:
    assert REPORT.loss == pytest.approx(0.0001)
    assert REPORT.us_per_packet == 8.0
    assert REPORT.kernel_us_per_packet == 4.5
    assert [r.ratio for r in REPORT.rounds] == [1.6, 2.0]
    assert REPORT.ratio == pytest.approx(8 / 4.5)
    assert REPORT.shape.packets_in_per_second == 2500
    assert REPORT.shape.packets_out_per_second == 22_500


def test_the_table_says_what_counts() -> None:
    table = media_table(REPORT)
    for expected in (
        "5 rooms of 10",
        "22,500/s",
        "0.0100% (9 of 90000; 1 late)",
        "50 / 400 / 900 µs",
        "8.00 µs",
        "4.50 µs",
        "1.78",
    ):
        assert expected in table
    assert "DOUBTFUL" not in table


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"cpu_share": 0.95}, "95% of its core"),
        ({"lateness": Delays(10, 1.0, 7000.0, 9000.0)}, "7.0 ms late"),
        ({"others_cpu_share": 0.8}, "other processes used 80%"),
        ({"drops": 3}, "3 datagrams"),
        ({"send_failures": 4}, "4 of the generator"),
        ({"cores_shared": True}, "share one core"),
    ],
)
def test_a_generator_at_its_limit_says_so(change: dict[str, object], complaint: str) -> None:
    report = replace(REPORT, generator=replace(GENERATOR, **change))  # type: ignore[arg-type]
    assert complaint in media_table(report)
    assert report.as_json()["summary"]["complaints"]


def test_json_has_everything() -> None:
    written = json.loads(json.dumps(REPORT.as_json()))
    assert written["summary"]["ratio"] == pytest.approx(8 / 4.5)
    assert written["rounds"][0]["server"]["delays"]["p99_us"] == 400.0
    assert written["shape"]["rooms"] == 5
    assert set(written["machine"]) == set(machine())
