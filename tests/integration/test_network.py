"""Bad networks and numbers at their limits: what the listener gets."""

from __future__ import annotations

import itertools

import pytest
from aiortc.rtp import (
    RTCP_RTPFB_NACK,
    RtcpByePacket,
    RtcpReceiverInfo,
    RtcpRrPacket,
    RtcpRtpfbPacket,
    RtcpSenderInfo,
    RtcpSrPacket,
)

from bench.impairment import delay_every, duplicate_every, lose_every, undisturbed
from tests.integration.support import Call, settled, steps


async def test_a_lost_packet_is_a_gap_and_nothing_else(call: Call) -> None:
    speaker, listener = await call.enter_all("a", "b")
    speaker.peer.microphone.impair(lose_every(5, first=2))
    sent = speaker.peer.send_voice(20)
    arriving = [packet for index, packet in enumerate(sent) if (index - 2) % 5]
    heard = await listener.heard_all(speaker, arriving)
    numbers = [packet.sequence for packet in sent if packet in arriving]
    assert steps([packet.sequence for packet in heard], 16) == steps(numbers, 16)
    times = [packet.timestamp for packet in arriving]
    assert steps([packet.timestamp for packet in heard], 32) == steps(times, 32)


async def test_a_packet_20_ms_late_keeps_its_place(call: Call) -> None:
    speaker, listener = await call.enter_all("a", "b")
    speaker.peer.microphone.impair(delay_every(7, 0.02))
    sent = speaker.peer.send_voice(20)  # numbers 0, 7 and 14 come last
    speaker.peer.microphone.impair(undisturbed)
    heard = await listener.hears_from(speaker, 20)
    assert [packet.payload for packet in heard][-3:] == [sent[0].payload, sent[7].payload, sent[14].payload]
    first = heard[-3]
    in_order = sorted(heard, key=lambda packet: (packet.timestamp - first.timestamp) & 0xFFFFFFFF)
    assert [packet.payload for packet in in_order] == [packet.payload for packet in sent]
    assert set(steps([packet.sequence for packet in in_order], 16)) == {1}
    assert set(steps([packet.timestamp for packet in in_order], 32)) == {960}


async def test_a_duplicate_is_forwarded_once(call: Call) -> None:
    speaker, listener = await call.enter_all("a", "b")
    speaker.peer.microphone.impair(duplicate_every(2))
    sent = speaker.peer.send_voice(20)
    heard = await listener.heard_all(speaker, sent)
    assert set(steps([packet.sequence for packet in heard], 16)) == {1}
    assert listener.peer.unreadable == 0


@pytest.mark.parametrize("sequence", [0xFFF6, 0x7FF6])
async def test_sequence_numbers_and_timestamps_wrap_around(call: Call, sequence: int) -> None:
    speaker = await call.enter("a", sequence=sequence - 60, timestamp=0xFFFFFFFF - 70 * 960)
    listener = await call.enter("b")
    await settled(speaker, listener)
    speaker.peer.send_rtp(b"\xf8", sequence=sequence, timestamp=0xFFFFFFFF - 10 * 960)
    sent = speaker.peer.send_voice(30)
    assert sent[0].sequence > sent[-1].sequence or sequence < 0x8000
    assert sent[0].timestamp > sent[-1].timestamp
    heard = await listener.heard_all(speaker, sent)
    assert set(steps([packet.sequence for packet in heard], 16)) == {1}
    assert set(steps([packet.timestamp for packet in heard], 32)) == {960}


async def test_a_long_stream_wraps_at_the_listener_too(call: Call) -> None:
    """A slot's own numbers begin below 0x8000; after 0x10000 packets they have wrapped, wherever they began.

    The sender leaves out most of them, which are lost as far as the server knows.
    """
    speaker, listener = await call.enter_all("a", "b")
    heard = []
    first = speaker.peer.microphone.writer.sequence
    for sequence in range(first + 2000, first + 82_000, 2000):
        sent = [speaker.peer.send_rtp(b"\xf8%d" % sequence, level=30, sequence=sequence)]
        heard += await listener.heard_all(speaker, sent)
    assert set(steps([packet.sequence for packet in heard], 16)) == {2000}
    assert any(after.sequence < before.sequence for before, after in itertools.pairwise(heard))
    assert listener.peer.unreadable == 0


async def test_a_sender_that_starts_over_is_heard_without_a_break(call: Call) -> None:
    speaker, listener = await call.enter_all("a", "b")
    await listener.heard_all(speaker, speaker.peer.send_voice(5))
    speaker.peer.microphone.writer.sequence = (speaker.peer.microphone.writer.sequence + 20_000) & 0xFFFF
    speaker.peer.microphone.writer.timestamp = (speaker.peer.microphone.writer.timestamp + 0x40000000) & 0xFFFFFFFF
    await listener.heard_all(speaker, speaker.peer.send_voice(5))
    heard = await listener.hears_from(speaker, 10)
    assert set(steps([packet.sequence for packet in heard], 16)) == {1}
    assert all(0 < step < 48_000 for step in steps([packet.timestamp for packet in heard], 32))


async def test_the_marker_of_a_talk_spurt_is_kept(call: Call) -> None:
    speaker, listener = await call.enter_all("a", "b")
    speaker.peer.send_voice(3)
    speaker.peer.send_rtp(b"\xf8onset", level=20, marker=True)
    sent = speaker.peer.send_voice(1)
    await listener.heard_all(speaker, sent)
    heard = await listener.hears_from(speaker, 5)
    assert [packet.marker for packet in heard] == [False, False, False, True, False]


@pytest.mark.parametrize("size", [1, 3, 20, 400, 1100])
async def test_payloads_of_any_size(call: Call, size: int) -> None:
    speaker, listener = await call.enter_all("a", "b")
    sent = [speaker.peer.send_rtp(bytes([0xF8]) + bytes([index]) * (size - 1)) for index in range(3)]
    await listener.heard_all(speaker, sent[-1:])
    assert [packet.payload for packet in await listener.hears_from(speaker, 3)] == [packet.payload for packet in sent]


async def test_rtcp_of_all_kinds_does_not_disturb(call: Call) -> None:
    speaker, listener = await call.enter_all("a", "b")
    ssrc = next(iter(listener.peer.slots.values())).ssrc
    report = RtcpReceiverInfo(ssrc=ssrc, fraction_lost=3, packets_lost=7, highest_sequence=99, jitter=5, lsr=0, dlsr=0)
    sender = RtcpSenderInfo(ntp_timestamp=1 << 60, rtp_timestamp=5, packet_count=1, octet_count=80)
    for person in (speaker, listener):
        own = person.peer.microphone.writer.ssrc
        compound = (
            bytes(RtcpSrPacket(ssrc=own, sender_info=sender, reports=[report])),
            bytes(RtcpRrPacket(ssrc=own, reports=[report])),
            bytes(RtcpRtpfbPacket(fmt=RTCP_RTPFB_NACK, ssrc=own, media_ssrc=ssrc, lost=[1, 2, 3])),
            bytes(RtcpByePacket(sources=[own])),
            b"\x80\xc8\x00\x06" + b"\xff" * 8,  # a sender report that ends too early
            b"\x81\xcf\x00\x02" + b"\x00" * 8,  # a type that nobody uses
        )
        for packet in compound:
            person.peer.send_rtcp(packet)
    sent = speaker.peer.send_voice(5)
    await listener.heard_all(speaker, sent)
