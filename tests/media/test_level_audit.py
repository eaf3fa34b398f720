"""Levels that are true are left alone, those that are not are found, and neither costs much."""

from __future__ import annotations

import array
import random
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from server.media.level_audit import (
    PACKETS_TO_CONVICT,
    RUN_PACKETS,
    RUNS_REMEMBERED,
    WARM_UP_PACKETS,
    Contradiction,
    LevelSample,
    Suspicion,
    TokenBucket,
)
from server.media.level_meter import SAMPLE_EVERY_SECONDS
from server.media.opus_level import LevelDecoder
from tests.browser.speech import make_speech
from tests.media.voices import SAMPLES, Voiced, encode, quieter, read_samples, with_noise

THRESHOLD = 50
RUNS_AN_HOUR = int(3600 / SAMPLE_EVERY_SECONDS)

Way = Callable[[Sequence[Voiced], random.Random], list[Voiced]]


def as_sent(packets: Sequence[Voiced], rng: random.Random) -> list[Voiced]:
    return list(packets)


def over_a_bad_network(packets: Sequence[Voiced], rng: random.Random) -> list[Voiced]:
    """A tenth is lost, a third comes 30 ms late."""
    here = [n for n in range(len(packets)) if rng.random() >= 0.1]
    here.sort(key=lambda n: n + (1.5 if rng.random() < 0.33 else 0.0))
    return [packets[n] for n in here]


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_speech(tmp_path_factory.mktemp("speech"), utterances=4, speech_seconds=2.5, pause_seconds=1.5).path


def runs_of(packets: Sequence[Voiced]) -> list[list[LevelSample]]:
    """The runs that begin with every packet there is."""
    runs = []
    for start in range(len(packets) - RUN_PACKETS):
        decoder = LevelDecoder()
        runs.append([LevelSample(level, decoder.level(payload)) for level, payload in packets[start : start + RUN_PACKETS]])
    return runs


@pytest.mark.parametrize(
    ("bit_rate", "options", "way"),
    [
        (32_000, {}, as_sent),
        (16_000, {"fec": "1", "packet_loss": "10"}, over_a_bad_network),
        (32_000, {"dtx": "1"}, as_sent),
        (24_000, {"vbr": "off"}, over_a_bad_network),
    ],
)
def test_an_hour_of_honest_speech_is_never_flagged(recording: Path, bit_rate: int, options: dict[str, str], way: Way) -> None:
    rng = random.Random(5)
    runs = runs_of(way(encode(read_samples(recording), bit_rate, **options), rng))
    convicted = 0
    for _ in range(10):  # ten hours, each of another choice of runs
        suspicion = Suspicion(THRESHOLD)
        convicted += sum(suspicion.add(runs[rng.randrange(len(runs))]) is not None for _ in range(RUNS_AN_HOUR))
    assert convicted == 0
    # Not by luck: there is no way to choose runs so that as many false packets come together as it takes.
    most = max(sum(sample.contradiction(THRESHOLD) is not None for sample in run[WARM_UP_PACKETS:]) for run in runs)
    assert most * RUNS_REMEMBERED < PACKETS_TO_CONVICT


@pytest.mark.parametrize("change", [lambda samples: quieter(samples, 12), lambda samples: with_noise(samples, 38)])
def test_soft_voices_and_noisy_rooms_are_honest_too(recording: Path, change: Callable[[Sequence[int]], Sequence[int]]) -> None:
    samples = change(read_samples(recording)[: 48_000 * 8])
    runs = runs_of(encode(samples))  # type: ignore[arg-type]
    most = max(sum(sample.contradiction(THRESHOLD) is not None for sample in run[WARM_UP_PACKETS:]) for run in runs)
    assert most * RUNS_REMEMBERED < PACKETS_TO_CONVICT


@pytest.mark.parametrize(("bit_rate", "options"), [(32_000, {}), (24_000, {"vbr": "off"}), (16_000, {"dtx": "1"})])
def test_loud_claimed_over_silence_is_proven_by_three_runs(bit_rate: int, options: dict[str, str]) -> None:
    packets = encode(array.array("h", bytes(2 * SAMPLES * 100)), bit_rate, **options)
    suspicion = Suspicion(THRESHOLD)
    runs = runs_of([(24, payload) for _, payload in packets])
    found = [suspicion.add(run) for run in runs[:3]]
    assert found == [None, None, Contradiction.LOUD_OVER_SILENCE]
    assert suspicion.is_suspect


def test_silence_claimed_over_speech_is_proven_by_three_runs(recording: Path) -> None:
    packets = encode(read_samples(recording), 24_000, vbr="off")
    spoken = [(127, payload) for level, payload in packets if level < 40][:100]
    suspicion = Suspicion(THRESHOLD)
    found = [suspicion.add(run) for run in runs_of(spoken)[:3]]
    assert found == [None, None, Contradiction.SILENCE_OVER_SPEECH]


@pytest.mark.parametrize(
    ("claimed", "measured", "found"),
    [
        (24, 127, Contradiction.LOUD_OVER_SILENCE),
        (50, 70, Contradiction.LOUD_OVER_SILENCE),
        (50, 60, None),  # near enough
        (24, 45, None),  # softer than it says, but speech
        (127, 24, Contradiction.SILENCE_OVER_SPEECH),
        (60, 45, None),
        (60, 42, Contradiction.SILENCE_OVER_SPEECH),
        (90, 70, None),  # neither is speech
    ],
)
def test_what_contradicts(claimed: int, measured: int, found: Contradiction | None) -> None:
    assert LevelSample(claimed, measured).contradiction(THRESHOLD) is found


def test_levels_of_decoded_speech_are_those_of_the_recording(recording: Path) -> None:
    packets = encode(read_samples(recording))
    decoder = LevelDecoder()
    differences = sorted(abs(decoder.level(payload) - level) for level, payload in packets if level < THRESHOLD)
    assert differences[len(differences) // 2] <= 2
    assert differences[len(differences) * 9 // 10] <= 6


@pytest.mark.parametrize("payload", [b"\xf8", b"\xff\xff\xff", b"\x03\x00\x00", b"\xf8\xff\xfe"])
def test_nothing_to_hear_is_silence(payload: bytes) -> None:
    assert LevelDecoder().level(payload) == 127


def test_a_token_bucket_gives_what_it_is_filled_with() -> None:
    bucket = TokenBucket(0.01, 0.03, 100.0)
    assert bucket.available(100.0) == pytest.approx(0.03)
    bucket.spend(0.05)
    assert bucket.available(101.0) == pytest.approx(-0.01)
    assert bucket.available(103.0) == pytest.approx(0.01)
    assert bucket.available(1000.0) == pytest.approx(0.03)
