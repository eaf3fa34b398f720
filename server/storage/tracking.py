"""What is reported about stays: of calls that run elsewhere, and beside the measurement of those that run here.

A report never changes what this server measured, and never ends a stay here. A stay elsewhere whose end nobody reports is
closed after `STALE_AFTER`, at the last time that anything was heard of it; a late report still puts that right.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from server.errors import InvalidRequest, SessionAlreadyEnded, SessionNotFound
from server.storage.calls import file_calls, take_out
from server.storage.database import Database
from server.storage.timestamps import from_text, to_text
from server.voice.ports import StoreError

__all__ = ["STALE_AFTER", "ElsewhereSession", "EndReport", "Measured", "StaleStays", "TrackingStore"]

logger = logging.getLogger(__name__)

STALE_AFTER: Final = timedelta(hours=2)
ROUND_SECONDS: Final = 60.0
TOLERANCE_SECONDS: Final = 5
"""By how much a reported duration may be longer than from the join to the end: clients count with clocks of their own."""


@dataclass(frozen=True, slots=True)
class ElsewhereSession:
    """The beginning of a stay, as it is reported."""

    session_id: str
    room_id: str
    user_id: str
    username: str
    world: str
    joined_at: datetime


@dataclass(frozen=True, slots=True)
class EndReport:
    """The end of a stay, as it is reported."""

    session_id: str
    room_id: str
    user_id: str
    left_at: datetime
    duration_seconds: int
    speaking_seconds: int


@dataclass(frozen=True, slots=True)
class Measured:
    """What counts for a stay. `here` says that this server measured it; else the ms are None, as nobody reported any."""

    here: bool
    duration_seconds: int
    duration_ms: int | None
    speaking_seconds: int
    speaking_ms: int | None


@dataclass(frozen=True, slots=True)
class _Known:
    """The row of a session, as far as a report needs it."""

    session_id: str
    room_id: str
    user_id: str
    world: str
    joined_at: datetime
    left_at: datetime | None
    end_reason: str | None
    source: str
    duration_ms: int | None
    speaking_ms: int


class TrackingStore:
    """`now` is the wall clock."""

    def __init__(self, database: Database, *, now: Callable[[], datetime]) -> None:
        self._database = database
        self._now = now

    async def start(self, session: ElsewhereSession) -> bool:
        """Note the beginning of a stay elsewhere; False where the session is known already, and nothing was changed.

        Raises `InvalidRequest` where it is known as one of another room or user, and `StoreError`.
        """
        return await self._database.write(lambda db: _start(db, session, self._now()))

    async def end(self, report: EndReport) -> Measured:
        """Note the end of a stay; what counts for it.

        Raises `SessionNotFound`, `SessionAlreadyEnded` where that was reported before, `InvalidRequest` and `StoreError`.
        """
        return await self._database.write(lambda db: _end(db, report, self._now()))

    async def close_stale(self) -> int:
        """Close the stays elsewhere of which nothing was heard for too long; how many. Raises `StoreError`."""
        return await self._database.write(lambda db: _close_stale(db, self._now()))


class StaleStays:
    """Closes stale stays every minute. `start` and `stop` by its owner."""

    def __init__(self, tracking: TrackingStore, *, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._tracking = tracking
        self._sleep = sleep
        self._rounds: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Look at once, and every minute."""
        self._rounds = asyncio.get_running_loop().create_task(self._run(), name="stale-stays")

    async def stop(self) -> None:
        """What is being written is finished by the database."""
        if self._rounds is not None:
            self._rounds.cancel()
            await asyncio.wait({self._rounds})
            self._rounds = None

    async def _run(self) -> None:
        while True:
            try:
                closed = await self._tracking.close_stale()
            except StoreError as problem:
                logger.warning("stays elsewhere could not be closed: %s", problem)
            else:
                if closed:
                    logger.info("%d stays elsewhere were closed, as nobody reported their end", closed)
            await self._sleep(ROUND_SECONDS)


_FIND = """
    SELECT session_id, room_id, user_id, world, joined_at, left_at, end_reason, source,
           coalesce(duration_ms, duration_seconds * 1000), coalesce(speaking_ms, speaking_seconds * 1000, 0)
    FROM voice_sessions WHERE session_id = ?
"""
_INSERT = """
    INSERT INTO voice_sessions (session_id, room_id, user_id, username, world, joined_at, created_at, last_seen, source)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'external')
"""
_USER = """
    INSERT INTO users (user_id, username, created_at, last_active) VALUES (?, ?, ?, ?)
    ON CONFLICT (user_id) DO UPDATE SET username = excluded.username, last_active = max(last_active, excluded.last_active)
"""
_STILL_THERE = "UPDATE voice_sessions SET last_seen = max(last_seen, ?) WHERE session_id = ? AND left_at IS NULL"
_CLOSE = """
    UPDATE voice_sessions
    SET left_at = ?, last_seen = ?, duration_seconds = ?, duration_ms = NULL, speaking_seconds = ?, speaking_ms = NULL,
        end_reason = 'left'
    WHERE session_id = ?
"""
_REPORT = """
    INSERT INTO session_reports (session_id, left_at, duration_seconds, speaking_seconds, reported_at) VALUES (?, ?, ?, ?, ?)
"""
_REPORTED = "SELECT left_at FROM session_reports WHERE session_id = ?"
_STALE = """
    SELECT session_id, world, room_id, joined_at, max(joined_at, last_seen) FROM voice_sessions
    WHERE left_at IS NULL AND source = 'external' AND last_seen < ?
"""
_GIVE_UP = """
    UPDATE voice_sessions SET left_at = ?, duration_ms = ?, duration_seconds = (? + 500) / 1000, end_reason = 'timeout'
    WHERE session_id = ?
"""


def _start(db: sqlite3.Connection, session: ElsewhereSession, now: datetime) -> bool:
    known = _find(db, session.session_id)
    if known is not None:
        _same_stay(known, session.room_id, session.user_id)
        if known.source == "external":
            db.execute(_STILL_THERE, (to_text(now), session.session_id))
        return False
    joined, seen = to_text(session.joined_at), to_text(now)
    stay = (session.session_id, session.room_id, session.user_id, session.username, session.world)
    db.execute(_INSERT, (*stay, joined, seen, seen))
    db.execute(_USER, (session.user_id, session.username, joined, joined))
    return True


def _end(db: sqlite3.Connection, report: EndReport, now: datetime) -> Measured:
    known = _find(db, report.session_id)
    if known is None:
        raise SessionNotFound
    _same_stay(known, report.room_id, report.user_id)
    _refuse_second(db, known)
    if report.left_at < known.joined_at:
        raise InvalidRequest("left_at", "before joined_at")
    if known.source == "server":
        return _note(db, known, report, now)
    return _close(db, known, report)


def _refuse_second(db: sqlite3.Connection, known: _Known) -> None:
    """Raises `SessionAlreadyEnded` where the end was reported before. One that this server gave up was not."""
    if known.source == "server":
        row = db.execute(_REPORTED, (known.session_id,)).fetchone()
        if row is not None:
            raise SessionAlreadyEnded(session_id=known.session_id, left_at=known.left_at or from_text(row[0]))
    elif known.left_at is not None and (known.source, known.end_reason) != ("external", "timeout"):
        raise SessionAlreadyEnded(session_id=known.session_id, left_at=known.left_at)


def _note(db: sqlite3.Connection, known: _Known, report: EndReport, now: datetime) -> Measured:
    """The report goes beside what was measured here; of a stay that goes on, what was measured so far."""
    reported = (to_text(report.left_at), report.duration_seconds, report.speaking_seconds)
    db.execute(_REPORT, (report.session_id, *reported, to_text(now)))
    duration_ms = known.duration_ms
    if duration_ms is None:
        duration_ms = max(0, (now - known.joined_at) // timedelta(milliseconds=1))
    return Measured(True, (duration_ms + 500) // 1000, duration_ms, (known.speaking_ms + 500) // 1000, known.speaking_ms)


def _close(db: sqlite3.Connection, known: _Known, report: EndReport) -> Measured:
    """The report is all there is."""
    longest = (report.left_at - known.joined_at) // timedelta(seconds=1) + TOLERANCE_SECONDS
    if report.duration_seconds > longest:
        raise InvalidRequest("duration_seconds", "longer than from joined_at to left_at")
    left = to_text(report.left_at)
    take_out(db, report.session_id)
    db.execute(_CLOSE, (left, left, report.duration_seconds, report.speaking_seconds, report.session_id))
    db.execute("UPDATE users SET last_active = max(last_active, ?) WHERE user_id = ?", (left, known.user_id))
    file_calls(db, [(known.world, known.room_id)], in_use_too=True)
    return Measured(False, report.duration_seconds, None, report.speaking_seconds, None)


def _close_stale(db: sqlite3.Connection, now: datetime) -> int:
    stale = db.execute(_STALE, (to_text(now - STALE_AFTER),)).fetchall()
    for session_id, _, _, joined_at, last_seen in stale:
        duration_ms = (from_text(last_seen) - from_text(joined_at)) // timedelta(milliseconds=1)
        db.execute(_GIVE_UP, (last_seen, duration_ms, duration_ms, session_id))
    file_calls(db, {(world, room_id): None for _, world, room_id, _, _ in stale}, in_use_too=True)
    return len(stale)


def _same_stay(known: _Known, room_id: str, user_id: str) -> None:
    for name, ours, theirs in (("room_id", known.room_id, room_id), ("user_id", known.user_id, user_id)):
        if ours != theirs:
            raise InvalidRequest(name, "not that of this session")


def _find(db: sqlite3.Connection, session_id: str) -> _Known | None:
    row: tuple[Any, ...] | None = db.execute(_FIND, (session_id,)).fetchone()
    if row is None:
        return None
    session_id, room_id, user_id, world, joined_at, left_at, end_reason, source, duration_ms, speaking_ms = row
    return _Known(
        session_id=session_id,
        room_id=room_id,
        user_id=user_id,
        world=world,
        joined_at=from_text(joined_at),
        left_at=from_text(left_at) if left_at is not None else None,
        end_reason=end_reason,
        source=source,
        duration_ms=duration_ms,
        speaking_ms=speaking_ms,
    )
