"""How a stay begins and ends: the place, the row, the media and the registry, all or nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

from server.errors import Draining, InternalError, ServerAtCapacity, SessionAlreadyEnded, SessionNotFound, VoiceError
from server.voice.capacity import CapacityGate
from server.voice.clock import Clock, whole_ms
from server.voice.events import ParticipantLeft, SpeakingChanged
from server.voice.intervals import IntervalBooks
from server.voice.muting import Muting
from server.voice.participant import EndReason, Participant, ParticipantState
from server.voice.ports import (
    Admission,
    JoinCommand,
    MediaPort,
    NewSession,
    SessionMark,
    SessionStore,
    SessionSummary,
    StoreBusy,
    StoreError,
)
from server.voice.presence import Presence
from server.voice.recorder import Recorder
from server.voice.rooms import RoomRegistry
from server.voice.sinks import EventSinks

__all__ = ["BUSY_RETRY_AFTER_SECONDS", "DRAINING_RETRY_AFTER_SECONDS", "Stays"]

logger = logging.getLogger(__name__)

DRAINING_RETRY_AFTER_SECONDS = 5
BUSY_RETRY_AFTER_SECONDS = 1


class Stays:
    """Begins and ends stays, and is the only one that does. `accepting` says whether people may come in at this moment.

    The registry is changed here and read elsewhere; `media` is set once, before the first join. `gate` may be None: then
    everybody fits.
    """

    def __init__(
        self,
        *,
        rooms: RoomRegistry,
        presence: Presence,
        sinks: EventSinks,
        store: SessionStore,
        recorder: Recorder,
        intervals: IntervalBooks,
        clock: Clock,
        new_id: Callable[[], str],
        accepting: Callable[[], bool],
    ) -> None:
        self.muting = Muting(lambda: self.media, sinks)
        self._rooms = rooms
        self._presence = presence
        self._sinks = sinks
        self._store = store
        self._recorder = recorder
        self._intervals = intervals
        self._clock = clock
        self._new_id = new_id
        self._accepting = accepting
        self._media: MediaPort | None = None
        self.gate: CapacityGate | None = None

    @property
    def media(self) -> MediaPort:
        """Raises `RuntimeError` before it is set."""
        if self._media is None:
            raise RuntimeError("the voice service has no media engine: use_media comes first")
        return self._media

    @media.setter
    def media(self, media: MediaPort) -> None:
        self._media = media

    async def begin(self, command: JoinCommand, max_participants: int) -> Participant:
        """Must not be cancelled half-way: its caller runs it as a task of its own. Errors as `VoiceService.join`."""
        await self._recorder.catch_up()  # a place that was left before this call is free
        joined_monotonic = self._clock.monotonic()
        new = NewSession(
            session_id=self._new_id(),
            room_id=command.room_id,
            user_id=command.user_id,
            username=command.username,
            world=command.world,
            avatar_emoji=command.avatar_emoji,
            role=command.role,
            joined_at=whole_ms(self._clock.now()),
        )
        self._pass_gate(new, joined_monotonic)
        try:
            admission = await self._open_row(new, max_participants)
        except VoiceError:
            self._withdraw(new.session_id)
            raise
        participant = Participant(
            session_id=new.session_id,
            room_id=new.room_id,
            user_id=new.user_id,
            username=new.username,
            world=new.world,
            avatar_emoji=new.avatar_emoji,
            role=admission.role,
            joined_at=new.joined_at,
            joined_monotonic=joined_monotonic,
            rights=(command.right,),
            token_id=command.token_id,
        )
        self._rooms.add(participant)
        self._presence.expect(participant.session_id, joined_monotonic)
        self._intervals.open(participant.session_id, participant.joined_at, joined_monotonic)
        await self._open_media_or_undo(participant)
        if admission.muted_until is not None:
            self.muting.by_moderator(participant, admission.muted_until)
        return participant

    async def end(self, participant: Participant, reason: EndReason) -> SessionSummary:
        """End it and wait for its row."""
        summary = self._leave(participant, reason, self._clock.monotonic())
        await self._recorder.close(summary)
        return summary

    def leave_now(self, participant: Participant, reason: EndReason) -> Coroutine[Any, Any, None]:
        """End it at once; what is returned, and must be awaited, waits for its row."""
        return self._recorder.close(self._leave(participant, reason, self._clock.monotonic()))

    def end_now(self, participant: Participant, reason: EndReason, at: float | None = None) -> None:
        """End it and leave its row to the recorder. `at` is the monotonic end of the stay, None for now."""
        self._recorder.submit(self._leave(participant, reason, self._clock.monotonic() if at is None else at))

    async def why_gone(self, session_id: str) -> VoiceError:
        """What to tell someone who names a session that is not open."""
        summary = self._recorder.find(session_id)
        if summary is not None:
            return SessionAlreadyEnded(session_id=session_id, left_at=summary.left_at)
        try:
            stored = await self._store.find_session(session_id)
        except StoreError as problem:
            logger.error("session %s could not be looked up: %s", session_id, problem)
            return InternalError()
        if stored is None or stored.left_at is None:
            return SessionNotFound()
        return SessionAlreadyEnded(session_id=session_id, left_at=stored.left_at)

    def judge(self) -> None:
        """End those whom presence gives up, at their last sign of life; write down how far the others have come."""
        for participant in self._rooms:
            last_packet = self.media.last_seen(participant.session_id)
            if last_packet is not None:
                self._presence.seen(participant.session_id, last_packet)
        for gone in self._presence.gone(self._clock.monotonic()):
            lost = self._rooms.find(gone.session_id)
            assert lost is not None, "presence knows those of the registry, and no others"
            self.end_now(lost, gone.reason, gone.last_sign)
        self._recorder.note(*self._intervals.take_changed())
        self._recorder.mark([self._mark(participant) for participant in self._rooms])
        _ = self._recorder.write_soon()

    async def _open_row(self, new: NewSession, max_participants: int) -> Admission:
        try:
            return await self._store.open_session(new, max_participants)
        except StoreBusy as problem:
            raise ServerAtCapacity(retry_after=BUSY_RETRY_AFTER_SECONDS) from problem
        except StoreError as problem:
            logger.error("a session could not be written: %s", problem)
            raise InternalError from problem

    def _pass_gate(self, new: NewSession, now: float) -> None:
        """Raises `ServerAtCapacity`."""
        if self.gate is not None:
            inside = self._rooms.roster(new.room_id)
            self.gate.admit(
                new.session_id,
                others=len(inside),
                speaking=sum(participant.is_speaking for participant in inside),
                people=len(self._rooms),
                rooms=self._rooms.room_count,
                now=now,
            )

    def _withdraw(self, session_id: str) -> None:
        if self.gate is not None:
            self.gate.withdraw(session_id)

    async def _open_media_or_undo(self, participant: Participant) -> None:
        try:
            if not self._accepting():
                raise Draining(retry_after=DRAINING_RETRY_AFTER_SECONDS)
            self.media.open(participant.room_id, participant.session_id)
        except Exception as problem:
            await self.end(participant, EndReason.ROLLED_BACK)
            if isinstance(problem, VoiceError):
                raise
            logger.exception("session %s: no media", participant.session_id)
            raise InternalError from problem

    def _leave(self, participant: Participant, reason: EndReason, at: float) -> SessionSummary:
        """Everything about an end that needs no waiting, in one go: nobody ever sees half of it.

        Raises `KeyError` for someone who is gone already.
        """
        session_id = participant.session_id
        self._rooms.remove(participant)
        self._withdraw(session_id)
        self._presence.forget(session_id)
        announced = participant.state is not ParticipantState.RESERVED
        was_speaking, participant.is_speaking = participant.is_speaking, False
        participant.move(ParticipantState.ENDED, reason)
        self._settle_attempts(participant)
        self._close_media(session_id)
        book = self._intervals.close(session_id)
        self._recorder.note(*book.take_changed())
        if was_speaking:
            self._sinks.emit(SpeakingChanged(participant.room_id, session_id, participant.user_id, False, 0.0))
        if announced:
            self._sinks.emit(ParticipantLeft(participant.room_id, session_id, participant.user_id, reason))
        # Speech is a sign of life that lasts as long as it does, and may be the last one.
        duration_ms = max(0, round((max(at, book.end) - participant.joined_monotonic) * 1000))
        return SessionSummary(
            session_id=session_id,
            room_id=participant.room_id,
            user_id=participant.user_id,
            world=participant.world,
            joined_at=participant.joined_at,
            left_at=participant.joined_at + timedelta(milliseconds=duration_ms),
            duration_ms=duration_ms,
            speaking_ms=book.total_ms,
            reason=reason,
            attempted_speaking_ms=min(participant.attempted_ms, duration_ms),
        )

    def _settle_attempts(self, participant: Participant) -> None:
        try:
            self.muting.settle(participant)
        except Exception:
            logger.exception("session %s: what was tried under its mute could not be counted", participant.session_id)

    def _close_media(self, session_id: str) -> None:
        try:
            self.media.close_session(session_id)
        except Exception:
            logger.exception("session %s: its media could not be closed; what it had reported counts", session_id)

    def _mark(self, participant: Participant) -> SessionMark:
        lived = max(0.0, self._presence.last_sign(participant.session_id) - participant.joined_monotonic)
        return SessionMark(
            session_id=participant.session_id,
            last_seen=participant.joined_at + timedelta(milliseconds=round(lived * 1000)),
            speaking_ms=self._intervals.speaking_ms(participant.session_id),
        )
