"""How long the lists of operators take with a million sessions stored: `python -m bench.rest_lists`.

Makes a database of years of a community (or takes one that it made before), asks each list many times, for places from the
first page to the last, and prints the times in ms. Only the queries are measured, in the thread of a reader's connection as
the server has it; JSON and HTTP come on top, about a millisecond a page.
"""

from __future__ import annotations

import argparse
import random
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

from server.storage.calls import file_calls
from server.storage.database import reading_connection
from server.storage.migrations import migrate
from server.storage.queries import MAX_PAGE, Page, Position, Span
from server.storage.queries_calls import CallFilter, list_calls
from server.storage.queries_people import ActionFilter, find_profile, list_actions
from server.storage.queries_sessions import SessionFilter, list_sessions
from server.storage.timestamps import to_text

__all__ = ["generate", "main"]

R = TypeVar("R")

BEGINNING: Final = datetime(2024, 1, 1, tzinfo=UTC)
YEARS: Final = 3
WORLDS: Final = ("materie", "energie")
ROOMS_PER_WORLD: Final = 40
USERS: Final = 5_000
GROUP: Final = 5
"""How many come together."""
_USER: Final = """
    INSERT INTO users (user_id, username, created_at, last_active) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING
"""
_SESSION: Final = """
    INSERT INTO voice_sessions (session_id, room_id, user_id, username, world, joined_at, left_at, last_seen, duration_ms,
                                duration_seconds, speaking_ms, speaking_seconds, end_reason, created_at)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'left', ?)
"""


def generate(db: sqlite3.Connection, sessions: int, seed: int = 1) -> None:
    """Fill a new database. Few users come often and most of them seldom; the same holds for rooms."""
    chance = random.Random(seed)
    rooms = [(world, f"{world}_room_{number}") for world in WORLDS for number in range(ROOMS_PER_WORLD)]
    users = [f"user_{number:05d}" for number in range(USERS)]
    weights = [1 / (rank + 20) for rank in range(USERS)]
    room_weights = [1 / (rank % ROOMS_PER_WORLD + 3) for rank in range(len(rooms))]
    db.execute("BEGIN")
    beginning = to_text(BEGINNING)
    db.executemany(_USER, [(user, user.title(), beginning, beginning) for user in users])
    db.executemany(_SESSION, _stays(chance, sessions, (users, weights), (rooms, room_weights)))
    file_calls(db, rooms)
    db.execute("COMMIT")


def _stays(
    chance: random.Random,
    sessions: int,
    users: tuple[list[str], list[float]],
    rooms: tuple[list[tuple[str, str]], list[float]],
) -> Iterator[tuple[Any, ...]]:
    """Groups of people who meet in a room within a few minutes of each other, in the order in which groups begin to meet."""
    step_ms = YEARS * 365 * 86_400_000 * GROUP / sessions
    made = 0
    for number in range(-(-sessions // GROUP)):
        [(world, room_id)] = chance.choices(*rooms)
        for user in chance.choices(*users, k=min(GROUP, sessions - made)):
            joined = BEGINNING + timedelta(milliseconds=int(number * step_ms + chance.expovariate(1 / 300_000)))
            duration_ms = int(chance.expovariate(1 / 1_500_000)) + 1
            speaking_ms = int(duration_ms * chance.random() * 0.4)
            came, went = to_text(joined), to_text(joined + timedelta(milliseconds=duration_ms))
            session_id = str(uuid.UUID(int=chance.getrandbits(128)))
            durations = (duration_ms, (duration_ms + 500) // 1000, speaking_ms, (speaking_ms + 500) // 1000)
            yield (session_id, room_id, user, user.title(), world, came, went, went, *durations, came)
            made += 1


def measure(db: sqlite3.Connection, rounds: int, seed: int = 2) -> dict[str, list[float]]:
    """Times in ms of each list, `rounds` of each."""
    chance = random.Random(seed)
    days = YEARS * 365

    def span() -> Span:
        since = BEGINNING + timedelta(minutes=chance.randrange(days * 1440))
        return Span(since, since + timedelta(minutes=chance.randrange(1, 200 * 1440)))

    def world() -> str:
        return chance.choice(WORLDS)

    def room(of: str) -> str:
        return f"{of}_room_{chance.randrange(ROOMS_PER_WORLD)}"

    def user() -> str:
        return f"user_{min(USERS - 1, int(chance.expovariate(1 / 50))):05d}"

    def behind() -> Position | None:
        moment = BEGINNING + timedelta(minutes=chance.randrange(days * 1440))
        return chance.choice([None, Position(to_text(moment), 1 << 40)])

    def sessions(wanted: SessionFilter) -> Page[Any]:
        return list_sessions(db, wanted, behind=behind(), limit=MAX_PAGE // 4)

    def calls(wanted: CallFilter) -> Page[Any]:
        return list_calls(db, wanted, behind=behind(), limit=MAX_PAGE // 4)

    lists: dict[str, Callable[[], object]] = {
        "sessions": lambda: sessions(SessionFilter()),
        "sessions, span": lambda: sessions(SessionFilter(span=span())),
        "sessions, world": lambda: sessions(SessionFilter(world())),
        "sessions, world, span": lambda: sessions(SessionFilter(world(), span=span())),
        "sessions, room": lambda: sessions(SessionFilter(room_id=room(world()))),
        "sessions, room, span": lambda: sessions(SessionFilter(room_id=room(world()), span=span())),
        "sessions, user": lambda: sessions(SessionFilter(user_id=user())),
        "sessions, user, span": lambda: sessions(SessionFilter(user_id=user(), span=span())),
        "sessions, open": lambda: sessions(SessionFilter(is_open=True)),
        "sessions, ended, world": lambda: sessions(SessionFilter(world(), is_open=False)),
        "calls": lambda: calls(CallFilter(world())),
        "calls, span": lambda: calls(CallFilter(world(), span=span())),
        "calls, room": lambda: calls(CallFilter("energie", room("energie"))),
        "calls, user": lambda: calls(CallFilter(world(), user_id=user())),
        "calls, user, room, span": lambda: calls(CallFilter("energie", room("energie"), user(), span())),
        "profile": lambda: find_profile(db, user(), BEGINNING),
        "actions": lambda: list_actions(db, ActionFilter(), behind=behind(), limit=MAX_PAGE // 4),
    }
    return {name: [_timed(ask) for _ in range(rounds)] for name, ask in lists.items()}


def _timed(ask: Callable[[], object]) -> float:
    began = time.perf_counter()
    ask()
    return (time.perf_counter() - began) * 1000


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(prog="python -m bench.rest_lists", description=__doc__)
    parser.add_argument("--database", type=Path, default=Path("/tmp/weltenstimme-lists.db"), help="made where it is missing")  # noqa: S108
    parser.add_argument("--sessions", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=300)
    options = parser.parse_args()
    if not options.database.exists():
        began = time.perf_counter()
        db = sqlite3.connect(options.database, isolation_level=None)
        db.execute("PRAGMA journal_mode = WAL")
        migrate(db)
        generate(db, options.sessions)
        db.close()
        print(f"generated in {time.perf_counter() - began:.0f} s")
    db = reading_connection(options.database)
    [sessions] = db.execute("SELECT count(*) FROM voice_sessions").fetchone()
    [calls] = db.execute("SELECT count(*) FROM calls").fetchone()
    print(f"{sessions} sessions, {calls} calls, {options.database.stat().st_size / sessions:.0f} bytes a session")
    print(f"{'list':<28}{'p50':>8}{'p99':>8}{'max':>8}  ms")
    for name, times in measure(db, options.rounds).items():
        times.sort()
        p50, p99 = (times[min(len(times) - 1, int(len(times) * share))] for share in (0.5, 0.99))
        print(f"{name:<28}{p50:8.2f}{p99:8.2f}{times[-1]:8.2f}")
    db.close()


if __name__ == "__main__":
    main()
