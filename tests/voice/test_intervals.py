"""Talk-spurts on the time line of a stay: exact, inside it, apart from each other."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.voice.intervals import IntervalBook, IntervalBooks
from server.voice.ledger import SpeakingInterval
from tests.voice.fakes import START

JOINED = 1000.0


@pytest.fixture
def book() -> IntervalBook:
    return IntervalBook("s", START, JOINED)


def report(book: IntervalBook, start: float, end: float, now: float, *, is_open: bool = False) -> None:
    """Seconds since the joining."""
    book.report(JOINED + start, JOINED + end, JOINED + now, peak_dbov=20, mean_dbov=30, is_open=is_open)


def laid(book: IntervalBook) -> list[tuple[int, int, int, bool]]:
    """What changed, as seq, start and end in ms since the joining, and whether it is open."""
    return [(i.seq, ms(i.started_at - START), ms(i.ended_at - START), i.is_open) for i in book.take_changed()]


def ms(time: timedelta) -> int:
    return time // timedelta(milliseconds=1)


def test_a_spurt_grows_and_is_closed(book: IntervalBook) -> None:
    report(book, 1.0, 1.2, 1.25, is_open=True)
    report(book, 1.0, 1.4, 1.45, is_open=True)
    assert (laid(book), book.total_ms) == ([(1, 1000, 1400, True)], 400)
    report(book, 1.0, 1.5, 1.9)
    report(book, 2.5, 3.0, 3.4)
    assert (laid(book), book.total_ms) == ([(1, 1000, 1500, False), (2, 2500, 3000, False)], 1000)
    assert laid(book) == []
    assert book.end == JOINED + 3.0


def test_where_it_began_is_never_moved_and_how_long_it_was_is_kept(book: IntervalBook) -> None:
    report(book, 1.0, 1.2, 1.3, is_open=True)
    report(book, 1.05, 1.65, 2.0)
    assert laid(book) == [(1, 1000, 1600, False)]


def test_one_that_seems_to_begin_before_the_last_has_ended_follows_it(book: IntervalBook) -> None:
    report(book, 1.0, 2.0, 2.4)
    report(book, 1.9, 2.4, 2.8)
    assert laid(book) == [(1, 1000, 2000, False), (2, 2000, 2500, False)]
    assert book.total_ms == 1500


def test_nothing_lies_before_the_joining_or_in_the_future(book: IntervalBook) -> None:
    report(book, -0.05, 0.3, 0.5)
    report(book, 0.6, 9.0, 1.6)
    assert laid(book) == [(1, 0, 350, False), (2, 600, 1600, False)]


def test_what_has_no_length_is_no_interval(book: IntervalBook) -> None:
    report(book, 1.0, 1.0004, 1.2)
    report(book, 3.0, 4.0, 2.5)
    assert (laid(book), book.total_ms, book.end) == ([], 0, JOINED)
    report(book, 5.0, 6.0, 6.0)
    assert laid(book) == [(1, 5000, 6000, False)]


def test_books_of_sessions_that_are_over_take_nothing() -> None:
    books = IntervalBooks()
    books.open("a", START, JOINED)
    books.report("a", JOINED, JOINED + 1, JOINED + 1, peak_dbov=20, mean_dbov=30, is_open=True)
    books.report("b", JOINED, JOINED + 1, JOINED + 1, peak_dbov=20, mean_dbov=30, is_open=True)
    assert books.speaking_ms("a") == 1000
    changed = SpeakingInterval("a", 1, START, START + timedelta(seconds=1), 20, 30, is_open=True)
    assert books.take_changed() == (changed,)
    assert books.take_changed() == ()
    assert books.close("a").total_ms == 1000
    books.report("a", JOINED, JOINED + 2, JOINED + 2, peak_dbov=20, mean_dbov=30, is_open=False)
    assert books.take_changed() == ()
    with pytest.raises(KeyError):
        books.close("a")


times = st.floats(-3.0, 30.0)


@given(st.lists(st.tuples(times, times, st.floats(0.0, 1.0), st.booleans()), max_size=40))
def test_whatever_is_reported_intervals_are_in_order_apart_and_add_up(reports: list[tuple[float, float, float, bool]]) -> None:
    book = IntervalBook("s", START, JOINED)
    kept: dict[int, SpeakingInterval] = {}
    now = 0.0
    for start, length, passed, is_open in reports:
        now += passed
        report(book, start, start + abs(length), now, is_open=is_open)
        kept |= {interval.seq: interval for interval in book.take_changed()}
    assert sorted(kept) == list(range(1, len(kept) + 1))
    ends = START
    for seq in sorted(kept):
        assert ends <= kept[seq].started_at < kept[seq].ended_at
        ends = kept[seq].ended_at
    assert ends <= START + timedelta(milliseconds=round(now * 1000))
    assert book.end == pytest.approx(JOINED + ms(ends - START) / 1000)
    assert book.total_ms == sum(interval.duration_ms for interval in kept.values())
