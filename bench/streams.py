"""What a generator counts of received streams, from the cleartext RTP header alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

__all__ = ["Delays", "Stream", "StreamTotals", "percentile", "total"]


class Stream:
    """One SSRC at one receiver. `lost` are numbers that never came, `late` those that came after a later one (or twice).

    The packet path of the generator does `received += 1` and compares with `expected`; everything else is `skip`.
    """

    __slots__ = ("expected", "late", "lost", "received")

    def __init__(self) -> None:
        self.received = 0
        self.expected = -1
        """The next sequence number; -1 before the first packet."""
        self.lost = 0
        self.late = 0

    def skip(self, sequence: int) -> None:
        """A packet that is not the expected one: the first, one after a gap, or one that is late."""
        ahead = (sequence - self.expected) & 0xFFFF if self.expected >= 0 else 0
        if ahead < 0x8000:
            self.lost += ahead
            self.expected = (sequence + 1) & 0xFFFF
        else:
            self.lost -= 1
            self.late += 1


@dataclass(frozen=True, slots=True)
class StreamTotals:
    """Sums over streams."""

    streams: int
    received: int
    lost: int
    late: int


def total(streams: Iterable[Stream]) -> StreamTotals:
    """Sums over streams that received anything."""
    heard = [stream for stream in streams if stream.received]
    return StreamTotals(len(heard), sum(s.received for s in heard), sum(s.lost for s in heard), sum(s.late for s in heard))


def percentile(ordered: Sequence[float], fraction: float) -> float:
    """The value below which this fraction of `ordered` (ascending) lies: nearest rank. 0.0 where there is none."""
    if not ordered:
        return 0.0
    return ordered[min(len(ordered) - 1, int(fraction * len(ordered)))]


@dataclass(frozen=True, slots=True)
class Delays:
    """One-way delays in microseconds, of `samples` packets."""

    samples: int
    p50_us: float
    p99_us: float
    max_us: float

    @classmethod
    def of(cls, nanoseconds: Iterable[int]) -> Delays:
        """From single delays."""
        ordered = sorted(nanosecond / 1000 for nanosecond in nanoseconds)
        return cls(len(ordered), percentile(ordered, 0.5), percentile(ordered, 0.99), ordered[-1] if ordered else 0.0)
