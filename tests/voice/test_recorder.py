"""Nothing that is to be written is lost, and nobody waits for a disk that does not work."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

import pytest

from server.voice.ledger import LedgerEntry, SpeakingInterval, SpoolChunk, SpoolError
from server.voice.participant import EndReason
from server.voice.ports import Admission, NewSession, SessionMark, SessionStore, SessionSummary, StoredSession, StoreError
from server.voice.recorder import Recorder, RecorderState
from tests.voice.fakes import START, ManualSleep, until


class Rows:
    """A store that keeps what it is told, or fails with `problem`. `refuses` are never written."""

    def __init__(self) -> None:
        self.written: list[LedgerEntry] = []
        self.batches: list[int] = []
        self.problem: Exception | None = None
        self.refuses: set[LedgerEntry] = set()
        self.hold: asyncio.Event | None = None

    async def record(self, entries: Sequence[LedgerEntry]) -> int:
        if self.hold is not None:
            await self.hold.wait()
        if self.problem is not None:
            raise self.problem
        kept = [entry for entry in entries if entry not in self.refuses]
        self.written += kept
        self.batches.append(len(entries))
        return len(entries) - len(kept)

    async def open_session(self, new: NewSession, max_participants: int) -> Admission:
        raise NotImplementedError

    async def find_session(self, session_id: str) -> StoredSession | None:
        return None

    async def recover_open_sessions(self) -> tuple[SessionSummary, ...]:
        return ()

    async def ping(self) -> None: ...


class Tape:
    """A spool in memory, or one that fails with `problem`. It outlives recorders."""

    def __init__(self) -> None:
        self.entries: list[LedgerEntry] = []
        self.passed_over = 0
        self.damaged = 0
        self.problem: SpoolError | None = None
        self.fill = 0.0

    @property
    def waiting(self) -> int:
        return len(self.entries) - self.passed_over + self.damaged

    async def open(self) -> int:
        if self.problem is not None:
            raise self.problem
        self.passed_over = 0
        return self.waiting

    async def append(self, entries: Sequence[LedgerEntry]) -> None:
        if self.problem is not None:
            raise self.problem
        self.entries += entries

    async def read(self, count: int) -> SpoolChunk:
        if self.problem is not None:
            raise self.problem
        chunk = self.entries[self.passed_over : self.passed_over + count]
        return SpoolChunk(tuple(chunk), self.damaged, self.passed_over + len(chunk))

    async def passed(self, chunk: SpoolChunk) -> None:
        self.passed_over, self.damaged = chunk.end, 0
        if not self.waiting:
            self.entries, self.passed_over = [], 0

    async def close(self) -> None: ...


@pytest.fixture
def rows() -> Rows:
    return Rows()


@pytest.fixture
def tape() -> Tape:
    return Tape()


@pytest.fixture
def sleep() -> ManualSleep:
    return ManualSleep()


def make(rows: Rows, sleep: ManualSleep, tape: Tape | None, capacity: int = 100) -> Recorder:
    store: SessionStore = rows
    return Recorder(
        store,
        spool=tape,
        capacity=capacity,
        write_wait_seconds=0.01,
        first_retry_seconds=1,
        max_retry_seconds=3,
        sleep=sleep,
    )


@pytest.fixture
async def recorder(rows: Rows, tape: Tape, sleep: ManualSleep) -> AsyncIterator[Recorder]:
    recorder = make(rows, sleep, tape)
    await recorder.start()
    yield recorder
    await recorder.stop()


@pytest.fixture
async def without_spool(rows: Rows, sleep: ManualSleep) -> AsyncIterator[Recorder]:
    """Room for three entries."""
    recorder = make(rows, sleep, None, capacity=3)
    await recorder.start()
    yield recorder
    await recorder.stop()


def summary(session: str) -> SessionSummary:
    left_at = START + timedelta(seconds=1)
    return SessionSummary(session, "lobby", "anna", "materie", START, left_at, 1000, 0, EndReason.LEFT)


def mark(session: str, after: float) -> SessionMark:
    return SessionMark(session, START + timedelta(seconds=after), 0)


def interval(session: str, seq: int = 1, *, seconds: float = 1.0, is_open: bool = False) -> SpeakingInterval:
    return SpeakingInterval(session, seq, START, START + timedelta(seconds=seconds), 20, 30, is_open=is_open)


def status(recorder: Recorder) -> tuple[str | int, ...]:
    stats = recorder.stats()
    return tuple(stats[name] for name in ("status", "waiting", "spooled", "dropped"))


async def test_the_row_is_closed_when_close_returns(recorder: Recorder, rows: Rows) -> None:
    await recorder.close(summary("a"))
    assert rows.written == [summary("a")]
    assert recorder.unwritten_ends == 0
    assert recorder.find("a") is None


async def test_what_was_noted_is_written_in_one_batch_before_the_ends(recorder: Recorder, rows: Rows) -> None:
    recorder.note(interval("a", seconds=0.5, is_open=True), interval("b"))
    recorder.submit(summary("b"))
    recorder.note(interval("a"))
    assert await recorder.catch_up()
    assert rows.written == [interval("a"), interval("b"), summary("b")], "of the first only its newest form"
    assert rows.batches == [3]


async def test_a_long_queue_goes_in_several_transactions(rows: Rows, sleep: ManualSleep) -> None:
    recorder = make(rows, sleep, None, capacity=10_000)
    recorder.note(*(interval("a", seq) for seq in range(1, 1002)))
    assert await recorder.catch_up()
    assert rows.batches == [500, 500, 1]
    await recorder.stop()


async def test_a_failing_store_is_spooled_for_and_tried_again_with_growing_pauses(
    recorder: Recorder, rows: Rows, tape: Tape, sleep: ManualSleep
) -> None:
    rows.problem = StoreError("locked")
    await recorder.close(summary("a"))
    assert recorder.find("a") == summary("a")
    assert status(recorder) == ("spooling", 0, 1, 0)
    recorder.note(interval("b"))
    await recorder.write_soon()
    assert tape.entries == [summary("a"), interval("b")], "the store is left alone until the next try"
    for pause in (1, 2, 3, 3):
        assert await sleep.next() == pause
        sleep.wake()
    assert await sleep.next() == 3
    rows.problem = None
    sleep.wake()
    await until(lambda: recorder.state is RecorderState.WRITING)
    assert rows.written == [summary("a"), interval("b")]
    assert (tape.entries, recorder.unwritten_ends) == ([], 0)
    assert status(recorder) == ("ok", 0, 0, 0)
    rows.problem = StoreError("again")
    await recorder.close(summary("c"))
    assert await sleep.next() == 1


async def test_entries_are_spooled_while_the_store_takes_its_time_to_fail(recorder: Recorder, rows: Rows, tape: Tape) -> None:
    rows.problem = StoreError("locked")
    await recorder.close(summary("a"))
    rows.hold = asyncio.Event()
    retry = asyncio.create_task(recorder.catch_up())
    recorder.note(interval("b"))
    await recorder.write_soon()
    assert len(tape.entries) == 2
    rows.problem = None
    rows.hold.set()
    assert await retry
    assert rows.written == [summary("a"), interval("b")]


async def test_any_other_fault_of_the_store_is_survived_too(
    recorder: Recorder, rows: Rows, caplog: pytest.LogCaptureFixture
) -> None:
    rows.problem = ZeroDivisionError("a bug")
    await recorder.close(summary("a"))
    rows.problem = None
    assert await recorder.catch_up()
    assert rows.written == [summary("a")]
    assert "a bug" in caplog.text
    assert recorder.stats()["failures"] == 1


async def test_a_store_that_hangs_does_not_hold_the_caller(recorder: Recorder, rows: Rows) -> None:
    rows.hold = asyncio.Event()
    async with asyncio.timeout(5):
        await recorder.close(summary("a"))
    assert recorder.unwritten_ends == 1
    rows.hold.set()
    await recorder.flush()
    assert rows.written == [summary("a")]


async def test_without_store_and_spool_memory_holds_what_it_can(
    recorder: Recorder, rows: Rows, tape: Tape, sleep: ManualSleep
) -> None:
    rows.problem, tape.problem = StoreError("full"), SpoolError("full")
    await recorder.close(summary("a"))
    recorder.note(interval("b"))
    await recorder.write_soon()
    assert status(recorder) == ("holding", 2, 0, 0)
    tape.problem = None
    await sleep.next()
    sleep.wake()
    await until(lambda: recorder.state is RecorderState.SPOOLING)
    await recorder.write_soon()
    assert tape.entries == [interval("b"), summary("a")]
    rows.problem = None
    assert await recorder.catch_up()
    assert status(recorder) == ("ok", 0, 0, 0)


async def test_memory_is_bounded_and_what_is_dropped_counted(without_spool: Recorder, rows: Rows) -> None:
    rows.problem = StoreError("full")
    await without_spool.close(summary("a"))
    without_spool.note(interval("b"), interval("c"))
    without_spool.submit(summary("d"))
    assert status(without_spool) == ("holding", 3, 0, 1)
    for session in "efg":
        without_spool.submit(summary(session))
    rows.problem = None
    assert await without_spool.catch_up()
    assert rows.written == [summary(session) for session in "efg"], "what belongs to a stay goes before its end"
    assert status(without_spool) == ("ok", 0, 0, 4)


async def test_what_an_earlier_process_left_is_written_first(rows: Rows, tape: Tape, sleep: ManualSleep) -> None:
    rows.problem = StoreError("locked")
    earlier = make(rows, sleep, tape)
    await earlier.start()
    await earlier.close(summary("a"))
    earlier.note(interval("b"))
    await earlier.flush()
    earlier.note(interval("c"))
    await earlier.stop()
    later = make(rows, sleep, tape)
    with pytest.raises(StoreError):
        await later.start()
    rows.problem = None
    later = make(rows, sleep, tape)
    await later.start()
    assert rows.written == [summary("a"), interval("b"), interval("c")]
    assert status(later) == ("ok", 0, 0, 0)
    await later.stop()


async def test_a_stop_in_the_middle_of_writing_loses_nothing(rows: Rows, tape: Tape, sleep: ManualSleep) -> None:
    recorder = make(rows, sleep, tape)
    await recorder.start()
    rows.hold = asyncio.Event()
    recorder.submit(summary("a"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await recorder.stop()
    assert tape.entries == [summary("a")]


async def test_a_spool_that_cannot_be_opened_keeps_nobody_from_starting(
    rows: Rows, tape: Tape, sleep: ManualSleep, caplog: pytest.LogCaptureFixture
) -> None:
    tape.problem = SpoolError("no rights")
    recorder = make(rows, sleep, tape)
    await recorder.start()
    assert "no rights" in caplog.text
    await recorder.close(summary("a"))
    assert rows.written == [summary("a")]
    await recorder.stop()


async def test_what_cannot_be_read_or_never_be_written_is_counted(recorder: Recorder, rows: Rows, tape: Tape) -> None:
    rows.problem = StoreError("locked")
    recorder.note(interval("a"), interval("b"))
    await recorder.write_soon()
    tape.damaged = 2
    rows.refuses = {interval("a")}
    rows.problem = None
    assert await recorder.catch_up()
    assert rows.written == [interval("b")]
    assert status(recorder) == ("ok", 0, 0, 3)


async def test_a_spool_that_fills_up_takes_no_checkpoints(recorder: Recorder, rows: Rows, tape: Tape) -> None:
    rows.problem = StoreError("locked")
    tape.fill = 0.5
    recorder.note(interval("a", is_open=True), interval("b"), mark("c", 1))
    await recorder.write_soon()
    assert tape.entries == [interval("b")]
    assert status(recorder) == ("spooling", 0, 1, 0)


async def test_marks_are_written_once_a_second(recorder: Recorder, rows: Rows) -> None:
    for after in (0.0, 0.5, 1.0, 1.5, 2.0):
        recorder.mark([mark("a", after), mark("still", 0)])
        assert await recorder.catch_up()
    assert rows.written == [mark("a", 0), mark("still", 0), mark("a", 1), mark("a", 2)]


async def test_marks_of_those_who_left_are_forgotten(recorder: Recorder, rows: Rows) -> None:
    recorder.mark([mark("a", 0), mark("b", 0)])
    recorder.mark([mark("b", 0)])
    recorder.mark([mark("a", 0), mark("b", 0)])
    assert await recorder.catch_up()
    assert rows.written == [mark("a", 0), mark("b", 0)]
