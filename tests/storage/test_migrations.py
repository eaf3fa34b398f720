from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.resources import schema_sql
from server.storage.migrations import STEPS, VERSION, UnusableDatabase, migrate, version_of

SCHEMA_V1 = (Path(__file__).parent / "schema_v1.sql").read_text(encoding="utf-8")


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    db = sqlite3.connect(":memory:", isolation_level=None)
    yield db
    db.close()


def schema_of(db: sqlite3.Connection) -> dict[str, str]:
    """Every object's SQL, without comments and with white space as it does not matter."""
    schema = {}
    for name, sql in db.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL"):
        bare = re.sub(r"\s+", " ", re.sub(r"--[^\n]*", "", sql))
        schema[name] = re.sub(r" ?([(),]) ?", r"\1", bare).strip()
    return schema


def test_a_new_database_is_what_the_schema_says(db: sqlite3.Connection) -> None:
    migrate(db)
    by_hand = sqlite3.connect(":memory:", isolation_level=None)
    by_hand.executescript(schema_sql())
    assert schema_of(db) == schema_of(by_hand)
    assert version_of(db) == version_of(by_hand) == VERSION
    by_hand.close()


def test_the_first_version_is_brought_to_the_same_schema(db: sqlite3.Connection) -> None:
    db.executescript(SCHEMA_V1)
    assert version_of(db) == 1
    migrate(db)
    new = sqlite3.connect(":memory:", isolation_level=None)
    migrate(new)
    assert schema_of(db) == schema_of(new)
    assert version_of(db) == VERSION
    new.close()


def test_there_is_a_step_to_every_version() -> None:
    assert sorted(STEPS) == list(range(2, VERSION + 1))


def test_steps_are_taken_in_order_and_once(db: sqlite3.Connection) -> None:
    taken: list[int] = []
    steps = {number: lambda _, number=number: taken.append(number) for number in (2, 3, 4)}
    db.executescript(SCHEMA_V1)
    migrate(db, steps=steps, newest=3)
    migrate(db, steps=steps, newest=4)
    migrate(db, steps=steps, newest=4)
    assert taken == [2, 3, 4]
    assert version_of(db) == 4


def test_a_step_that_fails_leaves_the_version_before_it(db: sqlite3.Connection) -> None:
    def succeed(db: sqlite3.Connection) -> None:
        db.execute("CREATE TABLE whole (done)")

    def fail(db: sqlite3.Connection) -> None:
        db.execute("CREATE TABLE half (done)")
        db.execute("no SQL")

    db.executescript(SCHEMA_V1)
    with pytest.raises(sqlite3.OperationalError):
        migrate(db, steps={2: succeed, 3: fail}, newest=3)
    assert version_of(db) == 2
    assert "whole" in schema_of(db)
    assert "half" not in schema_of(db)


def test_a_schema_that_fails_leaves_nothing(db: sqlite3.Connection) -> None:
    with pytest.raises(sqlite3.OperationalError):
        migrate(db, schema="CREATE TABLE half (done);\nno SQL;\n")
    assert schema_of(db) == {}
    assert version_of(db) == 0


def test_newer_and_foreign_databases_are_refused(db: sqlite3.Connection) -> None:
    db.execute("CREATE TABLE notes (text)")
    with pytest.raises(UnusableDatabase, match="another program"):
        migrate(db)
    db.execute(f"PRAGMA user_version = {VERSION + 1}")
    with pytest.raises(UnusableDatabase, match="newer program"):
        migrate(db)
    assert set(schema_of(db)) == {"notes"}
