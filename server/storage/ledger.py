"""The entries of the ledger as rows. Everything here runs inside a transaction of `Database`, in its thread.

Each statement may run twice without harm: the recorder writes again what it is not sure of.
"""

from __future__ import annotations

import logging
import secrets
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

from server.storage.calls import file_calls
from server.storage.quality import put_finding, put_point, put_totals
from server.storage.timestamps import to_text
from server.voice.ledger import (
    LedgerEntry,
    LevelFinding,
    QualityPoint,
    QualityTotals,
    RoomEvent,
    SessionMark,
    SessionSummary,
    SpeakingInterval,
)

__all__ = ["new_event_id", "next_event_seq", "next_stay_seq", "record", "speaking_total", "whole_seconds"]

logger = logging.getLogger(__name__)

_CLOSE = """
    UPDATE voice_sessions
    SET left_at = :left_at, last_seen = :left_at, duration_ms = :duration_ms, duration_seconds = :duration_seconds,
        speaking_ms = :speaking_ms, speaking_seconds = :speaking_seconds, attempted_speaking_ms = :attempted_speaking_ms,
        end_reason = :reason
    WHERE session_id = :session_id AND left_at IS NULL
"""
_USER_WAS_ACTIVE = "UPDATE users SET last_active = max(last_active, :left_at) WHERE user_id = :user_id"
_TOUCH = "UPDATE voice_sessions SET last_seen = ?, speaking_ms = ?, speaking_seconds = ? WHERE session_id = ? AND left_at IS NULL"
_INTERVAL = """
    INSERT INTO speaking_intervals (session_id, seq, started_at, ended_at, duration_ms, peak_dbov, mean_dbov)
    SELECT session_id, :seq, :started_at, :ended_at, :duration_ms, :peak_dbov, :mean_dbov
    FROM voice_sessions WHERE session_id = :session_id
    ON CONFLICT (session_id, seq) DO UPDATE SET
        ended_at = excluded.ended_at, duration_ms = excluded.duration_ms,
        peak_dbov = excluded.peak_dbov, mean_dbov = excluded.mean_dbov
"""
_KNOWN_EVENT = "SELECT 1 FROM room_events WHERE event_id = ?"
_EVENT = """
    INSERT INTO room_events (event_id, room_id, seq, at, kind, session_id, by, reason)
    VALUES (:event_id, :room_id, :seq, :at, :kind, :session_id, :by, :reason)
"""
_NEXT_STAY = """
    INSERT INTO room_sequences (room_id, stays) VALUES (?, 1)
    ON CONFLICT (room_id) DO UPDATE SET stays = stays + 1 RETURNING stays
"""
_NEXT_EVENT = """
    INSERT INTO room_sequences (room_id, events) VALUES (?, 1)
    ON CONFLICT (room_id) DO UPDATE SET events = events + 1 RETURNING events
"""
_TOTAL = "SELECT coalesce(sum(duration_ms), 0), max(ended_at) FROM speaking_intervals WHERE session_id = ?"


def record(db: sqlite3.Connection, entries: Iterable[LedgerEntry]) -> int:
    """See `SessionStore.record`. A room that empties by it gets its calls in the same step."""
    refused = 0
    left: dict[tuple[str, str], None] = {}
    for entry in entries:
        try:
            _WRITERS[type(entry)](db, entry)
        except (sqlite3.IntegrityError, sqlite3.DataError, OverflowError, UnicodeError):
            refused += 1
            logger.exception("an entry of the ledger can never be written: %r", entry)
        if isinstance(entry, SessionSummary):
            left[entry.world, entry.room_id] = None
    file_calls(db, left)
    return refused


def next_stay_seq(db: sqlite3.Connection, room_id: str) -> int:
    """The number of the next stay in a room, from 1; given once."""
    return _only(db.execute(_NEXT_STAY, (room_id,)).fetchall())


def next_event_seq(db: sqlite3.Connection, room_id: str) -> int:
    """The number of the next event in a room, from 1; given once."""
    return _only(db.execute(_NEXT_EVENT, (room_id,)).fetchall())


def new_event_id() -> int:
    """Unique for good: 63 random bits, the most that SQLite keeps of an integer without its sign."""
    return secrets.randbits(63)


def speaking_total(db: sqlite3.Connection, session_id: str) -> tuple[int, str | None]:
    """The sum of a session's intervals in ms, and when the last one ended (as text; None where there is none)."""
    total, ended_at = db.execute(_TOTAL, (session_id,)).fetchone()
    return total, ended_at


def whole_seconds(ms: int) -> int:
    """Rounded, halves up: the same as the checks of the schema."""
    return (ms + 500) // 1000


def _close(db: sqlite3.Connection, summary: SessionSummary) -> None:
    values = {
        "session_id": summary.session_id,
        "user_id": summary.user_id,
        "left_at": to_text(summary.left_at),
        "duration_ms": summary.duration_ms,
        "duration_seconds": whole_seconds(summary.duration_ms),
        "speaking_ms": summary.speaking_ms,
        "speaking_seconds": whole_seconds(summary.speaking_ms),
        "attempted_speaking_ms": summary.attempted_speaking_ms,
        "reason": summary.reason,
    }
    db.execute(_CLOSE, values)
    db.execute(_USER_WAS_ACTIVE, values)


def _touch(db: sqlite3.Connection, mark: SessionMark) -> None:
    db.execute(_TOUCH, (to_text(mark.last_seen), mark.speaking_ms, whole_seconds(mark.speaking_ms), mark.session_id))


def _put_interval(db: sqlite3.Connection, interval: SpeakingInterval) -> None:
    values = {
        "session_id": interval.session_id,
        "seq": interval.seq,
        "started_at": to_text(interval.started_at),
        "ended_at": to_text(interval.ended_at),
        "duration_ms": interval.duration_ms,
        "peak_dbov": interval.peak_dbov,
        "mean_dbov": interval.mean_dbov,
    }
    db.execute(_INTERVAL, values)


def _put_event(db: sqlite3.Connection, event: RoomEvent) -> None:
    if db.execute(_KNOWN_EVENT, (event.event_id,)).fetchone() is not None:
        return
    values = {
        "event_id": event.event_id,
        "room_id": event.room_id,
        "seq": next_event_seq(db, event.room_id),
        "at": to_text(event.at),
        "kind": event.kind,
        "session_id": event.session_id,
        "by": event.by,
        "reason": event.reason,
    }
    db.execute(_EVENT, values)


def _only(rows: list[tuple[Any, ...]]) -> int:
    [(number,)] = rows
    assert isinstance(number, int)
    return number


_WRITERS: Final[Mapping[type[LedgerEntry], Callable[[sqlite3.Connection, Any], None]]] = MappingProxyType(
    {
        SessionSummary: _close,
        SessionMark: _touch,
        SpeakingInterval: _put_interval,
        RoomEvent: _put_event,
        QualityPoint: put_point,
        QualityTotals: put_totals,
        LevelFinding: put_finding,
    }
)
