"""`python -m bench rest`: how fast the API answers with many sessions stored, while people come and go.

The database is filled before the server starts. Then 50 people a second join (and leave again a moment later, without ever
having connected: the roll-back), while lists are asked for at a steady rate, too. Times are those of a client on the same
machine: request, answer and JSON.
"""

from __future__ import annotations

import asyncio
import os
import random
import sqlite3
import tempfile
import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp

from bench.calibration import calibrate
from bench.processes import Cores, ServerProcess, running_server
from bench.report import machine
from bench.rest_lists import generate
from bench.streams import percentile
from server.storage.migrations import migrate

__all__ = ["RestOptions", "RestReport", "Times", "rest_table", "run"]

_ROOM_PEOPLE: Final = 10
_STAY_SECONDS: Final = 1.0
_WORLDS: Final = ("materie", "energie")
_USERS: Final = 1000
_PATIENCE_SECONDS: Final = 30.0
_LISTS_PER_SECOND: Final = {
    "participants": 20.0,
    "rooms": 5.0,
    "calls now": 2.0,
    "call history": 2.0,
    "sessions of a user": 2.0,
    "profile": 2.0,
    "health": 1.0,
}


@dataclass(frozen=True, slots=True)
class RestOptions:
    """`sessions` stored before, `rate` joins a second for `seconds`."""

    sessions: int = 10_000
    rate: float = 50.0
    seconds: float = 10.0

    def __post_init__(self) -> None:
        if not (0 <= self.sessions <= 10_000_000 and 0 < self.rate <= 1000 and 1 <= self.seconds <= 3600):
            raise ValueError("0 to 10 000 000 sessions, up to 1000 joins a second, 1 to 3600 s")


@dataclass(frozen=True, slots=True)
class Times:
    """Milliseconds of one kind of request. `refused` were answered otherwise than with 200, or not at all."""

    asked: int
    refused: int
    p50: float
    p95: float
    p99: float
    longest: float

    @classmethod
    def of(cls, milliseconds: list[float], refused: int) -> Times:
        """From single answers."""
        ordered = sorted(milliseconds)
        p50, p95, p99 = (percentile(ordered, share) for share in (0.5, 0.95, 0.99))
        return cls(len(ordered) + refused, refused, p50, p95, p99, ordered[-1] if ordered else 0.0)


@dataclass(frozen=True, slots=True)
class RestReport:
    """`times` by kind of request. Writes are the server's own measurement, waiting for others included, in milliseconds."""

    options: RestOptions
    database_bytes: int
    seconds: float
    times: dict[str, Times]
    write_p50_ms: float
    write_p99_ms: float
    server_cpu: float
    kernel_us_per_packet: float

    @property
    def is_well(self) -> bool:
        """Whether every request was answered as it should be."""
        return not any(times.refused for times in self.times.values())

    def as_json(self) -> dict[str, Any]:
        """Everything, with what is derived."""
        summary = {"is_well": self.is_well, "kernel_us_per_packet": self.kernel_us_per_packet}
        return {"benchmark": "rest", "machine": machine(), "summary": summary} | asdict(self)


async def run(options: RestOptions) -> RestReport:
    """Raises ValueError for senseless options, RuntimeError where the server does not come up."""
    cores = Cores.choose()
    os.sched_setaffinity(0, cores.generator)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        database = Path(folder) / "voice.db"
        _fill(database, options.sessions)
        kernel = await calibrate(cores)
        settings = {"VOICE_MAX_PARTICIPANTS": str(_ROOM_PEOPLE)}
        async with running_server(Path(folder), cores.server, settings=settings) as server:
            caller = _Caller(server)
            began, cpu = time.monotonic(), server.cpu.read_ns()
            await caller.run(options)
            seconds, cpu = time.monotonic() - began, server.cpu.read_ns() - cpu
            load = (await server.health())["load"]
            return RestReport(
                options=options,
                database_bytes=database.stat().st_size,
                seconds=seconds,
                times=caller.times(),
                write_p50_ms=load["database_write_p50_ms"],
                write_p99_ms=load["database_write_p99_ms"],
                server_cpu=cpu / 1e9 / seconds,
                kernel_us_per_packet=kernel,
            )


def _fill(database: Path, sessions: int) -> None:
    with closing(sqlite3.connect(database, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        migrate(db)
        if sessions:
            generate(db, sessions)


class _Caller:
    """Asks, and notes how long each answer takes."""

    def __init__(self, server: ServerProcess) -> None:
        self._server = server
        self._milliseconds: dict[str, list[float]] = {}
        self._refused: dict[str, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._inside: deque[str] = deque()
        self._joined = 0
        self._chance = random.Random(1)

    def times(self) -> dict[str, Times]:
        """By kind of request."""
        return {kind: Times.of(self._milliseconds[kind], self._refused[kind]) for kind in self._milliseconds}

    async def run(self, options: RestOptions) -> None:
        """The whole load. Whoever joined has left when it returns."""
        timeout = aiohttp.ClientTimeout(total=_PATIENCE_SECONDS)
        headers = {"Authorization": f"Bearer {self._server.token}"}
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(self._server.url, connector=connector, timeout=timeout, headers=headers) as http:
            asks: Mapping[str, Callable[[], str]] = {
                "participants": lambda: f"/api/voice/participants/{self._room()}",
                "rooms": lambda: f"/api/voice/rooms/{self._chance.choice(_WORLDS)}",
                "calls now": lambda: f"/api/admin/voice-calls/{self._chance.choice(_WORLDS)}",
                "call history": lambda: f"/api/admin/call-history/{self._chance.choice(_WORLDS)}?limit=50",
                "sessions of a user": lambda: f"/api/admin/sessions?user_id={self._user()}&limit=50",
                "profile": lambda: f"/api/admin/user-profile/{self._user()}",
                "health": lambda: "/api/health",
            }
            async with asyncio.TaskGroup() as group:
                group.create_task(self._paced(options.rate, options.seconds, lambda: self._come_and_go(http)))
                for kind, path in asks.items():
                    group.create_task(self._paced(_LISTS_PER_SECOND[kind], options.seconds, self._getter(http, kind, path)))
            await asyncio.gather(*self._tasks)

    def _getter(self, http: aiohttp.ClientSession, kind: str, path: Callable[[], str]) -> Callable[[], Awaitable[None]]:
        async def ask() -> None:
            await self._timed(kind, lambda: http.get(path()))

        return ask

    async def _paced(self, rate: float, seconds: float, call: Callable[[], Awaitable[None]]) -> None:
        """Calls begin on time, whether or not those before are answered: a slow server does not get fewer of them."""
        began = time.monotonic() + self._chance.random() / rate  # kinds of requests do not march in step
        for number in range(round(rate * seconds)):
            await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
            task = asyncio.ensure_future(call())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _come_and_go(self, http: aiohttp.ClientSession) -> None:
        number, self._joined = self._joined, self._joined + 1
        room = f"bench-{number // _ROOM_PEOPLE}"
        self._inside.append(room)
        body = {"room_id": room, "user_id": f"bench-{number}", "username": f"Bench {number}", "world": _WORLDS[0]}
        joined = await self._timed("join", lambda: http.post("/api/voice/join", json=body))
        await asyncio.sleep(_STAY_SECONDS)
        self._inside.popleft()
        if joined is not None:
            ended = {"session_id": joined["session_id"]}
            await self._timed("leave (roll-back)", lambda: http.post("/api/voice/leave", json=ended))

    async def _timed(self, kind: str, request: Callable[[], Any]) -> dict[str, Any] | None:
        """The answer's body, None where it was not 200."""
        times = self._milliseconds.setdefault(kind, [])
        self._refused.setdefault(kind, 0)
        began = time.perf_counter()
        try:
            async with request() as response:
                body: dict[str, Any] = await response.json()
                if response.status == 200:
                    times.append((time.perf_counter() - began) * 1000)
                    return body
        except (aiohttp.ClientError, TimeoutError):
            pass
        self._refused[kind] += 1
        return None

    def _room(self) -> str:
        return self._chance.choice(self._inside) if self._inside else "bench-0"

    def _user(self) -> str:
        return f"user_{self._chance.randrange(_USERS):05d}"


def rest_table(report: RestReport) -> str:
    """The report as a table for the terminal."""
    options, megabytes = report.options, report.database_bytes / 1e6
    lines = [
        f"{options.sessions:,} sessions stored ({megabytes:.0f} MB); server {report.server_cpu:.0%} of a core",
        f"{options.rate:g} joins a second for {options.seconds:g} s",
        f"  {'request':<20} {'asked':>7} {'p50':>9} {'p95':>9} {'p99':>9} {'longest':>9}",
    ]
    for kind, times in sorted(report.times.items()):
        lines.append(
            f"  {kind:<20} {times.asked:>7} {times.p50:6.1f} ms {times.p95:6.1f} ms {times.p99:6.1f} ms {times.longest:6.1f} ms"
            + (f"  REFUSED: {times.refused}" if times.refused else "")
        )
    lines.append(f"  {'database write':<20} {'':>7} {report.write_p50_ms:6.1f} ms {'':>9} {report.write_p99_ms:6.1f} ms")
    return "\n".join(lines)
