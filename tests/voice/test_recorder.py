from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

import pytest

from server.voice.participant import EndReason
from server.voice.ports import NewSession, SessionMark, SessionStore, SessionSummary, StoredSession, StoreError
from server.voice.recorder import Recorder
from tests.voice.fakes import START, ManualSleep, until


class Rows:
    """A store that keeps what it is told, or fails with `problem`."""

    def __init__(self) -> None:
        self.closed: list[str] = []
        self.rounds: list[list[str]] = []
        self.problem: Exception | None = None
        self.hold: asyncio.Event | None = None

    async def _gate(self) -> None:
        if self.hold is not None:
            await self.hold.wait()
        if self.problem is not None:
            raise self.problem

    async def open_session(self, new: NewSession, max_participants: int) -> None: ...

    async def close_sessions(self, summaries: Sequence[SessionSummary]) -> None:
        await self._gate()
        self.closed += [summary.session_id for summary in summaries]

    async def touch(self, marks: Sequence[SessionMark]) -> None:
        await self._gate()
        self.rounds.append([mark.session_id for mark in marks])

    async def find_session(self, session_id: str) -> StoredSession | None:
        return None

    async def recover_open_sessions(self) -> tuple[SessionSummary, ...]:
        return ()

    async def ping(self) -> None: ...


@pytest.fixture
def rows() -> Rows:
    return Rows()


@pytest.fixture
def sleep() -> ManualSleep:
    return ManualSleep()


@pytest.fixture
async def recorder(rows: Rows, sleep: ManualSleep) -> AsyncIterator[Recorder]:
    store: SessionStore = rows
    recorder = Recorder(store, capacity=3, write_wait_seconds=0.01, first_retry_seconds=1, max_retry_seconds=3, sleep=sleep)
    recorder.start()
    yield recorder
    await recorder.stop()


def summary(session: str) -> SessionSummary:
    left_at = START + timedelta(seconds=1)
    return SessionSummary(session, "lobby", "anna", "materie", START, left_at, 1000, 0, EndReason.LEFT)


def mark(session: str, after: float) -> SessionMark:
    return SessionMark(session, START + timedelta(seconds=after), 0)


async def test_the_row_is_closed_when_close_returns(recorder: Recorder, rows: Rows) -> None:
    await recorder.close(summary("a"))
    assert rows.closed == ["a"]
    assert recorder.unwritten == 0
    assert recorder.find("a") is None


async def test_a_failing_store_is_tried_again_with_growing_pauses(recorder: Recorder, rows: Rows, sleep: ManualSleep) -> None:
    rows.problem = StoreError("locked")
    await recorder.close(summary("a"))
    assert recorder.find("a") == summary("a")
    for pause in (1, 2, 3, 3):
        assert await sleep.next() == pause
        sleep.wake()
    assert await sleep.next() == 3
    rows.problem = None
    sleep.wake()
    await until(lambda: recorder.unwritten == 0)
    assert rows.closed == ["a"]
    rows.problem = StoreError("again")
    await recorder.close(summary("b"))
    assert await sleep.next() == 1


async def test_any_other_fault_of_the_store_is_survived_too(
    recorder: Recorder, rows: Rows, sleep: ManualSleep, caplog: pytest.LogCaptureFixture
) -> None:
    rows.problem = ZeroDivisionError("a bug")
    await recorder.close(summary("a"))
    recorder.mark([mark("b", 0)])
    assert await sleep.next() == 1
    assert recorder.unwritten == 1
    rows.problem = None
    assert await recorder.catch_up()
    assert rows.closed == ["a"]
    assert "a bug" in caplog.text


async def test_a_store_that_hangs_does_not_hold_the_caller(recorder: Recorder, rows: Rows) -> None:
    rows.hold = asyncio.Event()
    async with asyncio.timeout(5):
        await recorder.close(summary("a"))
    assert recorder.unwritten == 1
    rows.hold.set()
    await recorder.flush()
    assert rows.closed == ["a"]


async def test_what_waits_is_bounded_and_what_is_dropped_counted(recorder: Recorder, rows: Rows) -> None:
    rows.problem = StoreError("full")
    for session in "abcde":
        await recorder.close(summary(session))
    assert (recorder.unwritten, recorder.dropped) == (3, 2)
    rows.problem = None
    assert await recorder.catch_up()
    assert sorted(rows.closed) == ["c", "d", "e"]


async def test_marks_are_written_once_a_second(recorder: Recorder, rows: Rows) -> None:
    for after in (0.0, 0.5, 1.0, 1.5, 2.0):
        recorder.mark([mark("a", after), mark("still", 0)])
        await recorder.flush()
    assert rows.rounds == [["a", "still"], ["a"], ["a"]]
    assert recorder.last_mark("a") == mark("a", 2.0)


async def test_marks_of_those_who_left_are_forgotten(recorder: Recorder) -> None:
    recorder.mark([mark("a", 0), mark("b", 0)])
    await recorder.flush()
    recorder.mark([mark("b", 0)])
    assert recorder.last_mark("a") is None
    assert recorder.last_mark("b") is not None


async def test_a_round_of_marks_is_skipped_while_the_last_is_under_way(recorder: Recorder, rows: Rows) -> None:
    rows.hold = asyncio.Event()
    recorder.mark([mark("a", 0)])
    recorder.mark([mark("a", 5)])
    rows.hold.set()
    await recorder.flush()
    assert rows.rounds == [["a"]]


async def test_marks_that_failed_are_due_again(recorder: Recorder, rows: Rows) -> None:
    rows.problem = StoreError("locked")
    recorder.mark([mark("a", 0)])
    await recorder.flush()
    rows.problem = None
    recorder.mark([mark("a", 0)])
    await recorder.flush()
    assert rows.rounds == [["a"]]
    assert recorder.failed_marks == 1
