"""A process that is killed in the middle of a call: what the next one finds."""

from __future__ import annotations

import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from server.storage.database import Database
from server.storage.sessions import SqliteSessionStore
from server.voice.participant import EndReason

JOINED = datetime(2026, 2, 13, 17, 30, tzinfo=UTC)
CALL = """
import asyncio, os, signal, sys
from datetime import datetime, timedelta
from pathlib import Path
from server.storage.database import Database
from server.storage.sessions import SqliteSessionStore
from server.voice.participant import Role
from server.voice.ledger import SpeakingInterval
from server.voice.ports import NewSession, SessionMark

async def call() -> None:
    database = Database(Path(sys.argv[1]))
    await database.open()
    store = SqliteSessionStore(database)
    joined = datetime.fromisoformat(sys.argv[2])
    for number in range(3):
        await store.open_session(NewSession(f"s{number}", "lobby", f"user {number}", "U", "materie", None, Role.USER, joined), 10)
    await store.record([SessionMark(f"s{number}", joined + timedelta(seconds=30 + number), 1000 * number) for number in range(3)])
    spurts = [(f"s{number}", 1, joined, joined + timedelta(seconds=number), 20, 30, True) for number in (1, 2)]
    await store.record([SpeakingInterval(*spurt) for spurt in spurts])
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(call())
"""


async def test_rows_of_a_killed_process_end_at_their_last_mark(path: Path) -> None:
    root = Path(__file__).parents[2]
    killed = subprocess.run(  # noqa: ASYNC221 - nothing else runs in this test
        [sys.executable, "-c", CALL, str(path), JOINED.isoformat()], check=False, timeout=60, cwd=root
    )
    assert killed.returncode == -signal.SIGKILL
    database = Database(path)
    await database.open()
    store = SqliteSessionStore(database)
    recovered = await store.recover_open_sessions()
    assert [(one.session_id, one.duration_ms, one.speaking_ms) for one in sorted(recovered, key=lambda one: one.session_id)] == [
        ("s0", 30_000, 0),
        ("s1", 31_000, 1000),
        ("s2", 32_000, 2000),
    ]
    row = await store.find_session("s2")
    assert row is not None
    assert (row.left_at, row.reason) == (JOINED + timedelta(seconds=32), EndReason.CRASH_RECOVERY)
    await database.close()
