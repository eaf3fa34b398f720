"""Quality and findings as rows."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from server.resources import schema_sql
from server.storage.database import Database
from server.storage.ledger import record
from server.storage.quality import Distribution, QualitySink
from server.storage.retention import IntervalRetention
from server.storage.spool_lines import decode, encode
from server.voice.events import HandChanged, LevelsContradicted, ParticipantLeft, QualityMeasured
from server.voice.ledger import LedgerEntry, LevelFinding, QualityPoint, QualityTotals, is_checkpoint
from server.voice.participant import EndReason

NOON = datetime(2026, 2, 13, 12, 0, 3, 250_000, UTC)
GOOD = QualityMeasured(
    room_id="lobby",
    session_id="s1",
    user_id="anna",
    quality="good",
    mos=4.0,
    rtt_ms=40.0,
    up_jitter_ms=2.0,
    up_loss_pct=0.5,
    down_jitter_ms=None,
    down_loss_pct=None,
    is_news=False,
)


class Desk:
    """The recorder and the clock of a sink."""

    def __init__(self) -> None:
        self.now_is = NOON
        self.entries: list[LedgerEntry] = []
        self.sink = QualitySink(self, self)

    def note(self, *entries: LedgerEntry) -> None:
        self.entries += entries

    def now(self) -> datetime:
        return self.now_is

    def monotonic(self) -> float:
        return 0.0

    def measure(self, after_seconds: float = 3.0, **changes: Any) -> None:
        self.sink.emit(replace(GOOD, **changes))
        self.now_is += timedelta(seconds=after_seconds)

    def leave(self) -> None:
        self.sink.emit(ParticipantLeft("lobby", "s1", "anna", EndReason.LEFT))

    def of(self, kind: type[Any]) -> list[Any]:
        return [entry for entry in self.entries if isinstance(entry, kind)]


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def db() -> Iterator[sqlite3.Connection]:
    db = sqlite3.connect(":memory:", isolation_level=None)
    db.executescript(schema_sql())
    db.execute("PRAGMA foreign_keys = ON")
    db.execute(
        "INSERT INTO voice_sessions (session_id, room_id, user_id, username, world, joined_at) VALUES (?, ?, ?, ?, ?, ?)",
        ("s1", "lobby", "anna", "Anna", "materie", "2026-02-13T12:00:00.000Z"),
    )
    yield db
    db.close()


def test_a_point_is_the_mean_of_ten_seconds_and_the_worst_word(desk: Desk) -> None:
    desk.measure(mos=4.0, up_loss_pct=0.0)
    desk.measure(mos=3.0, up_loss_pct=10.0, quality="poor", rtt_ms=60.0)
    assert desk.entries == []
    desk.measure(after_seconds=5)  # 12:00:09
    desk.measure()  # 12:00:14
    [point] = desk.of(QualityPoint)
    assert point.at == NOON.replace(second=0, microsecond=0)
    assert (point.quality, point.mos, point.rtt_ms) == ("poor", pytest.approx(3.67, abs=0.01), pytest.approx(46.67, abs=0.01))
    assert (point.up_loss_pct, point.down_loss_pct) == (pytest.approx(3.5), None)


def test_what_is_left_is_written_when_the_stay_ends(desk: Desk) -> None:
    desk.measure()
    desk.leave()
    assert [type(entry) for entry in desk.entries] == [QualityPoint, QualityTotals]
    desk.leave()
    assert len(desk.entries) == 2


def test_totals_are_percentiles_over_the_whole_stay(desk: Desk) -> None:
    for n in range(100):
        desk.measure(mos=4.4 if n != 50 else 1.5, rtt_ms=float(n + 1), up_loss_pct=20.0 if n >= 90 else 0.0)
    desk.leave()
    totals = desk.of(QualityTotals)[-1]
    assert (totals.mos_p50, totals.mos_p95, totals.mos_worst) == (4.4, 4.4, 1.5)
    assert (totals.rtt_p50_ms, totals.rtt_p95_ms, totals.rtt_worst_ms) == (50.0, 95.0, 100.0)
    assert (totals.loss_p50_pct, totals.loss_p95_pct, totals.loss_worst_pct) == (0.0, 20.0, 20.0)
    assert (totals.jitter_p50_ms, totals.jitter_worst_ms) == (2.0, 2.0)


def test_a_distribution_keeps_few_values_however_many_come() -> None:
    distribution = Distribution()
    for n in range(50_000):
        distribution.add(n / 7)
    assert len(distribution._counts) < 5_000
    assert distribution.percentile(50) == pytest.approx(50_000 / 14, rel=0.01)
    assert distribution.percentile(0) == 0.0
    assert Distribution().percentile(50) is None


def test_rows_hold_what_was_noted(desk: Desk, db: sqlite3.Connection) -> None:
    for _ in range(5):
        desk.measure()
    desk.sink.emit(LevelsContradicted("lobby", "s1", "anna", "loud_over_silence"))
    desk.sink.emit(HandChanged("lobby", "s1", "anna", True))
    desk.leave()
    assert record(db, desk.entries) == 0
    assert record(db, desk.entries) == 0, "twice does no harm"
    rows = db.execute("SELECT at, quality, mos, rtt_ms, up_loss_pct, down_loss_pct FROM quality_series").fetchall()
    assert rows == [
        ("2026-02-13T12:00:00.000Z", "good", 4.0, 40.0, 0.5, None),
        ("2026-02-13T12:00:10.000Z", "good", 4.0, 40.0, 0.5, None),
    ]
    [row] = db.execute(
        "SELECT mos_p50, mos_worst, rtt_p95_ms, jitter_p50_ms, loss_worst_pct, level_contradiction, contradicted_at "
        "FROM voice_sessions"
    ).fetchall()
    assert row == (4.0, 4.0, 40.0, 2.0, 0.5, "loud_over_silence", "2026-02-13T12:00:18.250Z")


def test_the_first_finding_stays(db: sqlite3.Connection) -> None:
    first = LevelFinding("s1", NOON, "loud_over_silence")
    assert record(db, [first, replace(first, contradiction="silence_over_speech")]) == 0
    assert db.execute("SELECT level_contradiction FROM voice_sessions").fetchall() == [("loud_over_silence",)]


def test_a_session_that_is_not_there_has_no_rows(desk: Desk, db: sqlite3.Connection) -> None:
    desk.measure(session_id="nobody")
    desk.sink.emit(ParticipantLeft("lobby", "nobody", "x", EndReason.LEFT))
    assert record(db, desk.entries) == 0
    assert db.execute("SELECT count(*) FROM quality_series").fetchone() == (0,)


async def test_old_points_are_dropped_and_their_totals_stay(desk: Desk, database: Database) -> None:
    await database.write(
        lambda db: db.executemany(
            "INSERT INTO voice_sessions (session_id, room_id, user_id, username, world, joined_at, left_at) "
            "VALUES (?, 'lobby', ?, 'x', 'materie', '2026-02-13T12:00:00.000Z', ?)",
            [("s1", "anna", "2026-02-13T13:00:00.000Z"), ("s2", "ben", None)],
        )
    )
    for session_id in ("s1", "s2"):
        desk.measure(session_id=session_id)
        desk.sink.emit(ParticipantLeft("lobby", session_id, "x", EndReason.LEFT))
    await database.write(lambda db: record(db, desk.entries))
    desk.now_is += timedelta(days=2)
    assert await IntervalRetention(database, desk, keep_days=1).drop_old() == 1
    left = await database.read(lambda db: db.execute("SELECT session_id FROM quality_series").fetchall())
    assert left == [("s2",)], "a stay that is not over keeps its points"
    totals = await database.read(lambda db: db.execute("SELECT mos_p50 FROM voice_sessions ORDER BY session_id").fetchall())
    assert totals == [(4.0,), (4.0,)]


def test_entries_survive_the_spool(desk: Desk) -> None:
    desk.measure()
    desk.sink.emit(LevelsContradicted("lobby", "s1", "anna", "silence_over_speech"))
    desk.leave()
    assert [decode(encode(entry)) for entry in desk.entries] == desk.entries
    assert [is_checkpoint(entry) for entry in desk.entries] == [False, False, True]
