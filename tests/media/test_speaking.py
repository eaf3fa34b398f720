"""Talk-spurts from levels, in RTP time."""

from __future__ import annotations

import random

import pytest

from server.media.speaking import SpeakingDetector, SpeakingRules, display_level

PACKET = 960  # 20 ms at 48 kHz
LOUD, QUIET = 20, 127


def ms(ticks: int) -> float:
    return ticks / 48


class Script:
    """Feeds a detector packet by packet; `spurts` collects (start, end) in milliseconds."""

    def __init__(self, rules: SpeakingRules | None = None) -> None:
        self.detector = SpeakingDetector(rules or SpeakingRules())
        self.now = 0
        self.onsets: list[float] = []
        self.spurts: list[tuple[float, float]] = []

    def send(self, level: int, duration_ms: int) -> None:
        for _ in range(duration_ms // 20):
            if self.detector.packet(self.now, PACKET, level):
                self.onsets.append(ms(self.now))
            self.now += PACKET
            self.tick()

    def pause(self, duration_ms: int) -> None:
        """No packets at all, as with DTX or a dead network; the clock goes on."""
        for _ in range(duration_ms // 20):
            self.now += PACKET
            self.tick()

    def tick(self) -> None:
        spurt = self.detector.tick(self.now)
        if spurt is not None:
            self.spurts.append((ms(spurt.start), ms(spurt.end)))


def test_speech_between_silences_is_measured_to_the_packet() -> None:
    script = Script()
    for _ in range(4):
        script.send(QUIET, 1000)
        script.send(LOUD, 3000)
    script.send(QUIET, 1000)
    assert script.spurts == [(1000, 4000), (5000, 8000), (9000, 12000), (13000, 16000)]
    assert ms(script.detector.total_ticks) == 12_000


def test_the_start_is_noticed_with_the_second_loud_packet_and_dated_back_to_the_first() -> None:
    script = Script()
    script.send(QUIET, 100)
    script.send(LOUD, 60)
    assert script.onsets == [120]
    assert ms(script.detector.total_ticks) == 60


def test_the_end_is_noticed_after_the_hang_over_which_is_not_counted() -> None:
    script = Script(SpeakingRules(hangover_ms=400))
    script.send(LOUD, 200)
    script.send(QUIET, 380)
    assert script.spurts == []
    script.send(QUIET, 20)
    assert script.spurts == [(0, 200)]
    assert ms(script.detector.total_ticks) == 200


def test_a_pause_shorter_than_the_hang_over_belongs_to_the_spurt() -> None:
    script = Script()
    script.send(LOUD, 500)
    script.send(QUIET, 300)
    script.send(LOUD, 500)
    script.send(QUIET, 500)
    assert script.spurts == [(0, 1300)]


def test_silence_without_packets_ends_a_spurt_too() -> None:
    script = Script()
    script.send(LOUD, 500)
    script.pause(400)
    assert script.spurts == [(0, 500)]


def test_one_loud_packet_alone_is_a_click_not_speech() -> None:
    script = Script()
    for _ in range(10):
        script.send(LOUD, 20)
        script.send(QUIET, 200)
    assert script.onsets == []
    assert script.detector.total_ticks == 0


def test_two_clicks_with_nothing_sent_between_them_are_not_speech() -> None:
    script = Script()
    script.send(LOUD, 20)
    script.pause(1000)
    script.send(LOUD, 20)
    assert script.onsets == []


@pytest.mark.parametrize(("level", "speaks"), [(50, True), (51, False), (0, True), (127, False)])
def test_the_threshold_itself_is_loud(level: int, speaks: bool) -> None:
    script = Script(SpeakingRules(threshold_dbov=50))
    script.send(level, 100)
    assert script.detector.speaking is speaks


def test_stopping_ends_the_spurt_at_its_last_loud_packet() -> None:
    script = Script()
    script.send(LOUD, 400)
    script.send(QUIET, 100)
    spurt = script.detector.stop()
    assert spurt is not None
    assert ms(spurt.ticks) == 400
    assert script.detector.stop() is None
    script.send(LOUD, 40)
    assert ms(script.detector.total_ticks) == 440


def test_reordered_packets_change_nothing() -> None:
    rng = random.Random(7)
    packets = [(n * PACKET, LOUD if 50 <= n < 200 else QUIET) for n in range(300)]
    shuffled = sorted(packets, key=lambda p: p[0] + rng.choice((0, PACKET + 1)))
    assert shuffled != packets
    detector = SpeakingDetector(SpeakingRules())
    newest = 0
    for timestamp, level in shuffled:
        detector.packet(timestamp, PACKET, level)
        newest = max(newest, timestamp)
        detector.tick(newest)
    assert ms(detector.total_ticks) == 3000


@pytest.mark.parametrize("loss", [0.05, 0.10])
def test_lost_packets_cost_less_than_one_percent(loss: float) -> None:
    rng = random.Random(11)
    detector = SpeakingDetector(SpeakingRules())
    for n in range(3000):  # 60 s: 3 s of speech, 2 s of silence
        loud = n % 250 < 150
        if rng.random() >= loss:
            detector.packet(n * PACKET, PACKET, LOUD if loud else QUIET)
        detector.tick(n * PACKET)
    assert ms(detector.total_ticks) == pytest.approx(36_000, rel=0.01)


def test_the_peak_is_the_loudest_since_it_was_asked_for() -> None:
    detector = SpeakingDetector(SpeakingRules())
    for level in (60, 12, 30):
        detector.packet(0, PACKET, level)
    assert detector.take_peak() == 12
    assert detector.take_peak() == 127


@pytest.mark.parametrize(("dbov", "shown"), [(0, 1.0), (30, 0.5), (60, 0.0), (127, 0.0)])
def test_display_levels_are_linear_in_decibels(dbov: int, shown: float) -> None:
    assert display_level(dbov) == shown


def test_a_spurt_knows_its_loudest_and_its_mean_level_of_loud_packets_alone() -> None:
    script = Script()
    script.send(10, 20)  # a click some time before, which is not part of it
    script.pause(1000)
    script.send(30, 100)
    script.send(20, 100)
    assert (script.detector.spurt.peak_dbov, script.detector.spurt.mean_dbov) == (20, 23), "half of the time a tenth of the power"
    script.send(QUIET, 300)
    spurt = script.detector.stop()
    assert spurt is not None
    assert (ms(spurt.ticks), spurt.peak_dbov, spurt.mean_dbov) == (200, 20, 23)
    assert script.detector.spurt == spurt
