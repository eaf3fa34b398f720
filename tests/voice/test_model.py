"""Any sequence of joins, leaves, sockets and silence: registry, media and database agree with a simple model after each."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from hypothesis import given, settings
from hypothesis import strategies as st

from server.errors import AlreadyInRoom, InvalidRequest, RoomFull, SessionAlreadyEnded
from server.storage.database import Database
from server.storage.sessions import SqliteSessionStore
from server.voice.events import ParticipantJoined, ParticipantLeft
from server.voice.participant import EndReason
from server.voice.ports import JoinCommand
from server.voice.recorder import Recorder
from server.voice.service import VoiceService
from tests.voice.fakes import Events, FakeClock, FakeMedia, FakeSettings, ManualSleep
from tests.voice.rows import rows

CAPACITY = 2
JOIN_TIMEOUT = 20.0
PRESENCE_TIMEOUT = 8.0

Verb = Literal["attach", "detach", "seen", "packet", "leave", "kick"]


@dataclass(frozen=True)
class Join:
    user: str
    room: str
    world: str


@dataclass(frozen=True)
class Act:
    """Something that the `which`-th of all sessions so far does, ended or not."""

    verb: Verb
    which: int


@dataclass(frozen=True)
class Pass:
    seconds: float


Step = Join | Act | Pass
steps = st.one_of(
    st.builds(
        Join, st.sampled_from(["anna", "bert", "cleo"]), st.sampled_from(["x", "y"]), st.sampled_from(["materie", "energie"])
    ),
    st.builds(Act, st.sampled_from(["attach", "detach", "seen", "packet", "leave", "kick"]), st.integers(0, 7)),
    st.builds(Pass, st.sampled_from([0.5, 3.0, 7.9, 8.0, 20.0])),
)


@dataclass
class Modelled:
    """What a session should be. `last` is its last sign of life, `end` (reason, at) once it is over."""

    join: Join
    joined: float
    last: float
    came: bool = False
    announced: bool = False
    end: tuple[str, float] | None = None


@dataclass
class Model:
    sessions: dict[str, Modelled] = field(default_factory=dict)

    def inside(self, room: str) -> list[str]:
        return [key for key, session in self.sessions.items() if session.end is None and session.join.room == room]

    def expected_refusal(self, join: Join) -> type[Exception] | None:
        inside = [self.sessions[key].join for key in self.inside(join.room)]
        if any(other.world != join.world for other in inside):
            return InvalidRequest
        if any(other.user == join.user for other in inside):
            return AlreadyInRoom
        return RoomFull if len(inside) >= CAPACITY else None

    def judge(self, now: float) -> None:
        for session in self.sessions.values():
            patience = PRESENCE_TIMEOUT if session.came else JOIN_TIMEOUT
            if session.end is None and now - session.last >= patience:
                session.end = ("timeout" if session.came else "rolled_back", session.last)


class Run:
    def __init__(self, database: Database) -> None:
        self.database = database
        self.clock, self.media, self.events, self.model = FakeClock(), FakeMedia(), Events(), Model()
        store = SqliteSessionStore(database, now=self.clock.now)
        self.recorder = Recorder(store)
        limits = FakeSettings(CAPACITY, JOIN_TIMEOUT, PRESENCE_TIMEOUT)
        self.service = VoiceService(limits, store, clock=self.clock, recorder=self.recorder, sleep=ManualSleep())
        self.service.use_media(self.media)
        self.service.subscribe(self.events)

    async def step(self, step: Step) -> None:
        match step:
            case Join():
                await self.join(step)
            case Pass(seconds):
                self.clock.advance(seconds)
                self.model.judge(self.clock.monotonic())
                self.service.judge()
                await self.recorder.flush()
            case Act(verb, which) if self.model.sessions:
                session_id = list(self.model.sessions)[which % len(self.model.sessions)]
                await self.act(verb, session_id, self.model.sessions[session_id])
            case _:
                pass

    async def join(self, join: Join) -> None:
        refusal: type[Exception] | None = None
        try:
            result = await self.service.join(JoinCommand(join.room, join.user, join.user, join.world))
        except (InvalidRequest, AlreadyInRoom, RoomFull) as problem:
            refusal = type(problem)
        else:
            now = self.clock.monotonic()
            self.model.sessions[result.participant.session_id] = Modelled(join, now, now)
            assert [one.session_id for one in result.participants] == self.model.inside(join.room)
            return
        assert refusal is self.model.expected_refusal(join)

    async def act(self, verb: Verb, session_id: str, session: Modelled) -> None:
        now = self.clock.monotonic()
        if verb in {"leave", "kick"}:
            reason = EndReason.LEFT if verb == "leave" else EndReason.KICKED
            try:
                await self.service.end(session_id, reason)
            except SessionAlreadyEnded:
                assert session.end is not None
            else:
                assert session.end is None
                session.end = (reason.value, now)
        elif verb == "packet":
            self.media.seen[session_id] = now  # noticed at the next round
            session.came, session.last = True, now
        elif verb == "seen":
            self.service.signalling_seen(session_id)
            session.came, session.last = True, now
        elif session.end is None:
            if verb == "attach":
                assert self.service.signalling_attached(session_id) is session.announced
                session.came, session.announced, session.last = True, True, now
            else:
                self.service.signalling_detached(session_id)

    async def check(self) -> None:
        live = {key for key, session in self.model.sessions.items() if session.end is None}
        for room in "xy":
            assert [one.session_id for one in self.service.roster(room)] == self.model.inside(room)
        assert set(self.media.opened) == live
        stored = await rows(self.database)
        assert list(stored) == list(self.model.sessions)
        assert {key for key, row in stored.items() if row["left_at"] is None} == live
        for key, session in self.model.sessions.items():
            if session.end is not None:
                reason, at = session.end
                assert (stored[key]["end_reason"], stored[key]["duration_ms"]) == (reason, round((at - session.joined) * 1000))
        announced = {key for key, session in self.model.sessions.items() if session.announced}
        assert {event.participant.session_id for event in self.events.of(ParticipantJoined)} == announced
        assert {event.session_id for event in self.events.of(ParticipantLeft)} == announced - live
        told = [*self.events.of(ParticipantJoined), *self.events.of(ParticipantLeft)]
        assert len(told) == len(announced) + len(announced - live), "each told once"


async def scenario(sequence: Sequence[Step]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        database = Database(Path(folder) / "voice.db")
        await database.open()
        try:
            run = Run(database)
            await run.service.start()
            for step in sequence:
                await run.step(step)
                await run.check()
            await run.service.close()
            assert all(row["left_at"] is not None for row in (await rows(database)).values())
        finally:
            await database.close()


@settings(max_examples=60, deadline=None, database=None)
@given(st.lists(steps, max_size=30))
def test_everybody_agrees_after_any_sequence(sequence: list[Step]) -> None:
    asyncio.run(scenario(sequence))
