"""Scripted speech as packets."""

from __future__ import annotations

from bench.speech import SILENCE_LEVEL, Frame, Utterance, frames, spoken_ms

SCRIPT = [Utterance(100, 200, level=20), Utterance(1000, 60)]


def test_every_20_ms_has_a_packet_at_the_level_of_its_utterance() -> None:
    made = list(frames(SCRIPT, 1200))
    assert [frame.offset_ms for frame in made] == list(range(0, 1200, 20))
    assert [frame.offset_ms for frame in made if frame.level == 20] == list(range(100, 300, 20))
    assert [frame.offset_ms for frame in made if frame.level == 24] == [1000, 1020, 1040]
    assert {frame.level for frame in made} == {20, 24, SILENCE_LEVEL}


def test_spoken_time_is_the_sum_of_the_utterances() -> None:
    assert spoken_ms(SCRIPT) == 260
    assert 20 * sum(frame.level < SILENCE_LEVEL for frame in frames(SCRIPT, 1200)) == 260


def test_only_the_first_packet_has_the_marker_without_dtx() -> None:
    assert [frame.offset_ms for frame in frames(SCRIPT, 1200) if frame.marker] == [0]


def test_dtx_makes_of_silence_what_chromium_does() -> None:
    made = [frame for frame in frames([Utterance(0, 100), Utterance(1500, 100)], 1700, dtx=True) if frame.offset_ms >= 100]
    hangover, rest = made[:9], made[9:]
    assert [frame.offset_ms for frame in hangover] == list(range(100, 280, 20))
    assert all(frame.voice and frame.level == SILENCE_LEVEL for frame in hangover)
    paused = [frame for frame in rest if frame.dtx]
    assert [frame.offset_ms for frame in paused] == [280, 300, 680, 700, 1080, 1100, 1480]
    assert not any(frame.voice for frame in paused)


def test_the_first_packet_after_a_dtx_pause_has_the_marker() -> None:
    made = frames([Utterance(0, 100), Utterance(200, 100), Utterance(900, 100)], 1000, dtx=True)
    assert [frame.offset_ms for frame in made if frame.marker] == [0, 900]


def test_a_frame_is_a_value() -> None:
    assert next(frames([], 20)) == Frame(0, SILENCE_LEVEL, marker=True, voice=True, dtx=False)
