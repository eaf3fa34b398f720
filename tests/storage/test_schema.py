"""What the schema itself promises: columns that existing readers know, rows that cannot be wrong, look-ups by index."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from typing import Any

import pytest

from server.resources import schema_sql
from server.storage import bans, calls, ledger, sessions, tracking
from server.voice.moderation import Action
from server.voice.participant import EndReason, Role

CLASSIC = {
    "id": "INTEGER",
    "session_id": "TEXT",
    "room_id": "TEXT",
    "user_id": "TEXT",
    "username": "TEXT",
    "world": "TEXT",
    "joined_at": "TEXT",
    "left_at": "TEXT",
    "duration_seconds": "INTEGER",
    "speaking_seconds": "INTEGER",
    "created_at": "TEXT",
}
JOINED, LEFT = "2026-02-13T17:30:00.000Z", "2026-02-13T17:31:00.000Z"


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    db = sqlite3.connect(":memory:", isolation_level=None)
    db.executescript(schema_sql())
    db.execute("PRAGMA foreign_keys = ON")
    yield db
    db.close()


def insert(db: sqlite3.Connection, table: str, values: dict[str, Any]) -> None:
    marks = ", ".join("?" * len(values))
    db.execute(f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})", tuple(values.values()))


def session(**changes: Any) -> dict[str, Any]:
    base = {
        "session_id": "s1",
        "room_id": "lobby",
        "user_id": "anna",
        "username": "Anna",
        "world": "materie",
        "joined_at": JOINED,
    }
    return base | changes


def action(**changes: Any) -> dict[str, Any]:
    base = {"action_id": "a1", "action_type": "ban", "target_user_id": "anna", "admin_user_id": "root", "world": "materie"}
    return base | {"created_at": JOINED, "prev_hash": "", "hash": "0" * 64} | changes


def test_the_classic_columns_are_there(db: sqlite3.Connection) -> None:
    columns = {name: kind for _, name, kind, *_ in db.execute("PRAGMA table_info(voice_sessions)")}
    assert {name: columns.get(name) for name in CLASSIC} == CLASSIC
    assert list(columns)[: len(CLASSIC)] == list(CLASSIC)


def test_a_row_of_the_classic_columns_alone_is_fine(db: sqlite3.Connection) -> None:
    insert(db, "voice_sessions", session(left_at=LEFT, duration_seconds=60, speaking_seconds=12))
    [created] = db.execute("SELECT created_at FROM voice_sessions").fetchone()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", created)


@pytest.mark.parametrize(
    "changes",
    [
        {"room_id": ""},
        {"user_id": ""},
        {"world": ""},
        {"user_id": None},
        {"session_id": None},
        {"joined_at": "2026-02-13 17:30:00"},
        {"joined_at": "2026-02-13T17:30:00Z"},
        {"left_at": "2026-02-13T17:29:59.999Z"},
        {"left_at": LEFT, "duration_seconds": -1},
        {"left_at": LEFT, "duration_ms": -1},
        {"left_at": LEFT, "duration_ms": 60_000, "duration_seconds": 61},
        {"left_at": LEFT, "speaking_ms": 1500, "speaking_seconds": 1},
        {"left_at": LEFT, "duration_ms": 1000, "speaking_ms": 1001},
        {"left_at": LEFT, "end_reason": "bored"},
        {"end_reason": "left"},
        {"duration_ms": 1},
        {"role": "king"},
        {"last_seen": "now"},
    ],
)
def test_rows_that_cannot_be(db: sqlite3.Connection, changes: dict[str, Any]) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        insert(db, "voice_sessions", session(**changes))


def test_every_reason_and_role_of_the_program_can_be_stored(db: sqlite3.Connection) -> None:
    for reason in EndReason:
        for role in Role:
            row = session(session_id=f"{reason} {role}", left_at=LEFT, end_reason=reason.value, role=role.value)
            insert(db, "voice_sessions", row)


def test_nobody_is_twice_in_a_room_at_once(db: sqlite3.Connection) -> None:
    insert(db, "voice_sessions", session(session_id="before", left_at=LEFT))
    insert(db, "voice_sessions", session(session_id="now"))
    insert(db, "voice_sessions", session(session_id="elsewhere", room_id="attic"))
    with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
        insert(db, "voice_sessions", session(session_id="twice"))


@pytest.mark.parametrize(
    "changes",
    [
        {"action_type": "hug"},
        {"target_user_id": ""},
        {"admin_user_id": None},
        {"world": ""},
        {"log_only": 2},
        {"duration_hours": 0},
        {"expires_at": "2026-02-13T17:29:00.000Z"},
        {"created_at": "today"},
        {"effect": "[]"},
        {"hash": None},
        {"hash": "short"},
        {"prev_hash": None},
    ],
)
def test_actions_that_cannot_be(db: sqlite3.Connection, changes: dict[str, Any]) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        insert(db, "admin_actions", action(**changes))


def test_a_ban_stands_in_the_log(db: sqlite3.Connection) -> None:
    ban = {"user_id": "anna", "world": "*", "action_id": "a1"}
    with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
        insert(db, "bans", ban)
    insert(db, "admin_actions", action())
    insert(db, "bans", ban)


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM admin_actions",
        "UPDATE admin_actions SET reason = 'another'",
        "INSERT OR REPLACE INTO admin_actions SELECT * FROM admin_actions",
        "UPDATE OR REPLACE admin_actions SET id = 7",
    ],
)
def test_the_log_is_only_ever_added_to(db: sqlite3.Connection, statement: str) -> None:
    insert(db, "admin_actions", action())
    with pytest.raises(sqlite3.IntegrityError, match="only ever added to"):
        db.execute(statement)
    assert db.execute("SELECT id, reason FROM admin_actions").fetchall() == [(1, None)]


LOOK_UPS = {
    "a ban": (bans._ACTIVE, "PRIMARY KEY (user_id=? AND world=?)"),
    "who is in a room": (sessions._OPEN_IN_ROOM, "voice_sessions_open (room_id=?)"),
    "someone in a room": (sessions._OPEN_OF_USER, "voice_sessions_open (room_id=? AND user_id=?)"),
    "one session": (sessions._FIND, "(session_id=?)"),
    "closing": (ledger._CLOSE, "(session_id=?)"),
    "marking": (ledger._TOUCH, "(session_id=?)"),
    "a user": (ledger._USER_WAS_ACTIVE, "PRIMARY KEY (user_id=?)"),
    "an event again": (ledger._KNOWN_EVENT, "PRIMARY KEY (rowid=?)"),
    "what someone spoke": (ledger._TOTAL, "PRIMARY KEY (session_id=?)"),
    "talk-spurts of a time": (
        "SELECT * FROM speaking_intervals WHERE started_at >= ? AND started_at < ? ORDER BY started_at",
        "speaking_intervals_time (started_at>? AND started_at<?)",
    ),
    "a room's replay": (
        "SELECT * FROM room_events WHERE room_id = ? AND seq > ? ORDER BY seq",
        "sqlite_autoindex_room_events_1 (room_id=? AND seq>?)",
    ),
    "since when a room is in use": (calls._IN_USE_SINCE, "voice_sessions_open_world (world=? AND room_id=?)"),
    "stays without a call": (calls._LOOSE, "voice_sessions_loose (world=? AND room_id=?)"),
    "stays of a call": (calls._OF_CALL, "voice_sessions_call (call_id=?)"),
    "calls before": (calls._BEFORE, "calls_room_time (world=? AND room_id=? AND started_at<?)"),
    "in how many rooms": (sessions._ROOMS_OF_USER, "voice_sessions_open_user (user_id=?)"),
    "what is reported": (tracking._FIND, "(session_id=?)"),
    "a user's stays": (
        "SELECT * FROM voice_sessions WHERE user_id = ? ORDER BY joined_at, id",
        "voice_sessions_user_time (user_id=?)",
    ),
    "a room's stays": (
        "SELECT * FROM voice_sessions WHERE room_id = ? AND joined_at >= ? ORDER BY joined_at, id",
        "voice_sessions_room_time (room_id=? AND joined_at>?)",
    ),
    "a world's stays": (
        "SELECT * FROM voice_sessions WHERE world = ? AND joined_at < ? ORDER BY joined_at DESC, id DESC",
        "voice_sessions_world_time (world=? AND joined_at<?)",
    ),
    "stays of a time": (
        "SELECT * FROM voice_sessions WHERE joined_at >= ? ORDER BY joined_at, id",
        "voice_sessions_time (joined_at>?)",
    ),
    "actions of a world": (
        "SELECT * FROM admin_actions WHERE world = ? ORDER BY created_at DESC, id DESC",
        "admin_actions_world_time (world=?)",
    ),
    "actions on someone": (
        "SELECT * FROM admin_actions WHERE target_user_id = ? ORDER BY created_at, id",
        "admin_actions_target_time (target_user_id=?)",
    ),
    "actions of a time": (
        "SELECT * FROM admin_actions WHERE created_at > ? ORDER BY created_at, id",
        "admin_actions_time (created_at>?)",
    ),
}


@pytest.mark.parametrize("what", LOOK_UPS)
def test_look_ups_use_an_index(db: sqlite3.Connection, what: str) -> None:
    sql, index = LOOK_UPS[what]
    nothing: Any = dict.fromkeys(re.findall(r":(\w+)", sql)) or (None,) * sql.count("?")
    plan = [step for *_, step in db.execute(f"EXPLAIN QUERY PLAN {sql}", nothing)]
    assert len(plan) == 1, f"no sorting, no second step: {plan}"
    assert plan[0].startswith("SEARCH")
    assert index in plan[0]


def test_the_start_finds_open_rows_without_reading_all(db: sqlite3.Connection) -> None:
    plan = [step for *_, step in db.execute(f"EXPLAIN QUERY PLAN {sessions._FIND_OPEN}")]
    assert any("USING INDEX voice_sessions_open" in step for step in plan), plan


def test_the_log_knows_every_kind_of_action(db: sqlite3.Connection) -> None:
    for number, kind in enumerate(Action):
        insert(db, "admin_actions", action(action_id=f"a{number}", action_type=kind.value))
