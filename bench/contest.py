"""`python -m bench peers`: the same load on our server, on Janus, and on an SFU made of aiortc's `MediaRelay`.

All of them run at the same time on the same core and have the same people in them, but only one at a time has anything to do:
ours, Janus, ours, Janus, …, so that what else happens on the machine meets each of them alike. The relay carries hardly
anything, so it has a load of its own, against ours under that load.
"""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bench.contest_report import ContestReport, Result
from bench.generator import LoadGenerator
from bench.load_client import LoadClient
from bench.media import stage
from bench.others.full_peer import FullPeer
from bench.others.janus import NotInstalled, janus
from bench.others.relay import relay
from bench.peer import PeerState
from bench.processes import Cores
from bench.report import ServerWindow
from bench.shapes import Shape
from bench.windows import Target, kernel_window, server_window

__all__ = ["Contestant", "run"]

ROUNDS: Final = 3
_PROBE_EVERY: Final = 10
_WARM_UP_SECONDS: Final = 1.0
_CONNECT_SECONDS: Final = 20.0
OURS: Final = "Weltenstimme"
RELAY: Final = "aiortc MediaRelay"


@dataclass(frozen=True, slots=True)
class Contestant:
    """A server under load. `reencodes`: what it sends is not what it got, so that no delay can be read from it."""

    name: str
    target: Target
    clients: Sequence[LoadClient]
    listeners: int
    reencodes: bool = False

    def sent(self) -> int:
        """Packets that its clients sent."""
        return sum(client.sent for client in self.clients)


async def run(shape: Shape, relay_shape: Shape | None, *, with_janus: bool = True, event_loops: int = 1) -> ContestReport:
    """Ours against Janus under `shape`, ours against the relay under `relay_shape`. Raises RuntimeError where one fails."""
    pairs: list[tuple[Result, Result]] = []
    skipped: dict[str, str] = {}
    shapes: list[Shape] = []
    kernel = None
    if with_janus:
        try:
            pair, kernel = await _against_janus(shape, event_loops)
            pairs.append(pair)
            shapes.append(shape)
        except NotInstalled as problem:
            skipped["Janus"] = str(problem)
    if relay_shape is not None:
        pairs.append(await _against_relay(relay_shape))
        shapes.append(relay_shape)
    return ContestReport(shapes, pairs, kernel, skipped)


async def _against_janus(shape: Shape, event_loops: int) -> tuple[tuple[Result, Result], float]:
    async with _ours(shape) as ours, _janus(shape, ours.target.cores, event_loops) as other:
        measured = await _alternate(ours, other, shape.seconds / ROUNDS)
        last = measured[0]
        share = await kernel_window(ours.target, last[1][-1], shape.seconds / ROUNDS)
        results = [_result(contestant, windows, loss) for contestant, windows, loss in measured]
        return (results[0], results[1]), share.us_per_packet


async def _against_relay(shape: Shape) -> tuple[Result, Result]:
    async with _ours(shape) as ours, _relay(shape, ours.target.cores) as other:
        measured = await _alternate(ours, other, shape.seconds / ROUNDS)
        results = [_result(contestant, windows, loss) for contestant, windows, loss in measured]
        return results[0], results[1]


async def _alternate(first: Contestant, second: Contestant, seconds: float) -> list[tuple[Contestant, list[ServerWindow], float]]:
    """Each in turn. Loss is over the measured rounds, not over the warm-up."""
    found: dict[str, list[ServerWindow]] = {first.name: [], second.name: []}
    counts: dict[str, tuple[int, int]] = {}
    for contestant in (first, second):
        await server_window(contestant.target, _WARM_UP_SECONDS)
        counts[contestant.name] = (contestant.sent(), contestant.target.generator.totals().received)
    for _ in range(ROUNDS):
        for contestant in (first, second):
            found[contestant.name].append(await server_window(contestant.target, seconds))
    measured = []
    for contestant in (first, second):
        sent, received = counts[contestant.name]
        expected = (contestant.sent() - sent) * contestant.listeners
        came = contestant.target.generator.totals().received - received
        measured.append((contestant, found[contestant.name], max(0.0, 1 - came / max(expected, 1))))
    return measured


def _result(contestant: Contestant, windows: Sequence[ServerWindow], loss: float) -> Result:
    seconds, packets = sum(w.seconds for w in windows), sum(w.packets for w in windows)
    cpu_ns = sum(w.cpu_ns for w in windows)
    seen = not contestant.reencodes
    return Result(
        name=contestant.name,
        profile=contestant.clients[0].srtp.profile,
        packets_per_second=packets / seconds,
        asked_per_second=contestant.target.shape.packets_out_per_second,
        us_per_packet=cpu_ns / 1000 / max(packets, 1),
        cpu_share=cpu_ns / 1e9 / seconds,
        loss=loss,
        p50_us=sum(w.delays.p50_us for w in windows) / len(windows) if seen else None,
        p99_us=sum(w.delays.p99_us for w in windows) / len(windows) if seen else None,
        max_us=max(w.delays.max_us for w in windows) if seen else None,
        generator_cpu=max(w.generator_cpu_ns / 1e9 / w.seconds for w in windows),
        others_cpu=max(w.others_cpu_seconds / w.seconds for w in windows),
    )


# the contestants


@contextlib.asynccontextmanager
async def _ours(shape: Shape) -> AsyncIterator[Contestant]:
    async with stage(shape) as ready:
        await ready.people.grow(shape.rooms, shape.size)
        ready.people.cast()
        yield Contestant(OURS, ready.target, ready.people.clients(), shape.listeners)


@contextlib.asynccontextmanager
async def _janus(shape: Shape, cores: Cores, event_loops: int) -> AsyncIterator[Contestant]:
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-janus-")))
        server = await stack.enter_async_context(janus(folder, cores.server, event_loops=event_loops))
        crowd = await stack.enter_async_context(_crowd(shape))
        feeds = {room: [room * shape.size + seat + 1 for seat in range(shape.size)] for room in range(shape.rooms)}
        for room, published in feeds.items():
            await server.create_room(room + 1, shape.size)
            for feed in published:
                await server.publish(room + 1, feed, crowd.sender())
        await crowd.connect()
        for room, published in feeds.items():
            for feed in published:
                await server.subscribe(room + 1, [other for other in published if other != feed], crowd.receiver())
        await crowd.connect()
        generator = crowd.start()
        name = f"Janus, {event_loops} event loop{'s' if event_loops != 1 else ''}" if event_loops else "Janus, a thread each"
        yield Contestant(name, Target(shape, cores, server.cpu, generator, ()), crowd.clients, shape.listeners)


@contextlib.asynccontextmanager
async def _relay(shape: Shape, cores: Cores) -> AsyncIterator[Contestant]:
    async with contextlib.AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-relay-")))
        server = await stack.enter_async_context(relay(folder, cores.server))
        crowd = await stack.enter_async_context(_crowd(shape))
        places = [(f"room-{room}", f"{seat}") for room in range(shape.rooms) for seat in range(shape.size)]
        for place in places:
            await server.publish(*place, crowd.sender())
        await crowd.connect()
        for place in places:
            await server.subscribe(*place, crowd.receiver(shape.size - 1))
        await crowd.connect()
        generator = crowd.start()
        yield Contestant(RELAY, Target(shape, cores, server.cpu, generator, ()), crowd.clients, shape.listeners, reencodes=True)


class _Crowd:
    """Peers with a connection to send and one to receive for each person, then in the hands of a generator."""

    def __init__(self, shape: Shape) -> None:
        self._shape = shape
        self._senders: list[FullPeer] = []
        self._receivers: list[FullPeer] = []
        self.clients: list[LoadClient] = []
        self.generator: LoadGenerator | None = None

    def sender(self) -> FullPeer:
        """One more connection that sends."""
        self._senders.append(FullPeer())
        return self._senders[-1]

    def receiver(self, streams: int = 1) -> FullPeer:
        """One more connection that receives."""
        self._receivers.append(FullPeer.receiving(streams))
        return self._receivers[-1]

    async def connect(self) -> None:
        """All at once, as each waits a second: a full agent throws the first handshake away that comes before its own check."""
        waiting = [peer for peer in (*self._senders, *self._receivers) if peer.state is PeerState.ANSWERED]
        try:
            async with asyncio.TaskGroup() as group:
                for peer in waiting:
                    group.create_task(peer.connect(timeout=_CONNECT_SECONDS))
        except ExceptionGroup as errors:
            raise RuntimeError(f"somebody did not get in: {errors.exceptions[0]!r}") from errors

    def start(self) -> LoadGenerator:
        """Everyone is connected: the generator takes over. All who send talk, the first of each room first."""
        shape = self._shape
        senders = [LoadClient(peer, probe=False, payload_bytes=shape.payload_bytes) for peer in self._senders]
        receivers = [
            LoadClient(peer, probe=number % _PROBE_EVERY == number // _PROBE_EVERY % _PROBE_EVERY)
            for number, peer in enumerate(self._receivers)
        ]
        speakers = [senders[room * shape.size + seat] for seat in range(shape.speakers) for room in range(shape.rooms)]
        self.clients = senders + receivers
        self.generator = LoadGenerator(self.clients, speakers, (), packets_per_second=shape.packets_per_second)
        self.generator.start()
        return self.generator

    async def close(self) -> None:
        """Everybody goes."""
        if self.generator is not None:
            await self.generator.stop()
        for peer in (*self._senders, *self._receivers):
            await peer.close()


@contextlib.asynccontextmanager
async def _crowd(shape: Shape) -> AsyncIterator[_Crowd]:
    crowd = _Crowd(shape)
    try:
        yield crowd
    finally:
        await crowd.close()
