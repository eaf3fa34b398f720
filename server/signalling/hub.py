"""Who is connected, and what they are told of what happens.

The hub hears every event of `VoiceService` in the moment it happens and queues it for those whom it concerns, so everybody sees
events in the order in which they happened. A frame is encoded once, however many receive it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from server.errors import Draining
from server.protocol import CloseCode
from server.protocol.server_messages import (
    HandMessage,
    KickMessage,
    MediaMessage,
    MuteMessage,
    PersonLeft,
    QualityMessage,
    ReportMessage,
    SlotEntry,
    SlotsMessage,
    SpeakerEntry,
    SpeakingMessage,
    WarningRead,
    WarnMessage,
    addressed,
)
from server.signalling.outbox import Delivery
from server.signalling.peer import Peer
from server.signalling.views import error_message, person_joined
from server.voice.events import (
    ConnectionChanged,
    HandChanged,
    LevelsChanged,
    LevelsContradicted,
    MediaStateChanged,
    MuteChanged,
    ParticipantJoined,
    ParticipantLeft,
    QualityMeasured,
    Removed,
    Reported,
    SlotsChanged,
    SpeakingChanged,
    VoiceEvent,
    Warned,
    WarningAcknowledged,
)
from server.voice.participant import EndReason, MutedBy

__all__ = ["Hub"]

logger = logging.getLogger(__name__)

CLOSE_CODES: Final[Mapping[EndReason, CloseCode]] = MappingProxyType(
    {
        EndReason.LEFT: CloseCode.NORMAL,
        EndReason.ROLLED_BACK: CloseCode.NORMAL,
        EndReason.REJECTED_MEDIA: CloseCode.NORMAL,
        EndReason.KICKED: CloseCode.REMOVED,
        EndReason.BANNED: CloseCode.REMOVED,
        EndReason.REPLACED: CloseCode.REPLACED,
        EndReason.TIMEOUT: CloseCode.SILENT,
        EndReason.CRASH_RECOVERY: CloseCode.NO_SESSION,
        EndReason.SERVER_STOP: CloseCode.RESTARTING,
        EndReason.REVOKED: CloseCode.UNAUTHORIZED,
    }
)
"""What the connection of an ended session is closed with."""


class Hub:
    """The event sink that is people. Owns which connection speaks for which session.

    `stop_seconds`: how long `close` waits for the connections to be gone; each of them is bounded, too.
    """

    def __init__(self, *, stop_seconds: float = 5.0) -> None:
        self._stop_seconds = stop_seconds
        self._open: set[Peer] = set()
        self._rooms: dict[str, dict[str, Peer]] = {}
        self._by_user: dict[tuple[str, str], Peer] = {}
        self._user_ids: dict[str, str] = {}
        self._slots: dict[str, bytes] = {}
        self._quality: dict[str, dict[str, bytes]] = {}  # by room and session: what was told last
        self._all_gone = asyncio.Event()
        self._all_gone.set()
        self._stopping = False
        self._routes: dict[type[Any], Callable[[Any], None]] = {
            ParticipantJoined: self._joined,
            ConnectionChanged: self._keep_to_itself,
            ParticipantLeft: self._left,
            MuteChanged: self._mute_changed,
            HandChanged: self._hand_changed,
            SpeakingChanged: self._speaking_changed,
            LevelsChanged: self._levels_changed,
            SlotsChanged: self._slots_changed,
            MediaStateChanged: self._media_changed,
            QualityMeasured: self._quality_measured,
            LevelsContradicted: self._keep_from_people,
            Removed: self._removed,
            Warned: self._warned,
            WarningAcknowledged: self._warning_read,
            Reported: self._reported,
        }

    # --- connections --------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        """How many connections are open, joined or not."""
        return len(self._open)

    def opened(self, peer: Peer) -> None:
        """A connection is there, nobody's yet. While the hub stops it is turned away."""
        self._open.add(peer)
        self._all_gone.clear()
        if self._stopping:
            self._send_away(peer)

    def closed(self, peer: Peer) -> bool:
        """A connection is gone. True where it was the one that spoke for its session."""
        self._open.discard(peer)
        if not self._open:
            self._all_gone.set()
        return self._unseat(peer)

    def take_seat(self, peer: Peer) -> None:
        """From now on `peer`, which has joined, hears of its room. An older connection of the session is closed (4409).

        To be called in one go with making the snapshot that the peer is sent, so that it misses nothing and hears nothing twice.
        """
        seat = peer.seat
        assert seat is not None
        older = self._rooms.get(seat.room_id, {}).get(seat.session_id)
        self._rooms.setdefault(seat.room_id, {})[seat.session_id] = peer
        self._by_user[seat.room_id, seat.user_id] = peer
        if older is not None:
            older.close(CloseCode.REPLACED, "replaced by a newer connection")
        if (slots := self._slots.get(seat.session_id)) is not None:
            peer.send(slots)
        for frame in self._quality.get(seat.room_id, {}).values():
            peer.send(frame)

    def close_credential(self, credential: str) -> None:
        """The token of this name was revoked: connections whose upgrade carried it are closed (4401)."""
        for peer in tuple(self._open):
            if peer.credential == credential:
                peer.close(CloseCode.UNAUTHORIZED, "the token was revoked")

    def find(self, room_id: str, *, session_id: str | None, user_id: str | None) -> Peer | None:
        """The connection in this room of that session, or of that user; where both are named, of the one who is both."""
        if session_id is not None:
            peer = self._rooms.get(room_id, {}).get(session_id)
        else:
            peer = self._by_user.get((room_id, user_id)) if user_id is not None else None
        if peer is None or peer.seat is None or user_id not in (None, peer.seat.user_id):
            return None
        return peer

    async def close(self) -> None:
        """Tell everyone that the server stops (1012), and wait, within bounds, until they are gone. New ones are turned away."""
        self._stopping = True
        for peer in tuple(self._open):
            self._send_away(peer)
        try:
            async with asyncio.timeout(self._stop_seconds):
                await self._all_gone.wait()
        except TimeoutError:
            logger.warning("%d connections did not close in time", len(self._open))

    @staticmethod
    def _send_away(peer: Peer) -> None:
        session_id = peer.seat.session_id if peer.seat is not None else None
        peer.send(error_message(Draining(), peer.language, session_id=session_id, request_id=None).encode())
        peer.close(CloseCode.RESTARTING, "the server stops")

    def speaks_for(self, peer: Peer) -> bool:
        """Whether this is the connection of its session: it has joined, and none has replaced it."""
        seat = peer.seat
        return seat is not None and self._rooms.get(seat.room_id, {}).get(seat.session_id) is peer

    def _unseat(self, peer: Peer) -> bool:
        seat = peer.seat
        if seat is None or not self.speaks_for(peer):
            return False
        room = self._rooms[seat.room_id]
        del room[seat.session_id]
        del self._by_user[seat.room_id, seat.user_id]
        if not room:
            del self._rooms[seat.room_id]
        return True

    # --- events -------------------------------------------------------------------------------------------------

    def emit(self, event: VoiceEvent) -> None:
        """Tell those whom it concerns. Never blocks."""
        self._routes[type(event)](event)

    def _broadcast(self, room_id: str, frame: bytes, *, besides: str | None = None) -> None:
        for session_id, peer in self._rooms.get(room_id, {}).items():
            if session_id != besides:
                peer.send(frame)

    def _send_to(self, room_id: str, session_id: str, frame: bytes) -> None:
        peer = self._rooms.get(room_id, {}).get(session_id)
        if peer is not None:
            peer.send(frame)

    def _joined(self, event: ParticipantJoined) -> None:
        participant = event.participant
        self._user_ids[participant.session_id] = participant.user_id
        self._broadcast(participant.room_id, person_joined(participant).encode(), besides=participant.session_id)

    def _keep_to_itself(self, event: ConnectionChanged) -> None:
        """A connection that comes back soon is nobody else's business."""

    def _left(self, event: ParticipantLeft) -> None:
        self._user_ids.pop(event.session_id, None)
        self._slots.pop(event.session_id, None)
        self._forget_quality(event.room_id, event.session_id)
        message = PersonLeft(session_id=event.session_id, user_id=event.user_id, reason=event.reason.value)
        self._broadcast(event.room_id, message.encode())
        peer = self._rooms.get(event.room_id, {}).get(event.session_id)
        if peer is not None:
            self._unseat(peer)
            peer.close(CLOSE_CODES[event.reason], event.reason.value)

    def _mute_changed(self, event: MuteChanged) -> None:
        told = MuteMessage(session_id=event.session_id, user_id=event.user_id, muted=event.muted, by=event.by.value)
        if event.by is MutedBy.MODERATOR:  # who muted themselves know it
            self._send_to(event.room_id, event.session_id, told.encode())
        if event.by is MutedBy.SELF and MutedBy.MODERATOR in event.causes:
            return  # for the others nothing has changed
        if event.causes and not event.muted:  # a moderator's mute is over, the person's own is not
            told = MuteMessage(session_id=event.session_id, user_id=event.user_id, muted=True, by="self")
        self._broadcast(event.room_id, told.encode(), besides=event.session_id)

    def _removed(self, event: Removed) -> None:
        message = KickMessage(
            session_id=event.session_id,
            reason=event.words,
            by=event.by,
            banned=event.reason is EndReason.BANNED,
            expires_at=event.expires_at,
        )
        self._send_to(event.room_id, event.session_id, message.encode())

    def _warned(self, event: Warned) -> None:
        message = WarnMessage(session_id=event.session_id, action_id=event.action_id, reason=event.words, by=event.by)
        self._send_to(event.room_id, event.session_id, message.encode())

    def _warning_read(self, event: WarningAcknowledged) -> None:
        peer = self._by_user.get((event.room_id, event.by_user_id))
        if peer is not None:
            message = WarningRead(session_id=event.session_id, user_id=event.user_id, action_id=event.action_id)
            peer.send(message.encode())

    def _reported(self, event: Reported) -> None:
        for session_id in event.moderators:
            message = ReportMessage(
                session_id=session_id,
                report_id=event.report_id,
                reporter_user_id=event.reporter_user_id,
                target_user_id=event.target_user_id,
                reason=event.words,
            )
            self._send_to(event.room_id, session_id, message.encode())

    def _hand_changed(self, event: HandChanged) -> None:
        message = HandMessage(session_id=event.session_id, user_id=event.user_id, raised=event.raised)
        self._broadcast(event.room_id, message.encode(), besides=event.session_id)

    def _speaking_changed(self, event: SpeakingChanged) -> None:
        speaker = SpeakerEntry(
            session_id=event.session_id, user_id=event.user_id, speaking=event.speaking, level=round(event.level, 3)
        )
        self._tell_speakers(event.room_id, (speaker,), Delivery.EVENT)

    def _levels_changed(self, event: LevelsChanged) -> None:
        speakers = tuple(
            SpeakerEntry(session_id=session_id, user_id=self._user_ids[session_id], speaking=True, level=round(level, 3))
            for session_id, level in event.levels.items()
            if session_id in self._user_ids
        )
        if speakers:
            self._tell_speakers(event.room_id, speakers, Delivery.LEVELS)

    def _tell_speakers(self, room_id: str, speakers: tuple[SpeakerEntry, ...], delivery: Delivery) -> None:
        frame = SpeakingMessage(speakers=speakers).encode()
        for session_id, peer in self._rooms.get(room_id, {}).items():
            peer.send(addressed(frame, session_id), delivery)

    def _slots_changed(self, event: SlotsChanged) -> None:
        slots = tuple(SlotEntry(mid=mid, session_id=session_id, user_id=user_id) for mid, session_id, user_id in event.slots)
        frame = SlotsMessage(session_id=event.session_id, slots=slots).encode()
        # Kept for a connection that comes back: its audio went on meanwhile.
        self._slots[event.session_id] = frame
        self._send_to(event.room_id, event.session_id, frame)

    def _quality_measured(self, event: QualityMeasured) -> None:
        if not event.is_news:
            return
        message = QualityMessage(
            session_id=event.session_id,
            quality=event.quality,
            mos=event.mos,
            rtt_ms=_tenths(event.rtt_ms),
            jitter_ms=_tenths(event.jitter_ms),
            loss_pct=_tenths(event.loss_pct),
            up_jitter_ms=_tenths(event.up_jitter_ms),
            up_loss_pct=_tenths(event.up_loss_pct),
            down_jitter_ms=_tenths(event.down_jitter_ms),
            down_loss_pct=_tenths(event.down_loss_pct),
        )
        frame = message.encode()
        # Kept for those who come later.
        self._quality.setdefault(event.room_id, {})[event.session_id] = frame
        self._broadcast(event.room_id, frame)

    def _forget_quality(self, room_id: str, session_id: str) -> None:
        room = self._quality.get(room_id, {})
        room.pop(session_id, None)
        if not room:
            self._quality.pop(room_id, None)

    def _keep_from_people(self, event: LevelsContradicted) -> None:
        """A finding concerns those who look after the server; the log and the row have it."""

    def _media_changed(self, event: MediaStateChanged) -> None:
        message = MediaMessage(session_id=event.session_id, connected=event.connected, reason=event.reason)
        self._send_to(event.room_id, event.session_id, message.encode())


def _tenths(value: float | None) -> float | None:
    return round(value, 1) if value is not None else None
