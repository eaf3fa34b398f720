"""Who speaks, from when to when: RFC 6464 levels in RTP time.

A talk-spurt begins with the first of `attack_packets` loud packets in a row (back-dated to that first one), and ends with the
last loud packet once `hangover` has passed without another; the hang-over is waited for but not counted. Time is the sender's
RTP clock (48 kHz), unwrapped, so that loss, delay and jitter of the network do not change what is measured. The detector is
pure: `now` comes in, edges come out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from .noise_floor import NO_FLOOR, NoiseFloor

__all__ = ["SILENT_LEVEL", "SpeakingDetector", "SpeakingRules", "TalkSpurt", "display_level"]

CLOCK_RATE: Final = 48_000
TICKS_PER_MS: Final = CLOCK_RATE // 1000
SILENT_LEVEL: Final = 127
"""Digital silence in -dBov."""
DISPLAY_FLOOR_DBOV: Final = 60
"""What is shown as 0.0; the scale up to 0 dBov = 1.0 is linear in decibels, as hearing is."""
POWER: Final = tuple(10.0 ** (-level / 10) for level in range(SILENT_LEVEL + 1))
"""The power of each level, 1.0 at full scale: levels are averaged as power, as a sound level meter does (Leq, IEC 61672-1)."""
ATTACK_GAP_TICKS: Final = 60 * TICKS_PER_MS
"""Loud packets no further apart than this are in a row: two lost packets of 20 ms between them do not undo an attack."""


@dataclass(frozen=True, slots=True)
class SpeakingRules:
    """When a packet counts as speech. Levels are magnitudes: 50 means -50 dBov and louder.

    Speech is at least as loud as `threshold_dbov` and by `noise_margin_db` louder than the quietest moment of the last
    `noise_window_ms` of sound (0: the room is not looked at); what is as loud as `always_dbov` is speech in any room.
    """

    threshold_dbov: int = 50
    attack_packets: int = 2
    hangover_ms: int = 400
    noise_margin_db: int = 8
    noise_window_ms: int = 5000
    always_dbov: int = 30

    def limit(self, floor: int) -> int:
        """How quiet a packet may be and count as loud, above a room of `floor`."""
        return min(self.threshold_dbov, max(floor - self.noise_margin_db, self.always_dbov))


@dataclass(frozen=True, slots=True)
class TalkSpurt:
    """One spurt: start and end in unwrapped RTP ticks; its loudest and its mean level, of its loud packets alone, in -dBov."""

    start: int
    end: int
    peak_dbov: int
    mean_dbov: int

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

    __slots__ = (
        "_attack_count",
        "_closed_ticks",
        "_last_loud_end",
        "_limit",
        "_loud_packets",
        "_loudest",
        "_noise",
        "_power",
        "_rules",
        "_start",
        "peak_dbov",
        "speaking",
    )

    def __init__(self, rules: SpeakingRules) -> None:
        self._rules = rules
        self._noise = NoiseFloor(rules.noise_window_ms * TICKS_PER_MS) if rules.noise_margin_db else None
        self._limit = rules.limit(NO_FLOOR)
        self.speaking = False
        self.peak_dbov = SILENT_LEVEL
        self._attack_count = 0
        self._start = 0
        self._last_loud_end = 0
        self._closed_ticks = 0
        self._loud_packets = 0
        self._loudest = SILENT_LEVEL
        self._power = 0.0

    @property
    def spurt(self) -> TalkSpurt:
        """The open spurt, up to its last loud packet; where nobody speaks, the one that has just been closed."""
        mean = -10 * math.log10(self._power / self._loud_packets) if self._loud_packets else SILENT_LEVEL
        return TalkSpurt(self._start, self._last_loud_end, self._loudest, round(mean))

    @property
    def total_ticks(self) -> int:
        return self._closed_ticks + (self._last_loud_end - self._start if self.speaking else 0)

    @property
    def limit_dbov(self) -> int:
        """How quiet a packet may be now and count as loud."""
        return self._limit

    def packet(self, timestamp: int, duration: int, level: int) -> bool:
        """A packet of `duration` ticks at unwrapped `timestamp`. Returns whether `speaking` became True.

        Reordered packets are welcome: an older loud one may only extend a spurt, never end it.
        """
        if level < self.peak_dbov:  # noqa: PLR1730 - for each packet; a call costs four times as much
            self.peak_dbov = level
        end = timestamp + duration
        if self._noise is not None and self._noise.packet(duration, level):
            self._limit = self._rules.limit(self._noise.floor)
        if level > self._limit:
            if not self.speaking and timestamp >= self._start:
                self._attack_count = 0
            return False
        if self.speaking:
            self._add_level(level)
            if end > self._last_loud_end:  # noqa: PLR1730
                self._last_loud_end = end
            if 0 < self._start - timestamp <= ATTACK_GAP_TICKS:
                self._start = timestamp
            return False
        if self._attack_count == 0 or abs(timestamp - self._last_loud_end) > ATTACK_GAP_TICKS:
            self._attack_count, self._start, self._last_loud_end = 1, timestamp, end
            self._loud_packets, self._loudest, self._power = 0, SILENT_LEVEL, 0.0
        else:
            self._attack_count += 1
            self._start = min(self._start, timestamp)
            self._last_loud_end = max(self._last_loud_end, end)
        self._add_level(level)
        self.speaking = self._attack_count >= self._rules.attack_packets
        return self.speaking

    def _add_level(self, level: int) -> None:
        self._loud_packets += 1
        self._power += POWER[level]
        if level < self._loudest:  # noqa: PLR1730
            self._loudest = level

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
        spurt = self.spurt
        self._closed_ticks += spurt.ticks
        return spurt

    def take_peak(self) -> int:
        """The loudest level since the last call, in -dBov."""
        peak, self.peak_dbov = self.peak_dbov, SILENT_LEVEL
        return peak
