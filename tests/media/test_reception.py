"""Receiver reports about a client's stream (RFC 3550, appendices A.1, A.3, A.8)."""

from __future__ import annotations

import random

import pytest

from server.media.reception import Reception

SSRC = 0xBEEF


class Stream:
    """Sends every 20 ms; what is lost is not fed, what is late is fed later."""

    def __init__(self, *, sequence: int = 10, timestamp: int = 1_000, ssrc: int = SSRC) -> None:
        self.reception = Reception()
        self.ssrc = ssrc
        self.sequence, self.timestamp, self.now = sequence, timestamp, 5.0

    def send(self, count: int = 1, *, delay: float = 0.0, lost: bool = False) -> None:
        for _ in range(count):
            if not lost:
                self.reception.packet(self.ssrc, self.sequence & 0xFFFF, self.timestamp & 0xFFFFFFFF, self.now + delay)
            self.sequence, self.timestamp, self.now = self.sequence + 1, self.timestamp + 960, self.now + 0.02


def test_nothing_is_reported_before_the_first_packet() -> None:
    assert Reception().report(0, 0) is None
    assert Reception().expected == 0


def test_loss_is_a_share_of_this_span_and_a_sum_of_all() -> None:
    stream = Stream()
    stream.send(90)
    stream.send(10, lost=True)
    stream.send(1)
    report = stream.reception.report(17, 18)
    assert report is not None
    assert (report.ssrc, report.fraction_lost, report.packets_lost) == (SSRC, 10 * 256 // 101, 10)
    assert (report.highest_sequence, report.lsr, report.dlsr) == (10 + 100, 17, 18)
    stream.send(100)
    report = stream.reception.report(0, 0)
    assert report is not None
    assert (report.fraction_lost, report.packets_lost) == (0, 10)


def test_sequence_numbers_wrap_around_and_late_packets_are_no_loss() -> None:
    stream = Stream(sequence=65_500, timestamp=0xFFFFFFFF - 5 * 960)
    stream.send(50)
    late = (stream.sequence & 0xFFFF, stream.timestamp & 0xFFFFFFFF)
    stream.send(1, lost=True)
    stream.send(50)
    stream.reception.packet(SSRC, *late, stream.now)
    report = stream.reception.report(0, 0)
    assert report is not None
    assert (report.highest_sequence, report.packets_lost) == (65_600, 0)
    assert (stream.reception.expected, stream.reception.received) == (101, 101)


def test_duplicates_make_up_for_loss_as_the_rfc_has_it() -> None:
    stream = Stream()
    stream.send(10)
    for _ in range(3):
        stream.reception.packet(SSRC, (stream.sequence - 1) & 0xFFFF, stream.timestamp - 960, stream.now)
    report = stream.reception.report(0, 0)
    assert report is not None
    assert (report.fraction_lost, report.packets_lost) == (0, -3)


def test_jitter_of_an_even_stream_is_nothing_and_of_an_uneven_one_its_mean_deviation() -> None:
    stream = Stream()
    stream.send(200, delay=0.05)
    assert stream.reception.jitter_ticks <= 1
    for n in range(400):
        stream.send(1, delay=0.01 * (n % 2))
    assert stream.reception.jitter_ticks == pytest.approx(480, rel=0.05)


def test_jitter_is_that_of_the_formula() -> None:
    rng = random.Random(4)
    stream, expected, before = Stream(), 0.0, None
    for _ in range(500):
        delay = rng.uniform(0, 0.03)
        stream.send(1, delay=delay)
        if before is not None:
            expected += (abs(delay - before) * 48_000 - expected) / 16
        before = delay
    assert stream.reception.jitter_ticks == pytest.approx(expected, rel=0.02, abs=2)


def test_a_clock_that_was_set_is_no_jitter() -> None:
    stream = Stream()
    stream.send(100)
    stream.timestamp += 48_000 * 3600
    stream.send(100)
    assert stream.reception.jitter_ticks <= 1


def test_a_new_ssrc_begins_anew_and_sums_go_on() -> None:
    stream = Stream()
    stream.send(20)
    stream.send(5, lost=True)
    stream.send(1)
    stream.ssrc, stream.sequence = 0xF00D, 40_000
    stream.send(10)
    report = stream.reception.report(0, 0)
    assert report is not None
    assert (report.ssrc, report.packets_lost, report.fraction_lost, report.highest_sequence) == (0xF00D, 0, 0, 40_009)
    assert (stream.reception.expected, stream.reception.received) == (36, 31)


def test_a_jump_of_the_sequence_number_is_a_restart_not_loss() -> None:
    stream = Stream()
    stream.send(20)
    stream.sequence += 20_000
    stream.send(20)
    assert (stream.reception.expected, stream.reception.received) == (40, 40)
