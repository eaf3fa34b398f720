"""What the voice layer needs of others, and what it takes and gives: the emitter owns the interface.

Nothing here knows a socket, SQL, HTTP or aiortc.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from server.voice.events import VoiceEvent
from server.voice.ledger import LedgerEntry, SessionMark, SessionSummary
from server.voice.participant import EndReason, Participant, Right, Role

__all__ = [
    "Admission",
    "EventSink",
    "JoinCommand",
    "JoinResult",
    "MediaPort",
    "NewSession",
    "QualityLike",
    "RoomView",
    "SessionMark",
    "SessionStore",
    "SessionSummary",
    "SlotLike",
    "StoreBusy",
    "StoreError",
    "StoredSession",
    "VoiceSettings",
]


class VoiceSettings(Protocol):
    """The settings that this layer reads; `server.config.Settings` has them."""

    @property
    def max_participants(self) -> int: ...
    @property
    def join_timeout_seconds(self) -> float: ...
    @property
    def presence_timeout_seconds(self) -> float: ...


# --- use cases in and out -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class JoinCommand:
    """A join whose caller was authenticated and whose fields were validated at the edge.

    `worlds` and `rooms` say where the token gives the role, None: everywhere. `token_id` is the `jti` of a user token.
    """

    room_id: str
    user_id: str
    username: str
    world: str
    avatar_emoji: str | None = None
    role: Role = Role.USER
    worlds: frozenset[str] | None = None
    rooms: frozenset[str] | None = None
    token_id: str | None = None

    @property
    def right(self) -> Right:
        """What the token gives."""
        return Right(self.role, self.worlds, self.rooms)


@dataclass(frozen=True, slots=True)
class JoinResult:
    """`participants` are all with an open session in the room, the joiner included, in the order of joining."""

    participant: Participant
    participants: tuple[Participant, ...]
    max_participants: int


@dataclass(frozen=True, slots=True)
class RoomView:
    """A room with people in it. `first_joined_at` is when it last stopped being empty."""

    room_id: str
    participant_count: int
    max_participants: int
    is_full: bool
    first_joined_at: datetime


# --- media ----------------------------------------------------------------------------------------------------------


class FiguresLike(Protocol):
    """What was measured of a connection: ms and percent, None where nothing was there to measure. Up is from the client."""

    @property
    def rtt_ms(self) -> float | None: ...
    @property
    def up_jitter_ms(self) -> float | None: ...
    @property
    def up_loss_pct(self) -> float | None: ...
    @property
    def down_jitter_ms(self) -> float | None: ...
    @property
    def down_loss_pct(self) -> float | None: ...


class QualityLike(Protocol):
    """How good a connection is: excellent, good, poor or lost, and a mean opinion score of 1.0 to 4.5."""

    @property
    def quality(self) -> str: ...
    @property
    def mos(self) -> float: ...
    @property
    def figures(self) -> FiguresLike: ...
    @property
    def is_news(self) -> bool: ...


class SlotLike(Protocol):
    """Who is heard in one m-section of a receiver; `session_id` is None where it is free."""

    @property
    def mid(self) -> str: ...
    @property
    def session_id(self) -> str | None: ...


class MediaPort(Protocol):
    """The media engine, as far as people are concerned."""

    def open(self, room_id: str, session_id: str) -> None:
        """Make room for a session; may raise, and the join is then undone."""
        ...

    async def negotiate(self, session_id: str, offer_sdp: str) -> str:
        """The answer SDP. Raises a `ValueError` for an offer that cannot be answered, `KeyError` for an unknown session."""
        ...

    def set_muted(self, session_id: str, muted: bool) -> None:
        """Drop what this session sends, at the door."""
        ...

    def attempted_ms(self, session_id: str) -> int:
        """How much speech was dropped at the door so far, in ms; part of no speaking time."""
        ...

    def last_seen(self, session_id: str) -> float | None:
        """`loop.time()` of the last authenticated packet or consent check; None before the first."""
        ...

    def close_session(self, session_id: str) -> None:
        """End it (idempotent). A talk-spurt that is open is reported as closed before this returns."""
        ...


# --- storage --------------------------------------------------------------------------------------------------------


class StoreError(Exception):
    """The store could not do it now; the same call may succeed later."""


class StoreBusy(StoreError):
    """Too much is waiting to be written already."""


@dataclass(frozen=True, slots=True)
class NewSession:
    """A session to open. `joined_at` is aware, UTC, whole milliseconds."""

    session_id: str
    room_id: str
    user_id: str
    username: str
    world: str
    avatar_emoji: str | None
    role: Role
    joined_at: datetime


@dataclass(frozen=True, slots=True)
class Admission:
    """What holds for a session from its first moment on.

    `role` is the higher one of the token's and that of the `users` table. `muted_until` says that a moderator muted the person in
    this room before; None where not.
    """

    role: Role
    muted_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class StoredSession:
    """A session as the store has it. `left_at`, `duration_ms` and `reason` are None while it is open."""

    session_id: str
    room_id: str
    user_id: str
    username: str
    world: str
    avatar_emoji: str | None
    role: Role
    joined_at: datetime
    last_seen: datetime
    left_at: datetime | None
    duration_ms: int | None
    speaking_ms: int
    reason: EndReason | None


class SessionStore(Protocol):
    """Where sessions are kept. Every call may raise `StoreError`; writes happen in the order of the calls."""

    async def open_session(self, new: NewSession, max_participants: int) -> Admission:
        """Check and write in one step, in this order: ban, kick, the room's world, duplicate, capacity.

        Raises `Banned`, `Kicked`, `InvalidRequest` (field `world`), `AlreadyInRoom`, `RoomFull`; nothing is written then.
        """
        ...

    async def record(self, entries: Sequence[LedgerEntry]) -> int:
        """Write these in one step, in this order. Each may have been written before: that changes nothing.

        A session that is closed stays as it is, one that is unknown takes nothing. Returns how many entries can never be written,
        and are left out, so that they do not hold up the others for ever.
        """
        ...

    async def find_session(self, session_id: str) -> StoredSession | None: ...

    async def recover_open_sessions(self) -> tuple[SessionSummary, ...]:
        """Close what a crash left open, at the last sign of life or of speech that was noted (`EndReason.CRASH_RECOVERY`)."""
        ...

    async def ping(self) -> None:
        """Raises `StoreError` where the store does not answer."""
        ...


# --- listeners ------------------------------------------------------------------------------------------------------


class EventSink(Protocol):
    """Whoever wants to know. Called in the event loop; must not block, and cannot disturb by raising."""

    def emit(self, event: VoiceEvent) -> None: ...
