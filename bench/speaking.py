"""`python -m bench speaking`: how soon it is seen that somebody begins and stops to speak.

In each room one person talks from a script, another one notes when `voice_speaking` says so. The truth is the sound: a packet of
20 ms leaves when its sound is over, so speech has begun 20 ms before its first packet, and is over when the last one leaves.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import tempfile
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp

from bench.client import Message, VoiceClient
from bench.peer import Peer
from bench.processes import Cores, ServerProcess, running_server
from bench.sdp import OfferOptions
from bench.speech import FRAME_MS, Utterance
from bench.streams import percentile

__all__ = ["Edge", "Latencies", "SpeakingReport", "latencies", "run", "script", "speaking_table"]

ON_LIMIT_MS: Final = 150.0
OFF_LIMIT_MS: Final = 500.0
"""At the 95th percentile."""
_SHORTEST_MS: Final = 300
_LONGEST_MS: Final = 900
_SHORTEST_PAUSE_MS: Final = 700
_LONGEST_PAUSE_MS: Final = 1200
"""Longer than the hang-over, so that every pause is seen."""
_AFTERWARDS_MS: Final = 1200
_MOST_ROOMS: Final = 100
_MOST_UTTERANCES: Final = 100


@dataclass(frozen=True, slots=True)
class Edge:
    """Someone was seen to begin (`speaking`) or to stop, at this time of the loop's clock."""

    at: float
    speaking: bool


@dataclass(frozen=True, slots=True)
class Latencies:
    """How long after the sound an edge was seen, in ms. `missing` is how many were not seen."""

    edges: int
    missing: int
    p50_ms: float
    p95_ms: float
    max_ms: float


@dataclass(frozen=True, slots=True)
class SpeakingReport:
    """`spoken_ms` is what the scripts had, `measured_ms` what the server wrote down."""

    rooms: int
    on: Latencies
    off: Latencies
    spoken_ms: int
    measured_ms: int

    @property
    def is_well(self) -> bool:
        """Whether every edge was seen, and soon enough."""
        seen = self.on.missing == self.off.missing == 0
        return seen and self.on.p95_ms <= ON_LIMIT_MS and self.off.p95_ms <= OFF_LIMIT_MS

    def as_json(self) -> dict[str, Any]:
        """Everything."""
        return {"benchmark": "speaking", "is_well": self.is_well} | asdict(self)


def script(utterances: int, rng: random.Random) -> tuple[list[Utterance], int]:
    """Something to say, in whole frames, and how long it takes with the silence after it, in ms."""
    said = []
    at = rng.randrange(_SHORTEST_PAUSE_MS, _LONGEST_PAUSE_MS, FRAME_MS)
    for _ in range(utterances):
        length = rng.randrange(_SHORTEST_MS, _LONGEST_MS, FRAME_MS)
        said.append(Utterance(at, length, level=rng.randrange(18, 35)))
        at += length + rng.randrange(_SHORTEST_PAUSE_MS, _LONGEST_PAUSE_MS, FRAME_MS)
    return said, at - _SHORTEST_PAUSE_MS + _AFTERWARDS_MS


def latencies(truth: Sequence[Edge], seen: Sequence[Edge]) -> list[float | None]:
    """For each true edge, how many ms later it was seen; None where it was not before the next one of its kind was true."""
    found: list[float | None] = []
    for number, edge in enumerate(truth):
        following = [later.at for later in truth[number + 1 :] if later.speaking is edge.speaking]
        until = following[0] if following else float("inf")
        times = (other.at for other in seen if other.speaking is edge.speaking and edge.at <= other.at < until)
        first = next(times, None)
        found.append(None if first is None else (first - edge.at) * 1000)
    return found


def _summary(found: Iterable[float | None]) -> Latencies:
    every = list(found)
    ordered = sorted(value for value in every if value is not None)
    p50, p95 = percentile(ordered, 0.5), percentile(ordered, 0.95)
    return Latencies(len(every), len(every) - len(ordered), p50, p95, ordered[-1] if ordered else 0.0)


async def run(rooms: int, utterances: int, *, seed: int = 1) -> SpeakingReport:
    """`utterances` in each of `rooms`. Raises ValueError for senseless counts, RuntimeError where the server does not come up."""
    if not 1 <= rooms <= _MOST_ROOMS or not 1 <= utterances <= _MOST_UTTERANCES:
        raise ValueError(f"1 to {_MOST_ROOMS} rooms, 1 to {_MOST_UTTERANCES} utterances in each")
    cores = Cores.choose()
    os.sched_setaffinity(0, cores.generator)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        async with (
            running_server(Path(folder), cores.server) as server,
            aiohttp.ClientSession(server.url, connector=aiohttp.TCPConnector(limit=0)) as http,
        ):
            found = await asyncio.gather(*(_room(server, http, n, utterances, random.Random(seed + n)) for n in range(rooms)))
    return SpeakingReport(
        rooms=rooms,
        on=_summary(late for room in found for late, edge in room.edges if edge.speaking),
        off=_summary(late for room in found for late, edge in room.edges if not edge.speaking),
        spoken_ms=sum(room.spoken_ms for room in found),
        measured_ms=sum(room.measured_ms for room in found),
    )


@dataclass(frozen=True, slots=True)
class _Room:
    edges: list[tuple[float | None, Edge]]
    spoken_ms: int
    measured_ms: int


async def _room(server: ServerProcess, http: aiohttp.ClientSession, number: int, utterances: int, rng: random.Random) -> _Room:
    said, total_ms = script(utterances, rng)
    async with _person(server, http, number, "speaker") as speaker, _person(server, http, number, "listener") as listener:
        assert speaker.peer is not None
        await listener.hears(1)
        seen: list[Edge] = []
        listener.on_message = lambda message: seen.extend(_edges(message, speaker.session_id, seen))
        began = asyncio.get_running_loop().time() - FRAME_MS / 1000
        await speaker.peer.speak(said, total_ms)
        summary = await speaker.leave()
    truth = []
    for utterance in said:
        truth.append(Edge(began + utterance.start_ms / 1000, True))
        truth.append(Edge(began + (utterance.start_ms + utterance.duration_ms) / 1000, False))
    late = latencies(truth, seen)
    return _Room(list(zip(late, truth, strict=True)), sum(u.duration_ms for u in said), summary["speaking_ms"])


def _edges(message: Message, session_id: str, seen: Sequence[Edge]) -> list[Edge]:
    """What a message says that is new: levels repeat that somebody speaks."""
    if message["type"] != "voice_speaking":
        return []
    now, state = asyncio.get_running_loop().time(), seen[-1].speaking if seen else False
    speaking = [entry["speaking"] for entry in message["speakers"] if entry["sessionId"] == session_id]
    return [Edge(now, speaking[-1])] if speaking and speaking[-1] is not state else []


@contextlib.asynccontextmanager
async def _person(server: ServerProcess, http: aiohttp.ClientSession, room: int, name: str) -> AsyncIterator[VoiceClient]:
    client = VoiceClient(http, token=server.token, user_id=f"{name}-{room}")
    try:
        await client.enter(f"speaking-{room}", Peer(OfferOptions(slots=1)))
        yield client
    finally:
        await client.close()


def speaking_table(report: SpeakingReport) -> str:
    """The report as a table, in Markdown."""
    head = ("", "edges", "not seen", "p50", "p95", "max", "limit (p95)")
    lines = [head, ("---",) + ("---:",) * (len(head) - 1)]
    for name, measured, limit in (("on", report.on, ON_LIMIT_MS), ("off", report.off, OFF_LIMIT_MS)):
        times = (f"{value:.0f} ms" for value in (measured.p50_ms, measured.p95_ms, measured.max_ms, limit))
        lines.append((name, str(measured.edges), str(measured.missing), *times))
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    error = (report.measured_ms - report.spoken_ms) / report.spoken_ms
    said = f"{report.rooms} rooms; {report.spoken_ms / 1000:.1f} s were spoken, {report.measured_ms / 1000:.1f} s measured"
    return f"{table}\n\n{said} ({error:+.2%})."
