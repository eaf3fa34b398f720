"""Numbering of what a microphone sends."""

from __future__ import annotations

import itertools
import random

import pytest

from server.media.producer import Numbered, Producer, Silence
from server.media.speaking import SpeakingRules

SSRC = 0xCAFE


class Sender:
    """A client's RTP stream and the wall clock it is sent by."""

    def __init__(self, *, sequence: int = 100, timestamp: int = 5_000, now: float = 10.0) -> None:
        self.producer = Producer("room", "s", SpeakingRules(), now)
        self.sequence, self.timestamp, self.now = sequence, timestamp, now

    def packet(self) -> tuple[int, int, float]:
        """The next packet's sequence number, timestamp and time, 20 ms on."""
        self.sequence, self.timestamp, self.now = self.sequence + 1, self.timestamp + 960, self.now + 0.02
        return self.sequence & 0xFFFF, self.timestamp & 0xFFFFFFFF, self.now

    def send(self, count: int = 1, *, ssrc: int = SSRC) -> list[Numbered | None]:
        return [self.producer.number(ssrc, *self.packet()) for _ in range(count)]


def sequences(numbered: list[Numbered | None]) -> list[int | None]:
    return [n[0] if n is not None else None for n in numbered]


def test_numbers_begin_at_zero_and_follow_the_senders() -> None:
    sender = Sender()
    numbered = sender.send(5)
    assert sequences(numbered) == [0, 1, 2, 3, 4]
    timestamps = [n[1] for n in numbered if n is not None]
    assert [b - a for a, b in itertools.pairwise(timestamps)] == [960] * 4
    assert [n[3] for n in numbered if n is not None] == [True, False, False, False, False]


def test_sequence_numbers_and_timestamps_wrap_around() -> None:
    sender = Sender(sequence=65_530, timestamp=0xFFFFFFFF - 3 * 960)
    numbered = sender.send(20)
    assert sequences(numbered) == list(range(20))
    timestamps = [n[1] for n in numbered if n is not None]
    assert timestamps[-1] - timestamps[0] == 19 * 960


def test_loss_leaves_its_hole_so_that_receivers_see_it() -> None:
    sender = Sender()
    sender.send(3)
    for _ in range(4):
        sender.packet()
    assert sequences(sender.send(2)) == [7, 8]


def test_a_late_packet_gets_its_own_number_and_is_marked() -> None:
    sender = Sender()
    sender.send(3)
    late = sender.packet()
    sender.send(2)
    numbered = sender.producer.number(SSRC, *late)
    assert numbered is not None
    assert numbered[::2] == (3, True)
    assert sequences(sender.send(1)) == [6]


def test_a_packet_from_before_a_pause_is_too_late() -> None:
    sender = Sender()
    sender.send(3)
    late = sender.packet()
    sender.producer.pause()
    sender.send(1)
    assert sender.producer.number(SSRC, *late) is None


def test_the_same_number_twice_is_dropped() -> None:
    sender = Sender()
    sender.send(1)
    again = sender.packet()
    assert sender.producer.number(SSRC, *again) is not None
    assert sender.producer.number(SSRC, *again) is None


def test_what_is_dropped_on_purpose_leaves_no_hole_and_time_goes_on() -> None:
    sender = Sender()
    before = sender.send(2)[-1]
    sender.producer.pause()
    for _ in range(100):
        sender.packet()
    after = sender.send(1)[0]
    assert before is not None
    assert after is not None
    assert after[0] == before[0] + 1
    assert after[1] - before[1] == pytest.approx(101 * 960, abs=2)
    assert after[3]


def test_a_new_connection_of_the_sender_goes_on_without_a_hole() -> None:
    sender = Sender()
    sender.send(3)
    sender.producer.restart()
    sender.sequence, sender.timestamp = 40_000, 123
    assert sequences(sender.send(2, ssrc=0xBEEF)) == [3, 4]


def test_a_second_stream_is_ignored_while_the_first_one_sends() -> None:
    sender = Sender()
    sender.send(3)
    assert sequences(sender.send(1, ssrc=0xBEEF)) == [None]
    assert sequences(sender.send(1)) == [4]  # the sender's own count went on
    sender.now += 0.3
    assert sequences(sender.send(1, ssrc=0xBEEF)) == [5]


def test_a_jump_of_the_sequence_number_is_a_restart() -> None:
    sender = Sender()
    sender.send(3)
    sender.sequence += 20_000
    assert sequences(sender.send(2)) == [3, 4]


def test_a_clock_that_runs_ahead_gains_no_more_than_the_tolerance() -> None:
    sender = Sender()
    first = last = sender.send(1)[0]
    for _ in range(5_000):  # 100 s of wall clock, three times as many ticks
        sender.timestamp += 2 * 960
        last = sender.send(1)[0]
    assert first is not None
    assert last is not None
    assert (last[1] - first[1]) / 48_000 < 100 + 2.2


def test_a_clock_that_jumps_into_the_past_is_not_followed() -> None:
    sender = Sender()
    before = sender.send(3)[-1]
    sender.timestamp -= 3_600 * 48_000
    after = sender.send(1)[0]
    assert before is not None
    assert after is not None
    assert after[1] - before[1] == pytest.approx(960, abs=2)


def test_numbers_never_repeat_whatever_arrives() -> None:
    rng = random.Random(3)
    producer = Producer("room", "s", SpeakingRules(), 0.0)
    seen: set[int] = set()
    now, newest = 0.0, -1
    for _ in range(20_000):
        now += rng.random() * 0.05
        numbered = producer.number(rng.choice((1, 1, 1, 2)), rng.randrange(65_536), rng.randrange(2**32), now)
        if numbered is not None and not numbered[2]:
            assert numbered[0] > newest
            assert numbered[0] not in seen
            seen.add(numbered[0])
            newest = numbered[0]


def hear(sender: Sender, count: int, level: int | None) -> list[tuple[Silence, Numbered]]:
    """Judge and number packets as the packet path does."""
    result = []
    for _ in range(count):
        sequence, timestamp, now = sender.packet()
        silence = sender.producer.judge_silence(level, now)
        numbered = sender.producer.number(SSRC, sequence, timestamp, now, silence)
        assert numbered is not None
        result.append((silence, numbered))
    return result


def kinds(heard: list[tuple[Silence, Numbered]]) -> str:
    return "".join({Silence.NONE: "v", Silence.COMFORT: "c", Silence.KEPT: "."}[silence] for silence, _ in heard)


def test_digital_silence_is_sent_for_a_moment_and_then_stands_for_itself() -> None:
    sender = Sender()
    hear(sender, 10, 20)
    assert kinds(hear(sender, 52, 127)) == "v" * 9 + "c" + "." * 19 + "c" + "." * 19 + "c" + ".."


@pytest.mark.parametrize("level", [0, 50, 80, 126, None])
def test_whatever_can_be_heard_is_sent(level: int | None) -> None:
    sender = Sender()
    assert kinds(hear(sender, 60, level)) == "v" * 60


def test_what_is_kept_back_leaves_no_hole_and_speech_after_it_starts_a_run() -> None:
    sender = Sender()
    before = hear(sender, 10, 20)
    silent = hear(sender, 100, 127)
    after = hear(sender, 3, 20)
    sent = [numbered for silence, numbered in before + silent + after if silence is not Silence.KEPT]
    assert [n[0] for n in sent] == list(range(len(sent)))
    assert after[0][1][3]
    assert not after[1][1][3]
    assert after[0][1][1] - before[-1][1][1] == 101 * 960, "time goes on in silence"


def test_what_is_lost_in_silence_is_no_hole_but_the_start_of_a_word_is() -> None:
    sender = Sender()
    hear(sender, 10, 20)
    silent = hear(sender, 30, 127)
    sender.packet()
    sender.packet()
    silent += hear(sender, 19, 127)
    numbers = [n[0] for silence, n in silent if silence is not Silence.KEPT]
    assert numbers == list(range(10, 10 + len(numbers)))
    lost = sender.packet()
    resumed = hear(sender, 1, 20)[0][1]
    assert resumed[0] == numbers[-1] + 2
    late = sender.producer.number(SSRC, *lost)
    assert late is not None
    assert late[0] == resumed[0] - 1


def test_a_packet_from_the_silence_is_too_late_after_it() -> None:
    sender = Sender()
    hear(sender, 10, 20)
    hear(sender, 40, 127)
    silent = sender.packet()
    sender.producer.judge_silence(127, sender.now)
    hear(sender, 1, 127)
    hear(sender, 1, 20)
    assert sender.producer.number(SSRC, *silent) is None


def test_a_run_that_begins_in_silence_begins_with_its_first_sound() -> None:
    sender = Sender()
    hear(sender, 1, 20)
    hear(sender, 15, 127)
    sender.producer.restart()
    assert kinds(hear(sender, 3, 127)) == "..."
    first = hear(sender, 1, 20)[0][1]
    assert first[3]
    assert first[0] == sender.producer.last_sequence


def test_loudness_follows_the_levels_within_a_second() -> None:
    producer = Sender().producer
    for _ in range(5):
        producer.detector.packet(0, 960, 27)
        assert producer.report_level() == 27
    assert producer.loudness_db == pytest.approx(100, rel=0.1)
