"""Older databases are taken over whole: every row that can be read, once, with its figures; the others are listed."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from server.resources import schema_sql
from server.storage import audit
from server.storage.older_file import UnusableFile, open_older
from server.storage.older_import import ImportReport, Taken, import_older
from server.storage.timestamps import to_text
from tests.storage import older
from tests.storage.older import Expected, classic, dump, in_milliseconds, mixture, ms

NOW = datetime(2026, 2, 13, tzinfo=UTC)
ROWS = 10_000
KINDS: dict[str, tuple[Callable[[Path, int], Expected], str]] = {
    "in milliseconds": (in_milliseconds, "ids and times in milliseconds"),
    "classic": (classic, "the classic one"),
    "mixture": (mixture, "a mixture of both older ones"),
}


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    db = sqlite3.connect(":memory:", isolation_level=None)
    db.executescript(schema_sql())
    db.execute("PRAGMA foreign_keys = ON")
    yield db
    db.close()


def take_over(db: sqlite3.Connection, path: Path) -> ImportReport:
    db.execute("BEGIN IMMEDIATE")
    try:
        with open_older(path) as file:
            report = import_older(db, file, NOW)
    except BaseException:
        db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")
    return report


def contents(db: sqlite3.Connection) -> dict[str, list[tuple[Any, ...]]]:
    tables = [name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")]
    return {table: db.execute(f"SELECT * FROM {table}").fetchall() for table in tables}


def sums(db: sqlite3.Connection) -> tuple[int, ...]:
    row = db.execute(
        "SELECT count(*), coalesce(sum(duration_seconds), 0), coalesce(sum(speaking_seconds), 0) FROM voice_sessions"
    ).fetchone()
    assert isinstance(row, tuple)
    return row


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("as_dump", [False, True], ids=["database", "dump"])
def test_ten_thousand_rows_with_broken_ones_among_them(db: sqlite3.Connection, tmp_path: Path, kind: str, as_dump: bool) -> None:
    make, name = KINDS[kind]
    path = tmp_path / "older.db"
    expected = make(path, ROWS)
    if as_dump:
        dump(path, tmp_path / "older.sql")
        path = tmp_path / "older.sql"
    report = take_over(db, path)
    assert report.kind == name
    assert report.tables["voice_sessions"] == Taken(ROWS, expected.sessions, 0, expected.unreadable)
    assert (report.unended, report.tables["admin_actions"].added) == (expected.unended, expected.actions)
    totals = (expected.duration_seconds, expected.speaking_seconds)
    assert report.file_seconds == report.stored_seconds == totals
    assert sums(db) == (expected.sessions, *totals)
    listed = [place for place, _ in report.unreadable if place.startswith("voice_sessions")]
    assert len(listed) == expected.unreadable > 100
    broken = set(expected.broken_ids)
    assert not [row for row in db.execute("SELECT session_id FROM voice_sessions") if row[0] in broken]
    assert db.execute("SELECT count(*) FROM voice_sessions WHERE left_at IS NULL OR call_id IS NULL").fetchone() == (0,)
    assert db.execute("SELECT sum(total_sessions), count(*) FROM calls").fetchone() == (expected.sessions, report.calls)
    assert audit.verify(db).broken_id is None

    before = contents(db)
    again = take_over(db, path)
    assert contents(db) == before, "the second time changes nothing"
    assert again.tables["voice_sessions"] == Taken(ROWS, 0, expected.sessions, expected.unreadable)
    assert again.file_seconds == again.stored_seconds == totals
    assert (again.calls, again.bans) == (0, 0)


def test_rooms_keep_their_names_and_people_their_roles(db: sqlite3.Connection, tmp_path: Path) -> None:
    expected = in_milliseconds(tmp_path / "older.db", 500)
    report = take_over(db, tmp_path / "older.db")
    assert db.execute("SELECT room_name FROM room_names WHERE room_id = 'materie_3'").fetchone() == ("Raum 3",)
    assert report.tables["users"] == Taken(102, expected.users, 0, 2)
    assert report.unknown_roles == 20
    roles = dict(db.execute("SELECT user_id, role FROM users").fetchall())
    assert [roles[f"user_{number}"] for number in range(5)] == ["user", "user", "moderator", "admin", "user"]
    assert db.execute("SELECT avatar_emoji FROM users WHERE user_id = 'user_3'").fetchone() == ("🦊",)
    unknown_to_its_table = db.execute(
        "SELECT count(*) FROM users WHERE user_id NOT IN (SELECT 'user_' || value FROM json_each(?))", (str(list(range(100))),)
    ).fetchone()
    assert unknown_to_its_table[0] > 50


def test_exact_times_stay_exact(db: sqlite3.Connection, tmp_path: Path) -> None:
    in_milliseconds(tmp_path / "older.db", 300)
    take_over(db, tmp_path / "older.db")
    with sqlite3.connect(tmp_path / "older.db") as source:
        ends = {row[0]: row[1:] for row in source.execute("SELECT id, joined_at, left_at FROM voice_sessions")}
    for session_id, joined, left, duration_ms, reason, kind in db.execute(
        "SELECT session_id, joined_at, left_at, duration_ms, end_reason, source FROM voice_sessions"
    ):
        joined_ms, left_ms = ends[session_id]
        assert ms(datetime.fromisoformat(joined)) == joined_ms
        assert ms(datetime.fromisoformat(left)) == (left_ms if left_ms is not None else joined_ms)
        assert duration_ms == (left_ms or joined_ms) - joined_ms
        assert (reason, kind) == ("left" if left_ms is not None else "crash_recovery", "import")


def test_who_is_here_already_keeps_name_and_role(db: sqlite3.Connection, tmp_path: Path) -> None:
    in_milliseconds(tmp_path / "older.db", 100)
    here = to_text(NOW)
    db.execute(
        "INSERT INTO users (user_id, username, role, created_at, last_active) VALUES ('user_3', 'Ich', 'user', ?, ?)",
        (here, here),
    )
    take_over(db, tmp_path / "older.db")
    name, role, created_at, last_active = db.execute(
        "SELECT username, role, created_at, last_active FROM users WHERE user_id = 'user_3'"
    ).fetchone()
    assert (name, role, last_active) == ("Ich", "user", here)
    assert created_at < here


def test_a_session_that_is_here_with_other_figures_is_left_alone(db: sqlite3.Connection, tmp_path: Path) -> None:
    in_milliseconds(tmp_path / "older.db", 20)
    take_over(db, tmp_path / "older.db")
    db.execute("UPDATE voice_sessions SET duration_ms = 1000, duration_seconds = 1 WHERE id = 3")
    again = take_over(db, tmp_path / "older.db")
    assert again.stored_seconds[0] < again.file_seconds[0]
    assert db.execute("SELECT duration_ms FROM voice_sessions WHERE id = 3").fetchone() == (1000,)


def test_bans_that_are_in_force_stay_so(db: sqlite3.Connection, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "older.db") as source:
        source.executescript(older._IN_MILLISECONDS)
        for number, (user, action, hours, ago) in enumerate(
            [
                ("for good", "ban", None, 900),
                ("a week", "ban", 168, 24),
                ("over", "ban", 24, 240),
                ("lifted", "ban", None, 48),
                ("lifted", "unban", None, 24),
                ("again", "unban", None, 48),
                ("again", "ban", None, 24),
            ]
        ):
            created = NOW - timedelta(hours=ago)
            values = (
                str(number),
                action,
                user,
                "root",
                "materie",
                hours,
                ms(created),
                ms(created + timedelta(hours=hours)) if hours else None,
            )
            source.execute(
                "INSERT INTO admin_actions"
                " (id, action_type, target_user_id, admin_user_id, world, duration_hours, created_at, expires_at)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                values,
            )
    report = take_over(db, tmp_path / "older.db")
    bans = dict(db.execute("SELECT user_id, expires_at FROM bans").fetchall())
    assert (report.bans, bans) == (3, {"for good": None, "a week": to_text(NOW + timedelta(hours=144)), "again": None})
    assert db.execute("SELECT count(*) FROM admin_actions WHERE log_only = 1").fetchone() == (7,)
    db.execute("DELETE FROM bans")  # lifted here since
    assert take_over(db, tmp_path / "older.db").bans == 0


def test_broken_statements_of_a_dump_are_listed_and_hold_nothing_up(db: sqlite3.Connection, tmp_path: Path) -> None:
    path = tmp_path / "older.sql"
    values = "'{id}','lobby','Lobby','anna','Anna','materie',1740787200000,1740787260000,0,1740787200000"
    row = f"INSERT INTO voice_sessions VALUES({values});"
    lines = [
        "BEGIN TRANSACTION;",
        *older._IN_MILLISECONDS.strip().splitlines(),
        row.format(id="one"),
        "INSERT INTO voice_sessions VALUES('no end of a quote,'lobby');",
        row.format(id="two"),
        "INSERT INTO voice_sessions VALUES('too few');",
        "INSERT INTO other_table VALUES(1);",
        "DROP TABLE voice_sessions;",
        "ATTACH DATABASE '/tmp/never.db' AS other;",
        "UPDATE voice_sessions SET room_id = 'hacked';",
        row.format(id="three").replace("Anna", "An\nna; INSERT"),
        row.format(id="one"),
        "COMMIT;",
        "INSERT INTO voice_sessions VALUES('cut off','lobb",
    ]
    text = "\n".join(lines).encode() + b"\n" + row.format(id="four").replace("Anna", "\xff").encode("latin-1") + b"\n"
    path.write_bytes(text)
    report = take_over(db, path)
    rows = db.execute("SELECT session_id, room_id, username FROM voice_sessions ORDER BY session_id").fetchall()
    assert rows == [("one", "lobby", "Anna"), ("three", "lobby", "An na; INSERT"), ("two", "lobby", "Anna")]
    assert report.tables["voice_sessions"] == Taken(3, 3, 0, 0)
    places = [place for place, _ in report.unreadable]
    lines = text.decode("latin-1").splitlines()
    assert [lines[int(place.removeprefix("line ")) - 1][:60] for place in places[:3]] == [
        "INSERT INTO voice_sessions VALUES('no end of a quote,'lobby')"[:60],
        "INSERT INTO voice_sessions VALUES('too few');",
        row.format(id="one")[:60],
    ]
    assert report.unreadable[-1][1] == "not UTF-8"
    assert len(places) == 5


def test_texts_of_a_database_that_are_no_utf_8_are_listed(db: sqlite3.Connection, tmp_path: Path) -> None:
    path = tmp_path / "older.db"
    in_milliseconds(path, 5)
    with sqlite3.connect(path) as source:
        source.execute("UPDATE voice_sessions SET user_id = CAST(x'ff41' AS TEXT) WHERE rowid = 2")
        source.execute("UPDATE voice_sessions SET username = CAST(x'ff41' AS TEXT) WHERE rowid = 3")
        source.execute("UPDATE voice_sessions SET world = x'00ff' WHERE rowid = 4")
    report = take_over(db, path)
    assert report.tables["voice_sessions"].added == 2
    assert [reason for place, reason in report.unreadable if place.startswith("voice")] == [
        "user_id is not UTF-8",
        "username is not UTF-8",
        "world is not a text",
    ]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (None, "it cannot be opened"),
        (b"", "it has no table voice_sessions"),
        (b"SQLite format 3\0 and then nothing of the kind", "it cannot be read"),
        (b"\x00\x01\x02\xff" * 1000, "it has no table voice_sessions"),
        (b"CREATE TABLE voice_sessions (id);", "it has no table voice_sessions"),
        (b"CREATE TABLE users (user_id);", "it has no table voice_sessions"),
    ],
)
def test_what_is_no_older_database(db: sqlite3.Connection, tmp_path: Path, content: bytes | None, problem: str) -> None:
    path = tmp_path / "other"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UnusableFile, match=problem):
        take_over(db, path)


def test_a_database_of_this_version_is_refused(db: sqlite3.Connection, tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "voice.db") as ours:
        ours.executescript(schema_sql())
    with pytest.raises(UnusableFile, match="name it as VOICE_DATABASE"):
        take_over(db, tmp_path / "voice.db")


def test_nothing_is_half_done(db: sqlite3.Connection, tmp_path: Path) -> None:
    path = tmp_path / "older.db"
    in_milliseconds(path, 2_000)
    with path.open("r+b") as file:
        file.seek(40 * 4096)
        file.write(b"\xa5" * 20 * 4096)
    before = contents(db)
    with pytest.raises((UnusableFile, sqlite3.DatabaseError)):
        take_over(db, path)
    assert contents(db) == before


def test_the_older_file_is_not_touched(db: sqlite3.Connection, tmp_path: Path) -> None:
    path = tmp_path / "older.db"
    mixture(path, 100)
    before = path.read_bytes()
    take_over(db, path)
    assert path.read_bytes() == before
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["older.db"]
