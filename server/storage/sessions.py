"""The rows of stays: implements `server.voice.ports.SessionStore` on SQLite.

The functions that take a `sqlite3.Connection` run inside a transaction of `Database`, in its thread.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from server.errors import AlreadyInRoom, InvalidRequest, RateLimited, RoomFull
from server.storage.bans import muted_until, refuse_banned, refuse_kicked
from server.storage.database import Database
from server.storage.ledger import new_event_id, next_stay_seq, record, speaking_total
from server.storage.rights import right_of
from server.storage.timestamps import from_text, to_text
from server.voice.ledger import LedgerEntry, RoomEvent, RoomEventKind, SessionSummary
from server.voice.moderation import role_in
from server.voice.participant import EndReason, Right, Role
from server.voice.ports import Admission, NewSession, StoredSession

__all__ = ["SqliteSessionStore"]


class SqliteSessionStore:
    """`now` is the wall clock that bans are judged by; `max_rooms_per_user` 0 is any number. The database is opened and closed by
    its owner.
    """

    def __init__(
        self, database: Database, *, now: Callable[[], datetime] = lambda: datetime.now(UTC), max_rooms_per_user: int = 0
    ) -> None:
        self._database = database
        self._now = now
        self._max_rooms_per_user = max_rooms_per_user

    async def open_session(self, new: NewSession, max_participants: int) -> Admission:
        """See `SessionStore.open_session`."""

        def work(db: sqlite3.Connection) -> Admission:
            now = self._now()
            refuse_banned(db, new.user_id, new.world, now)
            refuse_kicked(db, new.user_id, new.room_id, now)
            refuse_join(db, new, max_participants)
            refuse_many_rooms(db, new.user_id, self._max_rooms_per_user)
            role = role_in_room(db, new)
            insert_session(db, replace(new, role=role))
            return Admission(role, muted_until(db, new.user_id, new.room_id, now))

        return await self._database.write(work)

    async def record(self, entries: Sequence[LedgerEntry]) -> int:
        """See `SessionStore.record`."""
        return await self._database.write(lambda db: record(db, entries))

    async def find_session(self, session_id: str) -> StoredSession | None:
        """See `SessionStore.find_session`."""
        row = await self._database.read(lambda db: db.execute(_FIND, (session_id,)).fetchone())
        return _stored(row) if row is not None else None

    async def recover_open_sessions(self) -> tuple[SessionSummary, ...]:
        """See `SessionStore.recover_open_sessions`. Those whom others had been told of leave for the replay, too."""

        def work(db: sqlite3.Connection) -> tuple[SessionSummary, ...]:
            summaries = tuple(_recovered(db, _stored(row)) for row in db.execute(_FIND_OPEN).fetchall())
            announced = {session_id for (session_id,) in db.execute(_ANNOUNCED)}
            record(db, (_departure(summary) for summary in summaries if summary.session_id in announced))
            record(db, summaries)
            return summaries

        return await self._database.write(work)

    async def ping(self) -> None:
        """See `SessionStore.ping`."""
        await self._database.ping()


# A call that runs elsewhere takes no place here.
_OPEN_HERE = "left_at IS NULL AND source = 'server'"
# Without being told, the planner may walk through all that ever were in the room.
_OPEN_IN_ROOM = f"""
    SELECT session_id, user_id, world FROM voice_sessions INDEXED BY voice_sessions_open WHERE room_id = ? AND {_OPEN_HERE}
"""  # noqa: S608
_OPEN_OF_USER = f"SELECT session_id FROM voice_sessions WHERE room_id = ? AND user_id = ? AND {_OPEN_HERE}"  # noqa: S608
_ROOMS_OF_USER = f"SELECT count(*) FROM voice_sessions WHERE user_id = ? AND {_OPEN_HERE}"  # noqa: S608
_ROOMS_RETRY_AFTER_SECONDS = 10
"""A session that nobody uses any more is gone by then."""
_INSERT = """
    INSERT INTO voice_sessions
        (session_id, room_id, user_id, username, world, joined_at, created_at, last_seen, speaking_ms, speaking_seconds,
         avatar_emoji, role, room_seq)
    VALUES (:session_id, :room_id, :user_id, :username, :world, :joined_at, :joined_at, :joined_at, 0, 0, :avatar_emoji, :role,
        :room_seq)
"""
_UPSERT_USER = """
    INSERT INTO users (user_id, username, avatar_emoji, created_at, last_active)
    VALUES (:user_id, :username, :avatar_emoji, :joined_at, :joined_at)
    ON CONFLICT (user_id) DO UPDATE SET
        username = excluded.username,
        avatar_emoji = coalesce(excluded.avatar_emoji, avatar_emoji),
        last_active = max(last_active, excluded.last_active)
"""
_STORED_COLUMNS = """
    session_id, room_id, user_id, username, world, avatar_emoji, role, joined_at, coalesce(last_seen, joined_at), left_at,
    coalesce(duration_ms, duration_seconds * 1000), coalesce(speaking_ms, speaking_seconds * 1000, 0), end_reason
"""
_FIND = f"SELECT {_STORED_COLUMNS} FROM voice_sessions WHERE session_id = ?"  # noqa: S608
_ANNOUNCED = """
    SELECT session_id FROM voice_sessions CROSS JOIN room_events USING (session_id) WHERE left_at IS NULL
    GROUP BY session_id HAVING sum(kind = 'join') > sum(kind = 'leave')
"""
_FIND_OPEN = f"SELECT {_STORED_COLUMNS} FROM voice_sessions WHERE {_OPEN_HERE}"  # noqa: S608


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


def refuse_many_rooms(db: sqlite3.Connection, user_id: str, most: int) -> None:
    """Raises `RateLimited` for someone who is in so many rooms already; 0 is any number."""
    if most and db.execute(_ROOMS_OF_USER, (user_id,)).fetchone()[0] >= most:
        raise RateLimited(retry_after=_ROOMS_RETRY_AFTER_SECONDS, kind="rooms")


def role_in_room(db: sqlite3.Connection, new: NewSession) -> Role:
    """The role that holds in the room: the token's, or a higher one that the `users` table gives there."""
    right = right_of(db, new.user_id)
    return role_in((Right(new.role), *((right,) if right is not None else ())), new.world, new.room_id)


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
        "room_seq": next_stay_seq(db, new.room_id),
    }
    try:
        db.execute(_INSERT, values)
    except sqlite3.IntegrityError:
        inside = db.execute(_OPEN_OF_USER, (new.room_id, new.user_id)).fetchone()
        if inside is None:
            raise
        raise AlreadyInRoom(session_id=inside[0]) from None
    db.execute(_UPSERT_USER, values)


def _recovered(db: sqlite3.Connection, session: StoredSession) -> SessionSummary:
    speaking_ms, spoke_until = speaking_total(db, session.session_id)
    left_at = max(session.joined_at, session.last_seen)
    if spoke_until is not None:
        left_at = max(left_at, from_text(spoke_until))
    duration_ms = (left_at - session.joined_at) // timedelta(milliseconds=1)
    return SessionSummary(
        session_id=session.session_id,
        room_id=session.room_id,
        user_id=session.user_id,
        world=session.world,
        joined_at=session.joined_at,
        left_at=left_at,
        duration_ms=duration_ms,
        speaking_ms=speaking_ms,
        reason=EndReason.CRASH_RECOVERY,
    )


def _departure(summary: SessionSummary) -> RoomEvent:
    return RoomEvent(
        event_id=new_event_id(),
        room_id=summary.room_id,
        at=summary.left_at,
        kind=RoomEventKind.LEAVE,
        session_id=summary.session_id,
        reason=summary.reason,
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
