"""The moderation log as a chain: each row's hash covers all its columns and the hash of the row before.

Whoever edits a row, takes one out or swaps two breaks the chain there, and a head record says where it ends, so that rows cut off
at the end are missed as well. What a chain alone cannot show is that somebody has written all of it anew: for that, note the
hash of the last row (`weltenstimme audit verify` prints it) where nobody of the server can write, and have it looked for later.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

__all__ = ["COLUMNS", "Finding", "append_action", "hash_of", "verify"]

COLUMNS: Final = (
    "id",
    "action_id",
    "action_type",
    "target_user_id",
    "target_username",
    "admin_user_id",
    "admin_username",
    "world",
    "room_id",
    "reason",
    "duration_hours",
    "created_at",
    "expires_at",
    "log_only",
    "effect",
    "prev_hash",
)
"""What the hash covers, in this order: every column but the hash itself."""

_OPTIONAL: Final = {
    "target_username": None,
    "admin_username": None,
    "room_id": None,
    "reason": None,
    "duration_hours": None,
    "expires_at": None,
    "log_only": 0,
    "effect": None,
}
_INSERT: Final = f"""
    INSERT INTO admin_actions ({", ".join(COLUMNS)}, hash) VALUES ({", ".join(f":{column}" for column in COLUMNS)}, :hash)
"""  # noqa: S608 - names of columns, none from outside
_ALL: Final = f"SELECT {', '.join(COLUMNS)}, hash FROM admin_actions ORDER BY id"  # noqa: S608
_HEAD: Final = "SELECT id, hash FROM admin_actions_head WHERE one = 1"
_MOVE_HEAD: Final = "UPDATE admin_actions_head SET id = ?, hash = ? WHERE one = 1"


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found. `rows` are those that were read, `head` is the hash of the last one ('' where there is none).

    `broken_id` is the id of the first row that is not as it was written, or is missing, and `problem` says what is wrong with
    it; both None where all is well. `noted_found` says whether a hash that was noted before is in the log.
    """

    rows: int
    head: str
    broken_id: int | None = None
    problem: str | None = None
    noted_found: bool = True


def hash_of(values: Sequence[Any]) -> str:
    """SHA-256, in hex, of the values of `COLUMNS` as canonical JSON: no white space, UTF-8, floats in their shortest form."""
    canonical = [{"bytes": value.hex()} if isinstance(value, bytes) else value for value in values]
    return hashlib.sha256(json.dumps(canonical, ensure_ascii=True, separators=(",", ":")).encode()).hexdigest()


def append_action(db: sqlite3.Connection, values: Mapping[str, Any]) -> int:
    """Add a row to the log, inside a transaction; its id. THE one way to write to it.

    `values` are by column, without `id`, `prev_hash` and `hash`; columns that may be null may be left out.
    """
    head_id, head_hash = db.execute(_HEAD).fetchone()
    row = {**_OPTIONAL, **values, "id": head_id + 1, "prev_hash": head_hash}
    if row["duration_hours"] is not None:
        row["duration_hours"] = float(row["duration_hours"])  # as the column gives it back
    row["hash"] = hash_of([row[column] for column in COLUMNS])
    db.execute(_INSERT, row)
    db.execute(_MOVE_HEAD, (row["id"], row["hash"]))
    return int(row["id"])


def verify(db: sqlite3.Connection, noted: str | None = None) -> Finding:
    """Read the whole log, inside one transaction. `noted` is a hash that somebody noted before, None where nobody did."""
    rows, previous = 0, ""
    noted_found = noted is None
    for *values, stored in db.execute(_ALL):
        problem = _problem(values, stored, rows + 1, previous)
        if problem is not None:
            return Finding(rows, previous, *problem, noted_found)
        rows, previous = rows + 1, stored
        noted_found = noted_found or stored == noted
    head = db.execute(_HEAD).fetchone()
    if head is None:
        return Finding(rows, previous, rows, "the record of where the log ends is missing", noted_found)
    if head[0] != rows:
        first = min(rows, head[0] if isinstance(head[0], int) else rows) + 1
        problem_text = "the log ends before it" if first > rows else "the record of where the log ends does not know it"
        return Finding(rows, previous, first, problem_text, noted_found)
    if head[1] != previous:
        return Finding(rows, previous, rows, "the record of where the log ends has another hash", noted_found)
    return Finding(rows, previous, noted_found=noted_found)


def _problem(values: Sequence[Any], stored: object, expected_id: int, previous: str) -> tuple[int, str] | None:
    row_id = values[0]
    if row_id != expected_id:
        # Ids follow each other without a hole: the first one that is not there was taken out, or has another id now.
        return expected_id, "is missing"
    if values[-1] != previous:
        return expected_id, "does not follow the row before"
    if stored != hash_of(values):
        return expected_id, "is not as it was written"
    return None
