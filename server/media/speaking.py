"""Who speaks, from when to when: RFC 6464 levels in RTP time.

A talk-spurt begins with the first of `attack_packets` loud packets in a row (back-dated to that first one), and ends with the
last loud packet once `hangover` has passed without another; the hang-over is waited for but not counted. Time is the sender's
RTP clock (48 kHz), unwrapped, so that loss, delay and jitter of the network do not change what is measured. The detector is
pure: `now` comes in, edges come out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["SILENT_LEVEL", "SpeakingDetector", "SpeakingRules", "TalkSpurt", "display_level"]

CLOCK_RATE: Final = 48_000
TICKS_PER_MS: Final = CLOCK_RATE // 1000
SILENT_LEVEL: Final = 127
"""Digital silence in -dBov."""
DISPLAY_FLOOR_DBOV: Final = 60
"""What is shown as 0.0; the scale up to 0 dBov = 1.0 is linear in decibels, as hearing is."""
ATTACK_GAP_TICKS: Final = 60 * TICKS_PER_MS
"""Loud packets no further apart than this are in a row: two lost packets of 20 ms between them do not undo an attack."""


@dataclass(frozen=True, slots=True)
class SpeakingRules:
    """When a packet counts as speech. `threshold_dbov` is a magnitude: 50 means -50 dBov and louder."""

    threshold_dbov: int = 50
    attack_packets: int = 2
    hangover_ms: int = 400


@dataclass(frozen=True, slots=True)
class TalkSpurt:
    """One spurt: start and end in unwrapped RTP ticks."""

    start: int
    end: int

    @property
    def ticks(self) -> int:
        return self.end - self.start


def display_level(level_dbov: int) -> float:
    """A level for meters: 0.0 (−60 dBov and less) to 1.0 (0 dBov)."""
    return round(max(0.0, 1.0 - level_dbov / DISPLAY_FLOOR_DBOV), 2)


class SpeakingDetector:
    """Levels of one microphone in, talk-spurts out.

    `speaking` is the state that people see; `total_ticks` is the length of all spurts, the open one included up to its last loud
    packet. `peak_dbov` is the loudest level since `take_peak` last asked (127 when there was none).
    """

    __slots__ = ("_attack_count", "_closed_ticks", "_last_loud_end", "_rules", "_start", "peak_dbov", "speaking")

    def __init__(self, rules: SpeakingRules) -> None:
        self._rules = rules
        self.speaking = False
        self.peak_dbov = SILENT_LEVEL
        self._attack_count = 0
        self._start = 0
        self._last_loud_end = 0
        self._closed_ticks = 0

    @property
    def total_ticks(self) -> int:
        return self._closed_ticks + (self._last_loud_end - self._start if self.speaking else 0)

    def packet(self, timestamp: int, duration: int, level: int) -> bool:
        """A packet of `duration` ticks at unwrapped `timestamp`. Returns whether `speaking` became True.

        Reordered packets are welcome: an older loud one may only extend a spurt, never end it.
        """
        self.peak_dbov = min(self.peak_dbov, level)
        end = timestamp + duration
        if level > self._rules.threshold_dbov:
            if not self.speaking and timestamp >= self._start:
                self._attack_count = 0
            return False
        if self.speaking:
            self._last_loud_end = max(self._last_loud_end, end)
            if 0 < self._start - timestamp <= ATTACK_GAP_TICKS:
                self._start = timestamp
            return False
        if self._attack_count == 0 or abs(timestamp - self._last_loud_end) > ATTACK_GAP_TICKS:
            self._attack_count, self._start, self._last_loud_end = 1, timestamp, end
        else:
            self._attack_count += 1
            self._start = min(self._start, timestamp)
            self._last_loud_end = max(self._last_loud_end, end)
        self.speaking = self._attack_count >= self._rules.attack_packets
        return self.speaking

    def tick(self, now: int) -> TalkSpurt | None:
        """The clock says `now` (unwrapped ticks). Returns the spurt that ended, if one did."""
        if self.speaking and now - self._last_loud_end >= self._rules.hangover_ms * TICKS_PER_MS:
            return self.stop()
        return None

    def stop(self) -> TalkSpurt | None:
        """End the open spurt at its last loud packet: mute, leave, loss. None where nobody spoke."""
        self._attack_count = 0
        if not self.speaking:
            return None
        self.speaking = False
        spurt = TalkSpurt(self._start, self._last_loud_end)
        self._closed_ticks += spurt.ticks
        return spurt

    def take_peak(self) -> int:
        """The loudest level since the last call, in -dBov."""
        peak, self.peak_dbov = self.peak_dbov, SILENT_LEVEL
        return peak
