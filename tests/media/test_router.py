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
        self.now = 100.0
        self.announced: list[str] = []
        self._deferred: list[Callable[[], None]] = []
        self.router = Router(
            "room", lambda endpoint: self.announced.append(endpoint.session_id), self._deferred.append, lambda: self.now
        )

    def endpoint(self, name: str, slots: int = 3, *, microphone: bool = True) -> Endpoint:
        endpoint = Endpoint(name)
        if microphone:
            endpoint.producer = Producer(name, SpeakingRules(), self.now)
        for index in range(1, slots + 1):
            endpoint.slots[str(index)] = Consumer(
                str(index), 1000 + index, 111, first_sequence=65_000, first_timestamp=2**32 - 5_000, now=self.now
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
        producer.spoke_at = self.now
        self.router.started_speaking(producer)
        self.settle()

    def fall_silent(self, endpoint: Endpoint) -> None:
        assert endpoint.producer is not None
        endpoint.producer.detector.stop()
        endpoint.producer.spoke_at = self.now

    def packet(self, endpoint: Endpoint, sequence: int) -> None:
        """The next packet of a microphone, 20 ms on."""
        assert endpoint.producer is not None
        self.now += 0.02
        assert endpoint.producer.number(1, sequence, sequence * PACKET, self.now) is not None


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
        room.now += 1
        room.speak(endpoint)
        room.fall_silent(endpoint)
    room.now += 1
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
        room.now += 1
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
    a.remove_slot("1", room.now)
    assert heard(a) == [None, None]
    assert listeners(b) == 0
    a.remove_slot("2", room.now)


def test_a_moved_receiver_gets_its_packets_elsewhere_with_the_numbers_unchanged() -> None:
    room = Room()
    a, b = room.join("a"), room.join("b")
    assert a.producer is not None
    slot = b.slots["1"]
    before = a.producer.fan_out[slot]
    room.router.move(b, Destination("b", 2))
    after = a.producer.fan_out[slot]
    assert (before.pointer, after.pointer) == (1, 2)
    assert before._replace(pointer=2) == after


def outgoing(endpoint: Endpoint, slot: Consumer) -> tuple[int, int]:
    """Sequence number and timestamp that the newest packet of a microphone has in a slot."""
    producer = endpoint.producer
    assert producer is not None
    entry = producer.fan_out[slot]
    timestamp = producer.timestamp_at(producer._last_arrival)
    return (producer.last_sequence + entry.sequence_offset) & 0xFFFF, (timestamp + entry.timestamp_offset) & 0xFFFFFFFF


def test_numbers_of_a_slot_go_on_when_its_voice_changes() -> None:
    room = Room()
    a, b, c = (room.join(name, slots=1) for name in "abc")
    slot = c.slots["1"]
    sent: list[tuple[int, int]] = []
    for n in range(700):
        room.packet(a, n)
        sent.append(outgoing(a, slot))
        if n % 3 == 0:
            room.packet(b, 30_000 + n // 3)
    room.now += 1.0
    room.fall_silent(a)
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
    slot.switch_off(1.0)
    assert not slot.is_on
