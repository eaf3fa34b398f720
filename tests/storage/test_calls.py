"""Calls are what a look at all stays would find, in whatever order the rows come and are changed."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.resources import schema_sql
from server.storage.calls import Stay, file_calls, peak, runs, take_out
from server.storage.timestamps import to_text

NOON = datetime(2026, 2, 13, 12, tzinfo=UTC)


def at(minute: int) -> str:
    return to_text(NOON + timedelta(minutes=minute))


@dataclass(frozen=True, slots=True)
class Row:
    """A stay to insert; `left` is None while it is open. Minutes after noon."""

    room: str
    user: str
    joined: int
    left: int | None


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    db = empty()
    yield db
    db.close()


def empty() -> sqlite3.Connection:
    db = sqlite3.connect(":memory:", isolation_level=None)
    db.executescript(schema_sql())
    db.execute("PRAGMA foreign_keys = ON")
    return db


def put(db: sqlite3.Connection, row: Row, *, name: str | None = None, source: str = "external") -> str:
    [number] = db.execute("SELECT count(*) FROM voice_sessions").fetchone()
    session_id = name or f"s{number}"
    left = at(row.left) if row.left is not None else None
    duration = (row.left - row.joined) * 60_000 if row.left is not None else None
    seconds = duration // 1000 if duration is not None else None
    db.execute(
        "INSERT INTO voice_sessions (session_id, room_id, user_id, username, world, joined_at, left_at, duration_ms,"
        " duration_seconds, source) VALUES (?, ?, ?, ?, 'materie', ?, ?, ?, ?, ?)",
        (session_id, row.room, row.user, row.user, at(row.joined), left, duration, seconds, source),
    )
    return session_id


def calls(db: sqlite3.Connection) -> list[tuple[Any, ...]]:
    return db.execute(
        "SELECT room_id, started_at, ended_at, duration_ms, max_participants, total_sessions FROM calls"
        " ORDER BY room_id, started_at, ended_at"
    ).fetchall()


def test_a_room_from_the_first_join_to_the_last_leave_is_one_call(db: sqlite3.Connection) -> None:
    for row in (Row("a", "anna", 0, 30), Row("a", "ben", 10, 20), Row("a", "ben", 25, 40), Row("a", "cleo", 50, 60)):
        put(db, row)
    file_calls(db, [("materie", "a")])
    assert calls(db) == [("a", at(0), at(40), 2_400_000, 2, 3), ("a", at(50), at(60), 600_000, 1, 1)]
    members = db.execute("SELECT user_id, started_at FROM call_members ORDER BY started_at, user_id").fetchall()
    assert members == [("anna", at(0)), ("ben", at(0)), ("cleo", at(50))]


def test_a_call_that_goes_on_is_not_filed(db: sqlite3.Connection) -> None:
    put(db, Row("a", "anna", 0, 10))
    put(db, Row("a", "ben", 5, None))
    file_calls(db, [("materie", "a")])
    file_calls(db, [("materie", "a")], in_use_too=True)
    assert calls(db) == []


def test_what_was_over_before_the_present_call_is_filed_on_demand(db: sqlite3.Connection) -> None:
    put(db, Row("a", "anna", 0, 10))
    put(db, Row("a", "ben", 20, None))
    put(db, Row("a", "cleo", 25, 30))
    file_calls(db, [("materie", "a")], in_use_too=True)
    assert calls(db) == [("a", at(0), at(10), 600_000, 1, 1)]


def test_a_stay_that_is_added_late_joins_the_calls_that_it_touches(db: sqlite3.Connection) -> None:
    for row in (Row("a", "anna", 0, 10), Row("a", "ben", 20, 30), Row("a", "cleo", 40, 50)):
        put(db, row)
        file_calls(db, [("materie", "a")])
    assert len(calls(db)) == 3
    put(db, Row("a", "dora", 5, 25))
    file_calls(db, [("materie", "a")])
    assert calls(db) == [("a", at(0), at(30), 1_800_000, 2, 3), ("a", at(40), at(50), 600_000, 1, 1)]
    assert db.execute("SELECT count(*) FROM call_members").fetchone() == (4,)


def test_a_stay_that_is_taken_out_leaves_the_others_their_calls(db: sqlite3.Connection) -> None:
    put(db, Row("a", "anna", 0, 10))
    bridge = put(db, Row("a", "ben", 5, 25))
    put(db, Row("a", "cleo", 20, 30))
    file_calls(db, [("materie", "a")])
    take_out(db, bridge)
    db.execute(
        "UPDATE voice_sessions SET left_at = ?, duration_ms = 60000, duration_seconds = 60 WHERE session_id = ?", (at(6), bridge)
    )
    file_calls(db, [("materie", "a")])
    assert calls(db) == [("a", at(0), at(10), 600_000, 2, 2), ("a", at(20), at(30), 600_000, 1, 1)]


def test_a_room_that_cannot_be_filed_is_logged_and_holds_nothing_up(
    db: sqlite3.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    put(db, Row("a", "anna", 0, 10))
    put(db, Row("b", "ben", 0, 10))
    db.execute("CREATE TRIGGER broken BEFORE INSERT ON calls WHEN new.room_id = 'a' BEGIN SELECT raise(ABORT, 'broken'); END")
    with caplog.at_level(logging.ERROR):
        file_calls(db, [("materie", "a"), ("materie", "b")])
    assert [row[0] for row in calls(db)] == ["b"]
    assert "could not be filed" in caplog.text
    db.execute("DROP TRIGGER broken")
    file_calls(db, [("materie", "a")])
    assert [row[0] for row in calls(db)] == ["a", "b"]


@pytest.mark.parametrize(
    ("stays", "expected"),
    [
        ([(0, 10)], 1),
        ([(0, 10), (10, 20)], 1),
        ([(0, 10), (9, 20)], 2),
        ([(0, 30), (5, 10), (10, 20), (19, 40)], 3),
        ([(0, 10), (5, 5)], 2),
    ],
)
def test_the_peak_counts_who_was_there_at_the_same_time(stays: list[tuple[int, int]], expected: int) -> None:
    run = sorted(Stay(at(joined), at(left), number, "u") for number, (joined, left) in enumerate(stays))
    assert peak(run) == expected


def test_a_stay_of_no_time_is_a_run_of_its_own() -> None:
    stays = [Stay(at(5), at(5), 1, "u"), Stay(at(5), at(9), 2, "u"), Stay(at(9), at(12), 3, "u")]
    assert [[stay.id for stay in run] for run in runs(stays)] == [[1], [2], [3]]


rows = st.builds(
    lambda room, user, joined, length: Row(room, user, joined, joined + length),
    st.sampled_from(["a", "b"]),
    st.sampled_from(["anna", "ben", "cleo"]),
    st.integers(0, 120),
    st.integers(0, 40),
)


@given(st.lists(st.lists(rows, max_size=6), max_size=6))
def test_filing_bit_by_bit_finds_what_filing_at_once_finds(batches: list[list[Row]]) -> None:
    bit_by_bit, at_once = empty(), empty()
    for batch in batches:
        for row in batch:
            put(bit_by_bit, row)
            put(at_once, row)
        file_calls(bit_by_bit, [("materie", "a"), ("materie", "b")])
    file_calls(at_once, [("materie", "a"), ("materie", "b")])
    for db in (bit_by_bit, at_once):
        assert calls(db) == brute_force(db)
        assert db.execute("SELECT count(*) FROM voice_sessions WHERE call_id IS NULL").fetchone() == (0,)
        assert db.execute(MEMBERS).fetchall() == db.execute(MEMBERS_OF_ROWS).fetchall()
        assert totals(db, "call_totals") == counted(db, "calls", "started_at")
        assert totals(db, "session_totals", "AND world <> ''") == counted(db, "voice_sessions", "joined_at")
    bit_by_bit.close()
    at_once.close()


MEMBERS = "SELECT user_id, world, started_at, call_id FROM call_members ORDER BY 1, 2, 3, 4"
MEMBERS_OF_ROWS = """
    SELECT DISTINCT s.user_id, c.world, c.started_at, c.id FROM voice_sessions s JOIN calls c ON c.id = s.call_id
    ORDER BY 1, 2, 3, 4
"""


def totals(db: sqlite3.Connection, table: str, also: str = "") -> list[tuple[Any, ...]]:
    return db.execute(
        f"SELECT world, room_id, day, entries FROM {table} WHERE room_id <> '' AND entries <> 0 {also} ORDER BY 1, 2, 3"
    ).fetchall()


def counted(db: sqlite3.Connection, table: str, time: str) -> list[tuple[Any, ...]]:
    return db.execute(
        f"SELECT world, room_id, substr({time}, 1, 10), count(*) FROM {table} GROUP BY 1, 2, 3 ORDER BY 1, 2, 3"
    ).fetchall()


def brute_force(db: sqlite3.Connection) -> list[tuple[Any, ...]]:
    """Gaps and islands over all rows, minute by minute."""
    found = []
    for [room] in db.execute("SELECT DISTINCT room_id FROM voice_sessions ORDER BY room_id").fetchall():
        stays = db.execute(
            "SELECT joined_at, left_at FROM voice_sessions WHERE room_id = ? ORDER BY joined_at, left_at", (room,)
        ).fetchall()
        islands: list[list[tuple[str, str]]] = []
        for joined, left in stays:
            if islands and joined < max(end for _, end in islands[-1]):
                islands[-1].append((joined, left))
            else:
                islands.append([(joined, left)])
        for island in islands:
            start, end = island[0][0], max(left for _, left in island)
            # Whoever comes meets those who came before and are still there.
            met = (sum(left > island[me][0] for _, left in island[:me]) for me in range(len(island)))
            most = max(met) + 1
            length = datetime.fromisoformat(end) - datetime.fromisoformat(start)
            found.append((room, start, end, length // timedelta(milliseconds=1), most, len(island)))
    return sorted(found)
