"""The spool: a file that takes the ledger's entries while the database does not, and keeps them over a restart.

Only ever appended to, until everything in it is in the database; then it is emptied. Every batch is on the disk (`fdatasync`)
before it counts as kept, so a process that is killed loses none of them and neither does a power cut. Some of the file is
allocated beforehand and never given back: with the disk full, the first entries still find room. All of its work is done in a
thread of its own, in the order of the calls.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

from server.storage.spool_lines import BadLine, decode, encode
from server.voice.ledger import LedgerEntry, SpoolChunk, SpoolError

__all__ = ["FileSpool"]

logger = logging.getLogger(__name__)

T = TypeVar("T")

MAX_BYTES: Final = 64 * 1024 * 1024
"""A day of talk in a hundred rooms; beyond it entries wait in memory, and are dropped and counted beyond that."""
RESERVED_BYTES: Final = 1024 * 1024
"""Some 5000 entries: hours of a busy room."""
_FILE_MODE: Final = 0o600
_READ_BYTES: Final = 256 * 1024


class FileSpool:
    """Implements `server.voice.ledger.Spool` on one file, which belongs to one process at a time."""

    def __init__(self, path: Path, *, max_bytes: int = MAX_BYTES, reserved_bytes: int = RESERVED_BYTES) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._reserved_bytes = reserved_bytes
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spool")
        self._file: int | None = None
        self._allocated = 0
        self._begin = 0
        self._end = 0
        self._waiting = 0

    @property
    def waiting(self) -> int:
        """See `Spool.waiting`."""
        return self._waiting

    @property
    def fill(self) -> float:
        """See `Spool.fill`."""
        return self._end / self._max_bytes

    async def open(self) -> int:
        """See `Spool.open`. What cannot be read counts as an entry here, and as damaged when it is read."""
        return await self._run(self._open)

    async def append(self, entries: Sequence[LedgerEntry]) -> None:
        """See `Spool.append`."""
        await self._run(lambda: self._append(entries))

    async def read(self, count: int) -> SpoolChunk:
        """See `Spool.read`."""
        return await self._run(lambda: self._read(count))

    async def passed(self, chunk: SpoolChunk) -> None:
        """See `Spool.passed`."""
        await self._run(lambda: self._passed(chunk))

    async def close(self) -> None:
        """See `Spool.close`."""
        await self._run(self._close)
        self._thread.shutdown(wait=False)

    async def _run(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except OSError as problem:
            raise SpoolError(f"{self._path.name}: {problem.strerror}") from problem

    # --- in the thread --------------------------------------------------------------------------------------------------

    def _open(self) -> int:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, _FILE_MODE)
        self._allocated = os.fstat(self._file).st_size
        while block := os.pread(self._file, _READ_BYTES, self._end):
            written = block.split(b"\0", 1)[0]  # behind what was written there is nothing but zeros
            self._end += len(written)
            self._waiting += written.count(b"\n")
            if len(written) < len(block):
                break
        if self._end and os.pread(self._file, 1, self._end - 1) != b"\n":
            # The process died within a line: end it, so that the next one has a line of its own.
            self._end += os.pwrite(self._file, b"\n", self._end)
            self._waiting += 1
        self._reserve(self._file)
        return self._waiting

    def _reserve(self, file: int) -> None:
        """Not everywhere possible, and no reason to do without a spool."""
        allocate = getattr(os, "posix_fallocate", None)
        if allocate is None or self._allocated >= self._reserved_bytes:
            return
        try:
            allocate(file, 0, self._reserved_bytes)
        except OSError as problem:
            logger.warning("no room could be reserved for %s: %s", self._path.name, problem.strerror)
        else:
            self._allocated = self._reserved_bytes

    def _append(self, entries: Sequence[LedgerEntry]) -> None:
        file = self._opened()
        lines = b"".join(encode(entry) for entry in entries)
        if self._end + len(lines) > self._max_bytes:
            raise SpoolError(f"{self._path.name} is full")
        written = 0
        try:
            while written < len(lines):
                written += os.pwrite(file, lines[written:], self._end + written)
            _sync(file)
        except OSError:
            self._blank(file, self._end, written)
            raise
        self._end += len(lines)
        self._allocated = max(self._allocated, self._end)
        self._waiting += len(entries)

    def _read(self, count: int) -> SpoolChunk:
        file = self._opened()
        size = _READ_BYTES
        block = os.pread(file, min(size, self._end - self._begin), self._begin)
        while b"\n" not in block and self._begin + len(block) < self._end:  # one line that is longer than that
            size *= 2
            block = os.pread(file, min(size, self._end - self._begin), self._begin)
        entries: list[LedgerEntry] = []
        damaged = 0
        position = self._begin
        for line in block.splitlines(keepends=True)[:count]:
            if not line.endswith(b"\n"):
                break
            position += len(line)
            try:
                entries.append(decode(line))
            except BadLine as problem:
                damaged += 1
                logger.error("a line of %s cannot be read: %s", self._path.name, problem)
        return SpoolChunk(tuple(entries), damaged, position)

    def _passed(self, chunk: SpoolChunk) -> None:
        file = self._opened()
        self._begin = chunk.end
        self._waiting -= len(chunk.entries) + chunk.damaged
        if self._begin < self._end:
            return
        # First of all the first byte: what a crash leaves of the rest is then behind the end.
        self._blank(file, 0, min(self._end, self._reserved_bytes))
        if self._allocated > self._reserved_bytes:
            os.ftruncate(file, self._reserved_bytes)
            self._allocated = self._reserved_bytes
        self._begin = self._end = self._waiting = 0

    @staticmethod
    def _blank(file: int, start: int, length: int) -> None:
        """Zeros instead of what was written, in place: that takes no room on the disk."""
        done = 0
        while done < length:
            done += os.pwrite(file, bytes(length - done), start + done)

    def _close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _opened(self) -> int:
        if self._file is None:
            raise SpoolError(f"{self._path.name} is not open")
        return self._file


def _sync(file: int) -> None:
    """`fdatasync` where there is one: the length and the content, not the times."""
    getattr(os, "fdatasync", os.fsync)(file)
