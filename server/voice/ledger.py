"""What is written down: the entries of the ledger, and where they wait while the store does not work.

Every entry may be written twice without harm, so that whoever is not sure whether it was written writes it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol, TypeAlias

from server.voice.participant import EndReason

__all__ = [
    "LedgerEntry",
    "LevelFinding",
    "QualityPoint",
    "QualityTotals",
    "RoomEvent",
    "RoomEventKind",
    "SessionMark",
    "SessionSummary",
    "SpeakingInterval",
    "Spool",
    "SpoolChunk",
    "SpoolError",
    "is_checkpoint",
]


@dataclass(frozen=True, slots=True)
class SessionSummary:
    """A stay that is over. `left_at` is `joined_at` plus `duration_ms`, exactly; `speaking_ms` is the sum of its intervals."""

    session_id: str
    room_id: str
    user_id: str
    world: str
    joined_at: datetime
    left_at: datetime
    duration_ms: int
    speaking_ms: int
    reason: EndReason
    attempted_speaking_ms: int = 0
    """How long they tried to speak while a moderator had muted them."""


@dataclass(frozen=True, slots=True)
class SessionMark:
    """How far an open session has come: what is left of it should the process die now."""

    session_id: str
    last_seen: datetime
    speaking_ms: int


@dataclass(frozen=True, slots=True)
class SpeakingInterval:
    """One talk-spurt of one session; `seq` counts them from 1. Aware, UTC, whole milliseconds.

    While it `is_open` it is a checkpoint, which a later one of the same `seq` replaces. Levels are magnitudes in -dBov.
    """

    session_id: str
    seq: int
    started_at: datetime
    ended_at: datetime
    peak_dbov: int
    mean_dbov: int
    is_open: bool

    @property
    def duration_ms(self) -> int:
        return (self.ended_at - self.started_at) // timedelta(milliseconds=1)


class RoomEventKind(StrEnum):
    """What is kept of a room for its replay."""

    JOIN = "join"
    LEAVE = "leave"
    DETACHED = "detached"
    ATTACHED = "attached"
    MEDIA_CONNECTED = "media_connected"
    MEDIA_LOST = "media_lost"
    MUTE = "mute"
    UNMUTE = "unmute"
    HAND_RAISED = "hand_raised"
    HAND_LOWERED = "hand_lowered"
    KICK = "kick"
    BAN = "ban"
    WARN = "warn"


@dataclass(frozen=True, slots=True)
class RoomEvent:
    """Something that happened in a room, to one session of it. The store numbers the events of each room as they come.

    `event_id` is unique for good: by it a second writing is known. `by` is who did it (`self`, `moderator`, or a user id) and
    `reason` why; None where that says nothing.
    """

    event_id: int
    room_id: str
    at: datetime
    kind: RoomEventKind
    session_id: str
    by: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class QualityPoint:
    """A session's connection in the ten seconds from `at` on: means, and the worst word. None where nothing was measured."""

    session_id: str
    at: datetime
    quality: str
    mos: float
    rtt_ms: float | None
    up_jitter_ms: float | None
    up_loss_pct: float | None
    down_jitter_ms: float | None
    down_loss_pct: float | None


@dataclass(frozen=True, slots=True)
class QualityTotals:
    """A session's connection from its beginning up to now. In 95 % of all measurements it was as good as `p95`, or better; jitter
    and loss are those of the worse direction. None where nothing was measured."""

    session_id: str
    mos_p50: float
    mos_p95: float
    mos_worst: float
    rtt_p50_ms: float | None
    rtt_p95_ms: float | None
    rtt_worst_ms: float | None
    jitter_p50_ms: float | None
    jitter_p95_ms: float | None
    jitter_worst_ms: float | None
    loss_p50_pct: float | None
    loss_p95_pct: float | None
    loss_worst_pct: float | None


@dataclass(frozen=True, slots=True)
class LevelFinding:
    """The audio levels that a client told were found to be false: `loud_over_silence` or `silence_over_speech`."""

    session_id: str
    at: datetime
    contradiction: str


LedgerEntry: TypeAlias = SessionSummary | SessionMark | SpeakingInterval | RoomEvent | QualityPoint | QualityTotals | LevelFinding


def is_checkpoint(entry: LedgerEntry) -> bool:
    """Whether a later entry replaces this one if the process lives: where room is short, it is the first to do without."""
    return isinstance(entry, SessionMark | QualityTotals) or (isinstance(entry, SpeakingInterval) and entry.is_open)


class SpoolError(Exception):
    """The spool could not do it: no disk, no room, no rights."""


@dataclass(frozen=True, slots=True)
class SpoolChunk:
    """The oldest entries of a spool. `end` is where the next one begins; `damaged` counts what could not be read."""

    entries: tuple[LedgerEntry, ...]
    damaged: int
    end: int


class Spool(Protocol):
    """Where entries wait, in order, while the store does not work; it outlives the process. Calls may raise `SpoolError`."""

    @property
    def waiting(self) -> int:
        """How many entries are in it that were not passed."""
        ...

    @property
    def fill(self) -> float:
        """How full it is, 0.0 to 1.0."""
        ...

    async def open(self) -> int:
        """To be called first. How many entries an earlier process left."""
        ...

    async def append(self, entries: Sequence[LedgerEntry]) -> None:
        """All of them are on the disk when it returns, or none where it raises."""
        ...

    async def read(self, count: int) -> SpoolChunk:
        """The oldest `count` that were not passed; `entries` is empty and `damaged` 0 where there are none."""
        ...

    async def passed(self, chunk: SpoolChunk) -> None:
        """The store has these: read on behind them. The last one empties the spool."""
        ...

    async def close(self) -> None:
        """What is in it stays for the next process."""
        ...
