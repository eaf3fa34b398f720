"""Who is heard in whose slot, and how a slot's numbers go on when its voice changes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from server.media.consumer import Consumer, Destination
from server.media.producer import Producer
from server.media.router import Endpoint, Router
from server.media.speaking import SpeakingRules

PACKET = 960


class Room:
    """A router with its clock and its announcements; slots switch on when `settle` is called."""

    def __init__(self) -> None:
        self.time = 100.0
        self.announced: list[str] = []
        self.replayed: list[Consumer] = []
        self._deferred: list[Callable[[], None]] = []
        self.router = Router("room", self)

    def now(self) -> float:
        return self.time

    def announce(self, endpoint: Endpoint) -> None:
        self.announced.append(endpoint.session_id)

    def after_announcement(self, function: Callable[[], None]) -> None:
        self._deferred.append(function)

    def replay(self, slot: Consumer) -> None:
        self.replayed.append(slot)

    def endpoint(self, name: str, slots: int = 3, *, microphone: bool = True) -> Endpoint:
        endpoint = Endpoint(name)
        if microphone:
            endpoint.producer = Producer("room", name, SpeakingRules(), self.time)
        for index in range(1, slots + 1):
            endpoint.slots[str(index)] = Consumer(
                str(index), 1000 + index, 111, first_sequence=65_000, first_timestamp=2**32 - 5_000, now=self.time
            )
        return endpoint

    def join(self, name: str, slots: int = 3, *, microphone: bool = True) -> Endpoint:
        endpoint = self.endpoint(name, slots, microphone=microphone)
        self.router.connect(endpoint, Destination(name, 1))
        self.settle()
        return endpoint

    def settle(self) -> None:
        while self._deferred:
            self._deferred.pop(0)()

    def speak(self, endpoint: Endpoint) -> None:
        producer = endpoint.producer
        assert producer is not None
        for n in range(2):
            producer.detector.packet(n * PACKET, PACKET, 10)
        producer.spoke_at = self.time
        self.router.started_speaking(producer)
        self.settle()

    def fall_silent(self, endpoint: Endpoint) -> None:
        assert endpoint.producer is not None
        endpoint.producer.detector.stop()
        endpoint.producer.spoke_at = self.time

    def packet(self, endpoint: Endpoint, sequence: int, *, after: float = 0.02) -> None:
        """The next packet of a microphone, 20 ms on."""
        producer = endpoint.producer
        assert producer is not None
        self.time += after
        numbered = producer.number(1, sequence, sequence * PACKET, self.time)
        assert numbered is not None
        producer.history.append((numbered[0], numbered[1], 0, b"voice"))


def heard(endpoint: Endpoint) -> list[str | None]:
    return [slot.producer.session_id if slot.producer is not None else None for slot in endpoint.slots.values()]


def listeners(endpoint: Endpoint) -> int:
    assert endpoint.producer is not None
    return len(endpoint.producer.fan_out)


def test_everyone_hears_everyone_else_and_nobody_themselves() -> None:
    room = Room()
    a, b, c = room.join("a"), room.join("b"), room.join("c")
    assert heard(a) == ["b", "c", None]
    assert heard(b) == ["a", "c", None]
    assert heard(c) == ["a", "b", None]
    assert [listeners(e) for e in (a, b, c)] == [2, 2, 2]


def test_slots_stay_when_others_come_and_go() -> None:
    room = Room()
    a, b = room.join("a"), room.join("b")
    room.join("c")
    room.router.disconnect(b)
    assert heard(a) == [None, "c", None]
    room.join("d")
    assert heard(a) == ["d", "c", None]


def test_who_leaves_is_heard_by_nobody_and_hears_nobody() -> None:
    room = Room()
    a, b = room.join("a"), room.join("b")
    room.router.disconnect(a)
    assert listeners(a) == 0
    assert listeners(b) == 0
    assert heard(a) == [None, None, None]
    room.router.disconnect(b)
    room.router.disconnect(b)
    assert room.router.is_empty


def test_a_change_is_announced_before_the_first_packet() -> None:
    room = Room()
    a = room.join("a")
    room.announced.clear()
    b = room.endpoint("b")
    room.router.connect(b, Destination("b", 1))
    assert sorted(room.announced) == ["a", "b"]
    assert (listeners(a), listeners(b)) == (0, 0)
    room.settle()
    assert (listeners(a), listeners(b)) == (1, 1)


def test_only_those_whose_slots_change_are_told() -> None:
    room = Room()
    room.join("a", slots=1)
    room.join("b", slots=1)
    room.announced.clear()
    room.join("c", slots=1)
    assert room.announced == ["c"]


def test_a_listener_hears_and_takes_no_slot() -> None:
    room = Room()
    a, listener = room.join("a"), room.join("listener", microphone=False)
    assert heard(a) == [None, None, None]
    assert heard(listener) == ["a", None, None]


def test_a_new_voice_takes_the_slot_of_who_was_silent_longest() -> None:
    room = Room()
    a, b, c, d = (room.join(name, slots=2) for name in "abcd")
    assert heard(d) == ["a", "b"]
    for endpoint in (a, b):
        room.time += 1
        room.speak(endpoint)
        room.fall_silent(endpoint)
    room.time += 1
    room.speak(c)
    assert heard(d) == ["c", "b"]


def test_who_speaks_is_never_displaced() -> None:
    room = Room()
    a, b, c = (room.join(name, slots=1) for name in "abc")
    assert heard(c) == ["a"]
    room.speak(a)
    room.speak(b)
    assert heard(c) == ["a"]
    room.fall_silent(a)
    room.speak(b)
    assert heard(c) == ["b"]


def test_a_freed_slot_goes_to_who_spoke_last() -> None:
    room = Room()
    a, b, c, d = (room.join(name, slots=1) for name in "abcd")
    assert heard(d) == ["a"]
    for endpoint in (b, c):
        room.time += 1
        room.speak(endpoint)
        room.fall_silent(endpoint)
    heard_before = heard(d)
    assert heard_before == ["c"]
    room.router.disconnect(c)
    room.settle()
    assert heard(d) == ["b"]
    assert heard(a) == ["b"]
    assert listeners(b) == 2


def test_more_slots_are_filled() -> None:
    room = Room()
    a = room.join("a", slots=1)
    room.join("b")
    room.join("c")
    extra = room.endpoint("x", 2)
    a.slots["2"] = extra.slots["2"]
    room.router.add_slots(a)
    assert heard(a) == ["b", "c"]
    stranger = room.endpoint("stranger")
    room.router.add_slots(stranger)
    assert heard(stranger) == [None, None, None]


def test_a_removed_slot_is_heard_no_more() -> None:
    room = Room()
    a, b = room.join("a"), room.join("b")
    a.remove_slot("1")
    assert heard(a) == [None, None]
    assert listeners(b) == 0
    a.remove_slot("2")


def test_a_moved_receiver_gets_its_packets_elsewhere_with_the_numbers_unchanged() -> None:
    room = Room()
    a, b = room.join("a"), room.join("b")
    assert a.producer is not None
    slot = b.slots["1"]
    before = a.producer.fan_out[slot]
    room.router.move(b, Destination("b", 2))
    after = a.producer.fan_out[slot]
    assert (before[-1], after[-1]) == (1, 2)
    assert before[:-1] == after[:-1]


def outgoing(endpoint: Endpoint, slot: Consumer) -> tuple[int, int]:
    """Sequence number and timestamp that the newest packet of a microphone has in a slot."""
    producer = endpoint.producer
    assert producer is not None
    _, _, sequence_offset, timestamp_offset, _, _ = producer.fan_out[slot]
    timestamp = producer.timestamp_at(producer._last_arrival)
    return (producer.last_sequence + sequence_offset) & 0xFFFF, (timestamp + timestamp_offset) & 0xFFFFFFFF


def test_numbers_of_a_slot_go_on_when_its_voice_changes() -> None:
    room = Room()
    a, b, c = (room.join(name, slots=1) for name in "abc")
    slot = c.slots["1"]
    sent: list[tuple[int, int]] = []
    for n in range(700):
        room.packet(a, n)
        sent.append(outgoing(a, slot))
        if n % 3 == 0:
            room.packet(b, 30_000 + n // 3, after=0.0)
    room.time += 1.0
    room.fall_silent(a)
    assert b.producer is not None
    b.producer.history.clear()
    room.speak(b)
    assert heard(c) == ["b"]
    for n in range(700):
        room.packet(b, 31_000 + n)
        sent.append(outgoing(b, slot))
    assert sent[0] == (65_000, sent[0][1])
    steps = [(y[0] - x[0]) & 0xFFFF for x, y in zip(sent, sent[1:], strict=False)]  # noqa: RUF007
    assert steps == [1] * (len(sent) - 1)
    ticks = [(y[1] - x[1]) & 0xFFFFFFFF for x, y in zip(sent, sent[1:], strict=False)]  # noqa: RUF007
    assert all(0 < t <= 3 * PACKET for t in ticks[:699])
    assert ticks[699] == pytest.approx(48_000, abs=4 * PACKET)  # the second of silence, and no more
    assert all(t == PACKET for t in ticks[700:])


def test_switching_an_empty_slot_on_or_off_does_nothing() -> None:
    slot = Consumer("1", 1, 111, first_sequence=0, first_timestamp=0, now=0.0)
    slot.switch_on(Destination("x", 1), 1.0)
    slot.switch_off()
    assert not slot.is_on


def test_a_voice_is_heard_from_before_it_was_noticed() -> None:
    room = Room()
    a, b, c = (room.join(name, slots=1) for name in "abc")
    slot = c.slots["1"]
    for n in range(50):
        room.packet(a, n)
        room.packet(b, n, after=0.0)
    last = outgoing(a, slot)
    room.speak(b)
    assert b.producer is not None
    assert slot in room.replayed
    assert slot.first_sequence == b.producer.last_sequence - 9, "ten packets, 200 ms, are sent on"
    _, _, sequence_offset, timestamp_offset, _, _ = b.producer.fan_out[slot]
    sequence, timestamp, _, _ = b.producer.history[0]
    assert (sequence + sequence_offset) & 0xFFFF == (last[0] + 1) & 0xFFFF
    assert (timestamp + timestamp_offset - last[1]) & 0xFFFFFFFF == PACKET, "close behind the old voice, never before it"


def test_after_a_pause_the_clock_of_a_slot_is_the_wall_clock_again() -> None:
    room = Room()
    a, b, c = (room.join(name, slots=1) for name in "abc")
    slot = c.slots["1"]
    room.packet(a, 0)
    begin, began, speaker = outgoing(a, slot)[1], room.time, a
    for turn in range(10):
        speaker = a if turn % 2 else b
        room.time += 1.0
        for n in range(20):
            room.packet(speaker, 1000 * (turn + 1) + n)
        room.speak(speaker)
        room.fall_silent(speaker)
    room.packet(speaker, 12_000)
    assert ((outgoing(speaker, slot)[1] - begin) & 0xFFFFFFFF) / 48_000 == pytest.approx(room.time - began, abs=0.21)


def speak_at(room: Room, endpoint: Endpoint, loudness_db: float) -> None:
    assert endpoint.producer is not None
    endpoint.producer.loudness_db = loudness_db
    room.speak(endpoint)


def test_where_too_many_speak_a_clearly_louder_voice_takes_over_after_a_while() -> None:
    room = Room()
    soft, loud, listener = (room.join(name, slots=1) for name in ("soft", "loud", "listener"))
    speak_at(room, soft, 80.0)
    speak_at(room, loud, 100.0)
    assert heard(listener) == ["soft"]
    room.router.rebalance()
    assert heard(listener) == ["soft"], "not within the first second"
    room.time += 1.1
    room.router.rebalance()
    assert heard(listener) == ["loud"]
    room.settle()
    assert listeners(loud) == 2


def test_two_voices_of_about_the_same_loudness_do_not_take_turns() -> None:
    room = Room()
    first, second, listener = (room.join(name, slots=1) for name in ("first", "second", "listener"))
    speak_at(room, first, 95.0)
    speak_at(room, second, 99.0)
    room.time += 10
    room.router.rebalance()
    assert heard(listener) == ["first"]


def test_an_unheard_voice_is_heard_when_another_falls_silent() -> None:
    room = Room()
    first, second, listener = (room.join(name, slots=1) for name in ("first", "second", "listener"))
    speak_at(room, first, 95.0)
    speak_at(room, second, 95.0)
    room.fall_silent(first)
    room.router.rebalance()
    assert heard(listener) == ["second"]
    room.fall_silent(second)
    room.announced.clear()
    room.router.rebalance()
    room.router.rebalance()
    assert room.announced == []


def test_balancing_does_nothing_where_everybody_is_heard_or_nobody_can_be() -> None:
    room = Room()
    a = room.join("a", slots=0)
    b = room.join("b")
    speak_at(room, a, 90.0)
    speak_at(room, b, 90.0)
    room.announced.clear()
    room.router.rebalance()
    assert room.announced == []
