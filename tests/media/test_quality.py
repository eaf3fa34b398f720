"""Scores and grades of a connection."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.media.quality import LOST_AFTER_SECONDS, Figures, Grade, LossWindow, QualityTracker, QualityView, mean_opinion_score

PERFECT = Figures(rtt_ms=10.0, up_jitter_ms=0.5, up_loss_pct=0.0, down_jitter_ms=0.5, down_loss_pct=0.0)


def lossy(percent: float) -> Figures:
    return Figures(rtt_ms=10.0, up_jitter_ms=0.5, up_loss_pct=percent, down_jitter_ms=0.5, down_loss_pct=0.0)


@pytest.mark.parametrize(
    ("rtt_ms", "jitter_ms", "loss_pct", "mos"),
    [
        # by hand: d = 26.5, R = 93.2 - 0.636 = 92.564
        (0, 0, 0, 4.40),
        # d = 50 + 20 + 26.5 = 96.5, Id = 2.316, Ie = 95 * 2 / 17 = 11.176, R = 79.708
        (100, 10, 2, 4.02),
        # d = 300 + 40 + 26.5 = 366.5, Id = 8.796 + 20.812, R = 63.592
        (600, 20, 0, 3.28),
        (60, 5, 10, 2.76),
        (0, 0, 100, 1.04),
    ],
)
def test_the_e_model(rtt_ms: float, jitter_ms: float, loss_pct: float, mos: float) -> None:
    assert mean_opinion_score(rtt_ms, jitter_ms, loss_pct) == pytest.approx(mos, abs=0.01)


@given(st.floats(0, 3000), st.floats(0, 500), st.floats(0, 100), st.floats(0, 100))
def test_worse_figures_never_make_a_better_score(rtt: float, jitter: float, loss: float, more: float) -> None:
    score = mean_opinion_score(rtt, jitter, loss)
    assert 1.0 <= score <= 4.5
    tolerance = 0.01  # annex B's polynomial dips by less than that where nobody understands a word
    assert mean_opinion_score(rtt + more, jitter, loss) <= score + tolerance
    assert mean_opinion_score(rtt, jitter + more, loss) <= score + tolerance
    assert mean_opinion_score(rtt, jitter, min(100.0, loss + more)) <= score + tolerance


def view(tracker: QualityTracker, figures: Figures, silent: float = 0.0) -> QualityView:
    found = tracker.update(figures, silent)
    assert found is not None
    return found


def test_nothing_known_is_nothing_said() -> None:
    assert QualityTracker().update(Figures(), 0.0) is None
    assert QualityTracker().update(Figures(up_jitter_ms=1.0), 0.0) is None


def test_it_falls_fast_and_rises_slowly() -> None:
    tracker = QualityTracker()
    assert view(tracker, PERFECT).quality == "excellent"
    assert view(tracker, lossy(40)).quality == "poor"
    rising = [view(tracker, PERFECT).quality for _ in range(8)]
    assert rising[0] == "poor"
    assert rising[-1] == "excellent"
    assert rising == sorted(rising, key=["poor", "good", "excellent"].index)
    assert "good" in rising


def test_a_grade_does_not_flap_at_its_bound() -> None:
    tracker = QualityTracker()
    grades = {view(tracker, lossy(2.0 + 0.4 * (n % 2))).quality for n in range(40)}
    assert len(grades) <= 2
    last = [view(tracker, lossy(2.0 + 0.4 * (n % 2))).quality for n in range(20)]
    assert len(set(last)) == 1


def test_the_worse_direction_counts() -> None:
    up = view(QualityTracker(), lossy(10))
    down = view(QualityTracker(), Figures(rtt_ms=10.0, up_jitter_ms=0.5, up_loss_pct=0.0, down_jitter_ms=0.5, down_loss_pct=10.0))
    assert up.mos == down.mos < 3.1
    assert up.figures.loss_pct == down.figures.loss_pct == 10
    assert up.figures.jitter_ms == 0.5


def test_silence_on_the_wire_is_lost_and_coming_back_is_news() -> None:
    tracker = QualityTracker()
    view(tracker, PERFECT)
    lost = view(tracker, PERFECT, LOST_AFTER_SECONDS)
    assert (lost.quality, lost.mos, lost.is_news) == (Grade.LOST, 1.0, True)
    back = view(tracker, PERFECT)
    assert (back.quality, back.is_news) == ("excellent", True)


def test_only_what_changes_is_news() -> None:
    tracker = QualityTracker()
    assert view(tracker, PERFECT).is_news
    assert not any(view(tracker, PERFECT).is_news for _ in range(5))
    assert view(tracker, lossy(3)).is_news
    assert view(QualityTracker(), PERFECT).is_news
    slower = Figures(rtt_ms=45.0, up_jitter_ms=0.5, up_loss_pct=0.0, down_jitter_ms=0.5, down_loss_pct=0.0)
    tracker = QualityTracker()
    view(tracker, PERFECT)
    assert view(tracker, slower).is_news


def test_loss_is_that_of_the_last_eight_seconds() -> None:
    window = LossWindow()
    assert window.percent(0.0, 0, 0) is None
    assert window.percent(3.0, 150, 0) == 0.0
    assert window.percent(6.0, 300, 30) == pytest.approx(10.0)
    assert window.percent(9.0, 450, 30) == pytest.approx(100 * 30 / 450)
    assert window.percent(12.0, 600, 30) == pytest.approx(100 * 30 / 450)
    assert window.percent(15.0, 750, 30) == pytest.approx(0.0)
    assert window.percent(30.0, 750, 30) is None
