"""Someone's stay in a room: who they are, in what state, and what others see of them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, StrEnum
from types import MappingProxyType

__all__ = [
    "EndReason",
    "IllegalTransition",
    "MutedBy",
    "Participant",
    "ParticipantState",
    "Right",
    "Role",
    "UnreadWarning",
]

logger = logging.getLogger(__name__)


class Role(StrEnum):
    """What someone may do in a room. The values are the wire's."""

    USER = "user"
    MODERATOR = "moderator"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Right:
    """A role and where it holds; None: everywhere."""

    role: Role
    worlds: frozenset[str] | None = None
    rooms: frozenset[str] | None = None

    def holds_in(self, world: str | None, room_id: str | None) -> bool:
        """Whether it holds in this room of this world. None asks for all of them."""
        return (self.worlds is None or world in self.worlds) and (self.rooms is None or room_id in self.rooms)


class MutedBy(StrEnum):
    """The two causes for which someone is not heard, each lifted by its own author only. The values are the wire's."""

    SELF = "self"
    MODERATOR = "moderator"


@dataclass(frozen=True, slots=True)
class UnreadWarning:
    """A moderator's warning that was not acknowledged yet. `words` is None where there are none; `by` is a name."""

    action_id: str
    words: str | None
    by: str
    by_user_id: str


class EndReason(StrEnum):
    """Why a stay ended: the same word from the cause to the row and to the clients."""

    LEFT = "left"
    KICKED = "kicked"
    BANNED = "banned"
    REPLACED = "replaced"
    TIMEOUT = "timeout"
    REJECTED_MEDIA = "rejected_media"
    ROLLED_BACK = "rolled_back"
    SERVER_STOP = "server_stop"
    CRASH_RECOVERY = "crash_recovery"
    REVOKED = "revoked"


class ParticipantState(Enum):
    """Where a stay stands, as seen from signalling.

    RESERVED: the place is taken and the row written, but no WebSocket came yet; others were not told.
    CONNECTED: a WebSocket is there.
    DETACHED: the WebSocket is gone for now; the audio may well go on.
    ENDED: over, for good.
    """

    RESERVED = "reserved"
    CONNECTED = "connected"
    DETACHED = "detached"
    ENDED = "ended"


_NEXT: Mapping[ParticipantState, frozenset[ParticipantState]] = MappingProxyType(
    {
        ParticipantState.RESERVED: frozenset({ParticipantState.CONNECTED, ParticipantState.ENDED}),
        ParticipantState.CONNECTED: frozenset({ParticipantState.DETACHED, ParticipantState.ENDED}),
        ParticipantState.DETACHED: frozenset({ParticipantState.CONNECTED, ParticipantState.ENDED}),
        ParticipantState.ENDED: frozenset(),
    }
)


class IllegalTransition(RuntimeError):
    """A state change that the table does not know: a mistake in this program, never a client's."""


@dataclass(slots=True, eq=False)
class Participant:
    """One open session. `VoiceService` is the only one that changes it; everybody else reads.

    `joined_at` is aware, UTC, whole milliseconds; `joined_monotonic` is the same moment in seconds on the monotonic clock.
    `avatar_emoji` is None where the client gave none. `role` is what holds in this room, `rights` what the token gave, wherever.
    `token_id` is the `jti` of the user token that they joined with, None where there was none.
    `muted_by` holds every cause for which they are not heard now, `muted_until` when a moderator's ends by itself (None without
    one). `attempted_ms` is how long they tried to speak under moderators' mutes that are over; `attempts_from` is what the media
    engine had counted when the present one began.
    `warnings` are those that were not acknowledged, by action id.
    """

    session_id: str
    room_id: str
    user_id: str
    username: str
    world: str
    avatar_emoji: str | None
    role: Role
    joined_at: datetime
    joined_monotonic: float
    rights: tuple[Right, ...] = ()
    token_id: str | None = None
    muted_by: set[MutedBy] = field(default_factory=set)
    muted_until: datetime | None = None
    attempted_ms: int = 0
    attempts_from: int | None = None
    warnings: dict[str, UnreadWarning] = field(default_factory=dict)
    is_speaking: bool = False
    hand_raised: bool = False
    _state: ParticipantState = field(default=ParticipantState.RESERVED, init=False)

    @property
    def is_muted(self) -> bool:
        """Whether nobody hears them, for whatever cause."""
        return bool(self.muted_by)

    @property
    def state(self) -> ParticipantState:
        return self._state

    def move(self, to: ParticipantState, why: str) -> None:
        """The one setter of the state. Raises `IllegalTransition`."""
        if to not in _NEXT[self._state]:
            raise IllegalTransition(f"participant {self.session_id}: {self._state.value} -> {to.value} ({why})")
        logger.info("participant %s: %s -> %s (%s)", self.session_id, self._state.value, to.value, why)
        self._state = to
