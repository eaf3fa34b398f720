"""Recordings as a browser would send them: Opus packets of 20 ms, each with the level of what it was made from."""

from __future__ import annotations

import array
import math
import operator
import random
import wave
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Final

from av import AudioFrame, CodecContext
from av.audio.codeccontext import AudioCodecContext

__all__ = ["SAMPLES", "Voiced", "encode", "level_of", "quieter", "read_samples", "with_noise"]

SAMPLES: Final = 960
"""Of a packet: 20 ms at 48 kHz."""

Voiced = tuple[int, bytes]
"""A packet: its level in -dBov (RFC 6464), its payload."""


def read_samples(path: Path) -> array.array[int]:
    """A 16-bit mono file at 48 kHz."""
    with wave.open(str(path)) as file:
        return array.array("h", file.readframes(file.getnframes()))


def level_of(samples: Sequence[int]) -> int:
    """RFC 6465, appendix A."""
    energy = sum(map(operator.mul, samples, samples)) / len(samples) / 32768**2
    return min(127, max(0, round(-10 * math.log10(energy)))) if energy else 127


def quieter(samples: Sequence[int], factor: int) -> array.array[int]:
    return array.array("h", [sample // factor for sample in samples])


def with_noise(samples: Sequence[int], level_dbov: int, seed: int = 1) -> array.array[int]:
    """White noise of this level added."""
    rng, rms = random.Random(seed), 32768 * 10 ** (-level_dbov / 20)
    return array.array("h", [max(-32768, min(32767, sample + round(rng.gauss(0, rms)))) for sample in samples])


def encode(samples: array.array[int], bit_rate: int = 32_000, **options: str) -> list[Voiced]:
    """What libopus makes of it; `options` are FFmpeg's for it (`dtx`, `fec`, `packet_loss`, `vbr`)."""
    codec = CodecContext.create("libopus", "w")
    assert isinstance(codec, AudioCodecContext)
    codec.bit_rate, codec.sample_rate, codec.layout, codec.format = bit_rate, 48_000, "mono", "s16"
    codec.options = {"application": "voip", **options}
    codec.time_base = Fraction(1, 48_000)
    levels, payloads = [], []
    for start in range(0, len(samples) - SAMPLES + 1, SAMPLES):
        part = samples[start : start + SAMPLES]
        levels.append(level_of(part))
        frame = AudioFrame(format="s16", layout="mono", samples=SAMPLES)
        frame.sample_rate, frame.pts = 48_000, start
        frame.planes[0].update(part.tobytes().ljust(frame.planes[0].buffer_size, b"\0"))
        payloads += [bytes(packet) for packet in codec.encode(frame)]
    return list(zip(levels, payloads, strict=False))
