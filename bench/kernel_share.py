"""The kernel's share: what it costs only to send as many packets to as many receivers.

A process of its own wakes up at a steady rate and sends ready-made packets of the same size, in batches as large as the
server's, with `sendmmsg` to sockets that someone reads. Nothing is received, looked up, rewritten or encrypted: what remains is
what any server must pay. Started as `python -m bench.kernel_share` with a `Load` as JSON on its input; answers with a `Share`
as JSON.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from bench.batch import BatchWriter
from bench.endpoint import loopback_socket
from bench.processes import ROOT, on_cores

__all__ = ["Load", "Share", "measure"]

_MARGIN_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Load:
    """What to send: `batches_per_second` batches of `batch` packets of `size` bytes, to loopback `ports` in turn."""

    ports: list[int]
    batch: int
    batches_per_second: float
    size: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Share:
    """What it took. `late_batches` began more than a period after their time: the core had no time left."""

    packets: int
    batches: int
    cpu_ns: int
    elapsed_ns: int
    late_batches: int

    @property
    def us_per_packet(self) -> float:
        """CPU microseconds a packet."""
        return self.cpu_ns / 1000 / self.packets


async def measure(load: Load, cores: frozenset[int]) -> Share:
    """Send in a process of its own on these cores. Raises RuntimeError where it fails or does not end in time."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with on_cores(cores):
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "bench.kernel_share",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=environment,
        )
    try:
        async with asyncio.timeout(load.seconds + _MARGIN_SECONDS):
            output, _ = await process.communicate(json.dumps(asdict(load)).encode())
    except TimeoutError:
        raise RuntimeError("the paced loop did not end in time") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        raise RuntimeError(f"the paced loop ended with status {process.returncode}")
    return Share(**json.loads(output))


def combined(shares: Sequence[Share]) -> Share:
    """Several measurements as one."""
    return Share(
        sum(s.packets for s in shares),
        sum(s.batches for s in shares),
        sum(s.cpu_ns for s in shares),
        sum(s.elapsed_ns for s in shares),
        sum(s.late_batches for s in shares),
    )


def send(load: Load, sock: socket.socket) -> Share:
    """The paced loop itself."""
    writer = BatchWriter(sock, [("127.0.0.1", port) for port in load.ports], os.urandom(load.size))
    batches = int(load.batches_per_second * load.seconds)
    period = 1 / load.batches_per_second
    packets = late = position = 0
    batch, monotonic, sleep = load.batch, time.monotonic, time.sleep
    gc.disable()
    cpu_began, began_ns = time.process_time_ns(), time.monotonic_ns()
    began = monotonic()
    for number in range(batches):
        wait = began + number * period - monotonic()
        if wait > 0:
            sleep(wait)
        elif wait < -period:
            late += 1
        packets += writer.send(position, batch)
        position += batch
    return Share(packets, batches, time.process_time_ns() - cpu_began, time.monotonic_ns() - began_ns, late)


def main() -> None:
    """Read a `Load`, print a `Share`."""
    load = Load(**json.load(sys.stdin))
    with loopback_socket("127.0.0.1") as sock:
        sock.setblocking(True)
        print(json.dumps(asdict(send(load, sock))))


if __name__ == "__main__":
    main()
