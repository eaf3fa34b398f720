"""The live load of this process: how late its event loop is, how many packets leave a second, how long writes take.

`LoadMeter` only counts and takes time as an argument; `LoadSampler` reads the clocks.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

__all__ = ["LoadMeter", "LoadSampler", "percentile"]

SAMPLE_SECONDS: Final = 0.05
"""How often the loop is asked for the time. Twenty small wake-ups a second cost less than a thousandth of a core."""
WINDOW_SECONDS: Final = 10.0
"""What is told is about so long a stretch."""
_RATE_SECONDS: Final = 1.0
_SAMPLE_MS: Final = SAMPLE_SECONDS * 1000
_WINDOW_MS: Final = WINDOW_SECONDS * 1000
_SAMPLES_A_SECOND: Final = round(1 / SAMPLE_SECONDS)
_KEPT_WRITES: Final = 1000


def percentile(values: Sequence[float], fraction: float) -> float:
    """The smallest value that is not exceeded by this fraction of `values`: nearest rank. 0.0 where there is none."""
    ordered = sorted(values)
    if not ordered:
        return 0.0
    return ordered[min(len(ordered) - 1, int(fraction * len(ordered)))]


class LoadMeter:
    """What was measured in the last `WINDOW_SECONDS`. Rates are packets a second over whole seconds."""

    def __init__(self) -> None:
        self._lags_ms: deque[float] = deque()
        self._late_ms = 0.0
        self._rates: deque[float] = deque(maxlen=round(WINDOW_SECONDS / _RATE_SECONDS))
        self._writes_ms: deque[float] = deque(maxlen=_KEPT_WRITES)
        self._counted: tuple[float, int] | None = None

    def loop_was_late(self, seconds: float) -> None:
        """The loop came back so long after it should have, which was `SAMPLE_SECONDS` after it was asked."""
        self._lags_ms.append(max(seconds, 0.0) * 1000)
        self._late_ms += self._lags_ms[-1]
        while len(self._lags_ms) > 1 and len(self._lags_ms) * _SAMPLE_MS + self._late_ms > _WINDOW_MS:
            self._late_ms -= self._lags_ms.popleft()

    def sent(self, packets: int, at: float) -> None:
        """`packets` have left since the start, at a monotonic time in seconds. To be told more often than once a second."""
        if self._counted is None:
            self._counted = (at, packets)
            return
        since, before = self._counted
        if at - since >= _RATE_SECONDS:
            self._rates.append(max(packets - before, 0) / (at - since))
            self._counted = (at, packets)

    def wrote(self, seconds: float) -> None:
        """A write to the database was done so long after it was asked for."""
        self._writes_ms.append(seconds * 1000)

    @property
    def packets_per_second(self) -> float:
        """Sent in the last whole second."""
        return self._rates[-1] if self._rates else 0.0

    @property
    def peak_packets_per_second(self) -> float:
        """Sent in the busiest second of the window."""
        return max(self._rates, default=0.0)

    @property
    def lateness(self) -> float:
        """The share of the window in which the loop should have been back already: 0.0 where it always is, 1.0 where it hangs."""
        return min(1.0, max(0.0, self._late_ms) / _WINDOW_MS)

    def lag_ms(self, fraction: float) -> float:
        """How late the loop was at the most in this fraction of the window's samples."""
        return percentile(self._lags_ms, fraction)

    def figures(self) -> dict[str, float]:
        """All of it, for health. `loop_lag_now_ms` is the largest of the last second. Milliseconds have three decimals."""
        return {
            "packets_per_second": round(self.packets_per_second),
            "peak_packets_per_second": round(self.peak_packets_per_second),
            "loop_lag_now_ms": round(max(list(self._lags_ms)[-_SAMPLES_A_SECOND:], default=0.0), 3),
            "loop_lag_p50_ms": round(self.lag_ms(0.5), 3),
            "loop_lag_p99_ms": round(self.lag_ms(0.99), 3),
            "loop_lag_max_ms": round(max(self._lags_ms, default=0.0), 3),
            "database_write_p50_ms": round(percentile(self._writes_ms, 0.5), 3),
            "database_write_p99_ms": round(percentile(self._writes_ms, 0.99), 3),
        }


class LoadSampler:
    """Reads the clocks for `meter`, from `start` to `stop`. `packets_out` is the count since the start of the process."""

    def __init__(self, meter: LoadMeter, packets_out: Callable[[], int]) -> None:
        self._meter = meter
        self._packets_out = packets_out
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run(), name="load-sampler")

    async def stop(self) -> None:
        """Does nothing where it was never started."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + SAMPLE_SECONDS
            await asyncio.sleep(SAMPLE_SECONDS)
            now = loop.time()
            self._meter.loop_was_late(now - due)
            self._meter.sent(self._packets_out(), now)
