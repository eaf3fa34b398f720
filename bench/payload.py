"""Payloads that look like Opus to a forwarder and say when they were sent.

Layout: one TOC byte (RFC 6716, section 3.1), 8 bytes send time in nanoseconds of the clock of the sender's choice, 4 bytes
running number, then random bytes. Nothing on the way decodes them; the receiver of a measurement does.
"""

from __future__ import annotations

import random
import struct
from dataclasses import dataclass
from typing import Final

__all__ = ["TOC_CELT_20_MS", "TOC_SILK_20_MS", "PayloadStamp", "opus_payload", "read_stamp", "silent_payload"]

TOC_CELT_20_MS: Final = 31 << 3
"""CELT, fullband, 20 ms, mono, one frame a packet (configuration 31)."""
TOC_SILK_20_MS: Final = 9 << 3
"""SILK, wideband, 20 ms, mono, one frame a packet (configuration 9)."""

_STAMP: Final = struct.Struct("!BQI")
_SILENCE: Final = struct.Struct("!BBB2s")
_PADDED_SINGLE_FRAME: Final = 0x41
"""The frame count byte: padding follows, one frame."""
SMALLEST: Final = _STAMP.size


@dataclass(frozen=True, slots=True)
class PayloadStamp:
    """What a payload says of itself: `sent_ns` on the sender's clock, and its running `number`."""

    sent_ns: int
    number: int


def opus_payload(sent_ns: int, number: int, *, size: int = 80, rng: random.Random, toc: int = TOC_CELT_20_MS) -> bytes:
    """A payload of `size` bytes, at least 13. Raises ValueError for a smaller one."""
    if size < SMALLEST:
        raise ValueError(f"a stamped payload takes at least {SMALLEST} bytes")
    return _STAMP.pack(toc, sent_ns, number & 0xFFFFFFFF) + rng.randbytes(size - SMALLEST)


def silent_payload(*, size: int = 80, rng: random.Random) -> bytes:
    """20 ms of silence that decodes as such, 6 to 258 bytes: a frame of two bytes, the rest is padding, which decoders pass over
    (RFC 6716, section 3.2.5). No stamp is in it. Raises ValueError for another size.
    """
    padding = size - _SILENCE.size
    if not 1 <= padding <= 253:
        raise ValueError("a payload of silence takes 6 to 258 bytes")
    return _SILENCE.pack(TOC_CELT_20_MS | 3, _PADDED_SINGLE_FRAME, padding, b"\xff\xfe") + rng.randbytes(padding)


def read_stamp(payload: bytes) -> PayloadStamp | None:
    """The stamp of a payload made here, or None where it is too short to have one."""
    if len(payload) < SMALLEST:
        return None
    _, sent_ns, number = _STAMP.unpack_from(payload)
    return PayloadStamp(sent_ns, number)
