"""The commands, small, against a real server in a process of its own."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from bench import contest
from bench.__main__ import main
from bench.garbage import random_datagram
from bench.others.janus import NotInstalled
from bench.shapes import Shape
from server.capacity import packet_limit
from server.config import Settings


@pytest.mark.slow
def test_media(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "media.json"
    assert main(["media", "--rooms", "2", "--size", "3", "--speakers", "2", "--seconds", "1", "--json", str(file)]) == 0
    table = capsys.readouterr().out
    results = json.loads(file.read_text())
    assert "2 rooms of 3, 2 speak" in table
    assert results["sent"] > 200
    assert results["expected"] == 2 * results["sent"]
    assert results["received"] == results["expected"]
    assert results["server_media"]["packets_in"] == results["sent"]
    assert results["server_media"]["packets_out"] == results["received"]
    assert (results["unreadable"], results["strays"], results["late"], results["gaps"]) == (0, 0, 0, 0)
    assert results["datagram_bytes"] == 12 + 80 + 16
    assert results["profile"] == "SRTP_AEAD_AES_256_GCM"
    assert len(results["rounds"]) == 3
    assert results["summary"]["ratio"] > 0


@pytest.mark.slow
def test_garbage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "garbage.json"
    assert main(["garbage", "--count", "5000", "--json", str(file)]) == 0
    assert "a newcomer got in  yes" in capsys.readouterr().out
    results = json.loads(file.read_text())
    assert results["answers"] == 0
    assert results["counters"]["malformed"] + results["counters"]["unauthenticated"] > 4000


@pytest.mark.slow
def test_the_highest_load_is_looked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, picture = tmp_path / "limit.json", tmp_path / "limit.svg"
    arguments = [
        "media",
        "--find",
        "--rooms",
        "2",
        "--size",
        "3",
        "--seconds",
        "1",
        "--json",
        str(file),
        "--picture",
        str(picture),
    ]
    status = main(arguments)
    results = json.loads(file.read_text())
    assert status == (0 if results["best"] else 1)
    assert results["steps"][0]["units"] == 2
    assert results["arguments"] == arguments[:8]
    assert picture.read_text().startswith("<svg")
    assert "packets" in capsys.readouterr().out


@pytest.mark.slow
def test_an_audience(tmp_path: Path) -> None:
    file = tmp_path / "media.json"
    assert main(["media", "--shape", "audience", "--size", "8", "--seconds", "1", "--json", str(file)]) == 0
    results = json.loads(file.read_text())
    assert results["received"] == results["expected"] == 7 * results["sent"] > 0


@pytest.mark.slow
def test_pauses_are_no_part_of_what_is_expected(tmp_path: Path) -> None:
    file = tmp_path / "media.json"
    assert main(["media", "--shape", "dtx", "--rooms", "1", "--size", "4", "--seconds", "1", "--json", str(file)]) == 0
    results = json.loads(file.read_text())
    assert results["expected"] == 3 * results["sent"] > 0
    assert results["received"] == results["expected"]


@pytest.mark.slow
def test_joins(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "joins.json"
    sizes = ["--rate", "20", "--seconds", "0.5", "--storm", "12", "--cycles", "20"]
    assert main(["joins", *sizes, "--json", str(file), "--picture", str(tmp_path / "joins.svg")]) == 0
    assert "12 joins, all at once: 12 succeeded" in capsys.readouterr().out
    results = json.loads(file.read_text())
    assert results["steady"]["phases"]["total"]["p95"] > 0
    assert results["leaks"]["after"]["transports"] == 0
    assert results["leaks"]["after"]["descriptors"] <= results["leaks"]["before"]["descriptors"]


@pytest.mark.slow
def test_a_join_into_a_crowd(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "joins.json"
    assert main(["joins", "--rate", "0", "--storm", "0", "--cycles", "0", "--crowd", "5", "--json", str(file)]) == 0
    assert "a join into a room of 8 costs" in capsys.readouterr().out
    assert json.loads(file.read_text())["crowd"]["full"]["p50_ms"] > 0


@pytest.mark.slow
def test_rest(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "rest.json"
    assert main(["rest", "--sessions", "200", "--rate", "20", "--seconds", "1", "--json", str(file)]) == 0
    assert "200 sessions stored" in capsys.readouterr().out
    results = json.loads(file.read_text())
    assert results["times"]["join"]["asked"] == results["times"]["leave (roll-back)"]["asked"] == 20
    assert results["write_p99_ms"] > 0


@pytest.mark.slow
def test_janus_runs_or_is_left_out_loudly(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "peers.json"
    assert main(["peers", "--rooms", "1", "--size", "3", "--seconds", "1.5", "--no-relay", "--json", str(file)]) == 0
    told, results = capsys.readouterr().out, json.loads(file.read_text())
    if results["skipped"]:
        assert "SKIPPED: Janus" in told
    else:
        [(ours, other)] = results["pairs"]
        assert other["packets_per_second"] == pytest.approx(ours["packets_per_second"], rel=0.5)
        assert "ours to Janus" in told


@pytest.mark.slow
def test_the_relay(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["peers", "--no-janus", "--relay-size", "2", "--seconds", "1.5", "--json", str(tmp_path / "peers.json")]) == 0
    assert "ours to aiortc MediaRelay" in capsys.readouterr().out


@pytest.mark.slow
def test_capacity_is_written_where_the_server_reads_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "capacity.json"
    assert main(["capacity", "--rooms", "2", "--seconds", "1", "--file", str(file)]) == 0
    assert str(file) in capsys.readouterr().out
    assert packet_limit(Settings(data_dir=tmp_path)) == json.loads(file.read_text())["packets_per_second"]


def test_janus_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(contest, "_against_janus", _not_installed)
    assert main(["peers", "--no-relay"]) == 0
    assert "SKIPPED: Janus: nothing here" in capsys.readouterr().out


async def _not_installed(shape: Shape, event_loops: int) -> None:
    raise NotInstalled("nothing here")


@pytest.mark.parametrize(
    "arguments",
    [
        ["media", "--speakers", "11"],
        ["garbage", "--count", "0"],
        ["joins", "--storm", "-1"],
        ["rest", "--sessions", "-1"],
        ["compare", "/nowhere", "--tolerance", "0.1"],
    ],
)
def test_a_senseless_command_says_why(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert capsys.readouterr().err.startswith("bench: ")


def test_no_command_tells_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    told = capsys.readouterr().out
    for command in ("media", "joins", "rest", "peers", "compare", "capacity", "garbage"):
        assert command in told


def test_garbage_has_all_shapes() -> None:
    rng = random.Random(1)
    made = [random_datagram(rng) for _ in range(5000)]
    assert {len(data) for data in made} == {0, 1, 4, 12, 20, 28, 60, 108, 300, 1400}
    assert {0x00, 0x16, 0x80, 0x90, 0xFF} <= {data[0] for data in made if data}
    assert any(data[:2] == b"\x80\xc8" for data in made)
    stun = [data for data in made if data[4:8] == b"\x21\x12\xa4\x42"]
    assert stun
    assert all(int.from_bytes(data[2:4], "big") == len(data) - 20 for data in stun)
