"""Takes rows of older versions over, in one transaction: all that can be read, or nothing where anything fails.

A row that is there already, by its id, is left as it is; so the second time changes nothing.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeVar

from server.storage.audit import append_action
from server.storage.calls import file_calls
from server.storage.database import Database
from server.storage.older_file import OlderFile, OlderRow, open_older
from server.storage.older_rows import (
    OlderAction,
    OlderSession,
    Unreadable,
    action_of,
    kind_of,
    session_of,
    user_of,
)
from server.storage.timestamps import to_text

__all__ = ["ImportReport", "Taken", "import_file", "import_older"]

M = TypeVar("M")


@dataclass(slots=True)
class Taken:
    """What became of the rows of a table."""

    read: int = 0
    added: int = 0
    known: int = 0
    """Those that were there already."""
    unreadable: int = 0


@dataclass(slots=True)
class ImportReport:
    """What an import did. The seconds are sums over the sessions that could be read: as the file has them, and as they are stored
    here now; they differ where a session was here before with other figures. `unreadable` are places and reasons.
    """

    kind: str
    tables: dict[str, Taken] = field(default_factory=dict)
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    unended: int = 0
    unknown_roles: int = 0
    bans: int = 0
    calls: int = 0
    worlds: set[str] = field(default_factory=set)
    file_seconds: tuple[int, int] = (0, 0)
    stored_seconds: tuple[int, int] = (0, 0)


_SESSION: Final = """
    INSERT INTO voice_sessions (session_id, room_id, user_id, username, world, joined_at, left_at, last_seen, created_at,
                                duration_seconds, duration_ms, speaking_seconds, end_reason, source)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'import')
    ON CONFLICT (session_id) DO NOTHING
"""
_STORED: Final = """
    SELECT duration_seconds, coalesce(speaking_seconds, 0) FROM voice_sessions WHERE session_id = ? AND left_at IS NOT NULL
"""
_ROOM_NAME: Final = "INSERT INTO room_names (room_id, room_name) VALUES (?, ?) ON CONFLICT DO NOTHING"
_USER: Final = """
    INSERT INTO users (user_id, username, role, avatar_emoji, created_at, last_active) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (user_id) DO NOTHING
"""
_WIDEN: Final = """
    UPDATE users SET created_at = min(created_at, ?), last_active = max(last_active, ?)
    WHERE user_id = ? AND (created_at > ? OR last_active < ?)
"""
_KNOWN_ACTION: Final = "SELECT 1 FROM admin_actions WHERE action_id = ?"
_BAN: Final = "INSERT INTO bans (user_id, world, action_id, reason, expires_at) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"


async def import_file(database: Database, path: Path, now: datetime) -> ImportReport:
    """Take a file over. Raises `UnusableFile`, and `StoreError` for a database that fails; nothing was changed then."""

    def work(db: sqlite3.Connection) -> ImportReport:
        with open_older(path) as older:
            return import_older(db, older, now)

    return await database.write(work)


def import_older(db: sqlite3.Connection, older: OlderFile, now: datetime) -> ImportReport:
    """Take everything over; runs inside a transaction, which the caller ends. Raises `UnusableFile` and `sqlite3.Error`."""
    report = ImportReport(kind_of(older.columns["voice_sessions"]))
    report.unreadable += older.broken
    [calls_before] = db.execute("SELECT count(*) FROM calls").fetchone()
    _take_users(db, report, older)
    _Sessions(db, report).take_over(older)
    _Actions(db, report, now).take_over(older)
    [calls_after] = db.execute("SELECT count(*) FROM calls").fetchone()
    report.calls = calls_after - calls_before
    return report


def _readable(report: ImportReport, older: OlderFile, table: str, read: Callable[[OlderRow], M]) -> Iterator[tuple[M, OlderRow]]:
    """The rows of a table that can be read; of the others, the report gets to know."""
    taken = report.tables.setdefault(table, Taken())
    for row in older.rows(table):
        taken.read += 1
        try:
            yield read(row), row
        except Unreadable as problem:
            _list_unreadable(report, row, str(problem))


def _list_unreadable(report: ImportReport, row: OlderRow, reason: str) -> None:
    report.tables[row.table].unreadable += 1
    report.unreadable.append((f"{row.table}, row {row.number}", reason))


class _Sessions:
    """The stays, the people who are known from them alone, and the calls that they make."""

    def __init__(self, db: sqlite3.Connection, report: ImportReport) -> None:
        self._db = db
        self._report = report
        self._rooms: dict[tuple[str, str], None] = {}
        self._people: dict[str, tuple[str, str, str]] = {}
        """Name, first and last time, by user id."""

    def take_over(self, older: OlderFile) -> None:
        report = self._report
        file_duration = file_speaking = stored_duration = stored_speaking = 0
        for session, row in _readable(report, older, "voice_sessions", session_of):
            if not self._insert(session, row):
                continue
            file_duration += session.duration_seconds
            file_speaking += session.speaking_seconds or 0
            stored = self._db.execute(_STORED, (session.session_id,)).fetchone() or (0, 0)
            stored_duration += stored[0] or 0
            stored_speaking += stored[1]
            report.worlds.add(session.world)
        report.file_seconds = (file_duration, file_speaking)
        report.stored_seconds = (stored_duration, stored_speaking)
        for user_id, (username, first, last) in self._people.items():
            self._db.execute(_USER, (user_id, username, "user", None, first, last))
            self._db.execute(_WIDEN, (first, last, user_id, first, last))
        file_calls(self._db, self._rooms, in_use_too=True)

    def _insert(self, session: OlderSession, row: OlderRow) -> bool:
        """False where the database cannot hold it."""
        taken = self._report.tables[row.table]
        joined, left = to_text(session.joined_at), to_text(session.left_at)
        who = (session.session_id, session.room_id, session.user_id, session.username, session.world)
        figures = (session.duration_seconds, session.duration_ms, session.speaking_seconds)
        reason = "left" if session.ended else "crash_recovery"
        values = (*who, joined, left, left, to_text(session.created_at), *figures, reason)
        try:
            added = self._db.execute(_SESSION, values).rowcount > 0
        except (sqlite3.IntegrityError, UnicodeEncodeError) as problem:
            _list_unreadable(self._report, row, str(problem))
            return False
        if not added:
            taken.known += 1
            return True
        taken.added += 1
        self._report.unended += not session.ended
        self._rooms[session.world, session.room_id] = None
        if session.room_name is not None and session.room_name != session.room_id:
            self._db.execute(_ROOM_NAME, (session.room_id, session.room_name))
        name, first, last = self._people.get(session.user_id, (session.username, joined, left))
        if left >= last:
            name = session.username
        self._people[session.user_id] = (name, min(first, joined), max(last, left))
        return True


def _take_users(db: sqlite3.Connection, report: ImportReport, older: OlderFile) -> None:
    """Who is here already keeps name and role."""
    for user, row in _readable(report, older, "users", user_of):
        taken = report.tables["users"]
        moments = [moment for moment in (user.created_at, user.last_active) if moment is not None]
        if not moments:
            _list_unreadable(report, row, "created_at is missing")
            continue
        first, last = to_text(min(moments)), to_text(max(moments))
        try:
            added = db.execute(_USER, (user.user_id, user.username, user.role, user.avatar_emoji, first, last)).rowcount > 0
        except (sqlite3.IntegrityError, UnicodeEncodeError) as problem:
            _list_unreadable(report, row, str(problem))
            continue
        if added:
            taken.added += 1
            report.unknown_roles += not user.role_known
        else:
            taken.known += 1
            db.execute(_WIDEN, (first, last, user.user_id, first, last))


class _Actions:
    """The moderation log, and the bans of it that are still in force."""

    def __init__(self, db: sqlite3.Connection, report: ImportReport, now: datetime) -> None:
        self._db = db
        self._report = report
        self._now = now

    def take_over(self, older: OlderFile) -> None:
        last: dict[tuple[str, str], OlderAction] = {}
        entries = _readable(self._report, older, "admin_actions", action_of)
        for action, row in sorted(entries, key=lambda entry: (entry[0].created_at, entry[1].number)):
            taken = self._report.tables["admin_actions"]
            if self._db.execute(_KNOWN_ACTION, (action.action_id,)).fetchone() is not None:
                taken.known += 1
            elif self._append(action, row):
                taken.added += 1
                if action.action_type in {"ban", "unban"}:
                    last[action.target_user_id, action.world] = action
        for action in last.values():
            if action.action_type == "ban" and (action.expires_at is None or action.expires_at > self._now):
                self._report.bans += self._ban(action)

    def _append(self, action: OlderAction, row: OlderRow) -> bool:
        values: dict[str, Any] = {
            "action_id": action.action_id,
            "action_type": action.action_type,
            "target_user_id": action.target_user_id,
            "target_username": action.target_username,
            "admin_user_id": action.admin_user_id,
            "admin_username": action.admin_username,
            "world": action.world,
            "room_id": action.room_id,
            "reason": action.reason,
            "duration_hours": action.duration_hours,
            "created_at": to_text(action.created_at),
            "expires_at": to_text(action.expires_at) if action.expires_at is not None else None,
            "log_only": 1,
        }
        self._db.execute("SAVEPOINT action")
        try:
            append_action(self._db, values)
        except (sqlite3.IntegrityError, UnicodeEncodeError) as problem:
            self._db.execute("ROLLBACK TO action")
            _list_unreadable(self._report, row, str(problem))
            return False
        finally:
            self._db.execute("RELEASE action")
        return True

    def _ban(self, action: OlderAction) -> int:
        expires_at = to_text(action.expires_at) if action.expires_at is not None else None
        values = (action.target_user_id, action.world, action.action_id, action.reason, expires_at)
        return self._db.execute(_BAN, values).rowcount
