"""Whether the levels that a client writes into its packets are true, judged from short runs of packets that were decoded.

A level is false where it is far from what is heard *and* on the other side of what counts as speech. Honest ones seem false where
a word ends, as a codec is some milliseconds late: in one packet of a run, or in two where packets are lost or come late. So it
takes many in several runs.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

__all__ = ["Contradiction", "LevelSample", "Suspicion", "TokenBucket"]

RUN_PACKETS: Final = 10
"""Packets of a run, one after the other as they come."""
WARM_UP_PACKETS: Final = 3
"""The first ones of a run, which a decoder that comes in the middle of a stream needs to find its way."""
LEAST_DIFFERENCE_DB: Final = 15
"""Speech that was encoded at 16 kbit/s and more comes out within 6 dB."""
THRESHOLD_MARGIN_DB: Final = 6
"""What is heard must be so far beyond the threshold of speech."""
RUNS_REMEMBERED: Final = 5
PACKETS_TO_CONVICT: Final = 15
"""Of the 35 that are compared in five runs; honest ones have at most two a run. Three runs that are false from end to end are
enough, two are not."""
HONEST_PACKETS: Final = 2
"""More than so many that seem false in one run are worth another look at once."""


class Contradiction(StrEnum):
    """What a client claimed wrongly."""

    LOUD_OVER_SILENCE = "loud_over_silence"
    SILENCE_OVER_SPEECH = "silence_over_speech"


@dataclass(frozen=True, slots=True)
class LevelSample:
    """One packet: what it claims and what is heard, in -dBov."""

    claimed: int
    measured: int

    def contradiction(self, threshold: int) -> Contradiction | None:
        """None where the two agree as to speech, or are not far apart."""
        if abs(self.claimed - self.measured) < LEAST_DIFFERENCE_DB:
            return None
        if self.claimed <= threshold and self.measured >= threshold + THRESHOLD_MARGIN_DB:
            return Contradiction.LOUD_OVER_SILENCE
        if self.claimed > threshold and self.measured <= threshold - THRESHOLD_MARGIN_DB:
            return Contradiction.SILENCE_OVER_SPEECH
        return None


class Suspicion:
    """What is held against one microphone. `threshold` is that of speech, in -dBov."""

    __slots__ = ("_runs", "_threshold")

    def __init__(self, threshold: int) -> None:
        self._threshold = threshold
        self._runs: deque[tuple[int, int]] = deque(maxlen=RUNS_REMEMBERED)

    def add(self, run: Sequence[LevelSample]) -> Contradiction | None:
        """A run that was decoded; those of its packets that warm the decoder up do not count. Returns what is proven now."""
        found = [sample.contradiction(self._threshold) for sample in run[WARM_UP_PACKETS:]]
        self._runs.append((found.count(Contradiction.LOUD_OVER_SILENCE), found.count(Contradiction.SILENCE_OVER_SPEECH)))
        for kind, count in zip(Contradiction, map(sum, zip(*self._runs, strict=True)), strict=True):
            if count >= PACKETS_TO_CONVICT:
                return kind
        return None

    @property
    def is_suspect(self) -> bool:
        """Whether the last run had more false packets than the end of a word makes: it should be looked at again soon."""
        return bool(self._runs) and max(self._runs[-1]) > HONEST_PACKETS


class TokenBucket:
    """Seconds of CPU time that may be spent: `rate` of them a second, `burst` at once."""

    __slots__ = ("_at", "_burst", "_rate", "_tokens")

    def __init__(self, rate: float, burst: float, now: float) -> None:
        self._rate = rate
        self._burst = burst
        self._tokens = burst
        self._at = now

    def available(self, now: float) -> float:
        """May be below 0: what was spent is only known afterwards."""
        self._tokens = min(self._burst, self._tokens + (now - self._at) * self._rate)
        self._at = now
        return self._tokens

    def spend(self, seconds: float) -> None:
        """Take what was used."""
        self._tokens -= seconds
