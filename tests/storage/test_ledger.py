"""Entries of the ledger as rows: written twice or late they are what they were, and sums are equal."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from server.storage.database import Database
from server.storage.retention import IntervalRetention
from server.storage.room_events import RoomEventSink
from server.storage.sessions import SqliteSessionStore
from server.voice.events import (
    ConnectionChanged,
    HandChanged,
    LevelsChanged,
    MediaStateChanged,
    MuteChanged,
    ParticipantJoined,
    ParticipantLeft,
    Removed,
    SpeakingChanged,
    Warned,
)
from server.voice.ledger import LedgerEntry, RoomEvent, RoomEventKind, SessionMark, SessionSummary, SpeakingInterval
from server.voice.participant import EndReason, MutedBy, Participant, Role
from server.voice.ports import NewSession
from tests.voice.fakes import FakeClock, ManualSleep

NOW = datetime(2026, 2, 13, 17, 30, 0, 123000, tzinfo=UTC)


@pytest.fixture
def store(database: Database) -> SqliteSessionStore:
    return SqliteSessionStore(database, now=lambda: NOW)


async def enter(store: SqliteSessionStore, session: str, room: str = "lobby") -> None:
    await store.open_session(NewSession(session, room, f"user of {session}", "U", "materie", None, Role.USER, NOW), 10)


def after(ms: int) -> datetime:
    return NOW + timedelta(milliseconds=ms)


def spurt(seq: int, start_ms: int, end_ms: int, *, session: str = "s1", is_open: bool = False) -> SpeakingInterval:
    return SpeakingInterval(session, seq, after(start_ms), after(end_ms), 20, 30, is_open=is_open)


def end(session: str = "s1", duration_ms: int = 60_000, speaking_ms: int = 0) -> SessionSummary:
    return SessionSummary(
        session, "lobby", f"user of {session}", "materie", NOW, after(duration_ms), duration_ms, speaking_ms, EndReason.LEFT
    )


def event(number: int, kind: RoomEventKind = RoomEventKind.MUTE, session: str = "s1", room: str = "lobby") -> RoomEvent:
    return RoomEvent(number, room, after(number), kind, session)


async def select(database: Database, sql: str) -> list[Any]:
    return await database.read(lambda db: db.execute(sql).fetchall())


async def test_an_interval_grows_and_is_one_row(store: SqliteSessionStore, database: Database) -> None:
    await enter(store, "s1")
    for grown in (spurt(1, 100, 300, is_open=True), spurt(1, 100, 800, is_open=True), spurt(1, 100, 950)):
        assert await store.record([grown]) == 0
    assert await store.record([spurt(2, 2000, 2500), spurt(2, 2000, 2500)]) == 0
    found = await select(database, "SELECT seq, started_at, ended_at, duration_ms, peak_dbov, mean_dbov FROM speaking_intervals")
    assert found == [
        (1, "2026-02-13T17:30:00.223Z", "2026-02-13T17:30:01.073Z", 850, 20, 30),
        (2, "2026-02-13T17:30:02.123Z", "2026-02-13T17:30:02.623Z", 500, 20, 30),
    ]


async def test_a_whole_spool_may_be_written_twice(store: SqliteSessionStore, database: Database) -> None:
    await enter(store, "s1")
    everything: list[LedgerEntry] = [
        event(1, RoomEventKind.JOIN),
        spurt(1, 0, 400, is_open=True),
        SessionMark("s1", after(500), 400),
        spurt(1, 0, 900),
        event(2, RoomEventKind.LEAVE),
        end(speaking_ms=900),
    ]
    tables = ("voice_sessions", "speaking_intervals", "room_events")
    await store.record(everything)
    once = [await select(database, f"SELECT * FROM {table}") for table in tables]
    assert [len(rows) for rows in once] == [1, 1, 2]
    for half in (everything[:3], everything):
        await store.record(half)
    await store.record(everything)
    assert [await select(database, f"SELECT * FROM {table}") for table in tables] == once


async def test_what_can_never_be_written_is_left_out_and_counted(
    store: SqliteSessionStore, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    await enter(store, "s1")
    huge = RoomEvent(2**63, "lobby", NOW, RoomEventKind.WARN, "s1")
    bad: list[LedgerEntry] = [spurt(1, 500, 500), huge, event(7, session="s1\ud800"), end(duration_ms=-5)]
    assert await store.record([*bad, spurt(2, 600, 700)]) == 4
    assert await select(database, "SELECT seq FROM speaking_intervals") == [(2,)]
    assert "never be written" in caplog.text


async def test_sessions_that_nobody_knows_take_nothing(store: SqliteSessionStore, database: Database) -> None:
    assert await store.record([spurt(1, 0, 100), SessionMark("s1", NOW, 0), end()]) == 0
    assert await select(database, "SELECT * FROM speaking_intervals") == []


async def test_stays_and_events_are_numbered_room_by_room_and_no_number_is_given_twice(
    store: SqliteSessionStore, database: Database
) -> None:
    for session, room in (("s1", "lobby"), ("s2", "lobby"), ("s3", "attic")):
        await enter(store, session, room)
    await store.record([event(11), event(12, room="attic"), event(13)])
    await store.record([event(14), event(11)])
    await database.write(lambda db: db.execute("DELETE FROM room_events WHERE event_id = 14"))
    await store.record([event(15)])
    assert await select(database, "SELECT session_id, room_seq FROM voice_sessions ORDER BY id") == [
        ("s1", 1),
        ("s2", 2),
        ("s3", 1),
    ]
    assert await select(database, "SELECT room_id, seq, event_id FROM room_events ORDER BY 1, 2") == [
        ("attic", 1, 12),
        ("lobby", 1, 11),
        ("lobby", 2, 13),
        ("lobby", 4, 15),
    ]


async def test_after_a_crash_those_who_had_been_announced_leave_for_the_replay_too(
    store: SqliteSessionStore, database: Database
) -> None:
    for session in ("s1", "s2", "s3"):
        await enter(store, session)
    await store.record([event(1, RoomEventKind.JOIN), event(2, RoomEventKind.JOIN, "s2"), event(3, RoomEventKind.LEAVE, "s2")])
    await store.record([SessionMark("s1", after(5000), 0)])
    await store.recover_open_sessions()
    found = await select(database, "SELECT seq, at, kind, session_id, reason FROM room_events ORDER BY seq")
    assert found[3:] == [(4, "2026-02-13T17:30:05.123Z", "leave", "s1", "crash_recovery")]


class Notes:
    def __init__(self) -> None:
        self.all: list[LedgerEntry] = []

    def note(self, *entries: LedgerEntry) -> None:
        self.all += entries


def test_what_is_kept_of_what_happens() -> None:
    notes, clock = Notes(), FakeClock()
    ids = iter(range(100))
    sink = RoomEventSink(notes, clock, new_id=lambda: next(ids))
    who = ("lobby", "s1", "anna")
    anna = Participant("s1", "lobby", "anna", "Anna", "materie", None, Role.USER, NOW, 0.0)
    for happened in (
        ParticipantJoined(anna),
        SpeakingChanged(*who, True, 0.5),
        LevelsChanged("lobby", {"s1": 0.5}),
        MediaStateChanged("lobby", "s1", True, None),
        MediaStateChanged("lobby", "s1", False, "timeout"),
        MuteChanged(*who, True, MutedBy.MODERATOR, frozenset({MutedBy.MODERATOR})),
        MuteChanged(*who, False, MutedBy.MODERATOR, frozenset()),
        HandChanged(*who, True),
        HandChanged(*who, False),
        ConnectionChanged(*who, False),
        ConnectionChanged(*who, True),
        Warned(*who, "a1", "words", "root"),
        Removed(*who, EndReason.KICKED, "words", "root", None),
        Removed(*who, EndReason.BANNED, None, "root", None),
        ParticipantLeft(*who, EndReason.KICKED),
    ):
        clock.advance(0.0015)
        sink.emit(happened)
    kept = [entry for entry in notes.all if isinstance(entry, RoomEvent)]
    assert len(kept) == len(notes.all)
    assert [entry.event_id for entry in kept] == list(range(len(kept)))
    assert all(entry.at.microsecond % 1000 == 0 and (entry.room_id, entry.session_id) == ("lobby", "s1") for entry in kept)
    assert [(entry.kind.value, entry.by, entry.reason) for entry in kept] == [
        ("join", None, None),
        ("media_connected", None, None),
        ("media_lost", None, "timeout"),
        ("mute", "moderator", None),
        ("unmute", "moderator", None),
        ("hand_raised", "self", None),
        ("hand_lowered", "self", None),
        ("detached", None, None),
        ("attached", None, None),
        ("warn", "root", None),
        ("kick", "root", None),
        ("ban", "root", None),
        ("leave", None, "kicked"),
    ]


# --- retention ----------------------------------------------------------------------------------------------------


async def with_intervals(store: SqliteSessionStore) -> None:
    for session in ("s1", "s2", "open"):
        await enter(store, session)
    await store.record([spurt(n, 1000 * n, 1000 * n + 500) for n in range(1, 26)])
    await store.record([spurt(1, 0, 86_400_000, session="s2"), spurt(1, 0, 500, session="open")])
    await store.record([end(duration_ms=100_000, speaking_ms=12_500), end("s2", 90_000_000, 86_400_000)])


async def test_old_intervals_go_in_small_batches_and_sums_stay(store: SqliteSessionStore, database: Database) -> None:
    await with_intervals(store)
    pauses: list[float] = []

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    clock = FakeClock()
    retention = IntervalRetention(database, clock, keep_days=1, batch=10, sleep=sleep)
    clock.advance(86_400 + 15)
    assert await retention.drop_old() == 15
    assert len(pauses) == 1
    clock.advance(3600)
    assert await retention.drop_old() == 11
    assert await select(database, "SELECT session_id, seq FROM speaking_intervals") == [("open", 1)], (
        "of what goes on nothing goes"
    )
    assert await select(database, "SELECT speaking_ms FROM voice_sessions ORDER BY id") == [(12_500,), (86_400_000,), (0,)]
    assert await retention.drop_old() == 0


async def test_the_job_looks_every_hour_and_survives_a_locked_database(
    store: SqliteSessionStore, database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await with_intervals(store)
    clock, sleep = FakeClock(), ManualSleep()
    retention = IntervalRetention(database, clock, keep_days=1, sleep=sleep)
    retention.start()
    assert await sleep.next() == 3600
    clock.advance(2 * 86_400)

    def locked(_: sqlite3.Connection) -> int:
        raise sqlite3.OperationalError("database is locked")

    with monkeypatch.context() as patch:
        real = database.write
        patch.setattr(database, "write", lambda work: real(locked))
        sleep.wake()
        assert await sleep.next() == 3600
    assert "locked" in caplog.text
    sleep.wake()
    assert await sleep.next() == 3600
    assert await select(database, "SELECT count(*) FROM speaking_intervals") == [(1,)]
    await retention.stop()
    await retention.stop()


async def test_without_a_term_everything_is_kept(database: Database) -> None:
    retention = IntervalRetention(database, FakeClock(), keep_days=0)
    retention.start()
    await retention.stop()
