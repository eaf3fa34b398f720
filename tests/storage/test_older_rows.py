"""What a value of an older row is taken for."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from server.storage.older_file import OlderRow
from server.storage.older_rows import Unreadable, action_of, session_of, user_of

NOON = datetime(2026, 2, 13, 12, tzinfo=UTC)
NOON_MS = 1_770_984_000_000
STAY: dict[str, Any] = {
    "id": "s1",
    "room_id": "lobby",
    "user_id": "anna",
    "username": "Anna",
    "world": "materie",
    "joined_at": NOON_MS,
}
ACTION: dict[str, Any] = {
    "id": "a1",
    "action_type": "ban",
    "target_user_id": "anna",
    "admin_user_id": "root",
    "created_at": NOON_MS,
}


def row(**values: Any) -> OlderRow:
    return OlderRow("voice_sessions", 1, values)


@pytest.mark.parametrize(
    "joined_at",
    [
        NOON_MS,
        float(NOON_MS),
        str(NOON_MS),
        NOON_MS // 1000,
        "2026-02-13T12:00:00.000Z",
        "2026-02-13T12:00:00Z",
        "2026-02-13 12:00:00",
        "2026-02-13T13:00:00+01:00",
        " 2026-02-13T12:00:00.000999 ",
    ],
)
def test_times_in_all_their_ways(joined_at: object) -> None:
    assert session_of(row(**{**STAY, "joined_at": joined_at})).joined_at == NOON


@pytest.mark.parametrize(
    ("changes", "duration", "duration_ms", "speaking", "ended"),
    [
        ({"left_at": NOON_MS + 60_499}, 60, 60_499, None, True),
        ({"left_at": NOON_MS + 60_500, "speaking_seconds": 0}, 61, 60_500, 0, True),
        ({"left_at": NOON_MS + 60_499, "duration_seconds": 60, "speaking_seconds": 61}, 60, 60_499, 61, True),
        ({"left_at": NOON_MS + 60_000, "duration_seconds": 55}, 55, None, None, True),
        ({"left_at": NOON_MS + 60_000, "duration_seconds": "55.5"}, 56, None, None, True),
        ({"left_at": None}, 0, 0, None, False),
        ({"left_at": "", "duration_seconds": 90, "speaking_seconds": 30}, 90, 90_000, 30, False),
    ],
)
def test_durations(changes: dict[str, Any], duration: int, duration_ms: int | None, speaking: int | None, ended: bool) -> None:
    session = session_of(row(**{**STAY, **changes}))
    found = (session.duration_seconds, session.duration_ms, session.speaking_seconds, session.ended)
    assert found == (duration, duration_ms, speaking, ended)


@pytest.mark.parametrize(
    ("changes", "session_id"),
    [
        ({}, "s1"),
        ({"session_id": "classic"}, "classic"),
        ({"session_id": None}, "s1"),
        ({"session_id": " "}, "s1"),
        ({"id": 17, "session_id": "classic"}, "classic"),
    ],
)
def test_session_ids(changes: dict[str, Any], session_id: str) -> None:
    assert session_of(row(**{**STAY, **changes})).session_id == session_id


def test_a_stay_without_an_id_gets_the_same_one_each_time() -> None:
    ids = {session_of(row(**{**STAY, "id": number, "session_id": None})).session_id for number in (1, 1, 2, None)}
    assert len(ids) == 3


def test_names_are_made_fit() -> None:
    session = session_of(row(**{**STAY, "username": "  An\tna\u202e  " + "x" * 100, "room_name": "\x00"}))
    assert session.username == ("An na " + "x" * 100)[:64]
    assert session.room_name is None
    assert session_of(row(**{**STAY, "username": None})).username == "anna"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"joined_at": None}, "joined_at is missing"),
        ({"joined_at": "yesterday"}, "joined_at is not a time"),
        ({"joined_at": 17}, "joined_at is before the year 2000"),
        ({"joined_at": 10**30}, "joined_at is out of range"),
        ({"joined_at": b"\x00"}, "joined_at is not a text"),
        ({"left_at": NOON_MS - 1}, "left_at is before joined_at"),
        ({"left_at": NOON_MS + 400 * 86_400_000}, "it lasted longer than a year"),
        ({"left_at": "0001-01-01T00:00:00+23:00"}, "left_at is not a time"),
        ({"duration_seconds": -1}, "duration_seconds is out of range"),
        ({"duration_seconds": "long"}, "duration_seconds is not a number"),
        ({"duration_seconds": float("inf")}, "duration_seconds is out of range"),
        ({"left_at": NOON_MS + 60_000, "speaking_seconds": 62}, "speaking_seconds is more than the stay lasted"),
        ({"room_id": None}, "room_id is missing"),
        ({"room_id": " "}, "room_id is not usable: empty"),
        ({"user_id": "a\nb"}, "user_id is not usable: control characters"),
        ({"world": 1.5}, "world is not a text"),
        ({"session_id": "x" * 200}, "session_id is not usable: too long: at most 128 characters"),
    ],
)
def test_what_makes_a_stay_unreadable(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(Unreadable) as problem:
        session_of(row(**{**STAY, **changes}))
    assert str(problem.value) == reason


def test_actions_in_both_ways() -> None:
    action = action_of(row(**{**ACTION, "duration_hours": 2, "world": None}))
    assert (action.action_id, action.world, action.created_at, action.duration_hours) == ("a1", "*", NOON, 2.0)
    assert action.expires_at == datetime(2026, 2, 13, 14, tzinfo=UTC)
    other = {"action_id": "a2", "id": 5, "action_type": "KICK", "target_user_id": "anna", "admin_id": "root"}
    action = action_of(row(**other, world="materie", timestamp="2026-02-13T12:00:00Z", duration_hours=0))
    assert (action.action_id, action.action_type, action.admin_user_id, action.created_at) == ("a2", "kick", "root", NOON)
    assert (action.expires_at, action.duration_hours) == (None, None)
    assert action_of(row(**{**ACTION, "id": 5})).action_id == "5"


def test_people() -> None:
    user = user_of(row(user_id="anna", username="Anna", role="ADMIN", created_at=NOON_MS, last_active="2026-02-13 12:00:00"))
    assert (user.role, user.role_known, user.created_at, user.last_active) == ("admin", True, NOON, NOON)
    user = user_of(row(id=7, username=None, role="wizard"))
    assert (user.user_id, user.username, user.role, user.role_known, user.created_at) == ("7", "7", "user", False, None)
