"""The rows of stays: implements `server.voice.ports.SessionStore` on SQLite.

The functions that take a `sqlite3.Connection` run inside a transaction of `Database`, in its thread.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from server.errors import AlreadyInRoom, InvalidRequest, RoomFull
from server.storage.bans import refuse_banned
from server.storage.database import Database
from server.storage.timestamps import from_text, to_text
from server.voice.participant import EndReason, Role
from server.voice.ports import NewSession, SessionMark, SessionSummary, StoredSession

__all__ = ["SqliteSessionStore"]

logger = logging.getLogger(__name__)


class SqliteSessionStore:
    """`now` is the wall clock that bans are judged by. The database is opened and closed by its owner."""

    def __init__(self, database: Database, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._database = database
        self._now = now

    async def open_session(self, new: NewSession, max_participants: int) -> None:
        """See `SessionStore.open_session`."""

        def work(db: sqlite3.Connection) -> None:
            refuse_banned(db, new.user_id, new.world, self._now())
            refuse_join(db, new, max_participants)
            insert_session(db, new)

        await self._database.write(work)

    async def close_sessions(self, summaries: Sequence[SessionSummary]) -> None:
        """See `SessionStore.close_sessions`."""
        await self._database.write(lambda db: close_sessions(db, summaries))

    async def touch(self, marks: Sequence[SessionMark]) -> None:
        """See `SessionStore.touch`."""
        rows = [(to_text(mark.last_seen), mark.speaking_ms, whole_seconds(mark.speaking_ms), mark.session_id) for mark in marks]
        await self._database.write(lambda db: db.executemany(_TOUCH, rows))

    async def find_session(self, session_id: str) -> StoredSession | None:
        """See `SessionStore.find_session`."""
        row = await self._database.read(lambda db: db.execute(_FIND, (session_id,)).fetchone())
        return _stored(row) if row is not None else None

    async def recover_open_sessions(self) -> tuple[SessionSummary, ...]:
        """See `SessionStore.recover_open_sessions`. Speaking time is that of the last mark."""

        def work(db: sqlite3.Connection) -> tuple[SessionSummary, ...]:
            summaries = tuple(_recovered(_stored(row)) for row in db.execute(_FIND_OPEN).fetchall())
            close_sessions(db, summaries)
            return summaries

        return await self._database.write(work)

    async def ping(self) -> None:
        """See `SessionStore.ping`."""
        await self._database.ping()


_OPEN_IN_ROOM = "SELECT session_id, user_id, world FROM voice_sessions WHERE room_id = ? AND left_at IS NULL"
_OPEN_OF_USER = "SELECT session_id FROM voice_sessions WHERE room_id = ? AND user_id = ? AND left_at IS NULL"
_INSERT = """
    INSERT INTO voice_sessions
        (session_id, room_id, user_id, username, world, joined_at, created_at, last_seen, speaking_ms, speaking_seconds,
         avatar_emoji, role)
    VALUES (:session_id, :room_id, :user_id, :username, :world, :joined_at, :joined_at, :joined_at, 0, 0, :avatar_emoji, :role)
"""
_UPSERT_USER = """
    INSERT INTO users (user_id, username, avatar_emoji, created_at, last_active)
    VALUES (:user_id, :username, :avatar_emoji, :joined_at, :joined_at)
    ON CONFLICT (user_id) DO UPDATE SET
        username = excluded.username,
        avatar_emoji = coalesce(excluded.avatar_emoji, avatar_emoji),
        last_active = max(last_active, excluded.last_active)
"""
_CLOSE = """
    UPDATE voice_sessions
    SET left_at = :left_at, last_seen = :left_at, duration_ms = :duration_ms, duration_seconds = :duration_seconds,
        speaking_ms = :speaking_ms, speaking_seconds = :speaking_seconds, end_reason = :reason
    WHERE session_id = :session_id AND left_at IS NULL
"""
_USER_WAS_ACTIVE = "UPDATE users SET last_active = max(last_active, :left_at) WHERE user_id = :user_id"
_TOUCH = "UPDATE voice_sessions SET last_seen = ?, speaking_ms = ?, speaking_seconds = ? WHERE session_id = ? AND left_at IS NULL"
_STORED_COLUMNS = """
    session_id, room_id, user_id, username, world, avatar_emoji, role, joined_at, coalesce(last_seen, joined_at), left_at,
    coalesce(duration_ms, duration_seconds * 1000), coalesce(speaking_ms, speaking_seconds * 1000, 0), end_reason
"""
_FIND = f"SELECT {_STORED_COLUMNS} FROM voice_sessions WHERE session_id = ?"  # noqa: S608
_FIND_OPEN = f"SELECT {_STORED_COLUMNS} FROM voice_sessions WHERE left_at IS NULL"  # noqa: S608


def refuse_join(db: sqlite3.Connection, new: NewSession, max_participants: int) -> None:
    """Raises `InvalidRequest` (field `world`), `AlreadyInRoom` or `RoomFull`, in this order."""
    inside = db.execute(_OPEN_IN_ROOM, (new.room_id,)).fetchall()
    if any(world != new.world for _, _, world in inside):
        raise InvalidRequest("world", "the room is in use in another world")
    for session_id, user_id, _ in inside:
        if user_id == new.user_id:
            raise AlreadyInRoom(session_id=session_id)
    if len(inside) >= max_participants:
        raise RoomFull(current_participant_count=len(inside), max_participants=max_participants)


def insert_session(db: sqlite3.Connection, new: NewSession) -> None:
    """Raises `AlreadyInRoom` where the unique index finds what `refuse_join` should have found."""
    values = {
        "session_id": new.session_id,
        "room_id": new.room_id,
        "user_id": new.user_id,
        "username": new.username,
        "world": new.world,
        "joined_at": to_text(new.joined_at),
        "avatar_emoji": new.avatar_emoji,
        "role": new.role,
    }
    try:
        db.execute(_INSERT, values)
    except sqlite3.IntegrityError:
        inside = db.execute(_OPEN_OF_USER, (new.room_id, new.user_id)).fetchone()
        if inside is None:
            raise
        raise AlreadyInRoom(session_id=inside[0]) from None
    db.execute(_UPSERT_USER, values)


def close_sessions(db: sqlite3.Connection, summaries: Iterable[SessionSummary]) -> None:
    """A row that the database refuses to close is logged and left open: the others must not wait for it for ever."""
    for summary in summaries:
        values = {
            "session_id": summary.session_id,
            "user_id": summary.user_id,
            "left_at": to_text(summary.left_at),
            "duration_ms": summary.duration_ms,
            "duration_seconds": whole_seconds(summary.duration_ms),
            "speaking_ms": summary.speaking_ms,
            "speaking_seconds": whole_seconds(summary.speaking_ms),
            "reason": summary.reason,
        }
        try:
            db.execute(_CLOSE, values)
        except sqlite3.IntegrityError:
            logger.exception("session %s: its row cannot be closed with %r", summary.session_id, summary)
        else:
            db.execute(_USER_WAS_ACTIVE, values)


def whole_seconds(ms: int) -> int:
    """Rounded, halves up: the same as the checks of the schema."""
    return (ms + 500) // 1000


def _recovered(session: StoredSession) -> SessionSummary:
    left_at = max(session.joined_at, session.last_seen)
    duration_ms = (left_at - session.joined_at) // timedelta(milliseconds=1)
    return SessionSummary(
        session_id=session.session_id,
        room_id=session.room_id,
        user_id=session.user_id,
        world=session.world,
        joined_at=session.joined_at,
        left_at=left_at,
        duration_ms=duration_ms,
        speaking_ms=min(session.speaking_ms, duration_ms),
        reason=EndReason.CRASH_RECOVERY,
    )


def _stored(row: tuple[Any, ...]) -> StoredSession:
    """A row of `_STORED_COLUMNS`."""
    (session_id, room_id, user_id, username, world, avatar, role, joined_at, last_seen, left_at, duration, speaking, reason) = row
    return StoredSession(
        session_id=session_id,
        room_id=room_id,
        user_id=user_id,
        username=username,
        world=world,
        avatar_emoji=avatar,
        role=Role(role),
        joined_at=from_text(joined_at),
        last_seen=from_text(last_seen),
        left_at=from_text(left_at) if left_at is not None else None,
        duration_ms=duration,
        speaking_ms=speaking,
        reason=EndReason(reason) if reason is not None else None,
    )
