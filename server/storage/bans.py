"""Bans, kicks and mutes in force, by key: what a join has to know."""

from __future__ import annotations

import math
import sqlite3
from datetime import datetime
from typing import Final

from server.errors import Banned, Kicked
from server.storage.timestamps import from_text, to_text

__all__ = ["EVERY_WORLD", "muted_until", "refuse_banned", "refuse_kicked"]

EVERY_WORLD: Final = "*"
"""What stands for all worlds in the columns `world` of bans and actions; no world can be called that."""

_ACTIVE: Final = """
    SELECT reason, expires_at FROM bans
    WHERE user_id = ? AND world IN (?, ?) AND (expires_at IS NULL OR expires_at > ?)
"""
_KICKED: Final = "SELECT expires_at FROM kicks WHERE user_id = ? AND room_id = ? AND expires_at > ?"
_MUTED: Final = "SELECT expires_at FROM mutes WHERE user_id = ? AND room_id = ? AND expires_at > ?"


def refuse_banned(db: sqlite3.Connection, user_id: str, world: str, now: datetime) -> None:
    """Raises `Banned` where a ban is in force; of two, the one that lasts longer is named."""
    bans = db.execute(_ACTIVE, (user_id, world, EVERY_WORLD, to_text(now))).fetchall()
    if not bans:
        return
    reason, expires_at = max(bans, key=lambda ban: (ban[1] is None, ban[1] or ""))
    raise Banned(reason=reason, expires_at=from_text(expires_at) if expires_at is not None else None)


def refuse_kicked(db: sqlite3.Connection, user_id: str, room_id: str, now: datetime) -> None:
    """Raises `Kicked` while someone may not come back to this room."""
    row = db.execute(_KICKED, (user_id, room_id, to_text(now))).fetchone()
    if row is not None:
        expires_at = from_text(row[0])
        raise Kicked(expires_at=expires_at, retry_after=max(1, math.ceil((expires_at - now).total_seconds())))


def muted_until(db: sqlite3.Connection, user_id: str, room_id: str, now: datetime) -> datetime | None:
    """Until when a moderator's mute holds in this room; None where there is none."""
    row = db.execute(_MUTED, (user_id, room_id, to_text(now))).fetchone()
    return from_text(row[0]) if row is not None else None
