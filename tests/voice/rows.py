"""What the database says, for tests of the voice layer."""

from __future__ import annotations

import sqlite3
from typing import Any

from server.storage.database import Database

__all__ = ["intervals", "open_rows", "room_events", "rows", "spoken", "users"]


async def rows(database: Database) -> dict[str, dict[str, Any]]:
    """Every row of `voice_sessions`, by session id."""
    return {row["session_id"]: row for row in await _all(database, "SELECT * FROM voice_sessions ORDER BY id")}


async def open_rows(database: Database) -> list[str]:
    return [session_id for session_id, row in (await rows(database)).items() if row["left_at"] is None]


async def intervals(database: Database, session_id: str) -> list[dict[str, Any]]:
    """The talk-spurts of a session, as they followed."""
    every = await _all(database, "SELECT * FROM speaking_intervals ORDER BY session_id, seq")
    return [row for row in every if row["session_id"] == session_id]


async def spoken(database: Database, session_id: str) -> int:
    """The sum of a session's talk-spurts in ms."""
    return sum(row["duration_ms"] for row in await intervals(database, session_id))


async def room_events(database: Database, room_id: str) -> list[dict[str, Any]]:
    """What happened in a room, as it followed."""
    return [row for row in await _all(database, "SELECT * FROM room_events ORDER BY room_id, seq") if row["room_id"] == room_id]


async def users(database: Database) -> dict[str, dict[str, Any]]:
    """Every row of `users`, by user id."""
    return {row["user_id"]: row for row in await _all(database, "SELECT * FROM users")}


async def _all(database: Database, sql: str) -> list[dict[str, Any]]:
    def work(db: sqlite3.Connection) -> list[dict[str, Any]]:
        cursor = db.execute(sql)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor]

    return await database.read(work)
