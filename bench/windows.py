"""One measured stretch: a server at work, or the kernel's share of what it just did."""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from bench import kernel_share
from bench.generator import LoadGenerator
from bench.kernel_share import Load, Share
from bench.processes import Cores, CpuClock, machine_idle_seconds
from bench.report import Round, ServerWindow
from bench.shapes import Shape

__all__ = ["Target", "kernel_window", "rounds", "server_window"]

ROUNDS: Final = 3
_WARM_UP_SECONDS: Final = 1.0
SETTLE_SECONDS: Final = 0.3
_LARGEST_BATCH_FACTOR: Final = 16


@dataclass(frozen=True, slots=True)
class Target:
    """What is measured. `sinks` are sockets that the generator reads beside its clients, for the kernel's share.

    `lag_ms` asks the server how late its event loop was in the last second; None where it cannot say.
    """

    shape: Shape
    cores: Cores
    cpu: CpuClock
    generator: LoadGenerator
    sinks: Sequence[socket.socket]
    lag_ms: Callable[[], Awaitable[float]] | None = None


async def rounds(target: Target) -> list[Round]:
    """Kernel, server, kernel, server …, kernel: each server window is compared with the kernel windows around it."""
    windows = [await server_window(target, _WARM_UP_SECONDS)]
    kernel = [await kernel_window(target, windows[-1])]
    for _ in range(ROUNDS):
        windows.append(await server_window(target, target.shape.seconds / ROUNDS))
        kernel.append(await kernel_window(target, windows[-1]))
    around = [kernel_share.combined(pair) for pair in itertools.pairwise(kernel)]
    return [Round(window, share) for window, share in zip(windows[1:], around, strict=True)]


async def kernel_window(target: Target, last: ServerWindow, seconds: float | None = None) -> Share:
    """The kernel's share of what the server did just before, in batches as large as it had then, at the rate it had."""
    rate = last.packets / last.seconds
    batch = _typical_batch(last, target.shape, len(target.sinks))
    load = Load(
        ports=[sink.getsockname()[1] for sink in target.sinks],
        batch=batch,
        batches_per_second=rate / batch,
        size=target.generator.datagram_bytes,
        seconds=target.shape.seconds / (ROUNDS + 1) if seconds is None else seconds,
    )
    return await kernel_share.measure(load, target.cores.server)


def _typical_batch(window: ServerWindow, shape: Shape, receivers: int) -> int:
    """Packets the server sends in one system call: those of one wake-up, and of one speaker at least."""
    seen = round(window.packets / max(window.wake_ups, 1))
    return min(max(seen, shape.listeners), _LARGEST_BATCH_FACTOR * shape.listeners, receivers)


async def server_window(target: Target, seconds: float) -> ServerWindow:
    """Let them talk for so long. Raises RuntimeError where nothing came, or the generator failed."""
    generator, cpu = target.generator, target.cpu
    generator.talking = True
    try:
        await asyncio.sleep(SETTLE_SECONDS)
        generator.take_delays()
        began, cpu_began, sleeps = time.monotonic(), cpu.read_ns(), cpu.sleeps()
        user, system = cpu.user_and_system_seconds()
        idle = machine_idle_seconds()
        packets, generator_cpu = generator.received, time.process_time_ns()
        await asyncio.sleep(seconds)
        packets, generator_cpu = generator.received - packets, time.process_time_ns() - generator_cpu
        cpu_ns, elapsed = cpu.read_ns() - cpu_began, time.monotonic() - began
        others = elapsed * (os.cpu_count() or 1) - (machine_idle_seconds() - idle) - (cpu_ns + generator_cpu) / 1e9
        user_after, system_after = cpu.user_and_system_seconds()
        wake_ups = cpu.sleeps() - sleeps
        delays, lateness = generator.take_delays()
        lag_ms = await target.lag_ms() if target.lag_ms is not None else 0.0
    finally:
        generator.talking = False
    await asyncio.sleep(SETTLE_SECONDS)
    if not generator.is_alive:
        raise RuntimeError("the load generator failed")
    if not packets:
        raise RuntimeError("nothing of what was said came through")
    return ServerWindow(
        seconds=elapsed,
        packets=packets,
        cpu_ns=cpu_ns,
        user_seconds=user_after - user,
        system_seconds=system_after - system,
        wake_ups=wake_ups,
        delays=delays,
        lateness=lateness,
        generator_cpu_ns=generator_cpu,
        others_cpu_seconds=max(others, 0.0),
        loop_lag_ms=lag_ms,
    )
