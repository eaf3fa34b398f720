"""Stand-ins for what surrounds the voice layer: time, the media engine, a store that can fail, somebody who listens."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol, TypeVar

from server.voice.events import VoiceEvent
from server.voice.ledger import LedgerEntry, SessionSummary
from server.voice.ports import Admission, JoinCommand, NewSession, SessionStore, StoredSession, StoreError

E = TypeVar("E")

START = datetime(2026, 2, 13, 17, 30, 0, 123000, tzinfo=UTC)


class FakeClock:
    """Time passes when a test says so."""

    def __init__(self) -> None:
        self.wall = START
        self.seconds = 1000.0

    def now(self) -> datetime:
        return self.wall

    def monotonic(self) -> float:
        return self.seconds

    def advance(self, seconds: float) -> None:
        self.wall += timedelta(seconds=seconds)
        self.seconds += seconds


@dataclass
class FakeSettings:
    max_participants: int = 10
    join_timeout_seconds: float = 20.0
    presence_timeout_seconds: float = 8.0


@dataclass
class FakeMedia:
    """A media engine without packets. `opened` is by session id; what is opened is closed once."""

    opened: dict[str, str] = field(default_factory=dict)
    muted: dict[str, bool] = field(default_factory=dict)
    attempted: dict[str, int] = field(default_factory=dict)
    seen: dict[str, float] = field(default_factory=dict)
    fail_open: Exception | None = None
    fail_close: Exception | None = None
    fail_negotiate: Exception | None = None
    at_close: Callable[[str], None] = lambda _: None

    def open(self, room_id: str, session_id: str) -> None:
        if self.fail_open is not None:
            raise self.fail_open
        assert session_id not in self.opened
        self.opened[session_id] = room_id

    async def negotiate(self, session_id: str, offer_sdp: str) -> str:
        if self.fail_negotiate is not None:
            raise self.fail_negotiate
        return f"answer to {offer_sdp} of {self.opened[session_id]}"

    def set_muted(self, session_id: str, muted: bool) -> None:
        self.muted[session_id] = muted

    def attempted_ms(self, session_id: str) -> int:
        return self.attempted.get(session_id, 0)

    def last_seen(self, session_id: str) -> float | None:
        return self.seen.get(session_id)

    def close_session(self, session_id: str) -> None:
        if self.fail_close is not None:
            raise self.fail_close
        self.opened.pop(session_id, None)
        self.at_close(session_id)


class Events:
    """A sink that keeps what it heard."""

    def __init__(self) -> None:
        self.all: list[VoiceEvent] = []

    def emit(self, event: VoiceEvent) -> None:
        self.all.append(event)

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.all if isinstance(event, kind)]


class FlakyStore:
    """A store in front of a real one. `broken` makes every call fail; `hold` makes calls wait until it is set."""

    def __init__(self, store: SessionStore) -> None:
        self._store = store
        self.broken = False
        self.hold: asyncio.Event | None = None
        self.entered = asyncio.Event()
        self.calls: list[str] = []

    async def _gate(self, call: str) -> None:
        self.calls.append(call)
        self.entered.set()
        if self.hold is not None:
            await self.hold.wait()
        if self.broken:
            raise StoreError("the disk is full")

    async def open_session(self, new: NewSession, max_participants: int) -> Admission:
        await self._gate("open")
        return await self._store.open_session(new, max_participants)

    async def record(self, entries: Sequence[LedgerEntry]) -> int:
        await self._gate("record")
        return await self._store.record(entries)

    async def find_session(self, session_id: str) -> StoredSession | None:
        await self._gate("find")
        return await self._store.find_session(session_id)

    async def recover_open_sessions(self) -> tuple[SessionSummary, ...]:
        return await self._store.recover_open_sessions()

    async def ping(self) -> None:
        await self._gate("ping")


class ManualSleep:
    """A `sleep` that ends when the test says so, and tells how long it was asked for."""

    def __init__(self) -> None:
        self.asked: asyncio.Queue[float] = asyncio.Queue(100)
        self._wake: asyncio.Queue[None] = asyncio.Queue(100)

    async def __call__(self, seconds: float) -> None:
        self.asked.put_nowait(seconds)
        await self._wake.get()

    async def next(self) -> float:
        """Wait until somebody sleeps; how long they want to."""
        async with asyncio.timeout(5):
            return await self.asked.get()

    def wake(self) -> None:
        self._wake.put_nowait(None)


class SpurtListener(Protocol):
    """The part of a media listener that hears of talk-spurts."""

    def media_spurt(
        self, session_id: str, start: float, end: float, *, peak_dbov: int, mean_dbov: int, is_open: bool
    ) -> None: ...


def speak(listener: SpurtListener, clock: FakeClock, session_id: str, ms: int, *, is_open: bool = False) -> None:
    """Have somebody speak for so long, up to now."""
    now = clock.monotonic()
    listener.media_spurt(session_id, now - ms / 1000, now, peak_dbov=20, mean_dbov=30, is_open=is_open)


async def until(condition: Callable[[], bool]) -> None:
    """Let the event loop run until it is so."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - no clock: other tasks get their turn
            await asyncio.sleep(0)


def command(user: str = "anna", room: str = "lobby", world: str = "materie") -> JoinCommand:
    return JoinCommand(room_id=room, user_id=user, username=user.title(), world=world)
