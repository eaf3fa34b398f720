"""How loud an Opus packet is, found by decoding it: the RMS of its samples (RFC 6465, appendix A).

About 40 µs a packet, so never on the event loop and never once for each listener.
"""

from __future__ import annotations

import array
import math
import operator
from typing import Final

from av import AudioFrame, CodecContext
from av.audio.codeccontext import AudioCodecContext
from av.error import FFmpegError
from av.packet import Packet

from .speaking import CLOCK_RATE, SILENT_LEVEL

__all__ = ["MAX_SILENT_BYTES", "LevelDecoder"]

MAX_SILENT_BYTES: Final = 2
"""A packet of at most so many bytes holds no audio: it says that nothing is sent for a while (RFC 6716, sections 3.2.1 and
3.4)."""
SAMPLE_STEP: Final = 3
"""One sample in three is enough for the power of 20 ms, and takes a third of the time."""
FULL_SCALE: Final = 32768.0


class LevelDecoder:
    """One stream's decoder. Packets come in order; the first few after a gap come out less exact."""

    def __init__(self) -> None:
        self._codec = CodecContext.create("libopus", "r")
        assert isinstance(self._codec, AudioCodecContext)
        self._codec.sample_rate = CLOCK_RATE
        self._codec.layout = "mono"
        self._codec.format = "s16"

    def level(self, payload: bytes) -> int:
        """In -dBov, 0 to 127. What cannot be decoded is silence: nobody hears anything of it."""
        if len(payload) <= MAX_SILENT_BYTES:
            return SILENT_LEVEL
        try:
            frames = self._codec.decode(Packet(payload))
        except FFmpegError:
            return SILENT_LEVEL
        samples = array.array("h")
        for frame in frames:
            if isinstance(frame, AudioFrame):
                samples.frombytes(bytes(frame.planes[0])[: 2 * frame.samples])
        heard = samples[::SAMPLE_STEP]
        energy = sum(map(operator.mul, heard, heard))
        if not energy:
            return SILENT_LEVEL
        return min(max(0, round(-10 * math.log10(energy / len(heard) / FULL_SCALE**2))), SILENT_LEVEL)
