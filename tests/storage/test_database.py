from __future__ import annotations

import asyncio
import inspect
import sqlite3
import threading
from pathlib import Path

import aiosqlite
import pytest

from server.errors import ConfigError
from server.storage.database import Database, WorkerConnection
from server.storage.migrations import VERSION
from server.voice.ports import StoreBusy, StoreError


def add_user(name: str) -> str:
    at = "2026-01-01T00:00:00.000Z"
    return f"INSERT INTO users (user_id, username, created_at, last_active) VALUES ('{name}', '{name}', '{at}', '{at}')"


def names(db: sqlite3.Connection) -> list[str]:
    return [name for (name,) in db.execute("SELECT user_id FROM users")]


async def test_a_new_file_is_made_with_its_folder(path: Path) -> None:
    database = Database(path)
    assert not path.parent.exists()
    await database.open()
    await database.ping()
    await database.close()


async def test_how_the_connections_are_set_up(database: Database) -> None:
    def pragmas(db: sqlite3.Connection) -> dict[str, object]:
        asked = ("journal_mode", "synchronous", "foreign_keys", "busy_timeout", "query_only", "user_version")
        return {name: db.execute(f"PRAGMA {name}").fetchone()[0] for name in asked}

    writer, reader = await database.write(pragmas), await database.read(pragmas)
    assert writer == {
        "journal_mode": "wal",
        "synchronous": 1,
        "foreign_keys": 1,
        "busy_timeout": 2000,
        "query_only": 0,
        "user_version": VERSION,
    }
    assert reader["query_only"] == 1
    with pytest.raises(StoreError, match="readonly"):
        await database.read(lambda db: db.execute(add_user("anna")))


async def test_writes_happen_in_the_order_of_the_calls(database: Database) -> None:
    done: list[int] = []
    await asyncio.gather(*(database.write(lambda _, number=number: done.append(number)) for number in range(100)))  # type: ignore[misc]
    assert done == list(range(100))


async def test_a_read_sees_every_write_before_it(database: Database) -> None:
    for number in range(20):
        await database.write(lambda db, number=number: db.execute(add_user(f"user {number}")))  # type: ignore[misc]
        assert len(await database.read(names)) == number + 1


async def test_work_that_raises_leaves_nothing(database: Database) -> None:
    def work(db: sqlite3.Connection) -> None:
        db.execute(add_user("anna"))
        raise LookupError("no")

    with pytest.raises(LookupError):
        await database.write(work)
    assert await database.write(names) == []


async def test_errors_of_sqlite_are_the_port_s(database: Database) -> None:
    with pytest.raises(StoreError, match="IntegrityError: CHECK constraint failed: role"):
        await database.write(
            lambda db: db.execute(
                "INSERT INTO users (user_id, username, role, created_at, last_active) VALUES ('a', 'a', 'king', '', '')"
            )
        )
    await database.write(lambda db: db.execute(add_user("anna")))


async def test_text_that_is_not_unicode_is_an_error_of_the_store(database: Database) -> None:
    with pytest.raises(StoreError, match="UnicodeEncodeError"):
        await database.read(lambda db: db.execute("SELECT ?", ("\ud800",)).fetchone())


async def test_a_caller_that_is_cancelled_does_not_stop_a_transaction_half_way(database: Database) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def work(db: sqlite3.Connection) -> None:
        db.execute(add_user("anna"))
        begun.set()
        assert go_on.wait(5)
        db.execute(add_user("bert"))

    writing = asyncio.create_task(database.write(work))
    assert await asyncio.to_thread(begun.wait, 5)
    writing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await writing
    go_on.set()
    assert await database.write(names) == ["anna", "bert"]


async def test_what_waits_is_bounded(path: Path) -> None:
    database = Database(path, max_waiting=2)
    await database.open()
    go_on = threading.Event()
    waiting = [asyncio.create_task(database.write(lambda _: go_on.wait(5))) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(StoreBusy):
        await database.write(names)
    assert await database.read(names) == []
    go_on.set()
    assert await asyncio.gather(*waiting) == [True, True]
    await database.write(names)
    await database.close()


async def test_another_program_s_lock_is_an_error_of_the_store(database: Database, path: Path) -> None:
    await database.write(lambda db: db.execute("PRAGMA busy_timeout = 1"))
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="locked"):
        await database.write(names)
    assert await database.read(names) == []
    other.execute("ROLLBACK")
    other.close()
    await database.write(names)


async def test_a_closed_database_answers_with_the_store_s_error(database: Database) -> None:
    await database.close()
    await database.close()
    with pytest.raises(StoreError):
        await database.ping()
    with pytest.raises(StoreError):
        await database.write(names)


async def test_closing_leaves_one_file(database: Database, path: Path) -> None:
    await database.write(lambda db: db.execute(add_user("anna")))
    await database.close()
    assert [file.name for file in path.parent.iterdir()] == ["voice.db"]


async def refusal(path: Path) -> str:
    with pytest.raises(ConfigError) as problem:
        await Database(path).open()
    return str(problem.value)


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "letter.txt"
    file.write_text("Dear Anna, " * 200)
    assert await refusal(file) == f"The database {file} (VOICE_DATABASE) cannot be used: file is not a database."
    assert file.read_text().startswith("Dear Anna")


async def test_a_folder_is_refused(tmp_path: Path) -> None:
    assert "unable to open database file" in await refusal(tmp_path)


async def test_a_newer_database_is_refused_with_a_clear_sentence(database: Database, path: Path) -> None:
    await database.write(lambda db: db.execute(f"PRAGMA user_version = {VERSION + 1}"))
    await database.close()
    assert await refusal(path) == (
        f"The database {path} (VOICE_DATABASE) cannot be used: "
        f"it has version {VERSION + 1}, made by a newer program; this one knows up to {VERSION}, so update it."
    )


async def test_another_program_s_database_is_refused_and_left_as_it_is(path: Path) -> None:
    path.parent.mkdir()
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE notes (text)")
    other.close()
    assert "tables of another program" in await refusal(path)
    other = sqlite3.connect(path)
    assert other.execute("SELECT name FROM sqlite_schema").fetchall() == [("notes",)]
    other.close()


async def test_an_existing_database_is_opened_as_it_is(database: Database, path: Path) -> None:
    await database.write(lambda db: db.execute(add_user("anna")))
    await database.close()
    await database.open()
    assert await database.read(names) == ["anna"]


@pytest.mark.parametrize("attempt", range(10))
async def test_several_that_start_at_once_make_one_schema(path: Path, attempt: int) -> None:
    databases = [Database(path) for _ in range(4)]
    await asyncio.gather(*(database.open() for database in databases))
    await asyncio.gather(*(database.ping() for database in databases))
    await asyncio.gather(*(database.close() for database in databases))


async def test_a_lock_that_stays_at_the_start_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("server.storage.database._BUSY_TIMEOUT_MS", 50)
    path.parent.mkdir()
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    assert "database is locked" in await refusal(path)
    other.execute("ROLLBACK")
    other.close()


async def test_what_is_private_of_aiosqlite_is_still_there() -> None:
    assert list(inspect.signature(aiosqlite.Connection._execute).parameters) == ["self", "fn", "args", "kwargs"]
    connection = WorkerConnection(lambda: sqlite3.connect(":memory:"), 64)
    _ = await connection
    try:
        here = threading.get_ident()
        assert await connection.run(lambda db: (db.execute("SELECT 7").fetchone()[0], threading.get_ident() == here)) == (
            7,
            False,
        )
    finally:
        await connection.close()
