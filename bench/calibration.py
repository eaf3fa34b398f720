"""What this machine takes for one packet: the unit in which times of different machines can be compared."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections.abc import Iterator, Sequence
from typing import Final

from bench import kernel_share
from bench.batch import BatchReader
from bench.endpoint import loopback_socket
from bench.kernel_share import Load
from bench.processes import Cores

__all__ = ["calibrate"]

_RECEIVERS: Final = 50
_BATCH: Final = 9
_BATCHES_PER_SECOND: Final = 2500.0
_BYTES: Final = 108
_SECONDS: Final = 1.0


async def calibrate(cores: Cores) -> float:
    """CPU microseconds that the kernel takes to send a packet: 22 500 a second, in batches of nine, to fifty live receivers."""
    with contextlib.ExitStack() as stack:
        sinks = [stack.enter_context(loopback_socket("127.0.0.1")) for _ in range(_RECEIVERS)]
        stack.enter_context(_read(sinks))
        load = Load([sink.getsockname()[1] for sink in sinks], _BATCH, _BATCHES_PER_SECOND, _BYTES, _SECONDS)
        return (await kernel_share.measure(load, cores.server)).us_per_packet


@contextlib.contextmanager
def _read(sinks: Sequence[socket.socket]) -> Iterator[None]:
    """A thread that reads these sockets until the block ends."""
    stopping = threading.Event()

    def run() -> None:
        reader = BatchReader()
        with select.epoll() as poll:
            for sink in sinks:
                poll.register(sink, select.EPOLLIN)
            while not stopping.wait(0.001):
                for fd, _ in poll.poll(0):
                    reader.receive(fd)

    thread = threading.Thread(target=run, name="sinks")
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join()
