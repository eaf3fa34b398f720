"""What happens in rooms, as facts for whoever listens: signalling, later the ledger and the admin's live view.

Each event is emitted once, after the change it tells of is visible in `VoiceService.roster` and friends.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from server.voice.participant import EndReason, Participant

__all__ = [
    "HandChanged",
    "LevelsChanged",
    "MediaStateChanged",
    "MuteChanged",
    "MutedBy",
    "ParticipantJoined",
    "ParticipantLeft",
    "SlotsChanged",
    "SpeakingChanged",
    "VoiceEvent",
]

MutedBy: TypeAlias = Literal["self", "moderator"]


@dataclass(frozen=True, slots=True)
class ParticipantJoined:
    """The first WebSocket of a session came. Not emitted by the REST join, which others need not hear of yet."""

    participant: Participant


@dataclass(frozen=True, slots=True)
class ParticipantLeft:
    """A participant that others had been told of is gone."""

    room_id: str
    session_id: str
    user_id: str
    reason: EndReason


@dataclass(frozen=True, slots=True)
class MuteChanged:
    room_id: str
    session_id: str
    user_id: str
    muted: bool
    by: MutedBy


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


VoiceEvent: TypeAlias = (
    ParticipantJoined
    | ParticipantLeft
    | MuteChanged
    | SpeakingChanged
    | LevelsChanged
    | SlotsChanged
    | HandChanged
    | MediaStateChanged
)
