"""What happens in rooms, as facts for whoever listens: signalling, later the ledger and the admin's live view.

Each event is emitted once, after the change it tells of is visible in `VoiceService.roster` and friends.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from server.voice.participant import EndReason, MutedBy, Participant

__all__ = [
    "ConnectionChanged",
    "HandChanged",
    "LevelsChanged",
    "LevelsContradicted",
    "MediaStateChanged",
    "MuteChanged",
    "MutedBy",
    "ParticipantJoined",
    "ParticipantLeft",
    "QualityMeasured",
    "Removed",
    "Reported",
    "SlotsChanged",
    "SpeakingChanged",
    "VoiceEvent",
    "Warned",
    "WarningAcknowledged",
]


@dataclass(frozen=True, slots=True)
class ParticipantJoined:
    """The first WebSocket of a session came. Not emitted by the REST join, which others need not hear of yet."""

    participant: Participant


@dataclass(frozen=True, slots=True)
class ConnectionChanged:
    """A participant's WebSocket is gone for now, or is there again. The first one is `ParticipantJoined`."""

    room_id: str
    session_id: str
    user_id: str
    attached: bool


@dataclass(frozen=True, slots=True)
class ParticipantLeft:
    """A participant that others had been told of is gone."""

    room_id: str
    session_id: str
    user_id: str
    reason: EndReason


@dataclass(frozen=True, slots=True)
class MuteChanged:
    """One cause began (`muted`) or ended. `causes` are those that hold now: there may be another one."""

    room_id: str
    session_id: str
    user_id: str
    muted: bool
    by: MutedBy
    causes: frozenset[MutedBy]


@dataclass(frozen=True, slots=True)
class SpeakingChanged:
    """Someone began or stopped to speak. `level` is 0.0 to 1.0."""

    room_id: str
    session_id: str
    user_id: str
    speaking: bool
    level: float


@dataclass(frozen=True, slots=True)
class LevelsChanged:
    """How loud those are who speak now, by session id, 0.0 to 1.0; five times a second while someone speaks."""

    room_id: str
    levels: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class QualityMeasured:
    """How good someone's connection is, every few seconds. `quality` is excellent, good, poor or lost, `mos` 1.0 to 4.5; up is
    from them to the server. Figures are None where nothing was there to measure. `is_news`: people should be told."""

    room_id: str
    session_id: str
    user_id: str
    quality: str
    mos: float
    rtt_ms: float | None
    up_jitter_ms: float | None
    up_loss_pct: float | None
    down_jitter_ms: float | None
    down_loss_pct: float | None
    is_news: bool

    @property
    def jitter_ms(self) -> float | None:
        """Of the worse direction."""
        return max((jitter for jitter in (self.up_jitter_ms, self.down_jitter_ms) if jitter is not None), default=None)

    @property
    def loss_pct(self) -> float | None:
        """Of the worse direction."""
        return max((loss for loss in (self.up_loss_pct, self.down_loss_pct) if loss is not None), default=None)


@dataclass(frozen=True, slots=True)
class LevelsContradicted:
    """The audio levels that someone's client tells are false: `loud_over_silence` or `silence_over_speech`. Told once; what
    counts from then on is measured."""

    room_id: str
    session_id: str
    user_id: str
    contradiction: str


@dataclass(frozen=True, slots=True)
class SlotsChanged:
    """The whole slot list of one receiver, as `(mid, session_id, user_id)`; both ids are None where the slot is free."""

    room_id: str
    session_id: str
    slots: tuple[tuple[str, str | None, str | None], ...]


@dataclass(frozen=True, slots=True)
class HandChanged:
    room_id: str
    session_id: str
    user_id: str
    raised: bool


@dataclass(frozen=True, slots=True)
class MediaStateChanged:
    """The media connection of a session came up, or failed for `reason` (None where it is connected)."""

    room_id: str
    session_id: str
    connected: bool
    reason: str | None


@dataclass(frozen=True, slots=True)
class Removed:
    """A moderator puts someone out of a room; `ParticipantLeft` follows. `words` are the moderator's, None where there are none.

    `reason` is KICKED or BANNED; `expires_at` is when they may come back, None: never.
    """

    room_id: str
    session_id: str
    user_id: str
    reason: EndReason
    words: str | None
    by: str
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Warned:
    """A moderator warns someone, who is to acknowledge it. `action_id` is that of the moderation log."""

    room_id: str
    session_id: str
    user_id: str
    action_id: str
    words: str | None
    by: str


@dataclass(frozen=True, slots=True)
class WarningAcknowledged:
    """Someone has read their warning. `by_user_id` is who warned them."""

    room_id: str
    session_id: str
    user_id: str
    action_id: str
    by_user_id: str


@dataclass(frozen=True, slots=True)
class Reported:
    """A participant reported another. `moderators` are the sessions in the room that may do something about it."""

    room_id: str
    world: str
    report_id: str
    reporter_user_id: str
    target_user_id: str
    words: str | None
    moderators: tuple[str, ...]


VoiceEvent: TypeAlias = (
    ParticipantJoined
    | ConnectionChanged
    | ParticipantLeft
    | MuteChanged
    | SpeakingChanged
    | LevelsChanged
    | QualityMeasured
    | LevelsContradicted
    | SlotsChanged
    | HandChanged
    | MediaStateChanged
    | Removed
    | Warned
    | WarningAcknowledged
    | Reported
)
