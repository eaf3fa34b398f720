"""Whatever happens in whatever order, crashes and broken disks included: the books balance.

Participant-seconds in the rows are the integral of how many were there; no row is open without somebody live; no interval lies
outside its session or on another; sums are equal wherever they are told.
"""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from hypothesis import example, given, settings
from hypothesis import strategies as st

from server.errors import AlreadyInRoom, InternalError, InvalidRequest, RoomFull, SessionAlreadyEnded
from server.storage.database import Database
from server.storage.room_events import RoomEventSink
from server.storage.sessions import SqliteSessionStore
from server.storage.spool import FileSpool
from server.storage.timestamps import from_text
from server.voice.ledger import LedgerEntry
from server.voice.participant import EndReason
from server.voice.ports import JoinCommand, StoreError
from server.voice.recorder import Recorder
from server.voice.service import VoiceService
from tests.voice.fakes import START, FakeClock, FakeMedia, FakeSettings, FlakyStore, ManualSleep
from tests.voice.rows import intervals, room_events, rows

ROUND_SECONDS = 0.5
Verb = Literal["attach", "detach", "seen", "leave", "kick", "mute"]


@dataclass(frozen=True)
class Join:
    user: str
    room: str


@dataclass(frozen=True)
class Act:
    """What the `which`-th of all sessions does, whether it is over or not."""

    verb: Verb
    which: int


@dataclass(frozen=True)
class Speak:
    """A report of a talk-spurt that began `ago` seconds ago and lasted for `seconds`: late, early, twice, or of the past."""

    which: int
    ago: float
    seconds: float
    is_open: bool


@dataclass(frozen=True)
class Rounds:
    """So many rounds of the service, half a second apart."""

    count: int


@dataclass(frozen=True)
class Fault:
    """`crash`: the process dies here, another one starts. `break`: the database takes nothing until `mend`. `doubt`: until then
    it takes everything and says that it failed.
    """

    kind: Literal["crash", "break", "doubt", "mend"]


Step = Join | Act | Speak | Rounds | Fault


class DoubtfulStore(FlakyStore):
    """Where a commit may have happened although an error was told."""

    doubtful = False

    async def record(self, entries: Sequence[LedgerEntry]) -> int:
        refused = await super().record(entries)
        if self.doubtful:
            raise StoreError("the disk was slow to answer")
        return refused


which = st.integers(0, 3)
tenths = st.integers(-10, 40).map(lambda tenth: tenth / 10)
joins = st.builds(Join, st.sampled_from(["anna", "bert", "cleo"]), st.sampled_from(["x", "y"]))
speech = st.builds(Speak, which, tenths, tenths.map(abs), st.booleans())
rounds = st.builds(Rounds, st.sampled_from([1, 2, 3, 18, 45]))
acts = st.builds(Act, st.sampled_from(["attach", "detach", "seen", "leave", "kick", "mute"]), which)
faults = st.builds(Fault, st.sampled_from(["crash", "crash", "break", "doubt", "mend"]))
calls = st.lists(st.one_of(joins, speech, speech, rounds, rounds, acts, faults), min_size=8, max_size=40)
BEGIN = (Join("anna", "x"), Join("bert", "x"), Act("attach", 0), Rounds(5))


class Run:
    """`attendance` is the integral of how many are there, in participant-ms, as seen from outside; `tails` is what of it came
    after the last sign of life of those who were lost.
    """

    def __init__(self, database: Database, folder: Path) -> None:
        self.database = database
        self.spool_path = folder / "ledger.spool"
        self.clock = FakeClock()
        self.sessions: list[str] = []
        self.attendance = 0
        self.tails = 0
        self.told: dict[str, int] = {}
        self.begin()

    def begin(self) -> None:
        """A process, not started yet."""
        self.store = DoubtfulStore(SqliteSessionStore(self.database, now=self.clock.now))
        self.spool = FileSpool(self.spool_path, reserved_bytes=4096)
        self.recorder = Recorder(self.store, spool=self.spool, sleep=ManualSleep())
        self.service = VoiceService(FakeSettings(2), self.store, clock=self.clock, recorder=self.recorder, sleep=ManualSleep())
        self.service.use_media(FakeMedia())
        self.service.subscribe(RoomEventSink(self.recorder, self.clock))

    @property
    def live(self) -> set[str]:
        return {one.session_id for room in "xy" for one in self.service.roster(room)}

    async def step(self, step: Step) -> None:
        match step:
            case Join(user, room):
                await self.join(user, room)
            case Rounds(count):
                for _ in range(count):
                    await self.round()
            case Fault("crash"):
                await self.crash()
            case Fault(kind):
                self.store.broken, self.store.doubtful = kind == "break", kind == "doubt"
            case Act(verb, number) if self.sessions:
                await self.act(verb, self.sessions[number % len(self.sessions)])
            case Speak(number, ago, seconds, is_open) if self.sessions:
                start = self.clock.monotonic() - ago
                self.service.media_spurt(
                    self.sessions[number % len(self.sessions)],
                    start,
                    start + seconds,
                    peak_dbov=20,
                    mean_dbov=30,
                    is_open=is_open,
                )
            case _:
                pass

    async def join(self, user: str, room: str) -> None:
        try:
            result = await self.service.join(JoinCommand(room, user, user, "materie"))
        except (InvalidRequest, AlreadyInRoom, RoomFull):
            assert not self.store.broken
        except InternalError:
            assert self.store.broken
        else:
            self.sessions.append(result.participant.session_id)

    async def act(self, verb: Verb, session_id: str) -> None:
        if verb in {"leave", "kick"}:
            try:
                summary = await self.service.end(session_id, EndReason.LEFT if verb == "leave" else EndReason.KICKED)
            except (SessionAlreadyEnded, InternalError):
                return
            self.told[session_id] = summary.speaking_ms
        elif verb == "seen":
            self.service.signalling_seen(session_id)
        elif session_id in self.live:
            if verb == "attach":
                self.service.signalling_attached(session_id)
            elif verb == "detach":
                self.service.signalling_detached(session_id)
            else:
                self.service.set_self_muted(session_id, not self.service.participant(session_id).is_muted)

    async def round(self) -> None:
        before = self.live
        self.clock.advance(ROUND_SECONDS)
        self.attendance += round(len(before) * ROUND_SECONDS * 1000)
        self.service.judge()
        await self.recorder.write_soon()
        if not self.store.broken and not self.store.doubtful:
            assert await self.recorder.catch_up()
        for session_id in before - self.live:
            self.tails += self.since(self.recorder.find(session_id) or (await self.row(session_id)))

    async def crash(self) -> None:
        """As `kill -9`: what is in memory is gone, what is on the disk is not."""
        spoken = {session_id: self.service._intervals.speaking_ms(session_id) for session_id in self.live}
        written = {session_id: sum(i["duration_ms"] for i in await intervals(self.database, session_id)) for session_id in spoken}
        lost, now = self.live, self.clock.now()
        retries, rounds = self.recorder._retries, self.service._rounds
        assert retries is not None
        assert rounds is not None
        for task in (retries, rounds):
            task.cancel()
        await asyncio.wait({retries, rounds})
        await self.recorder._tasks.cancel()
        await self.spool.close()
        self.begin()
        await self.service.start()
        stored = await rows(self.database)
        for session_id in lost:
            row = stored[session_id]
            assert (row["end_reason"], from_text(row["left_at"]) <= now) == ("crash_recovery", True)
            assert written[session_id] <= row["speaking_ms"] <= spoken[session_id]
            self.tails += self.since(row)

    def since(self, ended: Any) -> int:
        """How long ago somebody left, in ms."""
        left_at = ended["left_at"] if isinstance(ended, dict) else ended.left_at
        return ms(self.clock.now() - (from_text(left_at) if isinstance(left_at, str) else left_at))

    async def row(self, session_id: str) -> dict[str, Any]:
        return (await rows(self.database))[session_id]

    async def check(self) -> None:
        """To be called when everything is written."""
        stored = await rows(self.database)
        assert list(stored) == self.sessions
        assert {key for key, row in stored.items() if row["left_at"] is None} == self.live
        for session_id, row in stored.items():
            if row["left_at"] is not None:
                spurts = await intervals(self.database, session_id)
                balanced(row, [(from_text(one["started_at"]), from_text(one["ended_at"])) for one in spurts])
                assert row["speaking_ms"] == sum(one["duration_ms"] for one in spurts)
                assert self.told.get(session_id, row["speaking_ms"]) == row["speaking_ms"]
        for room in "xy":
            numbers = [row["room_seq"] for row in stored.values() if row["room_id"] == room]
            assert numbers == list(range(1, len(numbers) + 1))
            happened = await room_events(self.database, room)
            assert [event["seq"] for event in happened] == list(range(1, len(happened) + 1))
            for session_id in {event["session_id"] for event in happened} - self.live:
                kinds = [event["kind"] for event in happened if event["session_id"] == session_id]
                assert kinds.count("join") == kinds.count("leave") <= 1


def balanced(row: dict[str, Any], spurts: list[tuple[datetime, datetime]]) -> None:
    """Intervals are inside their session and apart from each other, and its times agree."""
    joined_at, left_at = from_text(row["joined_at"]), from_text(row["left_at"])
    assert row["duration_ms"] == ms(left_at - joined_at)
    ends = joined_at
    for started_at, ended_at in spurts:
        assert ends <= started_at < ended_at
        ends = ended_at
    assert ends <= left_at


def ms(time: timedelta) -> int:
    return time // timedelta(milliseconds=1)


def concurrency_integral(stored: Sequence[dict[str, Any]]) -> int:
    """Participant-ms, by asking between any two moments how many rows say that somebody was there."""
    stays = [(ms(from_text(row["joined_at"]) - START), ms(from_text(row["left_at"]) - START)) for row in stored]
    moments = sorted({moment for stay in stays for moment in stay})
    return sum(
        (after - before) * sum(joined <= before < left for joined, left in stays) for before, after in itertools.pairwise(moments)
    )


async def scenario(sequence: Sequence[Step]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        database = Database(Path(folder) / "voice.db")
        await database.open()
        try:
            run = Run(database, Path(folder))
            await run.service.start()
            for step in (*BEGIN, *sequence):
                await run.step(step)
                if not run.store.broken and await run.recorder.catch_up():
                    await run.check()
            run.store.broken = run.store.doubtful = False
            await run.service.close()
            await run.check()
            stored = list((await rows(database)).values())
            whole = sum(row["duration_ms"] for row in stored)
            assert whole == concurrency_integral(stored) == run.attendance - run.tails
            assert run.recorder.stats() | {"failures": 0} == {
                "status": "ok",
                "waiting": 0,
                "spooled": 0,
                "unwritten_ends": 0,
                "failures": 0,
                "dropped": 0,
            }
        finally:
            await database.close()


@settings(max_examples=120, deadline=None, database=None)
@given(calls)
@example([Speak(1, 2.0, 1.0, is_open=False), Rounds(1), Fault("crash")])
@example([Fault("break"), Speak(0, 2.0, 1.0, is_open=True), Rounds(2), Act("leave", 0), Rounds(1), Fault("crash"), Rounds(1)])
@example([Fault("doubt"), Speak(0, 2.0, 1.0, is_open=True), Act("detach", 0), Rounds(2), Fault("mend"), Rounds(3)])
def test_the_books_balance_after_any_sequence(sequence: list[Step]) -> None:
    asyncio.run(scenario(sequence))
