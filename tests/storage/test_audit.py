"""The moderation log as a chain: whatever is done to it behind the program's back is found, and where."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from server.resources import schema_sql
from server.storage.audit import COLUMNS, append_action, verify

TRIGGERS = ("admin_actions_stay", "admin_actions_remain", "admin_actions_follow")
AT, LATER = "2026-02-13T17:30:00.000Z", "2026-02-13T18:30:00.000Z"


def row(number: int) -> dict[str, Any]:
    return {
        "action_id": f"a{number}",
        "action_type": "ban",
        "target_user_id": f"user {number}",
        "target_username": "Zoë 🦊",
        "admin_user_id": "root",
        "admin_username": "Root",
        "world": "materie",
        "room_id": "lobby",
        "reason": "noise",
        "duration_hours": 1,
        "created_at": AT,
        "expires_at": LATER,
        "log_only": number % 2,
        "effect": json.dumps({"sessions": ["s1"]}),
    }


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    """A log of five rows, and somebody who can get around what guards it."""
    db = sqlite3.connect(":memory:", isolation_level=None)
    db.executescript(schema_sql())
    for number in range(1, 6):
        assert append_action(db, row(number)) == number
    for trigger in TRIGGERS:
        db.execute(f"DROP TRIGGER {trigger}")
    db.execute("PRAGMA ignore_check_constraints = ON")
    yield db
    db.close()


def test_the_hash_covers_every_column_but_itself(db: sqlite3.Connection) -> None:
    columns = [name for _, name, *_ in db.execute("PRAGMA table_info(admin_actions)")]
    assert sorted(columns) == sorted([*COLUMNS, "hash"])


def test_a_log_that_nobody_touched_is_whole(db: sqlite3.Connection) -> None:
    finding = verify(db)
    assert (finding.rows, finding.broken_id) == (5, None)
    [head] = db.execute("SELECT hash FROM admin_actions WHERE id = 5").fetchone()
    assert finding.head == head
    assert verify(db, noted=head).noted_found
    append_action(
        db,
        {"action_id": "a6", "action_type": "kick", "target_user_id": "x", "admin_user_id": "y", "world": "w"}
        | {"created_at": AT},
    )
    assert verify(db, noted=head).noted_found
    assert verify(db).rows == 6


def test_an_empty_log_is_whole() -> None:
    db = sqlite3.connect(":memory:", isolation_level=None)
    db.executescript(schema_sql())
    assert (verify(db).rows, verify(db).broken_id, verify(db).head) == (0, None, "")
    db.close()


@pytest.mark.parametrize("column", [*COLUMNS[1:], "hash"])
@pytest.mark.parametrize("number", [1, 3, 5])
def test_changing_any_byte_of_any_row_is_found(db: sqlite3.Connection, column: str, number: int) -> None:
    [value] = db.execute(f"SELECT {column} FROM admin_actions WHERE id = ?", (number,)).fetchone()
    others: list[Any] = [None, b"bytes", ""]
    if isinstance(value, str):
        raw = value.encode()
        others += [value + " ", value.upper() + "", raw]
        for position in range(len(raw)):
            changed = raw[:position] + bytes([raw[position] ^ 1]) + raw[position + 1 :]
            others.append(changed.decode(errors="replace"))
    else:
        others += [value + 1, value * 2 + 0.5, str(value) + "x"]
    for other in others:
        db.execute("SAVEPOINT before")
        try:
            db.execute(f"UPDATE admin_actions SET {column} = ? WHERE id = ?", (other, number))
        except sqlite3.IntegrityError:  # not even possible
            db.execute("ROLLBACK TO before")
            continue
        [now] = db.execute(f"SELECT {column} FROM admin_actions WHERE id = ?", (number,)).fetchone()
        if (type(now), now) != (type(value), value):
            assert verify(db).broken_id == number, (column, value, other)
        db.execute("ROLLBACK TO before")
    assert verify(db).broken_id is None


def swap(db: sqlite3.Connection, one: int, other: int) -> None:
    db.execute("UPDATE admin_actions SET id = -1 WHERE id = ?", (one,))
    db.execute("UPDATE admin_actions SET id = ? WHERE id = ?", (one, other))
    db.execute("UPDATE admin_actions SET id = ? WHERE id = -1", (other,))


def close_the_gap(db: sqlite3.Connection, number: int) -> None:
    db.execute("DELETE FROM admin_actions WHERE id = ?", (number,))
    for later in range(number + 1, 6):
        db.execute("UPDATE admin_actions SET id = ? WHERE id = ?", (later - 1, later))


def insert_copy(db: sqlite3.Connection) -> None:
    columns = ", ".join([*COLUMNS[2:], "hash"])
    db.execute(f"INSERT INTO admin_actions (id, action_id, {columns}) SELECT 6, 'a6', {columns} FROM admin_actions WHERE id = 5")


@pytest.mark.parametrize(
    ("damage", "broken"),
    [
        (lambda db: db.execute("DELETE FROM admin_actions WHERE id = 1"), 1),
        (lambda db: db.execute("DELETE FROM admin_actions WHERE id = 3"), 3),
        (lambda db: db.execute("DELETE FROM admin_actions WHERE id = 5"), 5),
        (lambda db: db.execute("DELETE FROM admin_actions WHERE id > 2"), 3),
        (lambda db: db.execute("DELETE FROM admin_actions"), 1),
        (lambda db: swap(db, 2, 3), 2),
        (lambda db: swap(db, 1, 5), 1),
        (lambda db: close_the_gap(db, 2), 2),
        (lambda db: db.execute("UPDATE admin_actions SET id = 9 WHERE id = 4"), 4),
        (lambda db: db.execute("UPDATE admin_actions SET id = 0 WHERE id = 5"), 1),
        (insert_copy, 6),
        (lambda db: db.execute("DELETE FROM admin_actions_head"), 5),
        (lambda db: db.execute("UPDATE admin_actions_head SET id = 4"), 5),
        (lambda db: db.execute("UPDATE admin_actions_head SET id = 6"), 6),
        (lambda db: db.execute("UPDATE admin_actions_head SET hash = ''"), 5),
    ],
)
def test_rows_that_were_removed_swapped_or_smuggled_in_are_found(
    db: sqlite3.Connection, damage: Callable[[sqlite3.Connection], object], broken: int
) -> None:
    damage(db)
    finding = verify(db)
    assert finding.broken_id == broken
    assert finding.problem


def test_a_log_that_was_written_anew_is_found_by_what_was_noted(db: sqlite3.Connection) -> None:
    noted = verify(db).head
    db.execute("DELETE FROM admin_actions")
    db.execute("UPDATE admin_actions_head SET id = 0, hash = ''")
    for number in range(1, 6):
        append_action(db, {**row(number), "reason": "invented"})
    finding = verify(db, noted=noted)
    assert (finding.broken_id, finding.noted_found) == (None, False)
