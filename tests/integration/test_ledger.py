"""The ledger of a real server process: killed at any moment, locked out of its database, on a full disk."""

from __future__ import annotations

import asyncio
import os
import random
import resource
import signal
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from aiohttp import web

from bench.speech import Utterance
from server.config import Settings
from tests.integration.support import HUM_LEVEL, Call, Person, settled
from tests.process import ServerProcess, serving
from tests.support import RunningServer

TOKEN = "given-by-the-operator-0123456789"
KILLS = int(os.environ.get("KILLS", "5"))
"""How often the process is killed: `KILLS=50 pytest tests/integration/test_ledger.py` for a night's worth."""
SCRIPTS = (
    [Utterance(0, 60_000)],
    [Utterance(start, 700, level=30) for start in range(300, 60_000, 1400)],
    [Utterance(start, 400, level=28) for start in range(200, 60_000, 2500)],
)
"""One who never stops, one who talks in between, one who says little."""
TALK_MS = 60_000


@dataclass
class Remote:
    """A server process and a call on it."""

    process: ServerProcess
    call: Call
    database: Path

    def rows(self, sql: str, *values: object) -> list[dict[str, Any]]:
        """What the database says, read as any other program would."""
        with reading(self.database) as db:
            return [dict(row) for row in db.execute(sql, values)]

    async def ledger(self) -> dict[str, Any]:
        """What health says of the ledger."""
        async with self.call.http.get("/api/health") as response:
            found: dict[str, Any] = (await response.json())["ledger"]
            return found


@contextmanager
def reading(path: Path) -> Iterator[sqlite3.Connection]:
    db = sqlite3.connect(path)
    try:
        db.row_factory = sqlite3.Row
        yield db
    finally:
        db.close()


@asynccontextmanager
async def remote(folder: Path) -> AsyncIterator[Remote]:
    async with serving(folder=folder, environment={"VOICE_API_TOKENS": TOKEN, "VOICE_PRINT_TOKEN": "true"}) as process:
        settings = Settings(data_dir=folder / "data", api_tokens=(TOKEN,))
        port = urlsplit(process.url).port
        assert port is not None
        server = RunningServer(web.Application(), settings, port)
        async with aiohttp.ClientSession(server.url, connector=aiohttp.TCPConnector(limit=0)) as http:
            call = Call(server, http)
            try:
                yield Remote(process, call, settings.database)
            finally:
                await call.close()


async def until(condition: Callable[[], Awaitable[bool]], *, seconds: float = 20.0) -> None:
    """Ask ten times a second until it is so: another process is not ours to be told by."""
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110
            await asyncio.sleep(0.1)


def spoken_until(script: Sequence[Utterance], elapsed_ms: float) -> float:
    """How much of a script was said so far, in ms."""
    return sum(max(0.0, min(elapsed_ms - one.start_ms, one.duration_ms)) for one in script)


def ms_between(earlier: str, later: str) -> int:
    return round((datetime.fromisoformat(later) - datetime.fromisoformat(earlier)).total_seconds() * 1000)


def consistent(there: Remote) -> None:
    """Every row that is closed balances, and no interval is outside its session or on another one."""
    for row in there.rows("SELECT * FROM voice_sessions WHERE left_at IS NOT NULL"):
        spurts = there.rows("SELECT * FROM speaking_intervals WHERE session_id = ? ORDER BY seq", row["session_id"])
        edges = [row["joined_at"], *(edge for one in spurts for edge in (one["started_at"], one["ended_at"])), row["left_at"]]
        assert edges == sorted(edges)
        assert [one["seq"] for one in spurts] == list(range(1, len(spurts) + 1))
        assert all(one["duration_ms"] == ms_between(one["started_at"], one["ended_at"]) for one in spurts)
        assert row["speaking_ms"] == sum(one["duration_ms"] for one in spurts)
        assert row["duration_ms"] == ms_between(row["joined_at"], row["left_at"])
        kinds = there.rows("SELECT kind FROM room_events WHERE session_id = ? ORDER BY seq", row["session_id"])
        assert [kind["kind"] for kind in kinds if kind["kind"] in {"join", "leave"}] in ([], ["join", "leave"])


async def talking(person: Person, script: Sequence[Utterance]) -> asyncio.Task[Any]:
    return asyncio.create_task(person.peer.speak(script, TALK_MS))


async def hush(*talks: asyncio.Task[Any]) -> None:
    for talk in talks:
        talk.cancel()
    await asyncio.wait(talks)


@pytest.mark.timeout(60 + 20 * KILLS)
async def test_killed_at_any_moment_it_loses_a_second_of_speech_at_most(tmp_path: Path) -> None:
    rng = random.Random(KILLS)
    loop = asyncio.get_running_loop()
    truths: dict[str, float] = {}
    lost: list[float] = []
    for _ in range(KILLS):
        async with remote(tmp_path) as there:
            people = [await there.call.enter(name) for name in ("a", "b", "c")]
            began = loop.time()
            talks = [await talking(person, script) for person, script in zip(people, SCRIPTS, strict=True)]
            await asyncio.sleep(rng.uniform(0.2, 3.5))  # not for anything: the moment is the test
            there.process.process.send_signal(signal.SIGKILL)
            elapsed = (loop.time() - began) * 1000
            await there.process.process.communicate()
            await hush(*talks)
            truths |= {person.session_id: spoken_until(script, elapsed) for person, script in zip(people, SCRIPTS, strict=True)}
    async with remote(tmp_path) as there:
        consistent(there)
        rows = there.rows("SELECT * FROM voice_sessions")
        assert {row["session_id"]: row["end_reason"] for row in rows} == dict.fromkeys(truths, "crash_recovery")
        lost = [truths[row["session_id"]] - row["speaking_ms"] for row in rows]
    print(f"\nspeech lost by {KILLS} kills, in ms: " + " ".join(f"{one:.0f}" for one in sorted(lost)))  # noqa: T201 - the figure
    assert all(-40 <= one <= 1000 for one in lost)


@pytest.mark.timeout(90)
@pytest.mark.parametrize("trouble", ["locked", "full"])
async def test_a_database_in_trouble_disturbs_no_call(tmp_path: Path, trouble: str) -> None:
    async with remote(tmp_path) as there:
        people = [await there.call.enter(name) for name in ("a", "b", "c")]
        await settled(*people)
        speaker, listener, leaver = people
        starts = range(0, 6000, 1200)
        # A hum in between: of digital silence not every packet is sent on.
        script = [one for start in starts for one in (Utterance(start, 600), Utterance(start + 600, 600, level=HUM_LEVEL))]
        with locked(there.database) if trouble == "locked" else full_disk(there.process.process.pid):
            sent = await speaker.peer.speak(script, 6000)
            await listener.heard_all(speaker, sent)  # each one, in order: nothing was lost
            assert (await there.ledger())["status"] in {"spooling", "holding"}
            left = await leaver.client.leave()
            assert left["reason"] == "left"
            await listener.client.expect("voice_leave")
            [row] = there.rows("SELECT left_at FROM voice_sessions WHERE session_id = ?", leaver.session_id)
            assert row["left_at"] is None
        await until(lambda: caught_up(there))
        [row] = there.rows("SELECT * FROM voice_sessions WHERE session_id = ?", leaver.session_id)
        assert (row["left_at"], row["duration_ms"], row["end_reason"]) == (left["left_at"], left["duration_ms"], "left")
        answer = await speaker.client.leave()
        assert answer["speaking_ms"] == pytest.approx(3000, abs=40)
        await listener.client.leave()
        await until(lambda: caught_up(there))
        consistent(there)
        spurts = there.rows("SELECT * FROM speaking_intervals WHERE session_id = ?", speaker.session_id)
        assert len(spurts) == len(starts), "also those that ended meanwhile"
        assert (await there.ledger())["dropped"] == 0


async def test_what_was_spooled_outlives_the_process(tmp_path: Path) -> None:
    async with remote(tmp_path) as there:
        people = [await there.call.enter(name) for name in ("a", "b")]
        await settled(*people)
        speaker, leaver = people
        with locked(there.database):
            talk = await talking(speaker, SCRIPTS[0])
            await until(lambda: spooling(there))
            left = await leaver.client.leave()
            began = (await there.ledger())["spooled"]
            await until(lambda: more_spooled(there, began + 3))
            there.process.process.send_signal(signal.SIGKILL)
            await there.process.process.communicate()
            await hush(talk)
    async with remote(tmp_path) as there:
        consistent(there)
        rows = {row["session_id"]: row for row in there.rows("SELECT * FROM voice_sessions")}
        kept, cut = rows[leaver.session_id], rows[speaker.session_id]
        assert (kept["end_reason"], kept["duration_ms"]) == ("left", left["duration_ms"])
        assert cut["end_reason"] == "crash_recovery"
        assert cut["speaking_ms"] >= 2000, "that is how long the first write waits for the lock"
        assert (await there.ledger())["status"] == "ok"


async def caught_up(there: Remote) -> bool:
    return str((await there.ledger())["status"]) == "ok"


async def spooling(there: Remote) -> bool:
    return str((await there.ledger())["status"]) == "spooling"


async def more_spooled(there: Remote, than: int) -> bool:
    return int((await there.ledger())["spooled"]) > than


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """As by an operator's shell that forgot its transaction."""
    db = sqlite3.connect(path, isolation_level=None)
    try:
        db.execute("BEGIN IMMEDIATE")
        yield
        db.execute("ROLLBACK")
    finally:
        db.close()


@contextmanager
def full_disk(pid: int) -> Iterator[None]:
    """No file of the process may grow, nor be written behind its first 8 KiB: the spool has room for a few lines, not for all."""
    soft, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (8192, hard))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (soft, hard))
