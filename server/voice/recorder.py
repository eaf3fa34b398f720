"""Keeps the rows in step with what happens, without ever holding a call up: a failing store costs rows their freshness only.

Each end of a stay is written at once, in the order of the calls. Where that fails, the summary waits here and is written as
soon as the store works again. What waits is bounded: beyond it the oldest is dropped and counted, and its row is closed at
the last mark by the next start.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from itertools import islice

from server.voice.ports import SessionMark, SessionStore, SessionSummary, StoreError
from server.voice.tasks import OwnedTasks

__all__ = ["Recorder"]

logger = logging.getLogger(__name__)

_BATCH = 500
"""How many waiting rows one transaction closes: some 10 ms, so that joins get their turn in between."""
_MARK_EVERY = timedelta(milliseconds=900)
"""How far a session must have come since its last mark; below one second, so that a round each half second marks every second."""


class Recorder:
    """Owns what is not written yet. `write_wait_seconds`: how long a caller waits for its row before it goes on without.

    After a failure the store is left alone for `first_retry_seconds`, twice as long after each further one, at most
    `max_retry_seconds`.
    """

    def __init__(
        self,
        store: SessionStore,
        *,
        capacity: int = 10_000,
        write_wait_seconds: float = 2.0,
        first_retry_seconds: float = 0.25,
        max_retry_seconds: float = 10.0,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._store = store
        self._capacity = capacity
        self._write_wait_seconds = write_wait_seconds
        self._first_retry_seconds = first_retry_seconds
        self._max_retry_seconds = max_retry_seconds
        self._sleep = sleep
        self._writes = OwnedTasks()
        self._mark_rounds = OwnedTasks()
        self._unwritten: dict[str, SessionSummary] = {}
        self._failed = asyncio.Event()
        self._catching_up = asyncio.Lock()
        self._retries: asyncio.Task[None] | None = None
        self._marked: dict[str, SessionMark] = {}
        self._marking: asyncio.Task[None] | None = None
        self.dropped = 0
        """How many ends of stays were given up."""
        self.failed_marks = 0
        """How many rounds of marks could not be written."""

    @property
    def unwritten(self) -> int:
        """How many ends of stays are not known to be in the store yet."""
        return len(self._unwritten)

    def start(self) -> None:
        """Begin to retry what fails, until `stop`."""
        self._retries = asyncio.get_running_loop().create_task(self._retry_forever(), name="recorder-retries")

    async def stop(self) -> None:
        """End at once what is left to do here; `flush` before."""
        if self._retries is not None:
            self._retries.cancel()
            await asyncio.wait({self._retries})
            self._retries = None
        await self._writes.cancel()
        await self._mark_rounds.cancel()

    def find(self, session_id: str) -> SessionSummary | None:
        """The summary of a stay whose end is not in the store yet."""
        return self._unwritten.get(session_id)

    def submit(self, summary: SessionSummary) -> None:
        """Write the end of a stay, without waiting for it."""
        _ = self._begin(summary)

    async def close(self, summary: SessionSummary) -> None:
        """Write the end of a stay and wait for the row, but not for a store that is out of order."""
        await asyncio.wait({self._begin(summary)}, timeout=self._write_wait_seconds)

    async def catch_up(self) -> bool:
        """Every end that was submitted before is in the store when this returns True: writes under way are waited for, those
        that failed are tried once more.
        """
        await self._writes.settle_present()
        if not self._failed.is_set():
            return True
        async with self._catching_up:
            while self._unwritten:
                if not await self._write(tuple(islice(self._unwritten.values(), _BATCH))):
                    return False
            self._failed.clear()
        return True

    async def flush(self) -> None:
        """Wait until everything is written, for as long as it takes."""
        await self._mark_rounds.settle()
        while not await self.catch_up():
            await self._sleep(self._first_retry_seconds)

    def mark(self, marks: Sequence[SessionMark]) -> None:
        """Note in the store how far sessions have come, those that came far enough. Skipped while the last round is under way.

        `marks` are those of all open sessions: what others left here is forgotten.
        """
        if self._marking is not None and not self._marking.done():
            return
        open_sessions = {mark.session_id for mark in marks}
        self._marked = {session_id: mark for session_id, mark in self._marked.items() if session_id in open_sessions}
        due = tuple(mark for mark in marks if self._is_due(mark))
        if due:
            self._marking = self._mark_rounds.spawn(self._mark(due), "recorder-mark")

    def last_mark(self, session_id: str) -> SessionMark | None:
        return self._marked.get(session_id)

    def _is_due(self, mark: SessionMark) -> bool:
        last = self._marked.get(mark.session_id)
        return last is None or mark.last_seen - last.last_seen >= _MARK_EVERY

    def _begin(self, summary: SessionSummary) -> asyncio.Task[None]:
        """The task never raises; done means written, or left to the retries."""
        if len(self._unwritten) >= self._capacity:
            oldest = next(iter(self._unwritten))
            del self._unwritten[oldest]
            self.dropped += 1
            logger.error("session %s: its end could not be written and is given up", oldest)
        self._unwritten[summary.session_id] = summary
        return self._writes.spawn(self._write_one(summary), "recorder-write")

    async def _mark(self, marks: tuple[SessionMark, ...]) -> None:
        try:
            await self._store.touch(marks)
        except StoreError as problem:
            self.failed_marks += 1
            logger.warning("marks of %d sessions could not be written: %s", len(marks), problem)
        except Exception:
            self.failed_marks += 1
            logger.exception("marks of %d sessions could not be written", len(marks))
        else:
            self._marked.update((mark.session_id, mark) for mark in marks)

    async def _write_one(self, summary: SessionSummary) -> None:
        if not await self._write((summary,)):
            self._failed.set()

    async def _write(self, summaries: tuple[SessionSummary, ...]) -> bool:
        try:
            await self._store.close_sessions(summaries)
        except StoreError as problem:
            logger.warning("the ends of %d sessions could not be written yet: %s", len(summaries), problem)
            return False
        except Exception:
            logger.exception("the ends of %d sessions could not be written yet", len(summaries))
            return False
        for summary in summaries:
            self._unwritten.pop(summary.session_id, None)
        return True

    async def _retry_forever(self) -> None:
        delay = self._first_retry_seconds
        while True:
            await self._failed.wait()
            await self._sleep(delay)
            caught_up = await self.catch_up()
            delay = self._first_retry_seconds if caught_up else min(delay * 2, self._max_retry_seconds)
