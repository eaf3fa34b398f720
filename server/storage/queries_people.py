"""A person as operators look at them, and the moderation log."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from server.storage.queries import ALL_TIME, Conditions, Page, Position, Span, count, fetch_page
from server.storage.timestamps import from_text

__all__ = ["ActionFilter", "ActionRow", "UserProfile", "find_profile", "list_actions"]


@dataclass(frozen=True, slots=True)
class UserProfile:
    """Whoever was here. Times in ms are those of all stays, the ones that go on included; `actions` counts by type."""

    user_id: str
    username: str
    role: str
    avatar_emoji: str | None
    created_at: datetime
    last_active: datetime
    total_calls: int
    total_sessions: int
    total_ms: int
    speaking_ms: int
    actions: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class ActionRow:
    """An entry of the moderation log. `duration_hours` and `expires_at` are None for an action without an end, `log_only` says
    that it was carried out elsewhere and only noted here; `effect` is None then, too.
    """

    action_id: str
    action_type: str
    target_user_id: str
    target_username: str | None
    admin_user_id: str
    admin_username: str | None
    world: str
    room_id: str | None
    reason: str | None
    duration_hours: float | None
    created_at: datetime
    expires_at: datetime | None
    log_only: bool
    effect: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class ActionFilter:
    """Which entries; None asks nothing. The span is that of `created_at`."""

    world: str | None = None
    room_id: str | None = None
    action_type: str | None = None
    target_user_id: str | None = None
    admin_user_id: str | None = None
    span: Span = ALL_TIME

    @property
    def index(self) -> str:
        """The index that leads to them."""
        if self.target_user_id is not None:
            return "admin_actions_target_time"
        if self.admin_user_id is not None:
            return "admin_actions_admin_time"
        return "admin_actions_world_time" if self.world is not None else "admin_actions_time"


_USER: Final = "SELECT username, role, avatar_emoji, created_at, last_active FROM users WHERE user_id = ?"
_STAYS: Final = "SELECT sessions, duration_ms, speaking_ms FROM user_totals WHERE user_id = ?"
_STAYS_NOW: Final = """
    SELECT joined_at, coalesce(speaking_ms, 0) FROM voice_sessions INDEXED BY voice_sessions_open_user
    WHERE user_id = ? AND left_at IS NULL
"""
_CALLS_OVER: Final = "SELECT count(*) FROM call_members WHERE user_id = ?"
_CALLS_NOW: Final = """
    SELECT count(*) FROM (SELECT DISTINCT world, room_id FROM voice_sessions INDEXED BY voice_sessions_loose
                          WHERE call_id IS NULL AND user_id = ?)
"""
_ACTIONS_ON: Final = "SELECT action_type, count(*) FROM admin_actions WHERE target_user_id = ? GROUP BY action_type"
_ACTION_COLUMNS: Final = """
    created_at, id, action_id, action_type, target_user_id, target_username, admin_user_id, admin_username, world, room_id,
    reason, duration_hours, expires_at, log_only, effect
"""


def find_profile(db: sqlite3.Connection, user_id: str, now: datetime) -> UserProfile | None:
    """Everything about a person in figures. A call counts once, however often they left it and came back."""
    user = db.execute(_USER, (user_id,)).fetchone()
    if user is None:
        return None
    username, role, avatar_emoji, created_at, last_active = user
    sessions, total_ms, speaking_ms = db.execute(_STAYS, (user_id,)).fetchone() or (0, 0, 0)
    for joined_at, speaking_so_far_ms in db.execute(_STAYS_NOW, (user_id,)):
        sessions += 1
        total_ms += max(0, (now - from_text(joined_at)) // timedelta(milliseconds=1))
        speaking_ms += speaking_so_far_ms
    [calls_over] = db.execute(_CALLS_OVER, (user_id,)).fetchone()
    [calls_now] = db.execute(_CALLS_NOW, (user_id,)).fetchone()
    return UserProfile(
        user_id=user_id,
        username=username,
        role=role,
        avatar_emoji=avatar_emoji,
        created_at=from_text(created_at),
        last_active=from_text(last_active),
        total_calls=calls_over + calls_now,
        total_sessions=sessions,
        total_ms=total_ms,
        speaking_ms=speaking_ms,
        actions=dict(db.execute(_ACTIONS_ON, (user_id,)).fetchall()),
    )


def list_actions(db: sqlite3.Connection, wanted: ActionFilter, *, behind: Position | None, limit: int) -> Page[ActionRow]:
    """A page of the moderation log, the newest first."""
    conditions = Conditions().equal("world", wanted.world).equal("room_id", wanted.room_id)
    conditions.equal("action_type", wanted.action_type).equal("target_user_id", wanted.target_user_id)
    conditions.equal("admin_user_id", wanted.admin_user_id)
    source = f"admin_actions INDEXED BY {wanted.index}"
    select = f"SELECT {_ACTION_COLUMNS} FROM {source}"  # noqa: S608
    rows, following = fetch_page(db, select, ("created_at", "id"), conditions, wanted.span, behind=behind, limit=limit)
    total = count(db, source, conditions.within("created_at", wanted.span))
    return Page(tuple(_action(row) for row in rows), total, following)


def _action(row: tuple[Any, ...]) -> ActionRow:
    """A row of `_ACTION_COLUMNS`."""
    created_at, _, action_id, action_type, target_id, target_name, admin_id, admin_name, world, room_id, *rest = row
    reason, duration_hours, expires_at, log_only, effect = rest
    return ActionRow(
        action_id=action_id,
        action_type=action_type,
        target_user_id=target_id,
        target_username=target_name,
        admin_user_id=admin_id,
        admin_username=admin_name,
        world=world,
        room_id=room_id,
        reason=reason,
        duration_hours=duration_hours,
        created_at=from_text(created_at),
        expires_at=from_text(expires_at) if expires_at is not None else None,
        log_only=bool(log_only),
        effect=json.loads(effect) if effect is not None else None,
    )
