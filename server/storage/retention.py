"""Drops talk-spurts and the series of quality after a while, where a setting says so. What a session spoke in all, and how good
its connection was, stays in its row."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Final

from server.storage.database import Database
from server.storage.timestamps import to_text
from server.voice.clock import Clock
from server.voice.ports import StoreError

__all__ = ["IntervalRetention"]

logger = logging.getLogger(__name__)

BATCH: Final = 1000
"""Rows for one transaction: a few milliseconds, so that joins and leaves get their turn in between."""
PAUSE_SECONDS: Final = 0.1
ROUND_SECONDS: Final = 3600.0

# An open session keeps its intervals: its sum is made of them should the process die.
_DROP = """
    DELETE FROM speaking_intervals WHERE (session_id, seq) IN (
        SELECT session_id, seq FROM speaking_intervals JOIN voice_sessions USING (session_id)
        WHERE started_at < ? AND left_at IS NOT NULL LIMIT ?
    )
"""
# The percentiles of a session stay in its row.
_DROP_QUALITY = """
    DELETE FROM quality_series WHERE (session_id, at) IN (
        SELECT session_id, at FROM quality_series JOIN voice_sessions USING (session_id)
        WHERE at < ? AND left_at IS NOT NULL LIMIT ?
    )
"""


class IntervalRetention:
    """`start` and `stop` by its owner. `keep_days` 0 keeps intervals, and the series of quality, for good."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        keep_days: float,
        batch: int = BATCH,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._database = database
        self._clock = clock
        self._keep = timedelta(days=keep_days)
        self._batch = batch
        self._sleep = sleep
        self._rounds: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Look at once, and every hour."""
        if self._keep:
            self._rounds = asyncio.get_running_loop().create_task(self._run(), name="interval-retention")

    async def stop(self) -> None:
        """A batch that is under way is finished by the database."""
        if self._rounds is not None:
            self._rounds.cancel()
            await asyncio.wait({self._rounds})
            self._rounds = None

    async def drop_old(self) -> int:
        """One round, batch by batch; how many were dropped. Raises `StoreError`."""
        before = to_text(self._clock.now() - self._keep)

        return sum([await self._drop(statement, before) for statement in (_DROP, _DROP_QUALITY)])

    async def _drop(self, statement: str, before: str) -> int:
        def work(db: sqlite3.Connection) -> int:
            return db.execute(statement, (before, self._batch)).rowcount

        total = 0
        while dropped := await self._database.write(work):
            total += dropped
            if dropped < self._batch:
                break
            await self._sleep(PAUSE_SECONDS)
        return total

    async def _run(self) -> None:
        while True:
            try:
                dropped = await self.drop_old()
            except StoreError as problem:
                logger.warning("old intervals could not be dropped, the next round will: %s", problem)
            else:
                logger.info("%d intervals and points of quality older than %d days were dropped", dropped, self._keep.days)
            await self._sleep(ROUND_SECONDS)
