"""The talk-spurts of open sessions as intervals on the time line of each stay: inside it, apart from each other, exact.

The media engine says how long a spurt was in the sender's time, and where it lay as well as a network lets one know. Here it is
laid on the stay's own time line, in whole milliseconds since the joining, and never moved again: speaking time is the sum of
these intervals, wherever it is told.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from server.voice.ledger import SpeakingInterval

__all__ = ["IntervalBook", "IntervalBooks"]


@dataclass(slots=True)
class _Open:
    start_ms: int
    end_ms: int

    @property
    def length_ms(self) -> int:
        return self.end_ms - self.start_ms


class IntervalBook:
    """The intervals of one session. `joined_monotonic` is `joined_at` in seconds on the monotonic clock."""

    def __init__(self, session_id: str, joined_at: datetime, joined_monotonic: float) -> None:
        self._session_id = session_id
        self._joined_at = joined_at
        self._joined_monotonic = joined_monotonic
        self._seq = 1
        self._open: _Open | None = None
        self._closed_ms = 0
        self._closed_until_ms = 0
        self._changed: dict[int, SpeakingInterval] = {}

    @property
    def total_ms(self) -> int:
        """The sum of all intervals, the open one as far as it was reported."""
        return self._closed_ms + (self._open.length_ms if self._open is not None else 0)

    @property
    def end(self) -> float:
        """When the last interval ends, in monotonic seconds; the joining where there is none."""
        end_ms = self._open.end_ms if self._open is not None and self._open.length_ms else self._closed_until_ms
        return self._joined_monotonic + end_ms / 1000

    def report(self, start: float, end: float, now: float, *, peak_dbov: int, mean_dbov: int, is_open: bool) -> None:
        """A spurt from `start` to `end`, reported at `now`, all in monotonic seconds; again and again while it is open.

        The first report says where it begins, but never before the one before it has ended; the last one says how long it was. It
        never reaches beyond `now`, so that a sender's clock that runs fast earns nobody more than the time there was.
        """
        length_ms, now_ms = round((end - start) * 1000), self._since_joining(now)
        if self._open is None:
            start_ms = max(self._closed_until_ms, min(self._since_joining(start), now_ms))
            self._open = _Open(start_ms, start_ms)
        interval = self._open
        interval.end_ms = max(interval.end_ms, min(interval.start_ms + length_ms, now_ms))
        if interval.length_ms:
            self._changed[self._seq] = SpeakingInterval(
                session_id=self._session_id,
                seq=self._seq,
                started_at=self._joined_at + timedelta(milliseconds=interval.start_ms),
                ended_at=self._joined_at + timedelta(milliseconds=interval.end_ms),
                peak_dbov=peak_dbov,
                mean_dbov=mean_dbov,
                is_open=is_open,
            )
        if not is_open:
            self._close(interval)

    def take_changed(self) -> tuple[SpeakingInterval, ...]:
        """What was reported since the last call, each interval in its newest form."""
        changed, self._changed = tuple(self._changed.values()), {}
        return changed

    def _close(self, interval: _Open) -> None:
        self._open = None
        if interval.length_ms:
            self._seq += 1
            self._closed_ms += interval.length_ms
            self._closed_until_ms = interval.end_ms

    def _since_joining(self, monotonic: float) -> int:
        return round((monotonic - self._joined_monotonic) * 1000)


class IntervalBooks:
    """The books of all open sessions."""

    def __init__(self) -> None:
        self._books: dict[str, IntervalBook] = {}
        self._changed: dict[str, IntervalBook] = {}

    def open(self, session_id: str, joined_at: datetime, joined_monotonic: float) -> None:
        """A session begins."""
        self._books[session_id] = IntervalBook(session_id, joined_at, joined_monotonic)

    def close(self, session_id: str) -> IntervalBook:
        """A session is over; what is left to write of it is in its book. Raises `KeyError` for one that is not open."""
        self._changed.pop(session_id, None)
        return self._books.pop(session_id)

    def speaking_ms(self, session_id: str) -> int:
        """How long a session has spoken so far. Raises `KeyError`."""
        return self._books[session_id].total_ms

    def report(
        self, session_id: str, start: float, end: float, now: float, *, peak_dbov: int, mean_dbov: int, is_open: bool
    ) -> None:
        """See `IntervalBook.report`. A session that is not open has nothing to report any more."""
        book = self._books.get(session_id)
        if book is not None:
            book.report(start, end, now, peak_dbov=peak_dbov, mean_dbov=mean_dbov, is_open=is_open)
            self._changed[session_id] = book

    def take_changed(self) -> tuple[SpeakingInterval, ...]:
        """What was reported since the last call, of all sessions."""
        changed, self._changed = self._changed, {}
        return tuple(interval for book in changed.values() for interval in book.take_changed())
