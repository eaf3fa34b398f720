"""What moderation writes down, and whom it asks to. Implemented by `server.storage.actions`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from server.voice.moderation import Action
from server.voice.participant import Right, Role

__all__ = ["KnownUser", "ModerationStore", "NewAction", "NewReport", "Recorded"]


@dataclass(frozen=True, slots=True)
class NewAction:
    """A row for the log. Times are aware, UTC, whole milliseconds; `expires_at` is None for what does not end by itself.

    `room_id` is None for an action on a whole world, or on every room of it. `duration_hours` is what was asked for.
    """

    action_id: str
    action: Action
    target_user_id: str
    admin_user_id: str
    admin_username: str | None
    world: str
    room_id: str | None
    reason: str | None
    duration_hours: float | None
    created_at: datetime
    expires_at: datetime | None
    target_username: str | None = None


@dataclass(frozen=True, slots=True)
class Recorded:
    """What an action came to. `sessions` are those that it concerned, `lifted` how many bans or mutes it ended, `answered` how
    many reports it was the first answer to."""

    sessions: tuple[str, ...] = ()
    lifted: int = 0
    answered: int = 0


@dataclass(frozen=True, slots=True)
class KnownUser:
    """Someone who was here before. `right` is what the `users` table gives, `last_role` the role of their last stay."""

    right: Right
    last_role: Role


@dataclass(frozen=True, slots=True)
class NewReport:
    """What a participant says about another."""

    report_id: str
    reporter_user_id: str
    target_user_id: str
    world: str
    room_id: str
    reason: str | None
    created_at: datetime


class ModerationStore(Protocol):
    """Where moderation is kept. Every call may raise `StoreError`; what one call writes is written whole or not at all."""

    async def known(self, user_id: str) -> KnownUser | None:
        """None for someone who was never here."""
        ...

    async def carry_out(self, new: NewAction) -> Recorded:
        """Log it, and keep what lasts of it: a ban, a kick, a mute, or their end; answer the reports about the target."""
        ...

    async def note(self, new: NewAction, noted_by: str) -> None:
        """Log what was carried out elsewhere."""
        ...

    async def report(self, new: NewReport) -> str:
        """Keep a report; its id, or that of the one that says the same and is still open."""
        ...

    async def was_in_room(self, user_id: str, room_id: str, since: datetime) -> bool:
        """Whether someone was in the room at any time since then."""
        ...

    async def acknowledge(self, action_id: str, at: datetime) -> None:
        """A warning was read. The first time counts."""
        ...
