"""What moderators do to people who are in rooms: at once, in memory. Whether they may, and the log of it, is `Moderator`'s."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from server.voice.events import Removed, Reported, Warned, WarningAcknowledged
from server.voice.moderation import EVERYBODY, EVERYWHERE
from server.voice.moderation_ports import NewReport
from server.voice.muting import Muting
from server.voice.participant import EndReason, Participant, UnreadWarning
from server.voice.rooms import RoomRegistry
from server.voice.sinks import EventSinks
from server.voice.stays import Stays

__all__ = ["Discipline"]

MAX_UNREAD_WARNINGS: Final = 20
"""Of one person; the oldest is passed over then."""


class Discipline:
    """The hands of moderation."""

    def __init__(self, rooms: RoomRegistry, stays: Stays, muting: Muting, sinks: EventSinks) -> None:
        self._rooms = rooms
        self._stays = stays
        self._muting = muting
        self._sinks = sinks

    def find(self, user_id: str, world: str, room_id: str | None) -> tuple[Participant, ...]:
        """The open sessions of a user (or `EVERYBODY`) in a world (or `EVERYWHERE`), in one room of it or in all (None)."""
        return tuple(
            participant
            for participant in (self._rooms if room_id is None else self._rooms.roster(room_id))
            if user_id in (EVERYBODY, participant.user_id) and world in (EVERYWHERE, participant.world)
        )

    def with_token(self, token_id: str) -> tuple[Participant, ...]:
        """Those who joined with this user token."""
        return tuple(participant for participant in self._rooms if participant.token_id == token_id)

    async def remove(
        self, people: Sequence[Participant], reason: EndReason, *, words: str | None, by: str, expires_at: datetime | None
    ) -> None:
        """Put them out, all at once, each told why; returns when their rows are closed. `expires_at`: None is for ever."""
        ends = []
        for someone in people:
            if self._rooms.find(someone.session_id) is someone:
                told = Removed(someone.room_id, someone.session_id, someone.user_id, reason, words, by, expires_at)
                self._sinks.emit(told)
                ends.append(self._stays.leave_now(someone, reason))
        await asyncio.gather(*ends)

    async def end(self, people: Sequence[Participant], reason: EndReason) -> None:
        """End their sessions, all at once, without a word."""
        await asyncio.gather(*[self._stays.leave_now(one, reason) for one in people if self._rooms.find(one.session_id) is one])

    def mute(self, people: Sequence[Participant], until: datetime | None) -> None:
        """Mute them until then, or lift it (None)."""
        for someone in people:
            if self._rooms.find(someone.session_id) is someone:
                self._muting.by_moderator(someone, until)

    def warn(self, people: Sequence[Participant], warning: UnreadWarning) -> None:
        """Show them a warning, which stays unread until it is acknowledged."""
        for someone in people:
            if len(someone.warnings) >= MAX_UNREAD_WARNINGS:
                del someone.warnings[next(iter(someone.warnings))]
            someone.warnings[warning.action_id] = warning
            self._sinks.emit(
                Warned(someone.room_id, someone.session_id, someone.user_id, warning.action_id, warning.words, warning.by)
            )

    def acknowledge(self, participant: Participant, action_id: str) -> bool:
        """They have read it. False where it is none of theirs, or was acknowledged before."""
        warning = participant.warnings.pop(action_id, None)
        if warning is None:
            return False
        self._sinks.emit(
            WarningAcknowledged(participant.room_id, participant.session_id, participant.user_id, action_id, warning.by_user_id)
        )
        return True

    def tell_report(self, report: NewReport, moderators: Sequence[Participant]) -> None:
        """Tell these of a report."""
        self._sinks.emit(
            Reported(
                room_id=report.room_id,
                world=report.world,
                report_id=report.report_id,
                reporter_user_id=report.reporter_user_id,
                target_user_id=report.target_user_id,
                words=report.reason,
                moderators=tuple(someone.session_id for someone in moderators),
            )
        )
