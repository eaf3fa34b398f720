"""Scripted speech: who says something when, as the packets a browser would send.

A script is a list of utterances. `frames` turns it into one entry for each packet, every 20 ms of media time: at the level of
the utterance that covers it, else at 127 (digital silence, RFC 6464). With `dtx`, silence is what Chromium makes of it: nine
packets at 127 after the last speech, then a pair of packets every 400 ms, the first packet of speech after a pause with the
marker bit (RFC 3551, section 4.1).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

__all__ = ["FRAME_MS", "SILENCE_LEVEL", "TICKS_PER_MS", "Frame", "Utterance", "frames", "spoken_ms"]

FRAME_MS: Final = 20
"""Milliseconds of audio in one packet."""
TICKS_PER_MS: Final = 48
"""RTP ticks a millisecond: the RTP clock of Opus is 48 kHz whatever the audio is (RFC 7587, section 4.1)."""
SILENCE_LEVEL: Final = 127
"""The level of digital silence, in -dBov (RFC 6464, section 3)."""

_DTX_HANGOVER_FRAMES: Final = 9
_DTX_REFRESH_FRAMES: Final = 20


@dataclass(frozen=True, slots=True)
class Utterance:
    """Speech from `start_ms` for `duration_ms` (whole frames count) at `level`, the magnitude in -dBov: 0 is loudest, 127
    silence.
    """

    start_ms: int
    duration_ms: int
    level: int = 24


@dataclass(frozen=True, slots=True)
class Frame:
    """One packet to send `offset_ms` after the start. `voice` is the V bit; `dtx` marks a packet of a DTX pause, which is
    short.
    """

    offset_ms: int
    level: int
    marker: bool
    voice: bool
    dtx: bool


def frames(script: Sequence[Utterance], total_ms: int, *, dtx: bool = False) -> Iterator[Frame]:
    """The packets of `script` from 0 to `total_ms`. Where utterances overlap, the first listed counts."""
    silent_frames = 0
    for offset_ms in range(0, total_ms, FRAME_MS):
        level = next((u.level for u in script if u.start_ms <= offset_ms < u.start_ms + u.duration_ms), SILENCE_LEVEL)
        if level != SILENCE_LEVEL:
            after_pause = dtx and silent_frames > _DTX_HANGOVER_FRAMES
            yield Frame(offset_ms, level, marker=offset_ms == 0 or after_pause, voice=True, dtx=False)
            silent_frames = 0
            continue
        silent_frames += 1
        paused_frames = silent_frames - _DTX_HANGOVER_FRAMES
        if not dtx or paused_frames <= 0:
            yield Frame(offset_ms, level, marker=offset_ms == 0, voice=True, dtx=False)
        elif paused_frames % _DTX_REFRESH_FRAMES in (1, 2):
            yield Frame(offset_ms, level, marker=False, voice=False, dtx=True)


def spoken_ms(script: Sequence[Utterance]) -> int:
    """The truth a measurement is held to: milliseconds of speech in `script`, whose utterances do not overlap."""
    return sum(utterance.duration_ms for utterance in script)
