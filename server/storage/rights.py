"""What the `users` table lets someone do: the role that an operator gave, and where it holds."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection
from typing import Final

from server.voice.participant import Right, Role

__all__ = ["give_right", "right_of"]

_RIGHT: Final = "SELECT role, role_worlds, role_rooms FROM users WHERE user_id = ?"
_GIVE: Final = """
    INSERT INTO users (user_id, username, role, role_worlds, role_rooms, created_at, last_active)
    VALUES (:user_id, :user_id, :role, :worlds, :rooms, :now, :now)
    ON CONFLICT (user_id) DO UPDATE SET
        role = excluded.role, role_worlds = excluded.role_worlds, role_rooms = excluded.role_rooms
"""


def right_of(db: sqlite3.Connection, user_id: str) -> Right | None:
    """None for someone whom the table does not know."""
    row = db.execute(_RIGHT, (user_id,)).fetchone()
    return Right(Role(row[0]), _names(row[1]), _names(row[2])) if row is not None else None


def give_right(db: sqlite3.Connection, user_id: str, right: Right, now: str) -> None:
    """Give someone a role, instead of the one they had; they need not have been here before. `now` is a time as text."""
    worlds, rooms = _text(right.worlds), _text(right.rooms)
    db.execute(_GIVE, {"user_id": user_id, "role": right.role.value, "worlds": worlds, "rooms": rooms, "now": now})


def _names(text: str | None) -> frozenset[str] | None:
    return frozenset(str(name) for name in json.loads(text)) if text is not None else None


def _text(names: Collection[str] | None) -> str | None:
    return json.dumps(sorted(names), ensure_ascii=False) if names is not None else None
