"""Packets as a simulated client writes and reads them: RTP by `aiortc.rtp`, with state and types around it."""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from aiortc.rtcrtpparameters import RTCRtpHeaderExtensionParameters, RTCRtpParameters
from aiortc.rtp import HeaderExtensionsMap, RtpPacket

__all__ = ["SAMPLES_A_PACKET", "ReceivedPacket", "RtpWriter", "SentPacket", "Slot", "extensions_map"]

SAMPLES_A_PACKET: Final = 960
"""RTP ticks in a packet of 20 ms at 48 kHz."""
_KEPT_PACKETS: Final = 20_000


@dataclass(frozen=True, slots=True)
class SentPacket:
    """What was sent: the numbers in the header, and the payload. `level` is None where the packet had no level."""

    sequence: int
    timestamp: int
    payload: bytes
    level: int | None
    marker: bool


@dataclass(frozen=True, slots=True)
class ReceivedPacket:
    """What was received and unprotected. `arrival` is the event loop's clock in seconds."""

    ssrc: int
    sequence: int
    timestamp: int
    payload_type: int
    marker: bool
    payload: bytes
    level: int | None
    mid: str | None
    arrival: float

    @classmethod
    def parse(cls, data: bytes, extensions: HeaderExtensionsMap, arrival: float) -> ReceivedPacket:
        """Read an unprotected packet. Raises ValueError where it is no RTP."""
        packet = RtpPacket.parse(data, extensions)
        level = packet.extensions.audio_level
        return cls(
            ssrc=packet.ssrc,
            sequence=packet.sequence_number,
            timestamp=packet.timestamp,
            payload_type=packet.payload_type,
            marker=bool(packet.marker),
            payload=packet.payload,
            level=None if level is None else int(level[1]),
            mid=packet.extensions.mid,
            arrival=arrival,
        )


class Slot:
    """What was heard in one m-section: the last packets, oldest first, and how many in all."""

    def __init__(self, mid: str, ssrc: int) -> None:
        self.mid = mid
        self.ssrc = ssrc
        self.packets: deque[ReceivedPacket] = deque(maxlen=_KEPT_PACKETS)
        self.received = 0

    def add(self, packet: ReceivedPacket) -> None:
        """Keep one more packet."""
        self.packets.append(packet)
        self.received += 1

    def payloads(self) -> list[bytes]:
        """The payloads in the order they came."""
        return [packet.payload for packet in self.packets]

    def sequences(self) -> list[int]:
        """The sequence numbers in the order they came."""
        return [packet.sequence for packet in self.packets]


def extensions_map(ids: Mapping[str, int]) -> HeaderExtensionsMap:
    """The header extensions of a session, from URI -> id. Ids of 1 to 14 go out in the one-byte form (RFC 8285, section 4.2)."""
    extensions = HeaderExtensionsMap()
    headers = [RTCRtpHeaderExtensionParameters(id=identifier, uri=uri) for uri, identifier in ids.items()]
    extensions.configure(RTCRtpParameters(headerExtensions=headers))
    return extensions


class RtpWriter:
    """Numbers and writes the packets of one stream. First sequence number and timestamp are random unless given (RFC 3550,
    5.1).
    """

    def __init__(self, *, ssrc: int, mid: str, sequence: int | None = None, timestamp: int | None = None) -> None:
        self.ssrc = ssrc
        self.mid = mid
        self.sequence = secrets.randbits(16) if sequence is None else sequence
        self.timestamp = secrets.randbits(32) if timestamp is None else timestamp
        self.payload_type = 111
        self.extensions = extensions_map({})

    def write(
        self,
        payload: bytes,
        *,
        level: int | None,
        voice: bool,
        marker: bool,
        advance: int,
        sequence: int | None,
        timestamp: int | None,
    ) -> tuple[bytes, SentPacket]:
        """The next packet, unprotected. A given `sequence` or `timestamp` is where the stream goes on from; `advance` ticks
        follow.
        """
        self.sequence = self.sequence if sequence is None else sequence & 0xFFFF
        self.timestamp = self.timestamp if timestamp is None else timestamp & 0xFFFFFFFF
        packet = RtpPacket(
            payload_type=self.payload_type,
            marker=int(marker),
            sequence_number=self.sequence,
            timestamp=self.timestamp,
            ssrc=self.ssrc,
            payload=payload,
        )
        packet.extensions.mid = self.mid
        packet.extensions.audio_level = None if level is None else (voice, level)
        sent = SentPacket(self.sequence, self.timestamp, payload, level, marker)
        self.sequence = (self.sequence + 1) & 0xFFFF
        self.timestamp = (self.timestamp + advance) & 0xFFFFFFFF
        return packet.serialize(self.extensions), sent
