"""`python -m bench media`: rooms full of people who talk, and what the server pays for it.

Starts the real server, connects everybody with real ICE, DTLS and SRTP, lets the speakers talk, and measures in rounds: the
kernel's share, the server, the kernel's share again. The figure that travels between machines is the ratio of the two.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from bench import windows
from bench.population import Population, kib_a_participant, population
from bench.processes import Cores, ServerProcess, running_server
from bench.report import GeneratorHealth, MediaReport, ServerWindow
from bench.shapes import Shape
from bench.windows import Target

__all__ = ["Stage", "generator_health", "run", "stage"]


class Stage:
    """A server, and people to come. `target` measures it."""

    def __init__(self, cores: Cores, server: ServerProcess, people: Population) -> None:
        self.server = server
        self.people = people
        self.target = Target(people.shape, cores, server.cpu, people.generator, people.sinks, self._lag_ms)

    async def _lag_ms(self) -> float:
        return float((await self.server.health())["load"]["loop_lag_now_ms"])


@contextlib.asynccontextmanager
async def stage(shape: Shape) -> AsyncIterator[Stage]:
    """A server of its own for this shape, with nobody in it yet. Raises RuntimeError where it does not come up."""
    cores = Cores.choose()
    os.sched_setaffinity(0, cores.generator)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        async with (
            running_server(Path(folder), cores.server, settings=shape.settings) as server,
            population(server, shape) as people,
        ):
            yield Stage(cores, server, people)


def generator_health(measured: Sequence[ServerWindow], people: Population, cores: Cores) -> GeneratorHealth:
    """Whether the generator was good enough, in the worst of these windows."""
    return GeneratorHealth(
        cpu_share=max(window.generator_cpu_ns / 1e9 / window.seconds for window in measured),
        lateness=max((window.lateness for window in measured), key=lambda lateness: lateness.p99_us),
        drops=people.generator.drops(),
        send_failures=sum(client.send_failures for client in people.clients()),
        others_cpu_share=max(window.others_cpu_seconds / window.seconds for window in measured),
        cores_shared=cores.are_shared,
    )


async def run(shape: Shape) -> MediaReport:
    """One benchmark. Raises RuntimeError where the server does not come up or does not let everybody in."""
    async with stage(shape) as ready:
        people, server, generator = ready.people, ready.server, ready.people.generator
        await people.grow(shape.rooms, shape.size)
        people.cast()
        before = await server.media_counters()
        rounds = await windows.rounds(ready.target)
        after = await server.media_counters()
        totals = generator.totals()
        clients = people.clients()
        sent = sum(client.sent for client in clients)
        return MediaReport(
            shape=shape,
            profile=clients[0].srtp.profile,
            rounds=rounds,
            datagram_bytes=generator.datagram_bytes,
            sent=sent,
            expected=sent * shape.listeners,
            received=totals.received,
            gaps=totals.lost,
            late=totals.late,
            sampled=generator.sampled,
            unreadable=generator.unreadable,
            strays=generator.strays,
            server_media={name: after[name] - before.get(name, 0) for name in after},
            resident_kib=server.cpu.resident_kib(),
            kib_a_participant=kib_a_participant(people.memory),
            generator=generator_health([r.server for r in rounds], people, ready.target.cores),
        )
