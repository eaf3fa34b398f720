"""RTCP (RFC 3550, section 6; RFC 3611) as it goes over the wire: read and written by `aiortc.rtp`, reduced to what we use.

What cannot be read is no error of ours. Times in NTP format are 64 bits, seconds in the upper half (RFC 3550, section 4); their
middle 32 bits, in units of 1/65536 s, are what reports refer to.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from aiortc.rtp import RtcpPacket, RtcpReceiverInfo, RtcpRrPacket, RtcpSenderInfo, RtcpSrPacket

__all__ = [
    "Control",
    "ReceptionReport",
    "ReferenceReply",
    "RtcpReceiverInfo",
    "RtcpSenderInfo",
    "SenderReport",
    "compose",
    "is_rtcp",
    "middle_bits",
    "ntp_time",
    "parse_control",
]

_NTP_EPOCH_OFFSET: Final = 2_208_988_800
"""Seconds from 1900, where NTP begins, to 1970."""
_HEADER: Final = struct.Struct("!BBH")
_SDES: Final = 202
_CNAME: Final = 1
_EXTENDED_REPORT: Final = 207
_REFERENCE_TIME_BLOCK: Final = 4
_REFERENCE_REPLY_BLOCK: Final = 5
_REFERENCE_REPLY: Final = struct.Struct("!III")
MAX_REFERENCE_REPLIES: Final = 32
"""Of one packet; a client has one answer for us."""


@dataclass(frozen=True, slots=True)
class ReceptionReport:
    """How a client receives the stream `ssrc` of ours: `fraction_lost` 0.0 to 1.0 since its last report, `packets_lost` since the
    beginning, `highest_sequence` with its wraps in the upper 16 bits, `jitter` in ticks of 48 kHz. `last_report` and `delay` are
    in 1/65536 s: the middle bits of our last sender report and how long ago it came; both 0 before the first.
    """

    ssrc: int
    fraction_lost: float
    packets_lost: int
    highest_sequence: int
    jitter: int
    last_report: int
    delay: int


@dataclass(frozen=True, slots=True)
class SenderReport:
    """A stream of the client's. `ntp_middle` names this report; our next receiver report repeats it."""

    ssrc: int
    ntp_middle: int


@dataclass(frozen=True, slots=True)
class ReferenceReply:
    """The answer to a reference time that we sent (RFC 3611, section 4.5), in the units of a reception report. It tells the round
    trip to a client that we send no stream to."""

    ssrc: int
    last_reference: int
    delay: int


@dataclass(frozen=True, slots=True)
class Control:
    """What one compound packet said."""

    senders: tuple[SenderReport, ...] = ()
    receptions: tuple[ReceptionReport, ...] = ()
    replies: tuple[ReferenceReply, ...] = ()


def is_rtcp(second_byte: int) -> bool:
    """RTP and RTCP share a port; packet types 192 to 223 are RTCP (RFC 5761, section 4)."""
    return 192 <= second_byte <= 223


def ntp_time(unix_seconds: float) -> int:
    """64 bits of NTP time."""
    return int((unix_seconds + _NTP_EPOCH_OFFSET) * (1 << 32)) & 0xFFFFFFFFFFFFFFFF


def middle_bits(ntp: int) -> int:
    """The 32 bits that reports refer to, in 1/65536 s."""
    return (ntp >> 16) & 0xFFFFFFFF


def parse_control(data: bytes) -> Control | None:
    """All that concerns us of a compound packet; None where it is malformed."""
    try:
        packets = RtcpPacket.parse(data)
        replies = tuple(_reference_replies(data))
    except (ValueError, struct.error, IndexError):
        return None
    reports = [packet for packet in packets if isinstance(packet, RtcpRrPacket | RtcpSrPacket)]
    return Control(
        senders=tuple(
            SenderReport(packet.ssrc, middle_bits(packet.sender_info.ntp_timestamp))
            for packet in reports
            if isinstance(packet, RtcpSrPacket)
        ),
        receptions=tuple(
            ReceptionReport(
                block.ssrc,
                block.fraction_lost / 256,
                block.packets_lost,
                block.highest_sequence,
                block.jitter,
                block.lsr,
                block.dlsr,
            )
            for packet in reports
            for block in packet.reports
        ),
        replies=replies,
    )


def _reference_replies(data: bytes) -> Iterable[ReferenceReply]:
    """Of a compound packet whose lengths were found to be right."""
    position, count = 0, 0
    while position < len(data):
        _, kind, words = _HEADER.unpack_from(data, position)
        end = position + 4 + 4 * words
        block = position + 8
        position = end
        while kind == _EXTENDED_REPORT and block + 4 <= end:
            block_type, _, block_words = _HEADER.unpack_from(data, block)
            block_end = min(block + 4 + 4 * block_words, end)
            if block_type == _REFERENCE_REPLY_BLOCK:
                for entry in range(block + 4, block_end - _REFERENCE_REPLY.size + 1, _REFERENCE_REPLY.size):
                    count += 1
                    if count > MAX_REFERENCE_REPLIES:
                        return
                    yield ReferenceReply(*_REFERENCE_REPLY.unpack_from(data, entry))
            block = block_end


def compose(
    ssrc: int,
    ntp: int,
    *,
    senders: Sequence[tuple[int, RtcpSenderInfo]],
    receptions: Sequence[RtcpReceiverInfo],
    names: Sequence[tuple[int, str]],
) -> bytes:
    """One compound packet (RFC 3550, section 6.1): a sender report for each of `senders` or, where there is none, a receiver
    report of `ssrc`; the first one carries `receptions`; then the CNAMEs of `names`, and our reference time.
    """
    parts = [bytes(RtcpSrPacket(sender, info)) for sender, info in senders[1:]]
    if senders:
        parts.insert(0, bytes(RtcpSrPacket(senders[0][0], senders[0][1], list(receptions))))
    else:
        parts.append(bytes(RtcpRrPacket(ssrc, list(receptions))))
    parts.append(_source_description(names))
    parts.append(_HEADER.pack(2 << 6, _EXTENDED_REPORT, 4) + struct.pack("!IBBHQ", ssrc, _REFERENCE_TIME_BLOCK, 0, 2, ntp))
    return b"".join(parts)


def _source_description(names: Sequence[tuple[int, str]]) -> bytes:
    """At most 31 chunks of one CNAME each; a chunk ends with one to four zeros, at a word (RFC 3550, section 6.5)."""
    chunks = b""
    for ssrc, name in names:
        text = name.encode()[:255]
        chunk = struct.pack("!IBB", ssrc, _CNAME, len(text)) + text
        chunks += chunk + bytes(4 - len(chunk) % 4)
    return _HEADER.pack(2 << 6 | len(names), _SDES, len(chunks) // 4) + chunks
