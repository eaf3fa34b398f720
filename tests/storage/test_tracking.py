"""What is reported about stays: kept, and never over what this server measured."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from server.errors import InvalidRequest, SessionAlreadyEnded, SessionNotFound
from server.storage.database import Database
from server.storage.queries_sessions import SessionRow, find_session
from server.storage.sessions import SqliteSessionStore
from server.storage.tracking import STALE_AFTER, ElsewhereSession, EndReport, Measured, StaleStays, TrackingStore
from server.voice.ledger import SessionSummary
from server.voice.participant import EndReason, Role
from server.voice.ports import NewSession

NOW = datetime(2026, 2, 13, 17, 30, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ELSEWHERE = ElsewhereSession("s1", "lobby", "anna", "Anna", "materie", NOW)
END = EndReport("s1", "lobby", "anna", NOW + 5 * MINUTE, 300, 42)


class Clock:
    def __init__(self) -> None:
        self.time = NOW

    def now(self) -> datetime:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tracking(database: Database, clock: Clock) -> TrackingStore:
    return TrackingStore(database, now=clock.now)


@pytest.fixture
def store(database: Database, clock: Clock) -> SqliteSessionStore:
    return SqliteSessionStore(database, now=clock.now)


async def row(database: Database, session_id: str = "s1") -> SessionRow:
    found = await database.read(lambda db: find_session(db, session_id))
    assert found is not None
    return found


async def calls(database: Database) -> list[Any]:
    return await database.read(
        lambda db: db.execute("SELECT room_id, duration_ms, total_sessions FROM calls ORDER BY started_at").fetchall()
    )


async def join(store: SqliteSessionStore, session_id: str = "s1") -> None:
    await store.open_session(NewSession(session_id, "lobby", "anna", "Anna", "materie", None, Role.USER, NOW), 10)


def left(minutes: int = 10) -> SessionSummary:
    at = NOW + minutes * MINUTE
    return SessionSummary("s1", "lobby", "anna", "materie", NOW, at, minutes * 60_000, 61_234, EndReason.LEFT)


async def test_a_call_elsewhere_is_kept_from_start_to_end(tracking: TrackingStore, database: Database) -> None:
    assert await tracking.start(ELSEWHERE)
    opened = await row(database)
    assert (opened.source, opened.joined_at, opened.left_at, opened.speaking_ms) == ("external", NOW, None, None)
    assert await tracking.end(END) == Measured(False, 300, None, 42, None)
    ended = await row(database)
    assert (ended.left_at, ended.duration_seconds, ended.speaking_seconds, ended.reason) == (NOW + 5 * MINUTE, 300, 42, "left")
    assert (ended.duration_ms, ended.speaking_ms, ended.report) == (None, None, None)
    assert await calls(database) == [("lobby", 300_000, 1)]
    users = await database.read(lambda db: db.execute("SELECT user_id, username, last_active FROM users").fetchall())
    assert users == [("anna", "Anna", "2026-02-13T17:35:00.000Z")]


async def test_starting_again_changes_nothing(tracking: TrackingStore, database: Database) -> None:
    assert await tracking.start(ELSEWHERE)
    before = await row(database)
    assert not await tracking.start(replace(ELSEWHERE, username="Somebody else", joined_at=NOW + MINUTE))
    assert await row(database) == before


async def test_a_session_of_a_join_is_known(tracking: TrackingStore, store: SqliteSessionStore, database: Database) -> None:
    await join(store)
    before = await row(database)
    assert not await tracking.start(replace(ELSEWHERE, joined_at=NOW - MINUTE))
    assert await row(database) == before


@pytest.mark.parametrize(("change", "field"), [({"room_id": "attic"}, "room_id"), ({"user_id": "ben"}, "user_id")])
async def test_a_report_of_another_stay_is_refused(tracking: TrackingStore, change: dict[str, Any], field: str) -> None:
    await tracking.start(ELSEWHERE)
    with pytest.raises(InvalidRequest) as refused:
        await tracking.start(replace(ELSEWHERE, **change))
    assert refused.value.details["field"] == field
    with pytest.raises(InvalidRequest) as refused:
        await tracking.end(replace(END, **change))
    assert refused.value.details["field"] == field


async def test_what_is_measured_here_is_not_touched(
    tracking: TrackingStore, store: SqliteSessionStore, database: Database
) -> None:
    await join(store)
    await store.record([left()])
    before = await row(database)
    stats = await tracking.end(replace(END, duration_seconds=9_000, speaking_seconds=8_000))
    assert stats == Measured(True, 600, 600_000, 61, 61_234)
    after = await row(database)
    assert replace(after, report=None) == before
    assert after.report is not None
    assert (after.report.left_at, after.report.duration_seconds, after.report.speaking_seconds) == (
        NOW + 5 * MINUTE,
        9_000,
        8_000,
    )


async def test_a_report_ends_nobodys_stay(
    tracking: TrackingStore, store: SqliteSessionStore, database: Database, clock: Clock
) -> None:
    await join(store)
    clock.time = NOW + 2 * MINUTE
    assert await tracking.end(END) == Measured(True, 120, 120_000, 0, 0)
    assert (await row(database)).left_at is None
    with pytest.raises(SessionAlreadyEnded) as refused:
        await tracking.end(END)
    assert refused.value.details == {"session_id": "s1", "left_at": NOW + 5 * MINUTE}
    await store.record([left()])
    assert (await row(database)).duration_ms == 600_000


async def test_ending_twice_is_refused(tracking: TrackingStore, store: SqliteSessionStore) -> None:
    await tracking.start(ELSEWHERE)
    await tracking.end(END)
    with pytest.raises(SessionAlreadyEnded) as refused:
        await tracking.end(replace(END, left_at=NOW + 9 * MINUTE))
    assert refused.value.details["left_at"] == NOW + 5 * MINUTE
    await store.open_session(NewSession("s2", "lobby", "ben", "Ben", "materie", None, Role.USER, NOW), 10)
    await store.record([replace(left(), session_id="s2", user_id="ben")])
    report = replace(END, session_id="s2", user_id="ben")
    await tracking.end(report)
    with pytest.raises(SessionAlreadyEnded) as refused:
        await tracking.end(report)
    assert refused.value.details["left_at"] == NOW + 10 * MINUTE


async def test_an_unknown_session_cannot_end(tracking: TrackingStore) -> None:
    with pytest.raises(SessionNotFound):
        await tracking.end(END)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"left_at": NOW - timedelta(milliseconds=1)}, "left_at"),
        ({"duration_seconds": 306}, "duration_seconds"),
    ],
)
async def test_impossible_values_are_refused(
    tracking: TrackingStore, database: Database, change: dict[str, Any], field: str
) -> None:
    await tracking.start(ELSEWHERE)
    with pytest.raises(InvalidRequest) as refused:
        await tracking.end(replace(END, **change))
    assert refused.value.details["field"] == field
    assert (await row(database)).left_at is None
    await tracking.end(replace(END, duration_seconds=305))


async def test_calls_elsewhere_take_no_place_here(tracking: TrackingStore, store: SqliteSessionStore, database: Database) -> None:
    await tracking.start(replace(ELSEWHERE, session_id="other"))
    await tracking.start(replace(ELSEWHERE, session_id="other too", world="energie"))
    await store.open_session(NewSession("s1", "lobby", "anna", "Anna", "materie", None, Role.USER, NOW), 1)
    recovered = await store.recover_open_sessions()
    assert [summary.session_id for summary in recovered] == ["s1"]
    assert (await row(database, "other")).left_at is None


async def test_a_stay_that_nobody_ends_is_closed_and_a_late_report_puts_it_right(
    tracking: TrackingStore, database: Database, clock: Clock
) -> None:
    await tracking.start(ELSEWHERE)
    await tracking.start(replace(ELSEWHERE, session_id="s2", user_id="ben"))
    clock.time = NOW + STALE_AFTER
    assert await tracking.close_stale() == 0
    await tracking.start(replace(ELSEWHERE, session_id="s2", user_id="ben"))  # heard of it again
    clock.time += timedelta(milliseconds=1)
    assert await tracking.close_stale() == 1
    closed = await row(database)
    assert (closed.left_at, closed.duration_ms, closed.reason) == (NOW, 0, "timeout")
    late = replace(END, left_at=NOW + 30 * MINUTE, duration_seconds=1800)
    assert await tracking.end(late) == Measured(False, 1800, None, 42, None)
    assert (await row(database)).left_at == NOW + 30 * MINUTE
    assert await calls(database) == []  # ben's stay goes on
    await tracking.end(replace(END, session_id="s2", user_id="ben"))
    assert await calls(database) == [("lobby", 1_800_000, 2)]
    with pytest.raises(SessionAlreadyEnded):
        await tracking.end(late)


async def test_a_late_report_lengthens_the_call_that_was_filed(tracking: TrackingStore, database: Database, clock: Clock) -> None:
    await tracking.start(ELSEWHERE)
    clock.time = NOW + 2 * STALE_AFTER
    await tracking.close_stale()
    assert await calls(database) == [("lobby", 0, 1)]
    await tracking.end(END)
    assert await calls(database) == [("lobby", 300_000, 1)]


async def test_stale_stays_are_looked_for_round_by_round(
    tracking: TrackingStore, database: Database, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    slept: asyncio.Queue[float] = asyncio.Queue(10)
    go_on = asyncio.Event()

    async def sleep(seconds: float) -> None:
        slept.put_nowait(seconds)
        await go_on.wait()
        go_on.clear()

    await tracking.start(ELSEWHERE)
    stale = StaleStays(tracking, sleep=sleep)
    stale.start()
    assert await slept.get() == 60
    clock.time = NOW + 2 * STALE_AFTER
    go_on.set()
    await slept.get()
    assert (await row(database)).reason == "timeout"
    assert "1 stays elsewhere were closed" in caplog.text
    await database.close()
    go_on.set()
    await slept.get()
    assert "could not be closed" in caplog.text
    await stale.stop()
    await stale.stop()
