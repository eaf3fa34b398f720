"""What the media engine reports about packets, told to people as events about participants."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from server.voice.clock import Clock
from server.voice.events import (
    LevelsChanged,
    LevelsContradicted,
    MediaStateChanged,
    QualityMeasured,
    SlotsChanged,
    SpeakingChanged,
)
from server.voice.intervals import IntervalBooks
from server.voice.ports import QualityLike, SlotLike
from server.voice.presence import Presence
from server.voice.rooms import RoomRegistry
from server.voice.sinks import EventSinks

__all__ = ["MediaFacts"]

logger = logging.getLogger(__name__)


class MediaFacts:
    """The listener that the media engine wants. Facts about sessions that are gone are of no interest any more."""

    def __init__(self, rooms: RoomRegistry, presence: Presence, sinks: EventSinks, clock: Clock) -> None:
        self._rooms = rooms
        self._presence = presence
        self._sinks = sinks
        self._clock = clock
        self._intervals = IntervalBooks()

    def media_connected(self, session_id: str) -> None:
        """The handshake is done and keys are there: a sign of life."""
        participant = self._rooms.find(session_id)
        if participant is not None:
            self._presence.seen(session_id, self._clock.monotonic())
            self._sinks.emit(MediaStateChanged(participant.room_id, session_id, True, None))

    def media_failed(self, session_id: str, reason: str) -> None:
        """The client decides what to do about it: try again, or leave. Presence ends it where it does neither."""
        participant = self._rooms.find(session_id)
        if participant is not None:
            logger.warning("session %s: media failed: %s", session_id, reason)
            self._sinks.emit(MediaStateChanged(participant.room_id, session_id, False, reason))

    def media_speaking(self, session_id: str, speaking: bool, level: float) -> None:
        """Someone began or stopped to speak; who is muted cannot begin."""
        participant = self._rooms.find(session_id)
        if participant is None or (speaking and participant.is_muted):
            return
        participant.is_speaking = speaking
        self._sinks.emit(SpeakingChanged(participant.room_id, session_id, participant.user_id, speaking, level))

    def media_spurt(self, session_id: str, start: float, end: float, *, peak_dbov: int, mean_dbov: int, is_open: bool) -> None:
        """A talk-spurt, in monotonic seconds: now and then while it is open, and once when it is not any more."""
        self._intervals.report(
            session_id, start, end, self._clock.monotonic(), peak_dbov=peak_dbov, mean_dbov=mean_dbov, is_open=is_open
        )

    def media_levels(self, levels: Mapping[str, float]) -> None:
        """How loud those are who speak now, of all rooms in one go; each room hears of its own."""
        by_room: dict[str, dict[str, float]] = {}
        for session_id, level in levels.items():
            participant = self._rooms.find(session_id)
            if participant is not None and not participant.is_muted:
                by_room.setdefault(participant.room_id, {})[session_id] = level
        for room_id, room_levels in by_room.items():
            self._sinks.emit(LevelsChanged(room_id, room_levels))

    def media_quality(self, session_id: str, view: QualityLike) -> None:
        """How good a connection is, every few seconds."""
        participant = self._rooms.find(session_id)
        if participant is None:
            return
        figures = view.figures
        self._sinks.emit(
            QualityMeasured(
                room_id=participant.room_id,
                session_id=session_id,
                user_id=participant.user_id,
                quality=view.quality,
                mos=view.mos,
                rtt_ms=figures.rtt_ms,
                up_jitter_ms=figures.up_jitter_ms,
                up_loss_pct=figures.up_loss_pct,
                down_jitter_ms=figures.down_jitter_ms,
                down_loss_pct=figures.down_loss_pct,
                is_news=view.is_news,
            )
        )

    def media_contradiction(self, session_id: str, contradiction: str) -> None:
        """The levels that a client tells are false."""
        participant = self._rooms.find(session_id)
        if participant is not None:
            self._sinks.emit(LevelsContradicted(participant.room_id, session_id, participant.user_id, contradiction))

    def media_slots(self, session_id: str, slots: Sequence[SlotLike]) -> None:
        """The whole slot list of a receiver. A slot of someone who is gone is a free one."""
        participant = self._rooms.find(session_id)
        if participant is None:
            return
        named: list[tuple[str, str | None, str | None]] = []
        for slot in slots:
            heard = self._rooms.find(slot.session_id) if slot.session_id is not None else None
            named.append((slot.mid, heard.session_id, heard.user_id) if heard is not None else (slot.mid, None, None))
        self._sinks.emit(SlotsChanged(participant.room_id, session_id, tuple(named)))
