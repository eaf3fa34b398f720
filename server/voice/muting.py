"""Who is not heard, and why: two causes, neither of which lifts the other, and one media engine that knows only their sum."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from datetime import datetime

from server.voice.events import MuteChanged
from server.voice.participant import MutedBy, Participant, ParticipantState
from server.voice.ports import MediaPort
from server.voice.sinks import EventSinks

__all__ = ["Muting", "attempted_ms"]

logger = logging.getLogger(__name__)


def attempted_ms(participant: Participant, media: MediaPort) -> int:
    """How long they tried to speak while a moderator had muted them, up to now."""
    if participant.attempts_from is None:
        return participant.attempted_ms
    return participant.attempted_ms + max(0, media.attempted_ms(participant.session_id) - participant.attempts_from)


class Muting:
    """Changes the causes. `media` gives the engine, which is not there yet when this is made."""

    def __init__(self, media: Callable[[], MediaPort], sinks: EventSinks) -> None:
        self._media = media
        self._sinks = sinks

    def by_self(self, participant: Participant, muted: bool) -> None:
        """What someone does to themselves. Nothing comes of it for others while a moderator's mute holds."""
        if (MutedBy.SELF in participant.muted_by) is not muted:
            self._change(participant, MutedBy.SELF, muted)

    def by_moderator(self, participant: Participant, until: datetime | None) -> None:
        """Mute until then, or lift (None). Muting someone who is muted changes the end only."""
        muted = until is not None
        participant.muted_until = until
        if (MutedBy.MODERATOR in participant.muted_by) is muted:
            return
        self.settle(participant)
        participant.attempts_from = self._media().attempted_ms(participant.session_id) if muted else None
        self._change(participant, MutedBy.MODERATOR, muted)

    def lift_expired(self, participants: Iterable[Participant], now: datetime) -> None:
        """End the mutes whose time is over."""
        for participant in participants:
            if participant.muted_until is not None and participant.muted_until <= now:
                self.by_moderator(participant, None)

    def settle(self, participant: Participant) -> None:
        """Take over what the engine has counted under the present mute."""
        participant.attempted_ms = attempted_ms(participant, self._media())

    def _change(self, participant: Participant, by: MutedBy, muted: bool) -> None:
        was_muted = participant.is_muted
        change = participant.muted_by.add if muted else participant.muted_by.discard
        change(by)
        is_muted = participant.is_muted
        logger.info("participant %s: %s by %s", participant.session_id, "muted" if muted else "unmuted", by)
        if is_muted is not was_muted:
            # The engine reports that someone who spoke has stopped; rosters must not wait for it.
            participant.is_speaking = participant.is_speaking and not is_muted
            self._media().set_muted(participant.session_id, is_muted)
        if by is MutedBy.MODERATOR and participant.state is ParticipantState.RESERVED:
            return  # the others do not know them yet, and all will see it when they come
        causes = frozenset(participant.muted_by)
        self._sinks.emit(MuteChanged(participant.room_id, participant.session_id, participant.user_id, muted, by, causes))
