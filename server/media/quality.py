"""How good a connection is, in one figure and four words: the E-model of ITU-T G.107, simplified.

`R = 93.2 - Id - Ie,eff`: 93.2 is what is left of 100 with all other defaults of G.107. `Id = 0.024 d + 0.11 (d - 177.3) H(d -
177.3)` is the fit to its delay impairment by Cole and Rosenbluth (Voice over IP Performance Monitoring, 2001), `d` in ms from
mouth to ear. `Ie,eff = Ie + (95 - Ie) Ppl / (Ppl + Bpl)` for random loss of `Ppl` percent. Annex B makes a mean opinion score of
R. All of it is about one participant's connection to the server, in its worse direction; between two people two of them add
up.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

__all__ = ["Figures", "Grade", "LossWindow", "QualityTracker", "QualityView", "mean_opinion_score"]

BEST_R: Final = 93.2
OPUS_IMPAIRMENT: Final = 0.0
"""Ie: G.113 has no value for Opus; 0 is that of G.711, and Opus sounds no worse at the bit rates of speech."""
OPUS_LOSS_ROBUSTNESS: Final = 15.0
"""Bpl: between 19 (G.729A) and 4.3 (G.711 without concealment) in G.113, appendix I. It costs 24 of R at 5 % loss, close to the
5.3 a percent that LiveKit takes off its score for Opus with in-band FEC."""
CODEC_DELAY_MS: Final = 26.5
"""One packet of 20 ms, and 6.5 ms that Opus looks ahead (RFC 6716, section 2)."""
JITTER_BUFFER_FACTOR: Final = 2.0
"""A receiver's buffer holds about twice the jitter."""

EXCELLENT_MOS: Final = 4.03
"""R of 80: users satisfied (G.107, annex B, table B.1)."""
GOOD_MOS: Final = 3.1
"""R of 60: above it fewer than half would call it poor."""
UPGRADE_MARGIN_MOS: Final = 0.1
"""So much above its bound a connection must be to be called better than before."""
FALL_WEIGHT: Final = 0.8
RISE_WEIGHT: Final = 0.4
"""Weights of the newest score: trouble shows at once, and must be over for a while before it is forgotten."""
LOST_AFTER_SECONDS: Final = 6.5
"""Silence on the wire for so long: a client checks for consent every 4 to 6 s (RFC 7675, section 5.1)."""
LOSS_WINDOW_SECONDS: Final = 8.0
"""Loss is told of so long a span: 400 packets, so that one of them is a quarter of a percent."""

TOLD_MOS_STEP: Final = 0.1
TOLD_LOSS_STEP_PCT: Final = 1.0
TOLD_DELAY_STEP_MS: Final = 20.0
TOLD_DELAY_STEP_SHARE: Final = 0.2
"""Smaller changes than these are not told."""


class Grade(StrEnum):
    """For people. LOST: nothing has come for a while."""

    EXCELLENT = "excellent"
    GOOD = "good"
    POOR = "poor"
    LOST = "lost"


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured lately. Up is from the client to here. Jitter and round trip in ms, loss in percent; None where nothing
    was there to measure."""

    rtt_ms: float | None = None
    up_jitter_ms: float | None = None
    up_loss_pct: float | None = None
    down_jitter_ms: float | None = None
    down_loss_pct: float | None = None

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to judge by."""
        return self.rtt_ms is None and self.up_loss_pct is None and self.down_loss_pct is None

    @property
    def jitter_ms(self) -> float | None:
        """Of the worse direction."""
        return max((j for j in (self.up_jitter_ms, self.down_jitter_ms) if j is not None), default=None)

    @property
    def loss_pct(self) -> float | None:
        """Of the worse direction."""
        return max((loss for loss in (self.up_loss_pct, self.down_loss_pct) if loss is not None), default=None)


@dataclass(frozen=True, slots=True)
class QualityView:
    """What is told. `quality` is a `Grade`'s value, `mos` 1.0 to 4.5; `is_news` where it differs enough from what was told."""

    quality: str
    mos: float
    figures: Figures
    is_news: bool


def mean_opinion_score(rtt_ms: float, jitter_ms: float, loss_pct: float) -> float:
    """1.0 to 4.5 for one direction of a connection with this round trip, jitter and loss (0 to 100 percent)."""
    delay = rtt_ms / 2 + JITTER_BUFFER_FACTOR * jitter_ms + CODEC_DELAY_MS
    delay_impairment = 0.024 * delay + 0.11 * max(0.0, delay - 177.3)
    loss_impairment = OPUS_IMPAIRMENT + (95 - OPUS_IMPAIRMENT) * loss_pct / (loss_pct + OPUS_LOSS_ROBUSTNESS)
    rating = max(0.0, min(BEST_R - delay_impairment - loss_impairment, 100.0))
    return max(1.0, 1 + 0.035 * rating + rating * (rating - 60) * (100 - rating) * 7e-6)


def score(figures: Figures) -> float:
    """Of the worse direction. A round trip that is not known counts as none."""
    rtt = figures.rtt_ms or 0.0
    return min(
        mean_opinion_score(rtt, figures.up_jitter_ms or 0.0, figures.up_loss_pct or 0.0),
        mean_opinion_score(rtt, figures.down_jitter_ms or 0.0, figures.down_loss_pct or 0.0),
    )


class LossWindow:
    """Loss of the last `LOSS_WINDOW_SECONDS` from two counters that only grow."""

    __slots__ = ("_marks",)

    def __init__(self) -> None:
        self._marks: deque[tuple[float, int, int]] = deque(maxlen=64)

    def percent(self, now: float, expected: int, lost: int) -> float | None:
        """`expected` and `lost` are totals at `now`; None where nothing was expected in the window."""
        marks = self._marks
        marks.append((now, expected, lost))
        while len(marks) > 1 and marks[1][0] <= now - LOSS_WINDOW_SECONDS:
            marks.popleft()
        _, expected_before, lost_before = marks[0]
        if expected <= expected_before:
            return None
        return max(0.0, min(100.0, 100.0 * (lost - lost_before) / (expected - expected_before)))


class QualityTracker:
    """The score of one connection over time: falls fast, rises slowly."""

    __slots__ = ("_grade", "_mos", "_told")

    def __init__(self) -> None:
        self._mos: float | None = None
        self._grade: Grade | None = None
        self._told: QualityView | None = None

    def update(self, figures: Figures, silent_seconds: float) -> QualityView | None:
        """The quality after new `figures`, `silent_seconds` after the last sign of life; None while nothing is known."""
        if silent_seconds >= LOST_AFTER_SECONDS:
            return self.lose(figures)
        if figures.is_empty and self._mos is None:
            return None
        newest = score(figures)
        if self._mos is None or self._grade is Grade.LOST:
            self._mos, self._grade = newest, _grade_of(newest)
        else:
            self._mos += (FALL_WEIGHT if newest < self._mos else RISE_WEIGHT) * (newest - self._mos)
            self._regrade()
        return self._view(figures)

    def lose(self, figures: Figures | None = None) -> QualityView:
        """The connection is gone, or says nothing any more."""
        self._mos, self._grade = 1.0, Grade.LOST
        return self._view(figures if figures is not None else Figures())

    def _regrade(self) -> None:
        assert self._mos is not None
        assert self._grade is not None
        order = (Grade.POOR, Grade.GOOD, Grade.EXCELLENT)
        lower = _grade_of(self._mos - UPGRADE_MARGIN_MOS)
        grade = _grade_of(self._mos)
        if order.index(grade) > order.index(self._grade):
            grade = max(lower, self._grade, key=order.index)
        self._grade = grade

    def _view(self, figures: Figures) -> QualityView:
        assert self._mos is not None
        assert self._grade is not None
        view = QualityView(self._grade.value, round(self._mos, 2), figures, is_news=False)
        if self._told is None or _differ(self._told, view):
            view = self._told = QualityView(view.quality, view.mos, figures, is_news=True)
        return view


def _grade_of(mos: float) -> Grade:
    if mos >= EXCELLENT_MOS:
        return Grade.EXCELLENT
    return Grade.GOOD if mos >= GOOD_MOS else Grade.POOR


def _differ(told: QualityView, view: QualityView) -> bool:
    before, after = told.figures, view.figures
    return (
        told.quality != view.quality
        or abs(told.mos - view.mos) >= TOLD_MOS_STEP
        or abs((before.loss_pct or 0.0) - (after.loss_pct or 0.0)) >= TOLD_LOSS_STEP_PCT
        or _delay_differs(before.rtt_ms, after.rtt_ms)
        or _delay_differs(before.jitter_ms, after.jitter_ms)
    )


def _delay_differs(before: float | None, after: float | None) -> bool:
    if before is None or after is None:
        return before is not after
    return abs(after - before) >= max(TOLD_DELAY_STEP_MS, TOLD_DELAY_STEP_SHARE * before)
