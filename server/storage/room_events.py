"""What happens in rooms, kept for their replay: an event sink that gives the recorder a row for each event that matters.

Levels and slots are not kept; who spoke when is told by the intervals.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple, Protocol

from server.storage.ledger import new_event_id
from server.voice.clock import Clock, whole_ms
from server.voice.events import (
    ConnectionChanged,
    HandChanged,
    MediaStateChanged,
    MuteChanged,
    ParticipantJoined,
    ParticipantLeft,
    Removed,
    VoiceEvent,
    Warned,
)
from server.voice.ledger import LedgerEntry, RoomEvent, RoomEventKind
from server.voice.participant import EndReason

__all__ = ["RoomEventSink"]


class _Kept(NamedTuple):
    room_id: str
    session_id: str
    kind: RoomEventKind
    by: str | None = None
    reason: str | None = None


class Notes(Protocol):
    """Who takes entries to write: the recorder. Its queue is bounded."""

    def note(self, *entries: LedgerEntry) -> None: ...


class RoomEventSink:
    """Implements `EventSink`. The clock says when an event happened; the store numbers the events of each room."""

    def __init__(self, notes: Notes, clock: Clock, *, new_id: Callable[[], int] = new_event_id) -> None:
        self._notes = notes
        self._clock = clock
        self._new_id = new_id

    def emit(self, event: VoiceEvent) -> None:
        """See `EventSink.emit`."""
        keep = _KEEPERS.get(type(event))
        if keep is not None:
            kept = keep(event)
            self._notes.note(
                RoomEvent(
                    self._new_id(), kept.room_id, whole_ms(self._clock.now()), kept.kind, kept.session_id, kept.by, kept.reason
                )
            )


def _joined(event: ParticipantJoined) -> _Kept:
    return _Kept(event.participant.room_id, event.participant.session_id, RoomEventKind.JOIN)


def _left(event: ParticipantLeft) -> _Kept:
    return _Kept(event.room_id, event.session_id, RoomEventKind.LEAVE, reason=event.reason)


def _connection(event: ConnectionChanged) -> _Kept:
    kind = RoomEventKind.ATTACHED if event.attached else RoomEventKind.DETACHED
    return _Kept(event.room_id, event.session_id, kind)


def _media(event: MediaStateChanged) -> _Kept:
    kind = RoomEventKind.MEDIA_CONNECTED if event.connected else RoomEventKind.MEDIA_LOST
    return _Kept(event.room_id, event.session_id, kind, reason=event.reason)


def _mute(event: MuteChanged) -> _Kept:
    kind = RoomEventKind.MUTE if event.muted else RoomEventKind.UNMUTE
    return _Kept(event.room_id, event.session_id, kind, by=event.by)


def _hand(event: HandChanged) -> _Kept:
    kind = RoomEventKind.HAND_RAISED if event.raised else RoomEventKind.HAND_LOWERED
    return _Kept(event.room_id, event.session_id, kind, by="self")


def _removed(event: Removed) -> _Kept:
    kind = RoomEventKind.BAN if event.reason is EndReason.BANNED else RoomEventKind.KICK
    return _Kept(event.room_id, event.session_id, kind, by=event.by)


def _warned(event: Warned) -> _Kept:
    return _Kept(event.room_id, event.session_id, RoomEventKind.WARN, by=event.by)


_KEEPERS: Final[Mapping[type[Any], Callable[[Any], _Kept]]] = MappingProxyType(
    {
        ParticipantJoined: _joined,
        ParticipantLeft: _left,
        ConnectionChanged: _connection,
        MediaStateChanged: _media,
        MuteChanged: _mute,
        HandChanged: _hand,
        Removed: _removed,
        Warned: _warned,
    }
)
"""The words of moderators are not repeated here: the moderation log has them."""
