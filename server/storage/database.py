"""The SQLite file: one connection that writes, one that reads, each in a thread of its own.

Every write is one transaction, run as one plain function in the writer's thread, in the order of the calls: nothing
interleaves, the event loop never waits for the disk, and a caller that is cancelled does not leave a transaction half done.
WAL lets the reader work meanwhile; `synchronous=NORMAL` may lose the last transactions at a power cut, never consistency.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import aiosqlite

from server.errors import ConfigError
from server.storage.migrations import UnusableDatabase, migrate
from server.voice.ports import StoreBusy, StoreError

__all__ = ["Database", "WorkerConnection", "reading_connection"]

logger = logging.getLogger(__name__)

T = TypeVar("T")

_BUSY_TIMEOUT_MS = 2000
"""How long to wait for a lock. Only other programs can hold one (a backup, an operator's shell): there is one writer here."""
_BUSY_RETRY_SECONDS = 0.01
_ROWS_AT_ONCE = 64
"""How many rows aiosqlite's own cursors would fetch at once; functions run in its thread use plain ones."""


class WorkerConnection(aiosqlite.Connection):
    """aiosqlite's connection and thread, with a way to run a whole function there instead of statement by statement.

    The one place that uses private names of aiosqlite (`_execute`, `_conn`); a contract test holds them.
    """

    _stopped: asyncio.Future[Any] | None = None
    """Done when the thread has nothing more to say to the event loop; None while it runs."""

    def stop(self) -> asyncio.Future[Any] | None:
        """Called by aiosqlite when the connection is closed, and when it could not be opened."""
        self._stopped = super().stop()
        return self._stopped

    async def close(self) -> None:
        """Finish what is queued, close, and wait for the thread; also after an opening that failed."""
        await super().close()
        if self._stopped is not None:
            await self._stopped

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` after all that was asked before; raises what it raises."""
        execute: Callable[..., Awaitable[Any]] = self._execute
        result: T = await execute(lambda: work(self._conn))
        return result


class Database:
    """`open` before use, `close` after. `max_waiting` bounds the calls that wait for the writer and the reader each.

    `wrote` is told how many seconds each write took, its waiting for others included.
    """

    def __init__(self, path: Path, *, max_waiting: int = 4096, wrote: Callable[[float], None] = lambda _: None) -> None:
        self._path = path
        self._wrote = wrote
        self._max_waiting = max_waiting
        self._writer: WorkerConnection | None = None
        self._reader: WorkerConnection | None = None
        self._waiting = {"writer": 0, "reader": 0}

    async def open(self) -> None:
        """Open the file, make or migrate what is in it.

        Raises `ConfigError` for a file that cannot be used: no database, one of a newer program, no rights.
        """
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._writer = WorkerConnection(partial(_connect, self._path, _WRITER_PRAGMAS), _ROWS_AT_ONCE)
            _ = await self._writer
            await self._writer.run(migrate)
            self._reader = WorkerConnection(partial(_connect, self._path, _READER_PRAGMAS), _ROWS_AT_ONCE)
            _ = await self._reader
        except BaseException as problem:
            await self.close()
            if isinstance(problem, sqlite3.Error | OSError | UnusableDatabase):
                raise ConfigError(f"The database {self._path} (VOICE_DATABASE) cannot be used: {problem}.") from problem
            raise

    async def close(self) -> None:
        """Finish what is queued and close the file; what SQLite keeps beside it (WAL) goes into it."""
        for connection in (self._reader, self._writer):
            if connection is not None:
                await connection.close()
        self._reader = self._writer = None

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` in one transaction, which is rolled back where `work` raises.

        Raises what `work` raises, but `StoreError` for an error of SQLite or text that it cannot hold, `StoreBusy` where too
        much is waiting.
        """
        began = time.monotonic()
        try:
            return await self._run("writer", self._writer, partial(_transaction, "BEGIN IMMEDIATE", work))
        finally:
            self._wrote(time.monotonic() - began)

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work`, which reads, on one snapshot that has every write that was awaited before. Raises as `write`."""
        return await self._run("reader", self._reader, partial(_transaction, "BEGIN", work))

    async def ping(self) -> None:
        """Raises `StoreError` where the database can be read no more."""
        await self.read(lambda db: db.execute("SELECT 1 FROM voice_sessions LIMIT 1").fetchone())

    async def _run(self, name: str, connection: WorkerConnection | None, work: Callable[[sqlite3.Connection], T]) -> T:
        if connection is None:
            raise StoreError("the database is not open")
        if self._waiting[name] >= self._max_waiting:
            raise StoreBusy(f"{self._waiting[name]} calls wait for the {name}")
        self._waiting[name] += 1
        try:
            return await connection.run(work)
        except (sqlite3.Error, UnicodeError) as problem:  # the latter: half a surrogate pair, for one
            raise StoreError(f"{type(problem).__name__}: {problem}") from problem
        finally:
            self._waiting[name] -= 1


_WRITER_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = NORMAL",
    "PRAGMA foreign_keys = ON",
)
_READER_PRAGMAS = (
    "PRAGMA query_only = ON",
    # In KiB: the upper pages of all indexes of a million sessions.
    "PRAGMA cache_size = -16384",
)


def reading_connection(path: Path) -> sqlite3.Connection:
    """A connection as the reader has it, for tools that look at a database. Raises `sqlite3.Error`."""
    return _connect(path, _READER_PRAGMAS)


def _connect(path: Path, pragmas: tuple[str, ...]) -> sqlite3.Connection:
    """`isolation_level=None`: transactions begin and end where this module says so, and nowhere else."""
    db = sqlite3.connect(path, isolation_level=None, timeout=_BUSY_TIMEOUT_MS / 1000)
    try:
        for pragma in pragmas:
            _execute_patiently(db, pragma)
    except BaseException:
        db.close()
        raise
    return db


def _execute_patiently(db: sqlite3.Connection, pragma: str) -> None:
    """SQLite does not wait by itself while another process turns the same file to WAL: both would hold a shared lock for ever."""
    until = time.monotonic() + _BUSY_TIMEOUT_MS / 1000
    while True:
        try:
            db.execute(pragma)
        except sqlite3.OperationalError as problem:
            if problem.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() >= until:
                raise
            time.sleep(_BUSY_RETRY_SECONDS)  # in a thread of the connection's own
        else:
            return


def _transaction(begin: str, work: Callable[[sqlite3.Connection], T], db: sqlite3.Connection) -> T:
    db.execute(begin)
    try:
        result = work(db)
        db.execute("COMMIT")
    except BaseException:
        # Some errors (a full disk) have rolled back already.
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    return result
