from __future__ import annotations

import sqlite3
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from server.errors import AlreadyInRoom, Banned, InvalidRequest, RoomFull
from server.storage.audit import append_action
from server.storage.bans import refuse_banned
from server.storage.database import Database
from server.storage.ledger import whole_seconds
from server.storage.sessions import SqliteSessionStore, insert_session, refuse_join
from server.storage.timestamps import to_text
from server.voice.ledger import SpeakingInterval
from server.voice.participant import EndReason, Role
from server.voice.ports import NewSession, SessionMark, SessionSummary, StoredSession

NOW = datetime(2026, 2, 13, 17, 30, 0, 123000, tzinfo=UTC)


@pytest.fixture
def store(database: Database) -> SqliteSessionStore:
    return SqliteSessionStore(database, now=lambda: NOW)


def new(session: str = "s1", user: str = "anna", room: str = "lobby", world: str = "materie") -> NewSession:
    return NewSession(session, room, user, user.title(), world, None, Role.USER, NOW)


def end_of(opened: NewSession, duration_ms: int = 60_000, speaking_ms: int = 1500) -> SessionSummary:
    left_at = opened.joined_at + timedelta(milliseconds=duration_ms)
    return SessionSummary(
        opened.session_id,
        opened.room_id,
        opened.user_id,
        opened.world,
        opened.joined_at,
        left_at,
        duration_ms,
        speaking_ms,
        EndReason.KICKED,
    )


def spurt(session: str, seq: int, start_ms: int, end_ms: int, *, is_open: bool = False) -> SpeakingInterval:
    start, end = (NOW + timedelta(milliseconds=ms) for ms in (start_ms, end_ms))
    return SpeakingInterval(session, seq, start, end, peak_dbov=20, mean_dbov=30, is_open=is_open)


async def ban(database: Database, world: str, expires_at: datetime | None, reason: str = "spam", user: str = "anna") -> None:
    def work(db: sqlite3.Connection) -> None:
        action = str(uuid.uuid4())
        until = to_text(expires_at) if expires_at is not None else None
        logged = {"action_id": action, "action_type": "ban", "target_user_id": user, "admin_user_id": "root", "world": world}
        append_action(db, {**logged, "created_at": to_text(NOW)})
        db.execute("INSERT OR REPLACE INTO bans VALUES (?, ?, ?, ?, ?)", (user, world, action, reason, until))

    await database.write(work)


async def test_open_find_close_find(store: SqliteSessionStore) -> None:
    opened = NewSession("s1", "lobby", "anna", "Anna", "materie", "🦊", Role.MODERATOR, NOW)
    await store.open_session(opened, 10)
    expected = StoredSession(
        "s1",
        "lobby",
        "anna",
        "Anna",
        "materie",
        "🦊",
        Role.MODERATOR,
        NOW,
        NOW,
        left_at=None,
        duration_ms=None,
        speaking_ms=0,
        reason=None,
    )
    assert await store.find_session("s1") == expected
    summary = end_of(opened)
    await store.record([summary])
    closed = await store.find_session("s1")
    assert closed is not None
    assert (closed.left_at, closed.last_seen) == (summary.left_at, summary.left_at)
    assert (closed.duration_ms, closed.speaking_ms, closed.reason) == (60_000, 1500, EndReason.KICKED)
    assert await store.find_session("s2") is None
    await store.ping()


async def test_a_row_is_closed_once(store: SqliteSessionStore) -> None:
    await store.open_session(new(), 10)
    await store.record([end_of(new(), 1000, 10)])
    await store.record([end_of(new(), 2000, 20), end_of(new("unknown"))])
    await store.record([SessionMark("s1", NOW + timedelta(hours=1), 99)])
    row = await store.find_session("s1")
    assert row is not None
    assert (row.duration_ms, row.speaking_ms, row.last_seen) == (1000, 10, NOW + timedelta(seconds=1))


async def test_the_refusals_of_a_join_in_their_order(store: SqliteSessionStore, database: Database) -> None:
    await store.open_session(new(), 1)
    with pytest.raises(RoomFull):
        await store.open_session(new("s2", "bert"), 1)
    with pytest.raises(AlreadyInRoom) as duplicate:
        await store.open_session(new("s2"), 1)
    assert duplicate.value.details == {"session_id": "s1"}
    with pytest.raises(InvalidRequest):
        await store.open_session(new("s2", world="energie"), 1)
    await ban(database, "energie", None)
    with pytest.raises(Banned):
        await store.open_session(new("s2", world="energie"), 1)
    assert await store.find_session("s2") is None


async def test_the_index_finds_a_duplicate_that_the_check_missed(store: SqliteSessionStore, database: Database) -> None:
    await store.open_session(new(), 10)
    with pytest.raises(AlreadyInRoom) as duplicate:
        await database.write(lambda db: insert_session(db, new("s2")))
    assert duplicate.value.details == {"session_id": "s1"}
    assert await store.find_session("s2") is None


async def test_a_session_id_is_never_used_twice(store: SqliteSessionStore, database: Database) -> None:
    def users(db: sqlite3.Connection) -> list[Any]:
        return db.execute("SELECT user_id FROM users").fetchall()

    def work(db: sqlite3.Connection) -> None:
        with pytest.raises(sqlite3.IntegrityError):
            insert_session(db, new(room="attic", user="bert"))

    await store.open_session(new(), 10)
    await database.write(work)
    assert await database.read(users) == [("anna",)]


@pytest.mark.parametrize(
    ("world", "expires", "banned"),
    [
        ("materie", None, True),
        ("*", None, True),
        ("energie", None, False),
        ("materie", timedelta(milliseconds=1), True),
        ("materie", timedelta(0), False),
        ("*", timedelta(hours=-1), False),
    ],
)
async def test_bans_of_one_world_and_of_all_until_they_end(
    *, store: SqliteSessionStore, database: Database, world: str, expires: timedelta | None, banned: bool
) -> None:
    expires_at = NOW + expires if expires is not None else None
    await ban(database, world, expires_at)
    await store.open_session(new("s0", "bert"), 10)
    if not banned:
        await store.open_session(new(), 10)
        return
    with pytest.raises(Banned) as refusal:
        await store.open_session(new(), 10)
    assert refusal.value.details == {"reason": "spam", "expires_at": expires_at}


@pytest.mark.parametrize("everywhere", [None, timedelta(days=2)])
async def test_of_two_bans_the_longer_one_is_named(
    store: SqliteSessionStore, database: Database, everywhere: timedelta | None
) -> None:
    until = NOW + everywhere if everywhere is not None else None
    await ban(database, "materie", NOW + timedelta(days=1), reason="short")
    await ban(database, "*", until, reason="long")
    with pytest.raises(Banned) as refusal:
        await store.open_session(new(), 10)
    assert refusal.value.details == {"reason": "long", "expires_at": until}


async def test_after_a_crash_rows_end_at_the_last_mark(database: Database, path: Path) -> None:
    store = SqliteSessionStore(database, now=lambda: NOW)
    for session, user in (("marked", "anna"), ("silent", "bert"), ("done", "cleo"), ("spoke", "dora")):
        await store.open_session(new(session, user), 10)
    await store.record([end_of(new("done", "cleo"))])
    await store.record([SessionMark("marked", NOW + timedelta(seconds=61.5), 20_499), spurt("marked", 1, 40_001, 60_500)])
    await store.record([spurt("spoke", 1, 1000, 2000), spurt("spoke", 2, 3000, 4321)])
    await database.close()
    await database.open()
    recovered = {summary.session_id: summary for summary in await store.recover_open_sessions()}
    assert set(recovered) == {"marked", "silent", "spoke"}
    assert await store.recover_open_sessions() == ()
    marked, silent = await store.find_session("marked"), await store.find_session("silent")
    assert marked is not None
    assert silent is not None
    assert (marked.left_at, marked.duration_ms) == (NOW + timedelta(seconds=61.5), 61_500)
    assert (marked.speaking_ms, marked.reason) == (20_499, EndReason.CRASH_RECOVERY)
    assert (silent.left_at, silent.duration_ms, silent.reason) == (NOW, 0, EndReason.CRASH_RECOVERY)
    spoke = await store.find_session("spoke")
    assert spoke is not None
    assert (spoke.duration_ms, spoke.speaking_ms) == (4321, 2321), "speech is a sign of life, too"
    await store.open_session(new("again"), 10)


async def test_one_row_that_cannot_be_closed_does_not_hold_up_the_others(
    store: SqliteSessionStore, caplog: pytest.LogCaptureFixture
) -> None:
    await store.open_session(new("bad"), 10)
    await store.open_session(new("good", "bert"), 10)
    await store.record([end_of(new("bad"), -5, 0), end_of(new("good", "bert"))])
    bad, good = await store.find_session("bad"), await store.find_session("good")
    assert bad is not None
    assert good is not None
    assert (bad.left_at, good.reason) == (None, EndReason.KICKED)
    assert "bad" in caplog.text


@pytest.mark.parametrize(("ms", "seconds"), [(0, 0), (499, 0), (500, 1), (1499, 1), (2500, 3)])
def test_whole_seconds_are_rounded_halves_up(ms: int, seconds: int) -> None:
    assert whole_seconds(ms) == seconds


async def test_a_join_is_as_little_work_with_many_rows_stored(database: Database) -> None:
    def fill(db: sqlite3.Connection) -> None:
        left_at = to_text(NOW + timedelta(seconds=60))
        rows = [(f"old {n}", f"room {n % 50}", f"user {n % 999}", "U", "materie", to_text(NOW), left_at) for n in range(10_000)]
        db.executemany(
            "INSERT INTO voice_sessions (session_id, room_id, user_id, username, world, joined_at, left_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            rows,
        )

    def steps_of_a_join(db: sqlite3.Connection) -> int:
        """How many steps SQLite's machine makes: a measure of work that does not depend on the computer."""
        count = 0

        def step() -> int:
            nonlocal count
            count += 1
            return 0

        joining = new(str(uuid.uuid4()), room="room 1", user=str(uuid.uuid4()))
        db.set_progress_handler(step, 1)
        try:
            refuse_banned(db, joining.user_id, joining.world, NOW)
            refuse_join(db, joining, 10)
            insert_session(db, joining)
        finally:
            db.set_progress_handler(None, 0)
        return count

    await database.write(steps_of_a_join)
    empty = await database.write(steps_of_a_join)
    await database.write(fill)
    full = await database.write(steps_of_a_join)
    assert 0 < full <= empty + 20
