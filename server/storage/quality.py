"""How good each stay's connection was, kept: a point every ten seconds, the percentiles over all of it, and whether its levels
were found to be false. An event sink that gives the recorder entries to write.
"""

from __future__ import annotations

import math
import sqlite3
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final, Protocol

from server.storage.timestamps import to_text
from server.voice.clock import Clock, whole_ms
from server.voice.events import LevelsContradicted, ParticipantLeft, QualityMeasured, VoiceEvent
from server.voice.ledger import LedgerEntry, LevelFinding, QualityPoint, QualityTotals

__all__ = ["POINT_SECONDS", "Distribution", "QualitySink", "put_finding", "put_point", "put_totals"]

POINT_SECONDS: Final = 10
"""One row of the series stands for so long, from a round multiple of it on."""
SIGNIFICANT_DIGITS: Final = 3
"""Of a value in a distribution: so much is kept in memory of a stay, however long it lasts."""
_WORSE: Final = ("excellent", "good", "poor", "lost")


class Notes(Protocol):
    """Who takes entries to write: the recorder. Its queue is bounded."""

    def note(self, *entries: LedgerEntry) -> None: ...


class Distribution:
    """Values of one figure, each counted once. Percentiles are exact but for the rounding of values to three digits."""

    def __init__(self) -> None:
        self._counts: Counter[float] = Counter()

    def add(self, value: float | None) -> None:
        """None is no value."""
        if value is not None:
            digits = SIGNIFICANT_DIGITS - 1 - math.floor(math.log10(abs(value))) if value else 0
            self._counts[round(value, max(digits, -SIGNIFICANT_DIGITS))] += 1

    def percentile(self, percent: float) -> float | None:
        """The smallest value that at least `percent` of all are not above (nearest rank); None where there is none."""
        rank = math.ceil(self._counts.total() * percent / 100)
        passed = 0
        for value in sorted(self._counts):
            passed += self._counts[value]
            if passed >= max(rank, 1):
                return value
        return None


class _Stay:
    """What is kept of one session. `at` is where its open point begins."""

    def __init__(self, at: datetime) -> None:
        self.mos = Distribution()
        self.rtt_ms = Distribution()
        self.jitter_ms = Distribution()
        self.loss_pct = Distribution()
        self.begin(at)

    def begin(self, at: datetime) -> None:
        self.at = at
        self.events: list[QualityMeasured] = []

    def add(self, event: QualityMeasured) -> None:
        self.events.append(event)
        self.mos.add(event.mos)
        self.rtt_ms.add(event.rtt_ms)
        self.jitter_ms.add(event.jitter_ms)
        self.loss_pct.add(event.loss_pct)

    def point(self, session_id: str) -> QualityPoint:
        """Means of what was measured, and the worst word."""
        return QualityPoint(
            session_id=session_id,
            at=self.at,
            quality=max((event.quality for event in self.events), key=_WORSE.index),
            mos=_mean(event.mos for event in self.events) or 1.0,
            rtt_ms=_mean(event.rtt_ms for event in self.events),
            up_jitter_ms=_mean(event.up_jitter_ms for event in self.events),
            up_loss_pct=_mean(event.up_loss_pct for event in self.events),
            down_jitter_ms=_mean(event.down_jitter_ms for event in self.events),
            down_loss_pct=_mean(event.down_loss_pct for event in self.events),
        )

    def totals(self, session_id: str) -> QualityTotals:
        return QualityTotals(
            session_id=session_id,
            mos_p50=self.mos.percentile(50) or 1.0,
            mos_p95=self.mos.percentile(5) or 1.0,
            mos_worst=self.mos.percentile(0) or 1.0,
            rtt_p50_ms=self.rtt_ms.percentile(50),
            rtt_p95_ms=self.rtt_ms.percentile(95),
            rtt_worst_ms=self.rtt_ms.percentile(100),
            jitter_p50_ms=self.jitter_ms.percentile(50),
            jitter_p95_ms=self.jitter_ms.percentile(95),
            jitter_worst_ms=self.jitter_ms.percentile(100),
            loss_p50_pct=self.loss_pct.percentile(50),
            loss_p95_pct=self.loss_pct.percentile(95),
            loss_worst_pct=self.loss_pct.percentile(100),
        )


class QualitySink:
    """Implements `EventSink`. A stay's open point is written when the next one begins, or the stay ends; should the process die,
    ten seconds are lost."""

    def __init__(self, notes: Notes, clock: Clock) -> None:
        self._notes = notes
        self._clock = clock
        self._stays: dict[str, _Stay] = {}
        self._routes: Mapping[type[Any], Callable[[Any], None]] = MappingProxyType(
            {QualityMeasured: self._measured, LevelsContradicted: self._contradicted, ParticipantLeft: self._left}
        )

    def emit(self, event: VoiceEvent) -> None:
        """See `EventSink.emit`."""
        route = self._routes.get(type(event))
        if route is not None:
            route(event)

    def _measured(self, event: QualityMeasured) -> None:
        at = _beginning_of_point(self._clock.now())
        stay = self._stays.get(event.session_id)
        if stay is None:
            stay = self._stays[event.session_id] = _Stay(at)
        elif stay.at != at:
            self._write(event.session_id, stay)
            stay.begin(at)
        stay.add(event)

    def _left(self, event: ParticipantLeft) -> None:
        stay = self._stays.pop(event.session_id, None)
        if stay is not None:
            self._write(event.session_id, stay)

    def _write(self, session_id: str, stay: _Stay) -> None:
        if stay.events:
            self._notes.note(stay.point(session_id), stay.totals(session_id))

    def _contradicted(self, event: LevelsContradicted) -> None:
        self._notes.note(LevelFinding(event.session_id, whole_ms(self._clock.now()), event.contradiction))


def _beginning_of_point(now: datetime) -> datetime:
    return now.replace(microsecond=0) - timedelta(seconds=now.second % POINT_SECONDS)


def _mean(values: Any) -> float | None:
    known = [value for value in values if value is not None]
    return round(sum(known) / len(known), 2) if known else None


# rows; inside a transaction of `Database`, in its thread

_COLUMNS_OF_POINT: Final = "quality, mos, rtt_ms, up_jitter_ms, up_loss_pct, down_jitter_ms, down_loss_pct"
_POINT: Final = f"""
    INSERT INTO quality_series (session_id, at, {_COLUMNS_OF_POINT})
    SELECT session_id, ?, ?, ?, ?, ?, ?, ?, ? FROM voice_sessions WHERE session_id = ?
    ON CONFLICT (session_id, at) DO NOTHING
"""  # noqa: S608 - constants
_COLUMNS_OF_TOTALS: Final = (
    "mos_p50, mos_p95, mos_worst, rtt_p50_ms, rtt_p95_ms, rtt_worst_ms, "
    "jitter_p50_ms, jitter_p95_ms, jitter_worst_ms, loss_p50_pct, loss_p95_pct, loss_worst_pct"
)
_TOTALS: Final = f"UPDATE voice_sessions SET ({_COLUMNS_OF_TOTALS}) = (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) WHERE session_id = ?"  # noqa: S608
_FINDING: Final = """
    UPDATE voice_sessions SET level_contradiction = ?, contradicted_at = ? WHERE session_id = ? AND level_contradiction IS NULL
"""


def put_point(db: sqlite3.Connection, point: QualityPoint) -> None:
    """One row of the series. One that is there stays."""
    figures = (point.rtt_ms, point.up_jitter_ms, point.up_loss_pct, point.down_jitter_ms, point.down_loss_pct)
    db.execute(_POINT, (to_text(point.at), point.quality, point.mos, *figures, point.session_id))


def put_totals(db: sqlite3.Connection, totals: QualityTotals) -> None:
    """The percentiles up to now."""
    names = _COLUMNS_OF_TOTALS.split(", ")
    db.execute(_TOTALS, (*(getattr(totals, name) for name in names), totals.session_id))


def put_finding(db: sqlite3.Connection, finding: LevelFinding) -> None:
    """The first finding of a session stays."""
    db.execute(_FINDING, (finding.contradiction, to_text(finding.at), finding.session_id))
