"""Single sessions as operators look at them: lists, one by its id, and those of calls elsewhere that go on now."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final, Literal, TypeAlias

from server.storage.queries import ALL_TIME, Conditions, Page, Position, Span, count, fetch_page, total_by_day
from server.storage.timestamps import from_text

__all__ = ["Report", "SessionFilter", "SessionRow", "SessionSource", "find_session", "list_sessions", "open_elsewhere"]


SessionSource: TypeAlias = Literal["server", "external", "import"]
"""Whose word a session is: this server's own, a report's, or that of an older database."""


@dataclass(frozen=True, slots=True)
class Report:
    """What was reported about a session beside what this server measured."""

    left_at: datetime
    duration_seconds: int
    speaking_seconds: int
    reported_at: datetime


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A stay. `left_at` and `reason` are None while it is open, and so is `duration_ms`; that and `speaking_ms` are None, too,
    where only whole seconds are known, and the seconds are None where not even those are. `source`: `server`, `external` or
    `import`.
    """

    session_id: str
    room_id: str
    room_name: str
    user_id: str
    username: str
    world: str
    avatar_emoji: str | None
    role: str
    joined_at: datetime
    left_at: datetime | None
    duration_seconds: int | None
    duration_ms: int | None
    speaking_seconds: int | None
    speaking_ms: int | None
    attempted_speaking_ms: int
    reason: str | None
    source: SessionSource
    report: Report | None


@dataclass(frozen=True, slots=True)
class SessionFilter:
    """Which sessions; None asks nothing. The span is that of `joined_at`."""

    world: str | None = None
    room_id: str | None = None
    user_id: str | None = None
    span: Span = ALL_TIME
    is_open: bool | None = None

    @property
    def index(self) -> str:
        """The index that leads to them. It is named in the query: the planner has no idea of how many rows are how."""
        if self.is_open:
            return "voice_sessions_open_world" if self.user_id is None else "voice_sessions_open_user"
        if self.user_id is not None:
            return "voice_sessions_user_time"
        if self.room_id is not None:
            return "voice_sessions_room_time"
        return "voice_sessions_world_time" if self.world is not None else "voice_sessions_time"

    def conditions(self) -> Conditions:
        """In SQL, of the table `s`, without the span."""
        conditions = Conditions().equal("s.world", self.world).equal("s.room_id", self.room_id)
        conditions.equal("s.user_id", self.user_id)
        if self.is_open is not None:
            conditions.add("s.left_at IS NULL" if self.is_open else "s.left_at IS NOT NULL")
        return conditions


_COLUMNS: Final = """
    s.joined_at, s.id, s.session_id, s.room_id, coalesce(n.room_name, s.room_id), s.user_id, s.username, s.world, s.avatar_emoji,
    s.role, s.left_at, s.duration_seconds, s.duration_ms, s.speaking_seconds, s.speaking_ms, s.attempted_speaking_ms,
    s.end_reason, s.source, r.left_at, r.duration_seconds, r.speaking_seconds, r.reported_at
"""
_BESIDE: Final = """
    LEFT JOIN room_names n ON n.room_id = s.room_id
    LEFT JOIN session_reports r ON r.session_id = s.session_id
"""
_ORDER: Final = ("s.joined_at", "s.id")


def list_sessions(db: sqlite3.Connection, wanted: SessionFilter, *, behind: Position | None, limit: int) -> Page[SessionRow]:
    """A page of the sessions, the newest first."""
    select = f"SELECT {_COLUMNS} FROM voice_sessions s INDEXED BY {wanted.index} {_BESIDE}"  # noqa: S608
    rows, following = fetch_page(db, select, _ORDER, wanted.conditions(), wanted.span, behind=behind, limit=limit)
    return Page(tuple(_row(row) for row in rows), _total(db, wanted), following)


def find_session(db: sqlite3.Connection, session_id: str) -> SessionRow | None:
    """One session by its id."""
    row = db.execute(f"SELECT {_COLUMNS} FROM voice_sessions s {_BESIDE} WHERE s.session_id = ?", (session_id,)).fetchone()  # noqa: S608
    return _row(row) if row is not None else None


def open_elsewhere(db: sqlite3.Connection, world: str) -> tuple[SessionRow, ...]:
    """The sessions of calls elsewhere that are not over, in the order of joining."""
    sql = f"""
        SELECT {_COLUMNS} FROM voice_sessions s INDEXED BY voice_sessions_open_world {_BESIDE}
        WHERE s.world = ? AND s.left_at IS NULL AND s.source = 'external' ORDER BY s.joined_at, s.id
    """  # noqa: S608
    return tuple(_row(row) for row in db.execute(sql, (world,)))


def _total(db: sqlite3.Connection, wanted: SessionFilter) -> int:
    def counted(source: SessionFilter, span: Span) -> int:
        return count(db, f"voice_sessions s INDEXED BY {source.index}", source.conditions().within("s.joined_at", span))

    if wanted.is_open or wanted.user_id is not None:
        return counted(wanted, wanted.span)
    everything = SessionFilter(wanted.world, wanted.room_id)
    key = (wanted.world or "", wanted.room_id or "")
    total = total_by_day(db, "session_totals", key, wanted.span, partial(counted, everything))
    if wanted.is_open is None:
        return total
    return total - counted(SessionFilter(wanted.world, wanted.room_id, is_open=True), wanted.span)


def _row(row: tuple[Any, ...]) -> SessionRow:
    """A row of `_COLUMNS`."""
    (joined_at, _, session_id, room_id, room_name, user_id, username, world, avatar_emoji, role, left_at) = row[:11]
    (duration_seconds, duration_ms, speaking_seconds, speaking_ms, attempted_ms, reason, source, *report) = row[11:]
    return SessionRow(
        session_id=session_id,
        room_id=room_id,
        room_name=room_name,
        user_id=user_id,
        username=username,
        world=world,
        avatar_emoji=avatar_emoji,
        role=role,
        joined_at=from_text(joined_at),
        left_at=from_text(left_at) if left_at is not None else None,
        duration_seconds=duration_seconds,
        duration_ms=duration_ms,
        speaking_seconds=speaking_seconds,
        speaking_ms=speaking_ms,
        attempted_speaking_ms=attempted_ms,
        reason=reason,
        source=source,
        report=Report(from_text(report[0]), report[1], report[2], from_text(report[3])) if report[0] is not None else None,
    )
