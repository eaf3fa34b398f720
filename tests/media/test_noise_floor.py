"""The room behind a voice."""

from __future__ import annotations

import random

import pytest

from server.media.noise_floor import NO_FLOOR, NoiseFloor
from server.media.speaking import SpeakingRules

PACKET = 960
WINDOW = 48_000 * 5


def feed(floor: NoiseFloor, *levels: int) -> int:
    for level in levels:
        floor.packet(PACKET, level)
    return floor.floor


def noise(seconds: float, seed: int = 1) -> list[int]:
    rng = random.Random(seed)
    return [round(min(40, max(33, rng.gauss(37.6, 1.3)))) for _ in range(int(seconds * 50))]


def test_a_stream_that_begins_with_sound_has_a_floor_after_five_packets() -> None:
    floor = NoiseFloor(WINDOW)
    assert feed(floor, *noise(0.08)) == NO_FLOOR
    assert 35 <= feed(floor, *noise(0.1)) <= 40


def test_the_floor_is_the_noise_between_words() -> None:
    floor = NoiseFloor(WINDOW)
    for seed in range(10):
        feed(floor, *[23] * 60, *noise(0.2, seed))
    assert 37 <= floor.floor <= 40


def test_a_quieter_moment_counts_at_once_and_for_the_window() -> None:
    floor = NoiseFloor(WINDOW)
    feed(floor, *[40] * 300)
    assert feed(floor, *[70] * 20) >= 69
    assert feed(floor, *[40] * 200) >= 69
    assert feed(floor, *[40] * 80) == 40


def test_one_odd_packet_is_no_quiet_moment() -> None:
    floor = NoiseFloor(WINDOW)
    feed(floor, *[38] * 300)
    assert feed(floor, 60, *[38] * 5) <= 44


def test_a_client_that_sends_digital_silence_has_no_floor() -> None:
    floor = NoiseFloor(WINDOW)
    for _ in range(20):
        assert feed(floor, *[127] * 30) == NO_FLOOR
        assert feed(floor, *[35] * 40) == NO_FLOOR or floor.floor >= 35
    assert floor.floor == NO_FLOOR


def test_silence_while_a_microphone_opens_says_nothing() -> None:
    floor = NoiseFloor(WINDOW)
    feed(floor, *[127] * 10)
    assert 35 <= feed(floor, *noise(0.2)) <= 40


def test_a_stream_that_begins_with_silence_is_gated() -> None:
    """Its first sound is a voice, which must not be taken for a room."""
    floor = NoiseFloor(WINDOW)
    feed(floor, *[127] * 20)
    assert feed(floor, *[35] * 200) == NO_FLOOR


def test_a_room_that_is_known_is_remembered_over_muting() -> None:
    floor = NoiseFloor(WINDOW)
    feed(floor, *noise(6))
    known = floor.floor
    assert feed(floor, *[127] * 500) == known
    assert feed(floor, *noise(1)) == pytest.approx(known, abs=1)


@pytest.mark.parametrize(
    ("floor", "limit"),
    [(NO_FLOOR, 50), (75, 50), (58, 50), (57, 49), (39, 31), (36, 30), (20, 30)],
)
def test_the_limit_follows_the_floor_within_bounds(floor: int, limit: int) -> None:
    rules = SpeakingRules(threshold_dbov=50, noise_margin_db=8, always_dbov=30)
    assert rules.limit(floor) == limit
