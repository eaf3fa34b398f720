"""Lists of operators: every page, filter and total is what a look at all rows finds, and every way to it is an index."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import product
from typing import Any

import pytest

from bench.rest_lists import BEGINNING, generate
from server.resources import schema_sql
from server.storage.audit import append_action
from server.storage.queries import ALL_TIME, Page, Position, Span
from server.storage.queries_calls import CallFilter, list_calls, room_names
from server.storage.queries_people import ActionFilter, find_profile, list_actions
from server.storage.queries_sessions import SessionFilter, find_session, list_sessions, open_elsewhere
from server.storage.timestamps import from_text, to_text

DAY = timedelta(days=1)
SPANS = [
    ALL_TIME,
    Span(BEGINNING + 100 * DAY),
    Span(None, BEGINNING + 400 * DAY),
    Span(BEGINNING + 30 * DAY + timedelta(hours=7), BEGINNING + 300 * DAY + timedelta(hours=3)),
    Span(BEGINNING + 50 * DAY, BEGINNING + 51 * DAY),
    Span(BEGINNING + 50 * DAY + timedelta(hours=1), BEGINNING + 50 * DAY + timedelta(hours=20)),
    Span(BEGINNING + 60 * DAY, BEGINNING + 50 * DAY),
]


@pytest.fixture(scope="module")
def db() -> Iterator[sqlite3.Connection]:
    """Some thousand sessions of years, a few that go on, and a moderation log."""
    db = sqlite3.connect(":memory:", isolation_level=None)
    db.executescript(schema_sql())
    generate(db, 3_000)
    now = to_text(BEGINNING + 1100 * DAY)
    for number, source in product(range(8), ("server", "external")):
        world = ("materie", "energie")[number % 2]
        db.execute(
            "INSERT INTO voice_sessions"
            " (session_id, room_id, user_id, username, world, joined_at, last_seen, speaking_ms, source)"
            " VALUES (?, ?, ?, 'Open', ?, ?, ?, 5000, ?)",
            (f"open {number} {source}", f"{world}_room_{number % 3}", f"user_{number:05d}", world, now, now, source),
        )
    chance = random.Random(3)
    for number in range(400):
        append_action(
            db,
            {
                "action_id": f"action {number}",
                "action_type": chance.choice(["kick", "mute", "ban", "warn"]),
                "target_user_id": f"user_{chance.randrange(5):05d}",
                "admin_user_id": chance.choice(["root", "mona"]),
                "world": chance.choice(["materie", "energie", "*"]),
                "room_id": chance.choice([None, "lobby"]),
                "created_at": to_text(BEGINNING + timedelta(hours=chance.randrange(24 * 500))),
            },
        )
    yield db
    db.close()


def all_pages(ask: Callable[[Position | None], Page[Any]]) -> tuple[list[Any], int]:
    """The rows of all pages, and the total that each of them told."""
    rows: list[Any] = []
    behind: Position | None = None
    while True:
        page = ask(behind)
        rows += page.rows
        assert behind is None or page.rows, "a next page is not empty"
        if page.next is None:
            return rows, page.total
        behind = page.next


def inside(span: Span, moment: str) -> bool:
    return (span.since is None or moment >= to_text(span.since)) and (span.until is None or moment < to_text(span.until))


@pytest.mark.parametrize("span", SPANS, ids=str)
@pytest.mark.parametrize("world", [None, "materie"])
@pytest.mark.parametrize("room", [None, "materie_room_1", "energie_room_0"])
def test_sessions(db: sqlite3.Connection, span: Span, world: str | None, room: str | None) -> None:
    everything = db.execute(
        "SELECT session_id, world, room_id, user_id, joined_at, left_at IS NULL FROM voice_sessions"
        " ORDER BY joined_at DESC, id DESC"
    ).fetchall()
    for user, is_open in product((None, "user_00001"), (None, True, False)):
        wanted = SessionFilter(world, room, user, span, is_open)
        rows, total = all_pages(lambda behind: list_sessions(db, wanted, behind=behind, limit=97))  # noqa: B023
        expected = [
            session_id
            for session_id, its_world, its_room, its_user, joined_at, its_open in everything
            if world in (None, its_world)
            and room in (None, its_room)
            and user in (None, its_user)
            and inside(span, joined_at)
            and is_open in (None, bool(its_open))
        ]
        assert [row.session_id for row in rows] == expected
        assert total == len(expected)


@pytest.mark.parametrize("span", SPANS, ids=str)
@pytest.mark.parametrize("room", [None, "materie_room_1", "nowhere"])
@pytest.mark.parametrize("user", [None, "user_00000", "nobody"])
def test_calls(db: sqlite3.Connection, span: Span, room: str | None, user: str | None) -> None:
    everything = db.execute(
        "SELECT id, room_id, started_at FROM calls WHERE world = 'materie' ORDER BY started_at DESC, id DESC"
    ).fetchall()
    of_user = {call for (call,) in db.execute("SELECT call_id FROM voice_sessions WHERE user_id = ?", (user,))}
    wanted = CallFilter("materie", room, user, span)
    rows, total = all_pages(lambda behind: list_calls(db, wanted, behind=behind, limit=53))
    expected = [
        (its_room, started_at)
        for call_id, its_room, started_at in everything
        if room in (None, its_room) and (user is None or call_id in of_user) and inside(span, started_at)
    ]
    assert [(row.room_id, to_text(row.started_at)) for row in rows] == expected
    assert total == len(expected)


@pytest.mark.parametrize("span", SPANS, ids=str)
def test_actions(db: sqlite3.Connection, span: Span) -> None:
    names = ("world", "room_id", "action_type", "target_user_id", "admin_user_id")
    everything = db.execute(
        f"SELECT action_id, created_at, {', '.join(names)} FROM admin_actions ORDER BY created_at DESC, id DESC"
    )
    log = everything.fetchall()
    for values in product((None, "materie"), (None, "lobby"), (None, "ban"), (None, "user_00002"), (None, "mona")):
        wanted = ActionFilter(*values, span)
        rows, total = all_pages(lambda behind: list_actions(db, wanted, behind=behind, limit=31))  # noqa: B023
        expected = [
            action_id
            for action_id, created_at, *its in log
            if inside(span, created_at) and all(value in (None, own) for value, own in zip(values, its, strict=True))
        ]
        assert [row.action_id for row in rows] == expected
        assert total == len(expected)


def test_a_page_is_not_moved_by_rows_that_come(db: sqlite3.Connection) -> None:
    db.execute("SAVEPOINT moved")
    first = list_sessions(db, SessionFilter(), behind=None, limit=10)
    second = list_sessions(db, SessionFilter(), behind=first.next, limit=10)
    late = to_text(BEGINNING + 1200 * DAY)
    db.execute(
        "INSERT INTO voice_sessions (session_id, room_id, user_id, username, world, joined_at)"
        " VALUES ('new', 'r', 'u', 'U', 'w', ?)",
        (late,),
    )
    assert list_sessions(db, SessionFilter(), behind=first.next, limit=10).rows == second.rows
    db.execute("ROLLBACK TO moved")


def test_a_session_has_its_report_and_its_room_a_name(db: sqlite3.Connection) -> None:
    db.execute("SAVEPOINT named")
    session_id, room_id = db.execute(
        "SELECT session_id, room_id FROM voice_sessions WHERE left_at IS NOT NULL LIMIT 1"
    ).fetchone()
    now = to_text(BEGINNING)
    db.execute("INSERT INTO session_reports VALUES (?, ?, 70, 60, ?)", (session_id, now, now))
    db.execute("INSERT INTO room_names VALUES (?, 'Großer Saal')", (room_id,))
    row = find_session(db, session_id)
    assert row is not None
    assert (row.room_name, row.source) == ("Großer Saal", "server")
    assert row.report is not None
    assert (row.report.duration_seconds, row.report.speaking_seconds, row.report.left_at) == (70, 60, BEGINNING)
    assert room_names(db, [room_id, "elsewhere"]) == {room_id: "Großer Saal"}
    assert find_session(db, "nobody's") is None
    db.execute("ROLLBACK TO named")


def test_open_sessions_elsewhere_are_those_of_the_world(db: sqlite3.Connection) -> None:
    found = {row.session_id for row in open_elsewhere(db, "energie")}
    assert found == {f"open {number} external" for number in (1, 3, 5, 7)}


def test_a_profile_is_the_sum_of_all(db: sqlite3.Connection) -> None:
    now = BEGINNING + 1100 * DAY + timedelta(minutes=2)
    for user in ("user_00000", "user_00003", "user_00777"):
        db.execute(
            "INSERT INTO users (user_id, username, created_at, last_active) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (user, user, to_text(BEGINNING), to_text(BEGINNING)),
        )
        profile = find_profile(db, user, now)
        assert profile is not None
        stays = db.execute(
            "SELECT joined_at, left_at, duration_ms, speaking_ms, call_id, world, room_id FROM voice_sessions WHERE user_id = ?",
            (user,),
        ).fetchall()
        so_far = sum((now - from_text(joined)) // timedelta(milliseconds=1) for joined, left, *_ in stays if left is None)
        assert profile.total_sessions == len(stays)
        assert profile.total_ms == sum(duration or 0 for _, _, duration, *_ in stays) + so_far
        assert profile.speaking_ms == sum(speaking for _, _, _, speaking, *_ in stays)
        assert profile.total_calls == len({call or (world, room) for *_, call, world, room in stays})
        log = db.execute("SELECT action_type FROM admin_actions WHERE target_user_id = ?", (user,)).fetchall()
        assert sum(profile.actions.values()) == len(log)
        assert profile.actions.get("ban", 0) == log.count(("ban",))
    assert find_profile(db, "nobody", now) is None


def test_totals_follow_rows_that_are_changed_and_removed(db: sqlite3.Connection) -> None:
    db.execute("SAVEPOINT changed")
    user = "user_00000"
    db.execute(
        "UPDATE voice_sessions SET room_id = 'moved', world = 'energie' WHERE user_id = ? AND left_at IS NOT NULL", (user,)
    )
    db.execute("UPDATE voice_sessions SET duration_ms = 1000, duration_seconds = 1, speaking_ms = 0, speaking_seconds = 0"
               " WHERE room_id = 'moved'")  # fmt: skip
    db.execute("DELETE FROM voice_sessions WHERE room_id = 'moved' AND id % 2 = 0")
    db.execute("UPDATE voice_sessions SET left_at = joined_at, duration_seconds = 0, end_reason = 'left' WHERE left_at IS NULL")
    for wanted in (SessionFilter(), SessionFilter("energie"), SessionFilter(room_id="moved"), SessionFilter("materie", "moved")):
        rows, total = all_pages(lambda behind: list_sessions(db, wanted, behind=behind, limit=200))  # noqa: B023
        assert total == len(rows)
    kept = db.execute(
        "SELECT user_id, sessions, duration_ms, speaking_ms FROM user_totals WHERE sessions > 0 ORDER BY 1"
    ).fetchall()
    counted = db.execute(
        "SELECT user_id, count(*), sum(coalesce(duration_ms, duration_seconds * 1000)), sum(coalesce(speaking_ms, 0))"
        " FROM voice_sessions GROUP BY user_id ORDER BY 1"
    ).fetchall()
    assert kept == counted
    db.execute("ROLLBACK TO changed")


def every_way() -> dict[str, Callable[[sqlite3.Connection, Position | None], object]]:
    """Every kind of list with every kind of filter."""
    spans = (ALL_TIME, SPANS[3])
    ways: dict[str, Callable[[sqlite3.Connection, Position | None], object]] = {}
    for world, room, user, span, is_open in product((None, "w"), (None, "r"), (None, "u"), spans, (None, True, False)):
        sessions = SessionFilter(world, room, user, span, is_open)
        ways[str(sessions)] = partial(ask_sessions, sessions)
    for room, user, span in product((None, "r"), (None, "u"), spans):
        calls = CallFilter("w", room, user, span)
        ways[str(calls)] = partial(ask_calls, calls)
    for world, target, admin in product((None, "w"), (None, "t"), (None, "a")):
        actions = ActionFilter(world=world, target_user_id=target, admin_user_id=admin)
        ways[str(actions)] = partial(ask_actions, actions)
    return ways


def ask_sessions(wanted: SessionFilter, db: sqlite3.Connection, behind: Position | None) -> object:
    return list_sessions(db, wanted, behind=behind, limit=50)


def ask_calls(wanted: CallFilter, db: sqlite3.Connection, behind: Position | None) -> object:
    return list_calls(db, wanted, behind=behind, limit=50)


def ask_actions(wanted: ActionFilter, db: sqlite3.Connection, behind: Position | None) -> object:
    return list_actions(db, wanted, behind=behind, limit=50)


WAYS = every_way()


@pytest.mark.parametrize("what", WAYS)
def test_every_list_goes_by_an_index_and_sorts_nothing(db: sqlite3.Connection, what: str) -> None:
    for behind in (None, Position(to_text(BEGINNING + 200 * DAY), 7)):
        asked: list[str] = []
        db.set_trace_callback(asked.append)
        WAYS[what](db, behind)
        db.set_trace_callback(None)
        for sql in asked:
            plan = [step for *_, step in db.execute(f"EXPLAIN QUERY PLAN {sql}")]
            for step in plan:
                # Without a filter all rows are in the list, in the order of an index that is walked from one place to another;
                # what goes on is few rows, and has an index of its own.
                few = "_open" in step or ("SCAN" in step and "_time" in step and "LIMIT" in sql)
                few = few or step == "SCAN admin_actions USING COVERING INDEX admin_actions_time"  # the whole log is counted
                assert step.startswith("SEARCH") or few or "TEMP B-TREE" in step, (step, sql)
                assert "TEMP B-TREE" not in step or "_open" in plan[0], (plan, sql)


def test_a_profile_goes_by_index(db: sqlite3.Connection) -> None:
    asked: list[str] = []
    db.set_trace_callback(asked.append)
    find_profile(db, "user_00000", datetime.now(UTC))
    db.set_trace_callback(None)
    for sql in asked:
        for *_, step in db.execute(f"EXPLAIN QUERY PLAN {sql}").fetchall():
            # Whose call is not over yet are few.
            few = "voice_sessions_loose" in step or "SUBQUERY" in step.upper() or "TEMP B-TREE" in step
            assert step.startswith("SEARCH") or few, (step, sql)
