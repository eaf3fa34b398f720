"""How loud the room is behind a voice, for clients that do not suppress noise: minimum statistics of the levels (R. Martin, Noise
power spectral density estimation based on optimal smoothing and minimum statistics, 2001), over the whole band instead of each
frequency.

Nobody speaks for seconds without a gap. So the quietest moment of the last few seconds is what the room sounds like, and
speech is what is clearly louder. Digital silence is no room: clients that gate or suppress noise send it, and for them the
fixed threshold is right.
"""

from __future__ import annotations

from collections import deque
from typing import Final

__all__ = ["NoiseFloor"]

PARTS: Final = 10
"""The window moves on in so many steps."""
SMOOTHING_SHIFT: Final = 2
"""Levels are smoothed with a weight of 1/4 for the newest, over some 80 ms: one odd packet is no quiet moment."""
SCALE_SHIFT: Final = 4
"""Smoothed levels are kept in sixteenths of a decibel."""
FIRST_PACKETS: Final = 5
"""A stream that begins with sound begins with that of the room, as far as can be told: so many packets are its first floor."""
OPENING_PACKETS: Final = 10
"""While a microphone opens, digital silence says nothing yet."""
NO_FLOOR: Final = 127
"""In -dBov: nothing is known, or nothing is there."""


class NoiseFloor:
    """Levels in, `floor` out, both in -dBov (larger is quieter). `window_ticks`: how long the quietest moment counts.

    It falls at once with a quieter moment, and rises when that is `window_ticks` of sound ago. A stream with digital silence has
    no floor until it has gone on for `window_ticks` without. From then on the room is remembered over any silence, so that noise
    is no speech when someone comes back from muting their microphone.
    """

    __slots__ = (
        "_filled",
        "_is_learnt",
        "_packets",
        "_part_ticks",
        "_parts",
        "_quietest",
        "_silent_packets",
        "_smoothed",
        "_was_gated",
        "floor",
    )

    def __init__(self, window_ticks: int) -> None:
        self._part_ticks = max(1, window_ticks // PARTS)
        self._parts: deque[int] = deque(maxlen=PARTS)
        self._quietest = 0
        self._filled = 0
        self._smoothed = 0
        self._packets = 0
        self._silent_packets = 0
        self._was_gated = False
        self._is_learnt = False
        self.floor = NO_FLOOR

    def packet(self, duration: int, level: int) -> bool:
        """A packet of `duration` ticks. Returns whether `floor` changed."""
        if level == NO_FLOOR:
            return self._silence()
        if self._packets == 0:
            self._smoothed = level << SCALE_SHIFT
        else:
            self._smoothed += ((level << SCALE_SHIFT) - self._smoothed) >> SMOOTHING_SHIFT
        self._packets += 1
        quietest = self._smoothed >> SCALE_SHIFT
        is_quieter = quietest > self._quietest
        if is_quieter:
            self._quietest = quietest
        self._filled += duration
        if self._filled >= self._part_ticks:
            self._parts.append(self._quietest)
            self._quietest, self._filled = quietest, 0
            self._is_learnt = self._is_learnt or len(self._parts) == PARTS
        elif not is_quieter and self._packets != FIRST_PACKETS:
            return False
        return self._update()

    def _silence(self) -> bool:
        if self._is_learnt or (self._was_gated and self._packets == 0):
            return False
        self._silent_packets += 1
        self._was_gated = self._packets > 0 or self._silent_packets > OPENING_PACKETS
        self._parts.clear()
        self._quietest = self._filled = self._packets = 0
        return self._update()

    def _update(self) -> bool:
        before = self.floor
        is_known = self._is_learnt or (not self._was_gated and self._packets >= FIRST_PACKETS)
        self.floor = max(self._quietest, *self._parts, 0) if is_known else NO_FLOOR
        return self.floor != before
