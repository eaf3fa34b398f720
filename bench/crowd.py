"""What a join into a full room costs, against one into an empty room.

One room has three speakers, who say nothing, and a crowd of listeners. Newcomers join it one after the other and leave again,
then as many join a room of their own. What the server takes for the crowd itself (pings, consent checks) is measured before
and taken off.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import aiohttp

from bench.client import VoiceClient
from bench.peer import Peer
from bench.population import population
from bench.processes import Cores, ServerProcess, running_server
from bench.sdp import OfferOptions
from bench.shapes import shape_named
from bench.streams import percentile

__all__ = ["CrowdReport", "JoinCost", "into_crowd"]

_SPEAKERS: Final = 3
_JOINS: Final = 20
_IDLE_SECONDS: Final = 2.0
_PAUSE_SECONDS: Final = 0.05


@dataclass(frozen=True, slots=True)
class JoinCost:
    """Of one join: the server's CPU time, and how long it took until connected. All in milliseconds."""

    cpu_ms: float
    p50_ms: float
    p95_ms: float

    def line(self) -> str:
        """For the terminal."""
        return f"{self.cpu_ms:6.2f} ms of CPU, connected after {self.p50_ms:.1f} ms (p95 {self.p95_ms:.1f} ms)"


@dataclass(frozen=True, slots=True)
class CrowdReport:
    """`idle_cpu` is the share of a core that the waiting crowd takes."""

    people: int
    idle_cpu: float
    empty: JoinCost
    full: JoinCost

    @property
    def cpu_ratio(self) -> float:
        """CPU of a join into the full room to one into an empty room."""
        return self.full.cpu_ms / self.empty.cpu_ms

    def lines(self) -> list[str]:
        """For the terminal."""
        costs = {"empty": self.empty, "full": self.full}
        return [
            f"a join into a room of {self.people} costs {self.cpu_ratio:.2f} times one into an empty room",
            f"  the crowd itself takes {self.idle_cpu:.1%} of a core",
            *(f"  {name:<6} {cost.line()}" for name, cost in costs.items()),
        ]


async def into_crowd(folder: Path, cores: Cores, listeners: int) -> CrowdReport:
    """Raises RuntimeError where the server does not come up or not everybody gets in."""
    shape = shape_named("audience", size=listeners + _SPEAKERS)
    place = folder / "crowd"
    place.mkdir(mode=0o700)
    settings = dict(shape.settings) | {"VOICE_MAX_PARTICIPANTS": str(shape.size + 2)}
    async with running_server(place, cores.server, settings=settings) as server, population(server, shape) as people:
        await people.grow(1, shape.size)
        await asyncio.sleep(_PAUSE_SECONDS)
        idle = await _idle(server)
        async with aiohttp.ClientSession(server.url) as http:
            await _cost(server, http, "bench-warm-up-{}", idle)
            empty = await _cost(server, http, "bench-empty-{}", idle)
            full = await _cost(server, http, "bench-room-0", idle)
    return CrowdReport(shape.size, idle, empty, full)


async def _idle(server: ServerProcess) -> float:
    began, cpu = time.monotonic(), server.cpu.read_ns()
    await asyncio.sleep(_IDLE_SECONDS)
    return (server.cpu.read_ns() - cpu) / 1e9 / (time.monotonic() - began)


async def _cost(server: ServerProcess, http: aiohttp.ClientSession, room: str, idle: float) -> JoinCost:
    """`room` is the same for all, or has a place for a number."""
    times = []
    spent_ns, seconds = 0, 0.0
    for number in range(_JOINS):
        client = VoiceClient(http, token=server.token, user_id="newcomer")
        peer = Peer(OfferOptions(slots=_SPEAKERS - 1, listen_only=True))
        entered, cpu = time.monotonic(), server.cpu.read_ns()
        await client.enter(room.format(number), peer)
        times.append((time.monotonic() - entered) * 1000)
        await asyncio.sleep(_PAUSE_SECONDS)  # what the server still does for it
        spent_ns += server.cpu.read_ns() - cpu
        seconds += time.monotonic() - entered
        await client.leave()
        await client.close()
        await asyncio.sleep(_PAUSE_SECONDS)
    times.sort()
    return JoinCost((spent_ns / 1e6 - idle * seconds * 1000) / _JOINS, percentile(times, 0.5), percentile(times, 0.95))
