"""Keeps the rows in step with what happens, without ever holding a call up.

What is to be written waits here for a moment and goes to the store in batches, in one transaction each. Where the store does
not work, batches go to the spool, a file that outlives this process, and from there to the store as soon as it works again.
Where the spool does not work either (the disk is full), they wait in memory. All three are bounded; what had to be dropped is
counted.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import Enum
from types import MappingProxyType

from server.voice.ledger import LedgerEntry, SessionMark, SessionSummary, Spool, SpoolError, is_checkpoint
from server.voice.pending import Pending
from server.voice.ports import SessionStore, StoreError
from server.voice.tasks import OwnedTasks

__all__ = ["Recorder", "RecorderState"]

logger = logging.getLogger(__name__)

_BATCH = 500
"""How many entries one transaction takes: some 10 ms, so that joins get their turn in between."""
_MARK_EVERY = timedelta(milliseconds=900)
"""How far a session must have come since its last mark; below one second, so that a round each half second marks every second."""
_SPARE_SPOOL = 0.5
"""From this fill on the spool takes no checkpoints any more: the other half is for what nothing replaces."""


class RecorderState(Enum):
    """Where entries go. WRITING: to the store. SPOOLING: to the spool. HOLDING: nowhere, they stay in memory."""

    WRITING = "ok"
    SPOOLING = "spooling"
    HOLDING = "holding"


_NEXT: Mapping[RecorderState, frozenset[RecorderState]] = MappingProxyType(
    {
        RecorderState.WRITING: frozenset({RecorderState.SPOOLING}),
        RecorderState.SPOOLING: frozenset({RecorderState.WRITING, RecorderState.HOLDING}),
        RecorderState.HOLDING: frozenset({RecorderState.WRITING, RecorderState.SPOOLING}),
    }
)


class Recorder:
    """Owns what is not written yet. `spool` None: there is none, what cannot be written stays in memory.

    `capacity` bounds what waits in memory, in entries. `write_wait_seconds`: how long a caller waits for its row before it goes
    on without. After a failure the store is left alone for `first_retry_seconds`, twice as long after each further one, at most
    `max_retry_seconds`.
    """

    def __init__(
        self,
        store: SessionStore,
        *,
        spool: Spool | None = None,
        capacity: int = 50_000,
        write_wait_seconds: float = 2.0,
        first_retry_seconds: float = 0.25,
        max_retry_seconds: float = 10.0,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._store = store
        self._spool = spool
        self._capacity = capacity
        self._write_wait_seconds = write_wait_seconds
        self._first_retry_seconds = first_retry_seconds
        self._max_retry_seconds = max_retry_seconds
        self._sleep = sleep
        self._state = RecorderState.WRITING
        self._pending = Pending(capacity)
        self._ends: dict[str, SessionSummary] = {}
        self._marked: dict[str, datetime] = {}
        self._tasks = OwnedTasks()
        self._next_write: asyncio.Task[None] | None = None
        self._writing = asyncio.Lock()
        self._catching_up = asyncio.Lock()
        self._failed = asyncio.Event()
        self._retries: asyncio.Task[None] | None = None
        self._dropped = 0
        self._failures = 0

    # --- life -----------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Bring to the store what an earlier process left in the spool; retry what fails from now on, until `stop`.

        Raises `StoreError` where the store does not take it.
        """
        if self._spool is not None and await self._open_spool(self._spool):
            self._move(RecorderState.SPOOLING, "an earlier process left entries")
            if not await self.catch_up():
                await self.stop()
                raise StoreError("what an earlier process left in the spool cannot be written")
        self._retries = asyncio.get_running_loop().create_task(self._retry_forever(), name="recorder-retries")

    async def stop(self) -> None:
        """End at once; what is not in the store then goes to the spool. `flush` before."""
        if self._retries is not None:
            self._retries.cancel()
            await asyncio.wait({self._retries})
            self._retries = None
        await self._tasks.cancel()
        if self._spool is not None:
            while batch := self._pending.take(_BATCH):
                if not await self._append(batch):
                    self._lose(self._pending.give_back(batch))
                    logger.error("%d entries of the ledger are lost with this process", len(self._pending))
                    break
            await self._spool.close()

    # --- what is to be written ------------------------------------------------------------------------------------------

    def note(self, *entries: LedgerEntry) -> None:
        """To be written with the next batch, which `write_soon` begins. Never blocks."""
        self._lose(self._pending.add(entries))

    def mark(self, marks: Sequence[SessionMark]) -> None:
        """Note how far sessions have come, those that came far enough since they were last noted.

        `marks` are those of all open sessions: what others left here is forgotten.
        """
        last = {mark.session_id: self._marked[mark.session_id] for mark in marks if mark.session_id in self._marked}
        due = [mark for mark in marks if mark.session_id not in last or mark.last_seen - last[mark.session_id] >= _MARK_EVERY]
        self._marked = last | {mark.session_id: mark.last_seen for mark in due}
        self.note(*due)

    def submit(self, summary: SessionSummary) -> None:
        """Write the end of a stay, and all that was noted before it, without waiting for it."""
        if len(self._ends) >= self._capacity:
            del self._ends[next(iter(self._ends))]
        self._ends[summary.session_id] = summary
        self.note(summary)
        _ = self.write_soon()

    async def close(self, summary: SessionSummary) -> None:
        """Write the end of a stay and wait until it is in the store or in the spool, but not for a disk that is out of order."""
        self.submit(summary)
        await asyncio.wait({self.write_soon()}, timeout=self._write_wait_seconds)

    def write_soon(self) -> asyncio.Task[None]:
        """Begin to write what waits. The task never raises; done means written, spooled, or left to the retries."""
        if self._next_write is None:
            self._next_write = self._tasks.spawn(self._write(), "recorder-write")
        return self._next_write

    async def catch_up(self) -> bool:
        """Everything that was noted before is in the store when this returns True; what failed is tried once more."""
        await asyncio.wait({self.write_soon()})
        if self._state is RecorderState.WRITING:
            return True
        async with self._catching_up:
            return await self._replay()

    async def flush(self) -> None:
        """Wait until everything is in the store, or in the spool where the store does not work, for as long as it takes."""
        while not await self.catch_up():
            if self._state is RecorderState.SPOOLING and not self._pending:
                return
            await self._sleep(self._first_retry_seconds)

    # --- what is known of it --------------------------------------------------------------------------------------------

    def find(self, session_id: str) -> SessionSummary | None:
        """The summary of a stay whose end is not in the store yet."""
        return self._ends.get(session_id)

    @property
    def unwritten_ends(self) -> int:
        """How many ends of stays are not known to be in the store yet."""
        return len(self._ends)

    @property
    def state(self) -> RecorderState:
        return self._state

    def stats(self) -> dict[str, str | int]:
        """For health. `waiting` and `spooled` are entries in memory and in the spool, `unwritten_ends` the stays among them;
        `failures` counts failed writes to the store, `dropped` the entries that were given up, both since the start.
        """
        return {
            "status": self._state.value,
            "waiting": len(self._pending),
            "spooled": self._spool.waiting if self._spool is not None else 0,
            "unwritten_ends": self.unwritten_ends,
            "failures": self._failures,
            "dropped": self._dropped,
        }

    # --- inside ---------------------------------------------------------------------------------------------------------

    async def _write(self) -> None:
        async with self._writing:
            self._next_write = None  # what is noted from here on is for the next one
            for _ in range(len(self._pending) // _BATCH + 1):
                if self._state is RecorderState.HOLDING:
                    return
                await self._put(self._pending.take(_BATCH))

    async def _put(self, batch: tuple[LedgerEntry, ...]) -> None:
        """Bring a batch to where the state says; where that does not work, to the next best place."""
        if self._state is RecorderState.WRITING:
            if await self._or_back(self._record(batch), batch, back=False):
                return
            self._move(RecorderState.SPOOLING, "the store does not work")
            self._failed.set()
        if not await self._or_back(self._append(batch), batch):
            self._move(RecorderState.HOLDING, "the spool does not work either")

    async def _or_back(self, writing: Awaitable[bool], batch: tuple[LedgerEntry, ...], *, back: bool = True) -> bool:
        """What `writing` a batch comes to. Entries go back to memory where it is cancelled and, where `back`, where it fails."""
        try:
            written = await writing
        except asyncio.CancelledError:
            self._lose(self._pending.give_back(batch))
            raise
        if not written and back:
            self._lose(self._pending.give_back(batch))
        return written

    async def _replay(self) -> bool:
        """From the spool to the store, then from memory. Most of it while new entries may still be spooled."""
        if self._state is RecorderState.WRITING:  # whoever was here before has done it
            return True
        if await self._replay_spool():
            async with self._writing:
                if await self._replay_spool() and await self._record_pending():
                    self._move(RecorderState.WRITING, "everything is in the store")
                    self._failed.clear()
                    return True
        await self._respool()
        return False

    async def _record_pending(self) -> bool:
        while batch := self._pending.take(_BATCH):
            if not await self._or_back(self._record(batch), batch):
                return False
        return True

    async def _replay_spool(self) -> bool:
        if self._spool is None:
            return True
        try:
            while self._spool.waiting:
                chunk = await self._spool.read(_BATCH)
                if not await self._record(chunk.entries):
                    return False
                self._lose(chunk.damaged)
                await self._spool.passed(chunk)
        except SpoolError as problem:
            logger.warning("the spool cannot be read: %s", problem)
            return False
        return True

    async def _respool(self) -> None:
        """The spool may have room again by now for what is held in memory."""
        if self._state is RecorderState.HOLDING and self._spool is not None:
            async with self._writing:
                batch = self._pending.take(_BATCH)
                if await self._or_back(self._append(batch), batch):
                    self._move(RecorderState.SPOOLING, "the spool works again")
                    _ = self.write_soon()

    async def _record(self, batch: tuple[LedgerEntry, ...]) -> bool:
        if not batch:
            return True
        try:
            refused = await self._store.record(batch)
        except StoreError as problem:
            self._failures += 1
            logger.warning("%d entries of the ledger could not be written yet: %s", len(batch), problem)
            return False
        except Exception:
            self._failures += 1
            logger.exception("%d entries of the ledger could not be written yet", len(batch))
            return False
        self._lose(refused)
        for entry in batch:
            if isinstance(entry, SessionSummary):
                self._ends.pop(entry.session_id, None)
        return True

    async def _append(self, batch: tuple[LedgerEntry, ...]) -> bool:
        if self._spool is None:
            return not batch
        if self._spool.fill >= _SPARE_SPOOL:
            batch = tuple(entry for entry in batch if not is_checkpoint(entry))
        if not batch:
            return True
        try:
            await self._spool.append(batch)
        except SpoolError as problem:
            logger.warning("%d entries of the ledger could not be spooled: %s", len(batch), problem)
            return False
        return True

    async def _open_spool(self, spool: Spool) -> int:
        try:
            return await spool.open()
        except SpoolError as problem:
            logger.error("there is no spool, what cannot be written will wait in memory: %s", problem)
            return 0

    async def _retry_forever(self) -> None:
        delay = self._first_retry_seconds
        while True:
            await self._failed.wait()
            await self._sleep(delay)
            caught_up = await self.catch_up()
            delay = self._first_retry_seconds if caught_up else min(delay * 2, self._max_retry_seconds)

    def _lose(self, count: int) -> None:
        if count:
            self._dropped += count
            logger.error("%d entries of the ledger are given up", count)

    def _move(self, to: RecorderState, why: str) -> None:
        if to not in _NEXT[self._state]:
            raise RuntimeError(f"recorder: {self._state.value} -> {to.value} ({why})")
        logger.log(
            logging.INFO if to is RecorderState.WRITING else logging.WARNING,
            "recorder: %s -> %s (%s)",
            self._state.value,
            to.value,
            why,
        )
        self._state = to
