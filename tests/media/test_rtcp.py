"""RTCP on the wire: what we write others can read, what others write cannot hurt."""

from __future__ import annotations

import struct

import pytest
from aiortc.rtp import RtcpPacket, RtcpReceiverInfo, RtcpRrPacket, RtcpSenderInfo, RtcpSrPacket
from hypothesis import given
from hypothesis import strategies as st

from server.media.rtcp import MAX_REFERENCE_REPLIES, compose, is_rtcp, middle_bits, ntp_time, parse_control

BLOCK = RtcpReceiverInfo(ssrc=7, fraction_lost=64, packets_lost=-3, highest_sequence=70_000, jitter=96, lsr=11, dlsr=12)
INFO = RtcpSenderInfo(ntp_timestamp=0x0123456789ABCDEF, rtp_timestamp=48_000, packet_count=50, octet_count=4_000)


def reference_replies(*entries: tuple[int, int, int]) -> bytes:
    """An extended report with a DLRR block (RFC 3611, section 4.5)."""
    block = struct.pack("!BBH", 5, 0, 3 * len(entries)) + b"".join(struct.pack("!III", *entry) for entry in entries)
    body = struct.pack("!I", 99) + block
    return struct.pack("!BBH", 0x80, 207, len(body) // 4) + body


def test_reports_are_read() -> None:
    control = parse_control(bytes(RtcpSrPacket(5, INFO, [BLOCK])) + bytes(RtcpRrPacket(6, [BLOCK])))
    assert control is not None
    assert [(sender.ssrc, sender.ntp_middle) for sender in control.senders] == [(5, 0x456789AB)]
    assert len(control.receptions) == 2
    report = control.receptions[0]
    assert (report.ssrc, report.fraction_lost, report.packets_lost) == (7, 0.25, -3)
    assert (report.highest_sequence, report.jitter, report.last_report, report.delay) == (70_000, 96, 11, 12)


def test_answers_to_our_reference_time_are_read_and_bounded() -> None:
    packet = bytes(RtcpRrPacket(6)) + reference_replies((1, 2, 3), (4, 5, 6))
    control = parse_control(packet)
    assert control is not None
    assert [(r.ssrc, r.last_reference, r.delay) for r in control.replies] == [(1, 2, 3), (4, 5, 6)]
    control = parse_control(b"".join(reference_replies(*[(1, 2, 3)] * 30) for _ in range(4)))
    assert control is not None
    assert len(control.replies) == MAX_REFERENCE_REPLIES


def test_what_we_write_is_one_compound_packet_that_others_read() -> None:
    packet = compose(9, 1 << 40, senders=[(21, INFO), (22, INFO)], receptions=[BLOCK], names=[(21, "slot-1"), (22, "slot-12")])
    assert len(packet) % 4 == 0
    first, second, *_ = RtcpPacket.parse(packet[: 28 + 24 + 28])
    assert isinstance(first, RtcpSrPacket)
    assert (first.ssrc, first.sender_info, first.reports) == (21, INFO, [BLOCK])
    assert isinstance(second, RtcpSrPacket)
    assert (second.ssrc, second.reports) == (22, [])
    description = packet[80:]
    assert description[:2] == b"\x82\xca"
    assert struct.pack("!IBB", 22, 1, 7) + b"slot-12\0" in description
    assert packet[-20:] == struct.pack("!BBHIBBHQ", 0x80, 207, 4, 9, 4, 0, 2, 1 << 40)


def test_without_a_stream_of_ours_it_begins_with_a_receiver_report() -> None:
    packet = compose(9, 0, senders=[], receptions=[BLOCK], names=[(9, "server")])
    report = RtcpPacket.parse(packet[:32])[0]
    assert isinstance(report, RtcpRrPacket)
    assert (report.ssrc, report.reports) == (9, [BLOCK])


@pytest.mark.parametrize("name", ["a", "ab", "abc", "abcd", "slot-10"])
def test_each_name_ends_with_a_zero_at_a_word(name: str) -> None:
    packet = compose(9, 0, senders=[], receptions=[], names=[(9, name)])
    words = int.from_bytes(packet[10:12], "big")
    chunk = packet[12 : 12 + 4 * words]
    assert chunk.rstrip(b"\0").endswith(name.encode())
    assert chunk.endswith(b"\0")
    assert packet[12 + 4 * words + 1] == 207


@pytest.mark.parametrize("data", [b"", b"\x80", b"\x80\xc9\x00\x09", b"\x00\xc9\x00\x00", bytes(RtcpRrPacket(6, [BLOCK]))[:-1]])
def test_malformed_packets_say_nothing(data: bytes) -> None:
    control = parse_control(data)
    assert control is None or not (control.senders or control.receptions or control.replies)


@given(st.binary(max_size=200))
def test_any_bytes_are_survived(data: bytes) -> None:
    parse_control(data)


@given(st.binary(max_size=80), st.integers(0, 20), st.integers(192, 223))
def test_any_packet_that_looks_like_rtcp_is_survived(body: bytes, words: int, kind: int) -> None:
    parse_control(struct.pack("!BBH", 0x81, kind, words) + body)


def test_rtcp_is_told_from_rtp_by_the_second_byte() -> None:
    assert [is_rtcp(kind) for kind in (111, 191, 192, 200, 207, 223, 224)] == [False, False, True, True, True, True, False]


def test_ntp_time_counts_from_1900() -> None:
    assert ntp_time(0.0) >> 32 == 2_208_988_800
    assert middle_bits(ntp_time(1.5)) - middle_bits(ntp_time(0.5)) == 65_536
