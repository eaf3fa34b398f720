"""What the database says, for tests of the voice layer."""

from __future__ import annotations

import sqlite3
from typing import Any

from server.storage.database import Database

__all__ = ["open_rows", "rows", "users"]


async def rows(database: Database) -> dict[str, dict[str, Any]]:
    """Every row of `voice_sessions`, by session id."""
    return {row["session_id"]: row for row in await _all(database, "SELECT * FROM voice_sessions ORDER BY id")}


async def open_rows(database: Database) -> list[str]:
    return [session_id for session_id, row in (await rows(database)).items() if row["left_at"] is None]


async def users(database: Database) -> dict[str, dict[str, Any]]:
    """Every row of `users`, by user id."""
    return {row["user_id"]: row for row in await _all(database, "SELECT * FROM users")}


async def _all(database: Database, sql: str) -> list[dict[str, Any]]:
    def work(db: sqlite3.Connection) -> list[dict[str, Any]]:
        cursor = db.execute(sql)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor]

    return await database.read(work)
