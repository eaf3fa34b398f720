"""Calls that are over, as lists show them, and what rooms are called."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from server.storage.queries import ALL_TIME, Conditions, Page, Position, Span, count, fetch_page, total_by_day
from server.storage.timestamps import from_text

__all__ = ["CallFilter", "CallRow", "list_calls", "room_names"]


@dataclass(frozen=True, slots=True)
class CallRow:
    """A room from the first join to the last leave. `max_participants` is how many were there at the same time, at most."""

    room_id: str
    room_name: str
    started_at: datetime
    ended_at: datetime
    duration_ms: int
    max_participants: int
    total_sessions: int


@dataclass(frozen=True, slots=True)
class CallFilter:
    """Which calls of a world; None asks nothing. The span is that of `started_at`."""

    world: str
    room_id: str | None = None
    user_id: str | None = None
    span: Span = ALL_TIME


_COLUMNS: Final = """
    c.room_id, coalesce(n.room_name, c.room_id), c.started_at, c.ended_at, c.duration_ms, c.max_participants, c.total_sessions
"""
_NAMES: Final = "LEFT JOIN room_names n ON n.room_id = c.room_id"


def list_calls(db: sqlite3.Connection, wanted: CallFilter, *, behind: Position | None, limit: int) -> Page[CallRow]:
    """A page of the calls, the newest first."""
    if wanted.user_id is not None:
        return _calls_of_user(db, wanted, behind, limit)
    source = f"calls c INDEXED BY {'calls_world_time' if wanted.room_id is None else 'calls_room_time'}"
    conditions = Conditions().equal("c.world", wanted.world).equal("c.room_id", wanted.room_id)
    select = f"SELECT c.started_at, c.id, {_COLUMNS} FROM {source} {_NAMES}"  # noqa: S608
    rows, following = fetch_page(db, select, ("c.started_at", "c.id"), conditions, wanted.span, behind=behind, limit=limit)

    def counted(span: Span) -> int:
        return count(db, source, conditions.copy().within("c.started_at", span))

    total = total_by_day(db, "call_totals", (wanted.world, wanted.room_id or ""), wanted.span, counted)
    return Page(tuple(_row(row) for row in rows), total, following)


def _calls_of_user(db: sqlite3.Connection, wanted: CallFilter, behind: Position | None, limit: int) -> Page[CallRow]:
    conditions = Conditions().equal("m.user_id", wanted.user_id).equal("m.world", wanted.world)
    conditions.equal("c.room_id", wanted.room_id)
    # CROSS JOIN: in this order, whatever the planner thinks of it.
    source = "call_members m CROSS JOIN calls c ON c.id = m.call_id"
    select = f"SELECT m.started_at, m.call_id, {_COLUMNS} FROM {source} {_NAMES}"  # noqa: S608
    rows, following = fetch_page(db, select, ("m.started_at", "m.call_id"), conditions, wanted.span, behind=behind, limit=limit)
    counted = source if wanted.room_id is not None else "call_members m"
    total = count(db, counted, conditions.within("m.started_at", wanted.span))
    return Page(tuple(_row(row) for row in rows), total, following)


def room_names(db: sqlite3.Connection, room_ids: Iterable[str]) -> dict[str, str]:
    """The names of those of the rooms that have one."""
    names = {}
    for room_id in room_ids:
        row = db.execute("SELECT room_name FROM room_names WHERE room_id = ?", (room_id,)).fetchone()
        if row is not None:
            names[room_id] = row[0]
    return names


def _row(row: tuple[Any, ...]) -> CallRow:
    _, _, room_id, room_name, started_at, ended_at, duration_ms, max_participants, total_sessions = row
    return CallRow(room_id, room_name, from_text(started_at), from_text(ended_at), duration_ms, max_participants, total_sessions)
