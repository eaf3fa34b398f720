"""Bans in force, by key: of one world, or of every one."""

from __future__ import annotations

import sqlite3
from datetime import datetime

from server.errors import Banned
from server.storage.timestamps import from_text, to_text

__all__ = ["EVERY_WORLD", "refuse_banned"]

EVERY_WORLD = "*"
"""What stands for all worlds in the columns `world` of bans and actions; no world can be called that."""

_ACTIVE = """
    SELECT reason, expires_at FROM bans
    WHERE user_id = ? AND world IN (?, ?) AND (expires_at IS NULL OR expires_at > ?)
"""


def refuse_banned(db: sqlite3.Connection, user_id: str, world: str, now: datetime) -> None:
    """Raises `Banned` where a ban is in force; of two, the one that lasts longer is named."""
    bans = db.execute(_ACTIVE, (user_id, world, EVERY_WORLD, to_text(now))).fetchall()
    if not bans:
        return
    reason, expires_at = max(bans, key=lambda ban: (ban[1] is None, ban[1] or ""))
    raise Banned(reason=reason, expires_at=from_text(expires_at) if expires_at is not None else None)
