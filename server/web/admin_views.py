"""Rows as operators get them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from server.protocol.admin import ActionEntry, CallEntry, ReportedEnd, SessionEntry, UserEntry
from server.protocol.fields import whole_seconds
from server.storage.queries_calls import CallRow
from server.storage.queries_people import ActionRow, UserProfile
from server.storage.queries_sessions import SessionRow

__all__ = ["action_entry", "call_entry", "session_entry", "user_entry"]

_MINUTE_MS: Final = 60_000


def call_entry(row: CallRow) -> CallEntry:
    """A call that is over."""
    return CallEntry(
        room_id=row.room_id,
        room_name=row.room_name,
        started_at=row.started_at,
        ended_at=row.ended_at,
        duration_seconds=whole_seconds(row.duration_ms),
        duration_ms=row.duration_ms,
        max_participants=row.max_participants,
        total_sessions=row.total_sessions,
    )


def session_entry(row: SessionRow, now: datetime) -> SessionEntry:
    """A stay; one that goes on lasts until `now`."""
    duration_ms, duration_seconds = row.duration_ms, row.duration_seconds
    if row.left_at is None:
        duration_ms = max(0, (now - row.joined_at) // timedelta(milliseconds=1))
    if duration_ms is not None:
        duration_seconds = whole_seconds(duration_ms)
    report = row.report
    return SessionEntry(
        session_id=row.session_id,
        room_id=row.room_id,
        room_name=row.room_name,
        user_id=row.user_id,
        username=row.username,
        world=row.world,
        avatar_emoji=row.avatar_emoji,
        role=row.role,
        joined_at=row.joined_at,
        left_at=row.left_at,
        duration_seconds=duration_seconds or 0,
        duration_ms=duration_ms,
        speaking_seconds=row.speaking_seconds or 0,
        speaking_ms=row.speaking_ms,
        attempted_speaking_ms=row.attempted_speaking_ms,
        reason=row.reason,
        source=row.source,
        reported=ReportedEnd(
            left_at=report.left_at,
            duration_seconds=report.duration_seconds,
            speaking_seconds=report.speaking_seconds,
            reported_at=report.reported_at,
        )
        if report is not None
        else None,
    )


def user_entry(profile: UserProfile) -> UserEntry:
    """A person in figures."""
    return UserEntry(
        user_id=profile.user_id,
        username=profile.username,
        role=profile.role,
        avatar_emoji=profile.avatar_emoji,
        created_at=profile.created_at,
        last_active=profile.last_active,
        total_calls=profile.total_calls,
        total_sessions=profile.total_sessions,
        total_minutes=_minutes(profile.total_ms),
        total_ms=profile.total_ms,
        speaking_minutes=_minutes(profile.speaking_ms),
        speaking_ms=profile.speaking_ms,
        warnings=profile.actions.get("warn", 0),
        kicks=profile.actions.get("kick", 0),
        mutes=profile.actions.get("mute", 0),
        bans=profile.actions.get("ban", 0),
    )


def action_entry(row: ActionRow) -> ActionEntry:
    """An entry of the moderation log."""
    fields: dict[str, Any] = {name: getattr(row, name) for name in ActionEntry.model_fields}
    return ActionEntry(**fields)


def _minutes(ms: int) -> int:
    """Rounded, halves up."""
    return (ms + _MINUTE_MS // 2) // _MINUTE_MS
