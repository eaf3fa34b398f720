"""How the highest load that holds is looked for. Nothing here runs a load: `attempt` does."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

__all__ = ["Attempt", "EndedBy", "Step", "climb", "halve_in"]

MOST_LOSS: Final = 0.001
LATEST_P99_US: Final = 20_000.0
_SATURATED_CPU: Final = 0.97
_TRIES: Final = 2
"""A load has to fail twice: one hiccup of the machine is not a limit."""
_CLIMB: Final = 1.25
_CLOSE: Final = 20
"""A limit is known when it lies within a twentieth."""


class EndedBy(StrEnum):
    """What a search ended at."""

    SERVER = "server"
    GENERATOR = "generator"
    """The clients had no time left: the server carries at least what held."""
    CEILING = "ceiling"
    """The highest load that was allowed held."""


@dataclass(frozen=True, slots=True)
class Step:
    """One load that was tried. `units` are rooms that talk, or people in the one room there is."""

    units: int
    packets_per_second: float
    loss: float
    us_per_packet: float
    server_cpu: float
    p50_us: float
    p99_us: float
    max_us: float
    loop_lag_ms: float
    generator_cpu: float
    generator_late_p99_us: float
    generator_drops: int

    @property
    def holds(self) -> bool:
        """Whether everybody heard everything in time."""
        return self.loss < MOST_LOSS and self.p99_us < LATEST_P99_US

    @property
    def generator_is_the_limit(self) -> bool:
        """Whether this says nothing about the server any more: its clients were late themselves, or did not read in time."""
        return self.generator_cpu > _SATURATED_CPU or self.generator_late_p99_us > LATEST_P99_US or self.generator_drops > 0


Attempt = Callable[[int], Awaitable[Step]]


async def _try(attempt: Attempt, units: int, steps: list[Step]) -> bool:
    for _ in range(_TRIES):
        steps.append(await attempt(units))
        if steps[-1].holds:
            return True
        if steps[-1].generator_is_the_limit:
            return False
    return False


def _ended_by(step: Step) -> EndedBy:
    return EndedBy.GENERATOR if step.generator_is_the_limit else EndedBy.SERVER


async def halve_in(attempt: Attempt, first: int, ceiling: int) -> tuple[list[Step], EndedBy]:
    """Double from `first` until a load does not hold, then halve in upon the limit. Returns every step."""
    steps: list[Step] = []
    low, high = 0, min(first, ceiling)
    while await _try(attempt, high, steps):
        low = high
        if high == ceiling:
            return steps, EndedBy.CEILING
        high = min(2 * high, ceiling)
    ended_by = _ended_by(steps[-1])
    while high - low > max(1, high // _CLOSE):
        middle = (low + high) // 2
        if await _try(attempt, middle, steps):
            low = middle
        else:
            high, ended_by = middle, _ended_by(steps[-1])
    return steps, ended_by


async def climb(attempt: Attempt, first: int, ceiling: int) -> tuple[list[Step], EndedBy]:
    """A quarter more each time, where people can only be added. Returns every step."""
    steps: list[Step] = []
    units = min(first, ceiling)
    while await _try(attempt, units, steps):
        if units == ceiling:
            return steps, EndedBy.CEILING
        units = min(ceiling, math.ceil(units * _CLIMB))
    return steps, _ended_by(steps[-1])
