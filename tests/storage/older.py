"""Made-up databases of the three older versions, with broken rows among them, and what is to be found in them."""

from __future__ import annotations

import random
import sqlite3
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

__all__ = ["ACTIONS", "Expected", "classic", "dump", "in_milliseconds", "mixture"]

FIRST: Final = datetime(2025, 3, 1, tzinfo=UTC)
ROOMS: Final = [("materie", f"materie_{number}", f"Raum {number}") for number in range(8)] + [
    ("energie", f"energie_{number}", f"Saal {number}") for number in range(4)
]
ACTIONS: Final = ("kick", "mute", "unmute", "ban", "unban", "warn")

_IN_MILLISECONDS: Final = """
    CREATE TABLE voice_sessions (
        id TEXT PRIMARY KEY, room_id TEXT, room_name TEXT, user_id TEXT, username TEXT, world TEXT,
        joined_at INTEGER, left_at INTEGER, is_muted INTEGER DEFAULT 0, created_at INTEGER
    );
    CREATE TABLE admin_actions (
        id TEXT PRIMARY KEY, action_type TEXT, target_user_id TEXT, target_username TEXT, admin_user_id TEXT, admin_username TEXT,
        world TEXT, room_id TEXT, reason TEXT, duration_hours INTEGER, created_at INTEGER, expires_at INTEGER
    );
    CREATE TABLE users (
        user_id TEXT PRIMARY KEY, username TEXT, role TEXT, avatar_emoji TEXT, bio TEXT, world TEXT, created_at INTEGER,
        last_active INTEGER
    );
    CREATE INDEX idx_sessions_user ON voice_sessions (user_id);
"""
_CLASSIC: Final = """
    CREATE TABLE voice_sessions (
        id INTEGER PRIMARY KEY AUTOINCREMENT, session_id TEXT UNIQUE, room_id TEXT, user_id TEXT, username TEXT, world TEXT,
        joined_at TEXT, left_at TEXT, duration_seconds INTEGER, speaking_seconds INTEGER DEFAULT 0,
        created_at TEXT DEFAULT CURRENT_TIMESTAMP
    );
    CREATE TABLE admin_actions (
        action_id TEXT UNIQUE, action_type TEXT, target_user_id TEXT, target_username TEXT, admin_user_id TEXT,
        admin_username TEXT, world TEXT, room_id TEXT, reason TEXT, timestamp TEXT
    );
"""


@dataclass
class Expected:
    """What an import of the file is to find."""

    rows: int = 0
    sessions: int = 0
    unreadable: int = 0
    duration_seconds: int = 0
    speaking_seconds: int = 0
    unended: int = 0
    users: int = 0
    actions: int = 0
    broken_ids: list[str] = field(default_factory=list)


def ms(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def iso(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def sessions(chance: random.Random, number: int) -> list[dict[str, Any]]:
    """Stays that are fine."""
    made = []
    for index in range(number):
        world, room_id, room_name = chance.choice(ROOMS)
        joined = FIRST + timedelta(milliseconds=chance.randrange(300 * 86_400_000))
        lasted_ms = chance.randrange(1, 7_200_000)
        user = chance.randrange(400)
        made.append(
            {
                "id": f"{index:08x}-0000-4000-8000-{chance.getrandbits(48):012x}",
                "room_id": room_id,
                "room_name": room_name,
                "user_id": f"user_{user}",
                "username": f"Nutzerin {user}",
                "world": world,
                "joined": joined,
                "left": joined + timedelta(milliseconds=lasted_ms) if index % 97 else None,
            }
        )
    return made


BREAKS: Final[tuple[dict[str, Any], ...]] = (
    {"room_id": None},
    {"user_id": ""},
    {"world": "  "},
    {"joined_at": None},
    {"joined_at": "vorgestern"},
    {"joined_at": 7},
    {"left_at": 946_684_800_000},
    {"left_at": 95_617_584_000_000_000},
    {"room_id": "x" * 200},
    {"user_id": "a\u202eb"},
)
"""What makes a row unreadable."""


def in_milliseconds(path: Path, rows: int, seed: int = 1, *, mixed: bool = False) -> Expected:
    """The one with ids and times in milliseconds; `mixed`: with the columns that were added to it later."""
    chance = random.Random(seed)
    expected = Expected(rows=rows)
    with sqlite3.connect(path, isolation_level=None) as db:
        db.executescript(_IN_MILLISECONDS)
        if mixed:
            for column in ("session_id TEXT", "duration_seconds INTEGER", "speaking_seconds INTEGER"):
                db.execute(f"ALTER TABLE voice_sessions ADD COLUMN {column}")
        db.execute("BEGIN")
        for index, stay in enumerate(sessions(chance, rows)):
            row = {name: stay[name] for name in ("id", "room_id", "room_name", "user_id", "username", "world")}
            row |= {"joined_at": ms(stay["joined"]), "left_at": ms(stay["left"]) if stay["left"] else None}
            row |= {"is_muted": 0, "created_at": ms(stay["joined"])}
            if mixed:
                row |= _later_columns(chance, index, stay)
            _note(expected, row, index, chance, stay)
            _insert(db, "voice_sessions", row)
        _people(db, expected, chance)
        _log(db, expected, chance)
        db.execute("COMMIT")
    return expected


def mixture(path: Path, rows: int) -> Expected:
    """The one in milliseconds with columns of the classic one, filled in part."""
    return in_milliseconds(path, rows, seed=3, mixed=True)


def _later_columns(chance: random.Random, index: int, stay: dict[str, Any]) -> dict[str, Any]:
    if index % 3 == 0 or stay["left"] is None:
        return {"session_id": None, "duration_seconds": None, "speaking_seconds": None}
    duration = round((stay["left"] - stay["joined"]).total_seconds())
    return {"session_id": stay["id"], "duration_seconds": duration, "speaking_seconds": chance.randrange(duration + 1)}


def classic(path: Path, rows: int) -> Expected:
    """The one with a session id and times as text, in the ways in which they were written over the years."""
    chance = random.Random(2)
    expected = Expected(rows=rows)
    ways = (iso, lambda moment: moment.strftime("%Y-%m-%d %H:%M:%S"), lambda moment: moment.isoformat())
    with sqlite3.connect(path, isolation_level=None) as db:
        db.executescript(_CLASSIC)
        db.execute("BEGIN")
        for index, stay in enumerate(sessions(chance, rows)):
            way = ways[index % 3]
            row = {name: stay[name] for name in ("room_id", "user_id", "username", "world")}
            row |= {"session_id": stay["id"], "joined_at": way(stay["joined"])}
            row |= {"left_at": way(stay["left"]) if stay["left"] else None}
            duration = round((stay["left"] - stay["joined"]).total_seconds()) if stay["left"] else None
            row |= {"duration_seconds": duration, "speaking_seconds": chance.randrange(duration + 1) if duration else 0}
            _note(expected, row, index, chance, stay)
            _insert(db, "voice_sessions", row)
        for index in range(50):
            action = {"action_id": f"log {index}", "action_type": ACTIONS[index % 6], "target_user_id": "user_1"}
            moment = iso(FIRST + timedelta(hours=index))
            _insert(db, "admin_actions", {**action, "admin_user_id": "root", "world": "materie", "timestamp": moment})
        expected.actions = 50
        db.execute("COMMIT")
    return expected


def _note(expected: Expected, row: dict[str, Any], index: int, chance: random.Random, stay: dict[str, Any]) -> None:
    """Break some of the rows, and sum up the others."""
    if index % 53 == 7:
        row |= chance.choice(BREAKS)
        expected.unreadable += 1
        expected.broken_ids.append(stay["id"])
        return
    expected.sessions += 1
    duration = row.get("duration_seconds")
    if duration is None and stay["left"] is not None:
        duration = (ms(stay["left"]) - ms(stay["joined"]) + 500) // 1000
    expected.duration_seconds += duration or 0
    expected.speaking_seconds += row.get("speaking_seconds") or 0
    expected.unended += stay["left"] is None


def _people(db: sqlite3.Connection, expected: Expected, chance: random.Random) -> None:
    roles = ("user", "user", "moderator", "admin", "root_admin")
    for number in range(100):
        created = FIRST + timedelta(days=chance.randrange(100))
        row = {"user_id": f"user_{number}", "username": f"Nutzerin {number}", "role": roles[number % 5], "avatar_emoji": "🦊"}
        _insert(db, "users", {**row, "created_at": ms(created), "last_active": ms(created + timedelta(days=9))})
    _insert(db, "users", {"user_id": None, "username": "Niemand", "created_at": ms(FIRST)})
    _insert(db, "users", {"user_id": "timeless", "username": "Zeitlos"})
    expected.users = 100


def _log(db: sqlite3.Connection, expected: Expected, chance: random.Random) -> None:
    for number in range(200):
        created = FIRST + timedelta(hours=number)
        row: dict[str, Any] = {
            "id": f"action {number}",
            "action_type": ACTIONS[number % 6],
            "target_user_id": f"user_{number % 20}",
        }
        row |= {"admin_user_id": "root", "world": chance.choice(["materie", "energie"]), "created_at": ms(created)}
        if row["action_type"] == "ban":
            row |= {"duration_hours": 24, "expires_at": ms(created + timedelta(hours=24))}
        _insert(db, "admin_actions", row)
    broken: list[dict[str, Any]] = [
        {"action_type": "shout"},
        {"created_at": None},
        {"target_user_id": None},
        {"expires_at": ms(FIRST - timedelta(days=1))},
    ]
    for number, change in enumerate(broken):
        row = {"id": f"broken {number}", "action_type": "ban", "target_user_id": "user_1", "admin_user_id": "root"}
        _insert(db, "admin_actions", {**row, "world": "materie", "created_at": ms(FIRST), **change})
    expected.actions = 200


def _insert(db: sqlite3.Connection, table: str, row: dict[str, Any]) -> None:
    marks = ", ".join("?" * len(row))
    db.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", tuple(row.values()))


def dump(database: Path, to: Path) -> None:
    """The SQL of a database, as tools write it."""
    with sqlite3.connect(database) as db:
        to.write_text("PRAGMA foreign_keys=OFF;\n" + "\n".join(db.iterdump()) + "\n", encoding="utf-8")
