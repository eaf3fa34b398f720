"""`python -m bench joins`: from the first request until the newcomer is heard, phase by phase.

Each room has a listener. A newcomer joins by REST, opens the WebSocket, sends its offer, checks and shakes hands, and speaks; it
is in when the listener has its first packet. Newcomers come at a steady rate, or all at once (the storm), and `cycles` of them
come and go again while the server's descriptors, tasks and memory are watched.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import os
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp

from bench.calibration import calibrate
from bench.client import VoiceClient
from bench.crowd import CrowdReport, into_crowd
from bench.dtls import generate_certificate
from bench.leaks import LeakReport, Watcher
from bench.peer import Peer
from bench.processes import Cores, ServerProcess, running_server
from bench.report import machine
from bench.sdp import OfferOptions
from bench.streams import percentile

__all__ = ["PHASES", "Burst", "JoinOptions", "JoinsReport", "joins_table", "run"]

PHASES: Final = ("rest", "websocket", "offer", "connect", "heard", "total")
"""REST join; WebSocket open and bound; offer answered; ICE and DTLS done; first packet at another client; all of it."""

_PEOPLE_A_ROOM: Final = 9
_PATIENCE_SECONDS: Final = 60.0
_SPEAK_EVERY_SECONDS: Final = 0.02
_AT_ONCE_IN_CYCLES: Final = 16


@dataclass(frozen=True, slots=True)
class JoinOptions:
    """`rate` joins a second for `seconds`; a storm of so many at once; `cycles` joins and leaves; joins into a room with a
    `crowd` of listeners in it. 0 leaves a part out.
    """

    rate: float = 20.0
    seconds: float = 10.0
    storm: int = 500
    cycles: int = 200
    crowd: int = 0

    def __post_init__(self) -> None:
        if not (0 <= self.rate <= 1000 and 0 <= self.seconds <= 3600):
            raise ValueError("0 to 1000 joins a second for 0 to 3600 s")
        if not (0 <= self.storm <= 5000 and 0 <= self.cycles <= 1_000_000):
            raise ValueError("a storm of 0 to 5000, 0 to 1 000 000 cycles")
        if not 0 <= self.crowd <= 990:
            raise ValueError("a crowd of 0 to 990")


@dataclass(frozen=True, slots=True)
class Entry:
    """One join: the milliseconds of each phase, in the order of `PHASES`. `failed` is why it ended early, else None."""

    milliseconds: tuple[float, ...]
    failed: str | None = None


@dataclass(frozen=True, slots=True)
class Burst:
    """Many joins of a kind. `phases` maps each of `PHASES` to its p50, p95 and p99 in milliseconds."""

    asked: int
    failed: int
    first_failure: str | None
    seconds: float
    phases: dict[str, dict[str, float]]
    server_cpu: float
    generator_cpu: float

    @classmethod
    def of(cls, entries: Sequence[Entry], seconds: float, server_ns: int, generator_ns: int) -> Burst:
        """From single joins and the CPU time that both sides took meanwhile."""
        well = [entry for entry in entries if entry.failed is None]
        phases = {}
        for number, name in enumerate(PHASES):
            ordered = sorted(entry.milliseconds[number] for entry in well)
            phases[name] = {f"p{share}": percentile(ordered, share / 100) for share in (50, 95, 99)}
        return cls(
            asked=len(entries),
            failed=len(entries) - len(well),
            first_failure=next((entry.failed for entry in entries if entry.failed is not None), None),
            seconds=seconds,
            phases=phases,
            server_cpu=server_ns / 1e9 / seconds,
            generator_cpu=generator_ns / 1e9 / seconds,
        )


@dataclass(frozen=True, slots=True)
class JoinsReport:
    """`kernel_us_per_packet` is what this machine takes for a packet: the unit that times are compared in."""

    options: JoinOptions
    steady: Burst | None
    storm: Burst | None
    leaks: LeakReport | None
    crowd: CrowdReport | None
    kernel_us_per_packet: float

    @property
    def is_well(self) -> bool:
        """Whether everyone got in."""
        return not any(burst is not None and burst.failed for burst in (self.steady, self.storm))

    def as_json(self) -> dict[str, Any]:
        """Everything, with what is derived."""
        summary: dict[str, Any] = {"is_well": self.is_well, "kernel_us_per_packet": self.kernel_us_per_packet}
        for name, burst in (("steady", self.steady), ("storm", self.storm)):
            if burst is not None:
                summary[name] = burst.phases["total"]
        if self.crowd is not None:
            summary["crowd_cpu_ratio"] = self.crowd.cpu_ratio
        return {"benchmark": "joins", "machine": machine(), "summary": summary} | asdict(self)


async def run(options: JoinOptions) -> JoinsReport:
    """Raises ValueError for senseless options, RuntimeError where the server does not come up."""
    cores = Cores.choose()
    os.sched_setaffinity(0, cores.generator)
    settings = {"VOICE_MAX_PARTICIPANTS": str(_PEOPLE_A_ROOM + 1)}
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        kernel = await calibrate(cores)
        async with running_server(Path(folder), cores.server, settings=settings) as server:
            steady = storm = leaks = None
            if options.rate and options.seconds:
                count = round(options.rate * options.seconds)
                steady = await _burst(server, count, "steady", pause=1 / options.rate)
            if options.storm:
                storm = await _burst(server, options.storm, "storm", pause=0.0)
            if options.cycles:
                leaks = await _cycles(server, options.cycles)
        crowd = await into_crowd(Path(folder), cores, options.crowd) if options.crowd else None
    return JoinsReport(options, steady, storm, leaks, crowd, kernel)


async def _burst(server: ServerProcess, count: int, name: str, *, pause: float) -> Burst:
    rooms = [f"bench-{name}-{number}" for number in range(-(-count // _PEOPLE_A_ROOM))]
    async with _http(server) as http, _listeners(server, http, rooms) as listeners:
        newcomers = [VoiceClient(http, token=server.token, user_id=f"{name}-{number}") for number in range(count)]
        # a browser makes its certificate while the user still looks for the button
        certificates = [generate_certificate() for _ in newcomers]
        began, server_ns, generator_ns = time.monotonic(), server.cpu.read_ns(), time.process_time_ns()
        tasks = []
        with _no_collector():
            for number, newcomer in enumerate(newcomers):
                await asyncio.sleep(max(0.0, began + number * pause - time.monotonic()))
                place = number % len(rooms)
                peer = Peer(OfferOptions(slots=_PEOPLE_A_ROOM), certificate=certificates[number])
                tasks.append(asyncio.create_task(_enter(newcomer, rooms[place], peer, listeners[place])))
            entries = await asyncio.gather(*tasks)
        seconds = time.monotonic() - began
        burst = Burst.of(entries, seconds, server.cpu.read_ns() - server_ns, time.process_time_ns() - generator_ns)
        for newcomer in newcomers:
            await newcomer.close()
    return burst


async def _enter(newcomer: VoiceClient, room: str, peer: Peer, listener: Peer) -> Entry:
    """One join. What fails is told, not raised: the others go on."""
    times = [time.monotonic()]
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            await newcomer.join(room)
            times.append(time.monotonic())
            await newcomer.open(timeout=_PATIENCE_SECONDS)
            times.append(time.monotonic())
            await newcomer.negotiate(peer, timeout=_PATIENCE_SECONDS)
            times.append(time.monotonic())
            await peer.connect(timeout=_PATIENCE_SECONDS)
            times.append(time.monotonic())
            await _heard(peer, listener)
            times.append(time.monotonic())
    except Exception as error:  # noqa: BLE001 - whatever it is, it is counted and told
        return Entry((), f"{type(error).__name__}: {error}")
    phases = [1000 * (later - earlier) for earlier, later in itertools.pairwise(times)]
    return Entry((*phases, 1000 * (times[-1] - times[0])))


async def _heard(peer: Peer, listener: Peer) -> None:
    """Speak until what was said arrives. Payloads are random, so what arrives says who spoke."""
    said: set[bytes] = set()

    def arrived() -> bool:
        return any(slot.packets and slot.packets[-1].payload in said for slot in listener.slots.values())

    while not arrived():
        said.update(sent.payload for sent in peer.send_voice(1))
        with contextlib.suppress(TimeoutError):
            await listener.until(arrived, timeout=_SPEAK_EVERY_SECONDS, what="a packet")


@contextlib.asynccontextmanager
async def _http(server: ServerProcess) -> AsyncIterator[aiohttp.ClientSession]:
    timeout = aiohttp.ClientTimeout(total=_PATIENCE_SECONDS)
    async with aiohttp.ClientSession(server.url, connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as http:
        yield http


@contextlib.asynccontextmanager
async def _listeners(server: ServerProcess, http: aiohttp.ClientSession, rooms: Sequence[str]) -> AsyncIterator[list[Peer]]:
    """Somebody in each room who hears everybody."""
    clients: list[VoiceClient] = []
    peers: list[Peer] = []
    try:
        for room in rooms:
            client = VoiceClient(http, token=server.token, user_id=f"listener-of-{room}")
            clients.append(client)
            peers.append(Peer(OfferOptions(slots=_PEOPLE_A_ROOM)))
            await client.enter(room, peers[-1])
        yield peers
    finally:
        for client in clients:
            await client.close()


@contextlib.contextmanager
def _no_collector() -> Iterator[None]:
    """The client's garbage collector stays out of what is measured."""
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.unfreeze()


async def _cycles(server: ServerProcess, count: int) -> LeakReport:
    """So many joins and leaves, media and all, a few at a time."""
    watcher = Watcher(server, count)
    left = iter(range(count))
    await watcher.begin()

    async with _http(server) as http:

        async def come_and_go(worker: int) -> None:
            certificate = generate_certificate()
            for _ in left:
                client = VoiceClient(http, token=server.token, user_id=f"guest-{worker}")
                try:
                    await client.enter(f"bench-cycle-{worker % 4}", Peer(OfferOptions(slots=3), certificate=certificate))
                    await client.leave()
                finally:
                    await client.close()
                await watcher.passed()

        async with asyncio.TaskGroup() as group:
            for worker in range(min(_AT_ONCE_IN_CYCLES, count)):
                group.create_task(come_and_go(worker))
    return await watcher.report()


def joins_table(report: JoinsReport) -> str:
    """The report as a table for the terminal."""
    lines: list[str] = []
    for name, burst in ((f"{report.options.rate:g} joins a second", report.steady), ("all at once", report.storm)):
        if burst is None:
            continue
        lines.append(
            f"{burst.asked} joins, {name}: {burst.asked - burst.failed} succeeded in {burst.seconds:.1f} s"
            f"  (server {burst.server_cpu:.0%} of a core, generator {burst.generator_cpu:.0%})"
        )
        if burst.first_failure is not None:
            lines.append(f"  FAILED: {burst.failed}, the first with {burst.first_failure}")
        lines.append(f"  {'phase':<10} {'p50':>9} {'p95':>9} {'p99':>9}")
        for phase, values in burst.phases.items():
            lines.append(f"  {phase:<10} {values['p50']:6.1f} ms {values['p95']:6.1f} ms {values['p99']:6.1f} ms")
        lines.append("")
    if report.leaks is not None:
        lines += report.leaks.lines()
    if report.crowd is not None:
        lines += report.crowd.lines()
    return "\n".join(lines).rstrip()
