"""The processes of a benchmark: the server under test, what it costs, and which core each of them runs on."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import socket
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import aiohttp

__all__ = [
    "ROOT",
    "Cores",
    "CpuClock",
    "ServerProcess",
    "free_port",
    "machine_idle_seconds",
    "on_cores",
    "running_server",
    "stop_process",
    "tail",
]

ROOT: Final = Path(__file__).resolve().parent.parent
"""The folder that holds the packages `bench` and `server`."""
_READY_SECONDS: Final = 20.0
_STOP_SECONDS: Final = 10.0
_SCHED_CLOCK: Final = 2
"""CPUCLOCK_SCHED: all threads of a process, also those that have ended (linux/posix-timers_types.h)."""


@dataclass(frozen=True, slots=True)
class Cores:
    """Which cores the server and the generator run on. With fewer than two cores they share, and the figures say so."""

    server: frozenset[int]
    generator: frozenset[int]

    @property
    def are_shared(self) -> bool:
        """Whether generator and server take time from each other."""
        return not self.server.isdisjoint(self.generator)

    @classmethod
    def choose(cls) -> Cores:
        """One core for the server, another one for the generator, of those this process may use."""
        available = sorted(os.sched_getaffinity(0))
        if len(available) < 2:
            return cls(frozenset(available), frozenset(available))
        return cls(frozenset(available[:1]), frozenset(available[1:2]))


@contextlib.contextmanager
def on_cores(cores: frozenset[int]) -> Iterator[None]:
    """Run the block, and what is started in it, on these cores."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class CpuClock:
    """The CPU time of a whole process, to the nanosecond, from outside of it (`clock_getcpuclockid(3)`)."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._clock = (~pid << 3) | _SCHED_CLOCK

    def read_ns(self) -> int:
        """CPU time so far. Raises OSError when the process is gone."""
        return time.clock_gettime_ns(self._clock)

    def user_and_system_seconds(self) -> tuple[float, float]:
        """The same, divided, in steps of a clock tick (10 ms)."""
        fields = Path(f"/proc/{self._pid}/stat").read_text().rpartition(")")[2].split()
        ticks = os.sysconf("SC_CLK_TCK")
        return int(fields[11]) / ticks, int(fields[12]) / ticks

    def sleeps(self) -> int:
        """How often the main thread has waited for something: each is followed by a wake-up."""
        for line in Path(f"/proc/{self._pid}/task/{self._pid}/status").read_text().splitlines():
            if line.startswith("voluntary_ctxt_switches:"):
                return int(line.split()[1])
        return 0

    def resident_kib(self) -> int:
        """Memory in RAM, in KiB."""
        for line in Path(f"/proc/{self._pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
        return 0


def machine_idle_seconds() -> float:
    """Time that the cores together have had nothing to do since the machine came up, in steps of a clock tick (proc_stat(5)).

    Idle time is measured, the others in this file are sampled at clock ticks, to which paced loops have a relation of their own.
    """
    _, _, _, idle, waiting, *_ = map(int, Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:])
    return (idle + waiting) / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class ServerProcess:
    """A server that runs. `token` is an API token for it."""

    pid: int
    url: str
    token: str = field(repr=False)
    cpu: CpuClock

    async def health(self) -> dict[str, Any]:
        """The body of `/api/health`."""
        async with aiohttp.ClientSession(self.url) as http, http.get("/api/health") as response:
            body: dict[str, Any] = await response.json()
            return body

    async def media_counters(self) -> dict[str, float]:
        """The numbers that health tells of the media port."""
        media = (await self.health())["media"]
        return {name: value for name, value in media.items() if isinstance(value, int | float) and not isinstance(value, bool)}


@contextlib.asynccontextmanager
async def running_server(
    folder: Path, cores: frozenset[int], *, settings: Mapping[str, str] = MappingProxyType({})
) -> AsyncIterator[ServerProcess]:
    """`python -m server serve` in a process of its own, with data, log and secrets in `folder`; stopped when the block ends.

    `settings` are further `VOICE_…` names. Raises RuntimeError, with the end of its log, where it does not come up.
    """
    port, media_port, token = free_port(socket.SOCK_STREAM), free_port(socket.SOCK_DGRAM), secrets.token_urlsafe(32)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("VOICE_")} | {
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
        "VOICE_HOST": "127.0.0.1",
        "VOICE_PORT": str(port),
        "VOICE_MEDIA_HOST": "127.0.0.1",
        "VOICE_MEDIA_PORT": str(media_port),
        "VOICE_DATA_DIR": str(folder),
        "VOICE_API_TOKENS": f"{token},{secrets.token_urlsafe(32)}",
        "VOICE_JWT_SECRET": secrets.token_urlsafe(48),
        "VOICE_RATE_LIMITS": "off",
        **settings,
    }
    log = folder / "server.log"
    with log.open("wb") as output, on_cores(cores):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "server", "serve", cwd=folder, env=environment, stdout=output, stderr=asyncio.subprocess.STDOUT
        )
    server = ServerProcess(process.pid, f"http://127.0.0.1:{port}", token, CpuClock(process.pid))
    try:
        await _until_ready(server, process, log)
        yield server
    finally:
        await stop_process(process)


async def _until_ready(server: ServerProcess, process: asyncio.subprocess.Process, log: Path) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline and process.returncode is None:
        with contextlib.suppress(aiohttp.ClientError):
            if (await server.health()).get("status") == "ok":
                return
        await asyncio.sleep(0.05)
    raise RuntimeError(f"the server did not come up (exit status {process.returncode}):\n{tail(log)}")


def tail(log: Path) -> str:
    """The end of a log."""
    return log.read_text(errors="replace")[-2000:]


async def stop_process(process: asyncio.subprocess.Process) -> None:
    """Ask it to stop, insist after ten seconds, and wait until it is gone."""
    if process.returncode is None:
        process.terminate()
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await process.wait()
        except TimeoutError:
            process.kill()
    await process.wait()


def free_port(kind: socket.SocketKind) -> int:
    """A port of 127.0.0.1 that nothing uses at this moment."""
    with socket.socket(socket.AF_INET, kind) as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
