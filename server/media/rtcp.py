"""RTCP (RFC 3550, section 6) as clients send it: read by `aiortc.rtp`, reduced to what we use. What cannot be read is no error
of ours."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from aiortc.rtp import RtcpPacket, RtcpRrPacket, RtcpSrPacket

__all__ = ["ReceptionReport", "is_rtcp", "parse_reception_reports"]


@dataclass(frozen=True, slots=True)
class ReceptionReport:
    """How a client receives the stream `ssrc` of ours: `fraction_lost` 0.0 to 1.0 since its last report, `jitter` in ticks of
    48 kHz."""

    ssrc: int
    fraction_lost: float
    packets_lost: int
    jitter: int


def is_rtcp(second_byte: int) -> bool:
    """RTP and RTCP share a port; packet types 192 to 223 are RTCP (RFC 5761, section 4)."""
    return 192 <= second_byte <= 223


def parse_reception_reports(data: bytes) -> list[ReceptionReport] | None:
    """All report blocks of a compound packet; None where it is malformed."""
    try:
        packets = RtcpPacket.parse(data)
    except (ValueError, struct.error, IndexError):
        return None
    return [
        ReceptionReport(report.ssrc, report.fraction_lost / 256, report.packets_lost, report.jitter)
        for packet in packets
        if isinstance(packet, RtcpRrPacket | RtcpSrPacket)
        for report in packet.reports
    ]
