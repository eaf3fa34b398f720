"""RTP headers (RFC 3550, section 5.1) and one-byte and two-byte extensions (RFC 8285), read without making objects of them.

The packet path needs three things of a header: where the payload begins, where it ends, and the audio level.
"""

from __future__ import annotations

import struct
from typing import Final

__all__ = [
    "FIXED_HEADER",
    "FIXED_HEADER_BYTES",
    "RtpFields",
    "find_audio_level",
    "opus_duration",
    "payload_bounds",
    "read_packet",
]

FIXED_HEADER: Final = struct.Struct("!BBHII")
"""V/P/X/CC, M/PT, sequence number, timestamp, SSRC."""
FIXED_HEADER_BYTES: Final = 12
_ONE_BYTE_PROFILE: Final = 0xBEDE
_TWO_BYTE_PROFILE: Final = 0x1000
_EXTENSION_HEADER: Final = struct.Struct("!HH")
_USUAL_HEADER: Final = struct.Struct("!BBHIIHHBB")
"""The fixed header, the extension's, and the first element of one-byte form with one byte of value."""
_USUAL_FIRST_BYTE: Final = 0x90
"""Version 2, no padding, an extension, no contributing sources: what browsers send."""

_SILK_TICKS: Final = (480, 960, 1920, 2880)
_HYBRID_TICKS: Final = (480, 960)
_CELT_TICKS: Final = (120, 240, 480, 960)
MAX_OPUS_TICKS: Final = 5760
"""120 ms at 48 kHz: the most that one packet may hold (RFC 6716, section 3.2.5)."""

RtpFields = tuple[int, int, int | None, int, int, int, int]
"""Payload start, payload end, level in -dBov (None: not carried), marker and payload type, sequence number, timestamp, SSRC."""


def read_packet(packet: memoryview, length: int, extension_id: int | None) -> RtpFields | None:
    """What the packet path needs of the packet in the first `length` bytes; None for a header that lies about its size.

    `extension_id` is that of the audio level, None where it was not negotiated.
    """
    if length >= _USUAL_HEADER.size:
        first, kind, sequence, timestamp, ssrc, profile, words, element, value = _USUAL_HEADER.unpack_from(packet)
        start = 16 + 4 * words
        if (
            first == _USUAL_FIRST_BYTE
            and profile == _ONE_BYTE_PROFILE
            and element >> 4 == extension_id
            and words > 0
            and start <= length
        ):
            return start, length, value & 0x7F, kind, sequence, timestamp, ssrc
    bounds = payload_bounds(packet, length)
    if bounds is None:
        return None
    start, end = bounds
    level = find_audio_level(packet, start, extension_id) if extension_id is not None else None
    _, kind, sequence, timestamp, ssrc = FIXED_HEADER.unpack_from(packet)
    return start, end, level, kind, sequence, timestamp, ssrc


def payload_bounds(packet: memoryview | bytes, length: int) -> tuple[int, int] | None:
    """Start and end of the payload in the first `length` bytes, or None for a header that lies about its size."""
    if length < FIXED_HEADER_BYTES:
        return None
    first = packet[0]
    if first >> 6 != 2:
        return None
    start = FIXED_HEADER_BYTES + 4 * (first & 0x0F)
    if first & 0x10:
        if start + 4 > length:
            return None
        start += 4 + 4 * _EXTENSION_HEADER.unpack_from(packet, start)[1]
    end = length
    if first & 0x20:
        padding = packet[length - 1]
        if padding == 0:
            return None
        end -= padding
    return (start, end) if start <= end else None


def find_audio_level(packet: memoryview | bytes, payload_start: int, extension_id: int) -> int | None:
    """The level in -dBov, 0 (loudest) to 127 (silence), of RFC 6464, section 3; None where the packet carries none.

    `payload_start` comes from `payload_bounds`, so the extension block is known to lie inside the packet.
    """
    first = packet[0]
    if not first & 0x10:
        return None
    position = FIXED_HEADER_BYTES + 4 * (first & 0x0F)
    profile = _EXTENSION_HEADER.unpack_from(packet, position)[0]
    position += 4
    if profile == _ONE_BYTE_PROFILE:
        while position < payload_start:
            head = packet[position]
            if head == 0:  # padding
                position += 1
                continue
            identifier = head >> 4
            if identifier == 15:  # reserved: stop (RFC 8285, section 4.2)
                return None
            if identifier == extension_id:
                return packet[position + 1] & 0x7F if position + 1 < payload_start else None
            position += 2 + (head & 0x0F)
    elif profile & 0xFFF0 == _TWO_BYTE_PROFILE:
        while position + 1 < payload_start:
            identifier = packet[position]
            if identifier == 0:
                position += 1
                continue
            size = packet[position + 1]
            if identifier == extension_id:
                return packet[position + 2] & 0x7F if size >= 1 and position + 2 < payload_start else None
            position += 2 + size
    return None


def _frame_ticks(configuration: int) -> int:
    if configuration < 12:
        return _SILK_TICKS[configuration % 4]
    if configuration < 16:
        return _HYBRID_TICKS[configuration % 2]
    return _CELT_TICKS[configuration % 4]


_TICKS_BY_CONFIGURATION: Final = tuple(_frame_ticks(configuration) for configuration in range(32))


_DURATIONS: Final = tuple(_TICKS_BY_CONFIGURATION[first >> 3] * (1 if first & 3 == 0 else 2) for first in range(256))


def opus_duration(first_byte: int, second_byte: int) -> int:
    """How long an Opus packet plays, in ticks of 48 kHz, from its TOC byte and, for code 3, its frame count (RFC 6716,
    section 3.1).

    `second_byte` is 0 where the packet has only one. Never more than 120 ms.
    """
    if first_byte & 0x03 != 3:
        return _DURATIONS[first_byte]
    return min((second_byte & 0x3F) * _TICKS_BY_CONFIGURATION[first_byte >> 3], MAX_OPUS_TICKS)
