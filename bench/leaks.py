"""Whether a server that people come to and leave stays as it was: descriptors, tasks, connections, memory."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.processes import ServerProcess

__all__ = ["LeakReport", "Sample", "Watcher", "slope"]

_SAMPLES: Final = 20
_SETTLE_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Sample:
    """The server after so many joins and leaves."""

    cycles: int
    descriptors: int
    tasks: int
    transports: int
    resident_kib: int


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Of a line through the points (least squares); 0.0 for fewer than two different x."""
    if len({x for x, _ in points}) < 2:
        return 0.0
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    over = sum((x - mean_x) * (y - mean_y) for x, y in points)
    return over / sum((x - mean_x) ** 2 for x, _ in points)


@dataclass(frozen=True, slots=True)
class LeakReport:
    """`before` is the server before the first, `after` once the last had gone; `bytes_a_cycle` is over the second half."""

    cycles: int
    seconds: float
    before: Sample
    after: Sample
    samples: list[Sample]
    bytes_a_cycle: float

    def lines(self) -> list[str]:
        """For the terminal."""
        return [
            f"{self.cycles} joins and leaves in {self.seconds:.1f} s",
            f"  descriptors  {self.before.descriptors} before, {self.after.descriptors} after",
            f"  tasks        {self.before.tasks} before, {self.after.tasks} after",
            f"  transports   {self.before.transports} before, {self.after.transports} after",
            f"  memory       {self.before.resident_kib / 1024:.1f} MiB before, {self.after.resident_kib / 1024:.1f} MiB after",
            f"               over the second half {self.bytes_a_cycle:.0f} bytes a join",
        ]


class Watcher:
    """Looks at the server a few times while `count` people come and go."""

    def __init__(self, server: ServerProcess, count: int) -> None:
        self._server = server
        self._count = count
        self._every = max(1, count // _SAMPLES)
        self._samples: list[Sample] = []
        self._before: Sample | None = None
        self._began = time.monotonic()
        self._done = 0

    async def begin(self) -> None:
        """Nobody has come yet."""
        self._before = await self._look()
        self._began = time.monotonic()

    async def passed(self) -> None:
        """One more is gone again."""
        self._done += 1
        if self._done % self._every == 0:
            self._samples.append(await self._look())

    async def report(self) -> LeakReport:
        """All are gone; waits until the server has put its things away, as long as that takes, up to ten seconds."""
        seconds = time.monotonic() - self._began
        before = self._before
        assert before is not None
        deadline = time.monotonic() + _SETTLE_SECONDS
        after = await self._look()
        while time.monotonic() < deadline and (
            after.transports or after.descriptors > before.descriptors or after.tasks > before.tasks
        ):
            await asyncio.sleep(0.2)
            after = await self._look()
        half = [(float(s.cycles), s.resident_kib * 1024.0) for s in self._samples if s.cycles >= self._count / 2]
        return LeakReport(self._count, seconds, before, after, self._samples, slope(half))

    async def _look(self) -> Sample:
        health = await self._server.health()
        return Sample(
            cycles=self._done,
            descriptors=len(os.listdir(Path(f"/proc/{self._server.pid}/fd"))),
            tasks=int(health["load"]["tasks"]),
            transports=int(health["media"]["transports"]),
            resident_kib=self._server.cpu.resident_kib(),
        )
