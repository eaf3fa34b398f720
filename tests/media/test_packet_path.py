"""The packet path alone: one sender's datagrams in, the receivers' out, with real SRTP and no network between."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator

import pytest
from pylibsrtp import Policy, Session

from server.media.consumer import Consumer, Destination
from server.media.packet_path import MAX_PAYLOAD_BYTES, PacketPath
from server.media.producer import Producer
from server.media.speaking import SpeakingRules
from server.media.udp import RX_STRIDE, TX_BATCH, TX_STRIDE, UdpSocket, open_udp_socket

PROFILE = Policy.SRTP_PROFILE_AEAD_AES_128_GCM


def sessions() -> tuple[Session, Session]:
    """One that protects and one that reads it."""
    key = os.urandom(28)
    ends = []
    for kind in (Policy.SSRC_ANY_OUTBOUND, Policy.SSRC_ANY_INBOUND):
        policy = Policy(key=key, ssrc_type=kind, srtp_profile=PROFILE)
        policy.allow_repeat_tx = True
        policy.window_size = 1024
        ends.append(Session(policy))
    return ends[0], ends[1]


class Desk:
    """A packet path whose sends are caught; `hear` unprotects what a receiver would get."""

    def __init__(self, udp: UdpSocket, monkeypatch: pytest.MonkeyPatch) -> None:
        self.udp = udp
        self.caught: list[tuple[int, bytes]] = []
        monkeypatch.setattr(udp, "flush", self._catch)
        self.edges: list[bool] = []
        self.unlabelled: list[tuple[int, int, bytes]] = []
        self.path = PacketPath(udp, self)
        self.sender, self.receiver_of_sender = sessions()
        self.producer = Producer("room", "a", SpeakingRules(), 0.0)
        self.producer.audio_level_id = 1
        self.now = 0.0
        self.readers: dict[int, Session] = {}
        self.writers: list[Session] = []

    def _catch(self, count: int) -> None:
        for i in range(count):
            data = bytes(self.udp.tx[i * TX_STRIDE : i * TX_STRIDE + self.udp.tx_lengths[2 * i + 1]])
            self.caught.append((self.udp.tx_names[i * self.udp.tx_name_step], data))

    def speaking_started(self, producer: Producer) -> None:
        self.edges.append(True)

    def speaking_stopped(self, producer: Producer) -> None:
        self.edges.append(False)

    def level_missing(self, producer: Producer, timestamp: int, duration: int, payload: bytes) -> None:
        self.unlabelled.append((timestamp, duration, payload))

    def listen(self, pointer: int) -> Consumer:
        writer, self.readers[pointer] = sessions()
        self.writers.append(writer)
        slot = Consumer("1", 0xABC, 109, first_sequence=10, first_timestamp=0, now=self.now)
        slot.assign(self.producer, self.now)
        slot.switch_on(Destination(writer._srtp[0], pointer), self.now)
        return slot

    def put(self, packet: bytes) -> bool:
        """Protect a plain packet and let it in."""
        return self.put_raw(self.sender.protect(packet))

    def put_raw(self, data: bytes) -> bool:
        self.now += 0.02
        self.udp.rx[3 * RX_STRIDE : 3 * RX_STRIDE + len(data)] = data
        authentic = self.path.receive_rtp(3, len(data), self.receiver_of_sender._srtp[0], self.producer, self.now)
        self.path.flush()
        return authentic

    def hear(self, pointer: int) -> list[bytes]:
        return [self.readers[pointer].unprotect(data) for to, data in self.caught if to == pointer]


def rtp(sequence: int, payload: bytes = b"\x78hello", *, level: int = 20) -> bytes:
    header = struct.pack("!BBHII", 0x90, 111, sequence, sequence * 960, 77)
    return header + struct.pack("!HHBBxx", 0xBEDE, 1, 0x10, level) + payload


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    udp = open_udp_socket("127.0.0.1", 0)
    yield Desk(udp, monkeypatch)
    udp.close()


def test_each_listener_gets_it_under_its_own_key_and_numbers(desk: Desk) -> None:
    desk.listen(1)
    desk.listen(2)
    for n in range(3):
        assert desk.put(rtp(100 + n))
    for pointer in (1, 2):
        headers = [struct.unpack_from("!BBHII", packet) for packet in desk.hear(pointer)]
        assert [h[0] for h in headers] == [0x80] * 3, "no extension travels on"
        assert [h[1] for h in headers] == [0x80 | 109, 109, 109], "marker at the start of a run, the receiver's payload type"
        assert [h[2] for h in headers] == [10, 11, 12]
        assert [h[4] for h in headers] == [0xABC] * 3
    assert desk.path.counters.packets_out == 6


def test_the_payload_is_not_touched(desk: Desk) -> None:
    desk.listen(1)
    payloads = [b"\x78", b"\x78" * 2, os.urandom(MAX_PAYLOAD_BYTES)]
    for n, payload in enumerate(payloads):
        # pylibsrtp itself cannot protect packets as long as ours may be, so the longest one is 1200 bytes here
        desk.put(rtp(n, payload[:1200]))
    assert [p[12:] for p in desk.hear(1)] == [p[:1200] for p in payloads]


def test_a_packet_without_level_is_handed_on_to_be_measured(desk: Desk) -> None:
    desk.listen(1)
    desk.producer.audio_level_id = None
    for sequence in (5, 7, 6):
        desk.put(rtp(sequence, b"\x78" + bytes([sequence])))
    assert [payload for *_, payload in desk.unlabelled] == [b"\x78\x05", b"\x78\x07"], "not one that comes late"
    assert [duration for _, duration, _ in desk.unlabelled] == [960, 960]
    assert desk.unlabelled[1][0] - desk.unlabelled[0][0] == 1920
    assert len(desk.hear(1)) == 3


def test_a_tap_sees_what_is_claimed_and_what_is_sent(desk: Desk) -> None:
    class Bucket:
        def __init__(self) -> None:
            self.seen: list[tuple[int, bytes]] = []

        def packet(self, level: int, payload: bytes) -> None:
            self.seen.append((level, payload))

    bucket = Bucket()
    desk.put(rtp(1))
    desk.producer.tap = bucket
    desk.put(rtp(2, b"\x78a", level=30))
    desk.put(rtp(3, b"\x78b", level=127))
    desk.producer.tap = None
    desk.put(rtp(4))
    assert bucket.seen == [(30, b"\x78a"), (127, b"\x78b")]


def test_what_was_sent_in_a_slot_is_known_without_counting(desk: Desk) -> None:
    """As sender reports tell it: packets and octets of payload, late and replayed ones too, nothing from before."""
    desk.put(rtp(1, b"\x78"))
    slot = desk.listen(1)
    for sequence, payload in ((2, b"\x78ab"), (4, b"\x78abcd"), (3, b"\x78")):
        desk.put(rtp(sequence, payload))
    assert len(desk.hear(1)) == 3
    assert slot.sent() == (3, 9)
    assert desk.producer.holes == 0
    desk.put(rtp(7, b"\x78"))
    assert desk.producer.holes == 2
    slot.switch_off()
    desk.put(rtp(8, b"\x78"))
    assert slot.sent() == (4, 10)
    before = len(desk.caught)
    slot.switch_on(Destination(desk.writers[0]._srtp[0], 1), desk.now, from_history=True)
    desk.path.replay(slot)
    assert slot.sent()[0] - 4 == len(desk.caught) - before == len(desk.producer.history)


def test_even_while_muted_a_client_is_told_how_it_is_received(desk: Desk) -> None:
    desk.producer.muted = True
    for sequence in (1, 2, 4):
        desk.put(rtp(sequence))
    report = desk.producer.reception.report(0, 0)
    assert report is not None
    assert (report.packets_lost, report.highest_sequence) == (1, 4)


def test_a_replayed_or_forged_packet_goes_nowhere(desk: Desk) -> None:
    desk.listen(1)
    protected = desk.sender.protect(rtp(1))
    assert desk.put_raw(protected)
    assert not desk.put_raw(protected)
    assert not desk.put_raw(desk.sender.protect(rtp(2))[:-1] + b"\0")
    assert len(desk.caught) == 1
    assert desk.path.counters.unauthenticated == 2


def test_an_empty_payload_and_a_lying_header_are_dropped(desk: Desk) -> None:
    desk.listen(1)
    assert desk.put(rtp(1, b""))
    assert desk.path.counters.dropped == 1
    assert desk.put(struct.pack("!BBHII", 0xA0, 111, 2, 960, 77) + b"\x78abc\xff"), "authentic, but more padding than packet"
    assert desk.path.counters.malformed == 1
    assert desk.caught == []


def test_a_second_stream_of_the_same_sender_is_dropped(desk: Desk) -> None:
    desk.listen(1)
    desk.put(rtp(1))
    other = bytearray(rtp(2))
    other[8:12] = b"\0\0\0\x99"
    desk.put(bytes(other))
    assert len(desk.caught) == 1
    assert desk.path.counters.dropped == 1


def test_a_late_packet_reaches_those_who_listened_then_and_not_those_who_came_since(desk: Desk) -> None:
    desk.listen(1)
    desk.put(rtp(1))
    desk.put(rtp(3))
    desk.listen(2)
    desk.put(rtp(2, b"\x78late"))
    desk.put(rtp(4))
    assert [struct.unpack_from("!H", p, 2)[0] for p in desk.hear(1)] == [10, 12, 11, 13]
    assert [struct.unpack_from("!H", p, 2)[0] for p in desk.hear(2)] == [10]


def test_a_room_larger_than_a_batch_is_served_in_several(desk: Desk) -> None:
    for pointer in range(1, TX_BATCH + 3):
        desk.listen(pointer)
    desk.put(rtp(1))
    assert len(desk.caught) == TX_BATCH + 2
    assert desk.hear(TX_BATCH + 2)[0][12:] == b"\x78hello"


def test_batches_are_sent_when_they_are_full(desk: Desk) -> None:
    for pointer in range(1, 401):
        desk.listen(pointer)
    protected = [desk.sender.protect(rtp(n)) for n in range(3)]
    for n, data in enumerate(protected):
        desk.now += 0.02
        desk.udp.rx[n * RX_STRIDE : n * RX_STRIDE + len(data)] = data
        desk.path.receive_rtp(n, len(data), desk.receiver_of_sender._srtp[0], desk.producer, desk.now)
    assert len(desk.caught) == 800
    desk.path.flush()
    assert len(desk.caught) == 1200
    assert len(desk.hear(400)) == 3


def test_what_libsrtp_refuses_to_protect_is_counted_and_costs_nobody_else_their_packet(desk: Desk) -> None:
    slot = desk.listen(1)
    desk.listen(2)
    desk.put(rtp(1))
    context, payload_type, _, *rest = desk.producer.fan_out[slot]
    desk.producer.fan_out[slot] = (context, payload_type, 10_000, *rest)
    desk.put(rtp(2))
    desk.producer.fan_out[slot] = (context, payload_type, 5_000, *rest)  # far behind libsrtp's window
    for n in (3, 5, 4):
        desk.put(rtp(n))
    assert desk.path.counters.dropped == 3
    assert len(desk.hear(2)) == 5


def test_speech_is_told_at_its_edges(desk: Desk) -> None:
    for n in range(30):
        desk.put(rtp(n, level=20 if n < 5 else 127))
    assert desk.edges == [True, False]
    assert desk.producer.detector.total_ticks == 5 * 960


def test_silence_is_replaced_by_next_to_nothing(desk: Desk) -> None:
    desk.listen(1)
    for n in range(100):
        desk.put(rtp(n, level=20 if n < 10 or n >= 90 else 127))
    packets = desk.hear(1)
    assert [struct.unpack_from("!H", p, 2)[0] for p in packets] == list(range(10, 10 + len(packets)))
    comfort = [p for p in packets if len(p) == 13]
    assert [p[12:] for p in comfort] == [b"\x78"] * len(comfort)
    assert len(comfort) == 4
    assert len(packets) == 10 + 9 + 4 + 10
    assert desk.path.counters.suppressed == 100 - len(packets)
    assert [bool(p[1] & 0x80) for p in packets[-10:]] == [True] + [False] * 9
    assert desk.producer.detector.total_ticks == 20 * 960


def test_a_slot_given_late_gets_the_beginning_first(desk: Desk) -> None:
    for n in range(30):
        desk.put(rtp(n, b"\x78%d" % n))
    writer, desk.readers[1] = sessions()
    slot = Consumer("1", 0xABC, 109, first_sequence=10, first_timestamp=0, now=desk.now)
    slot.assign(desk.producer, desk.now)
    desk.path.replay(slot)
    assert desk.caught == [], "not switched on yet"
    slot.switch_on(Destination(writer._srtp[0], 1), desk.now, from_history=True)
    desk.path.replay(slot)
    desk.put(rtp(30, b"\x7830"))
    heard = desk.hear(1)
    assert [p[12:] for p in heard] == [b"\x78%d" % n for n in range(20, 31)]
    assert [struct.unpack_from("!H", p, 2)[0] for p in heard] == list(range(10, 21))
    count = len(desk.caught)
    slot.release()
    desk.path.replay(slot)
    assert len(desk.caught) == count
