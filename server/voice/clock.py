"""The two clocks that people's stays are measured with.

The wall clock says *when* someone came; the monotonic clock says *how long* they stayed, so that a wall clock that is set
while someone is in a room never makes a stay negative or a day too long.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

__all__ = ["Clock", "SystemClock", "whole_ms"]


class Clock(Protocol):
    """Time as an argument, so that tests decide what time it is."""

    def now(self) -> datetime:
        """The wall clock: aware, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never run backwards, on the same scale as the event loop's `time()`."""
        ...


class SystemClock:
    """The machine's clocks. asyncio's own `loop.time()` is `time.monotonic()` too, so both may be compared."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


def whole_ms(moment: datetime) -> datetime:
    """`moment` cut to the millisecond, which is what the wire and the database keep: what is read back is then equal."""
    return moment - timedelta(microseconds=moment.microsecond % 1000)
