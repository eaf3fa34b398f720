"""Calls that are over, made from the rows of stays: a room of a world from the first join to the last leave.

Whenever a room empties, those of its sessions that belong to no call yet are divided into runs without a gap, and each run is
one call. What lists show is thus there before anybody asks, and is still what a look at all sessions would find: a session
that is added late (an import, a report about a call elsewhere) makes the calls that it touches anew.

Everything here runs inside a transaction of `Database`, in its thread.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from server.storage.timestamps import from_text

__all__ = ["Stay", "file_calls", "peak", "runs", "take_out"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, order=True)
class Stay:
    """An ended session, as far as calls are concerned. The times are those of the row: text that sorts as they follow."""

    joined_at: str
    left_at: str
    id: int
    user_id: str


def runs(stays: Iterable[Stay]) -> Iterator[list[Stay]]:
    """The stays in order of joining, divided where nobody was there.

    Someone who comes in the very millisecond in which the last one went begins a new run: so it was for the server, too.
    """
    run: list[Stay] = []
    end = ""
    for stay in sorted(stays):
        if run and stay.joined_at >= end:
            yield run
            run = []
        end = max(end, stay.left_at) if run else stay.left_at
        run.append(stay)
    if run:
        yield run


def peak(run: Sequence[Stay]) -> int:
    """How many were there at the same time, at most. `run` is in order of joining."""
    present: list[str] = []
    most = 0
    for stay in run:
        while present and present[0] <= stay.joined_at:
            heapq.heappop(present)
        heapq.heappush(present, stay.left_at)
        most = max(most, len(present))
    return most


def file_calls(db: sqlite3.Connection, rooms: Iterable[tuple[str, str]], *, in_use_too: bool = False) -> None:
    """Make the calls of those rooms, each a world and a room id, that nobody is in.

    With `in_use_too` also those calls of the others that were over before the present one began, which is only worth looking
    for where rows were added late: it reads all rows of the present call.

    A room whose calls cannot be written is logged, and tried again when it empties the next time: the rows of the stays
    themselves must not depend on it.
    """
    for world, room_id in rooms:
        db.execute("SAVEPOINT file_calls")
        try:
            _file_room(db, world, room_id, in_use_too)
        except sqlite3.IntegrityError:
            db.execute("ROLLBACK TO file_calls")
            logger.exception("calls of a room could not be filed")
        db.execute("RELEASE file_calls")


def take_out(db: sqlite3.Connection, session_id: str) -> None:
    """To be called before a row that is closed is changed, and `file_calls` after it: its call is taken back."""
    row = db.execute("SELECT call_id FROM voice_sessions WHERE session_id = ?", (session_id,)).fetchone()
    if row is not None and row[0] is not None:
        _dissolve(db, row[0])


_IN_USE_SINCE = """
    SELECT min(joined_at) FROM voice_sessions INDEXED BY voice_sessions_open_world
    WHERE world = ? AND room_id = ? AND left_at IS NULL
"""
_LOOSE = """
    SELECT joined_at, left_at, id, user_id FROM voice_sessions INDEXED BY voice_sessions_loose
    WHERE world = ? AND room_id = ? AND call_id IS NULL AND left_at IS NOT NULL
"""
_BEFORE = """
    SELECT id, started_at, ended_at FROM calls WHERE world = ? AND room_id = ? AND started_at <= ? ORDER BY started_at DESC
"""
_OF_CALL = "SELECT joined_at, left_at, id, user_id FROM voice_sessions WHERE call_id = ?"
_INSERT = """
    INSERT INTO calls (world, room_id, started_at, ended_at, duration_ms, max_participants, total_sessions)
    VALUES (?, ?, ?, ?, ?, ?, ?)
"""


def _file_room(db: sqlite3.Connection, world: str, room_id: str, in_use_too: bool) -> None:
    [in_use_since] = db.execute(_IN_USE_SINCE, (world, room_id)).fetchone()
    if in_use_since is not None and not in_use_too:
        return
    loose = [Stay(*row) for row in db.execute(_LOOSE, (world, room_id))]
    if in_use_since is not None:
        over = itertools.takewhile(lambda run: max(stay.left_at for stay in run) <= in_use_since, runs(loose))
        loose = [stay for run in over for stay in run]
    if not loose:
        return
    touched = _touched(db, world, room_id, min(stay.joined_at for stay in loose), max(stay.left_at for stay in loose))
    for call_id in touched:
        loose += _dissolve(db, call_id)
    for run in runs(loose):
        _insert(db, world, room_id, run)


def _touched(db: sqlite3.Connection, world: str, room_id: str, start: str, end: str) -> list[int]:
    """The calls that may share a moment with `start` to `end`.

    Calls of a room follow one another, so the newest ones that began by `end` are looked at until one was over by `start`.
    """
    touched = []
    before = db.execute(_BEFORE, (world, room_id, end))
    for call_id, started_at, ended_at in before:
        if ended_at >= start:
            touched.append(call_id)
        elif ended_at > started_at:  # one that lasted no time says nothing about those that began in the same moment
            break
    before.close()
    return touched


def _dissolve(db: sqlite3.Connection, call_id: int) -> list[Stay]:
    """Take a call back; its stays belong to none then."""
    members = [Stay(*row) for row in db.execute(_OF_CALL, (call_id,))]
    world, started_at = db.execute("SELECT world, started_at FROM calls WHERE id = ?", (call_id,)).fetchone()
    db.execute("UPDATE voice_sessions SET call_id = NULL WHERE call_id = ?", (call_id,))
    db.executemany(
        "DELETE FROM call_members WHERE user_id = ? AND world = ? AND started_at = ? AND call_id = ?",
        {(stay.user_id, world, started_at, call_id) for stay in members},
    )
    db.execute("DELETE FROM calls WHERE id = ?", (call_id,))
    return members


def _insert(db: sqlite3.Connection, world: str, room_id: str, run: Sequence[Stay]) -> None:
    started_at, ended_at = run[0].joined_at, max(stay.left_at for stay in run)
    duration_ms = (from_text(ended_at) - from_text(started_at)) // timedelta(milliseconds=1)
    inserted = db.execute(_INSERT, (world, room_id, started_at, ended_at, duration_ms, peak(run), len(run)))
    call_id = inserted.lastrowid
    db.executemany("UPDATE voice_sessions SET call_id = ? WHERE id = ?", [(call_id, stay.id) for stay in run])
    db.executemany(
        "INSERT INTO call_members (user_id, world, started_at, call_id) VALUES (?, ?, ?, ?)",
        [(user_id, world, started_at, call_id) for user_id in dict.fromkeys(stay.user_id for stay in run)],
    )
