"""What operators look at: live calls, history, sessions, people, the moderation log; paging, filters, rights."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from server.protocol import format_time
from server.voice.participant import Role
from tests.web.conftest import MakeSite
from tests.web.site import Site, bearer

PATHS = [
    "/api/admin/voice-calls/materie",
    "/api/admin/call-history/materie",
    "/api/admin/sessions",
    "/api/admin/sessions/nobody's",
    "/api/admin/user-profile/anna",
    "/api/admin/actions",
]


async def ask(site: Site, path: str, headers: dict[str, str] | None = None, **query: object) -> tuple[int, dict[str, Any]]:
    answer = await site.client.get(f"{path}?{urlencode(query)}", headers=site.api if headers is None else headers)
    body = await answer.json()
    assert isinstance(body, dict)
    return answer.status, body


async def stay(site: Site, user: str, seconds: float, room: str = "lobby", **fields: Any) -> str:
    """Join, stay, leave; the session's id."""
    joined = await site.join(user, room, **fields)
    site.clock.advance(seconds)
    assert (await site.post("/api/voice/leave", {"session_id": joined["session_id"]}, site.api)).status == 200
    return str(joined["session_id"])


@pytest.mark.parametrize("path", PATHS)
async def test_operators_only(site: Site, path: str) -> None:
    joined = await site.join()
    admin_of_one = site.user_token("root", role="admin", worlds=["materie"])
    callers = {
        None: 401,
        site.user_token("anna"): 403,
        site.user_token("mona", role="moderator"): 403,
        joined["session_token"]: 403,
        site.user_token("root", role="admin", exp=site.now - 1): 401,
        site.user_token("root", role="admin", worlds=["energie"]): 404 if "sessions/" in path else 403,
    }
    for token, expected in callers.items():
        status, body = await ask(site, path, bearer(token) if token is not None else {})
        assert (status, body["success"]) == (expected, False), token
    status, _ = await ask(site, path, bearer(site.user_token("root", role="admin")))
    assert status in (200, 404)
    status, _ = await ask(site, path, bearer(admin_of_one))
    assert status == (200 if "materie" in path else 404 if "sessions/" in path else 403)


async def test_grants_reach_as_far_as_the_filter(site: Site) -> None:
    session_id = await stay(site, "anna", 1)
    admin = bearer(site.user_token("root", role="admin", worlds=["materie"], rooms=["lobby"]))
    for path in ("/api/admin/sessions", "/api/admin/actions", "/api/admin/call-history/materie"):
        assert (await ask(site, path, admin))[0] == 403
        assert (await ask(site, path, admin, world="materie", room_id="lobby"))[0] == 200
        assert (await ask(site, path, admin, world="materie", room_id="attic"))[0] == 403
    assert (await ask(site, f"/api/admin/sessions/{session_id}", admin))[0] == 200
    other = bearer(site.user_token("root", role="admin", worlds=["energie"]))
    assert (await ask(site, f"/api/admin/sessions/{session_id}", other))[0] == 403


async def test_calls_that_go_on(site: Site) -> None:
    anna = await site.join("anna", "lobby")
    site.clock.advance(2.5)
    ben = await site.join("ben", "lobby")
    await site.join("cleo", "attic", world="energie")
    elsewhere = {"session_id": "x1", "room_id": "cellar", "user_id": "dora", "username": "Dora", "world": "materie"}
    began = format_time(site.clock.now() - timedelta(seconds=60))
    assert (await site.post("/api/admin/voice-session/start", {**elsewhere, "joined_at": began}, site.api)).status == 200
    site.service.set_self_muted(ben["session_id"], True)
    status, body = await ask(site, "/api/admin/voice-calls/materie")
    assert (status, body["world"], body["total_active_calls"]) == (200, "materie", 2)
    cellar, lobby = body["calls"]
    assert (cellar["room_id"], cellar["external"], cellar["duration_seconds"], cellar["started_at"]) == (
        "cellar",
        True,
        60,
        began,
    )
    assert lobby == {
        "room_id": "lobby",
        "room_name": "lobby",
        "participant_count": 2,
        "participants": [
            {
                "session_id": joined["session_id"],
                "user_id": user,
                "username": user.title(),
                "is_muted": muted,
                "is_speaking": False,
                "joined_at": joined["joined_at"],
            }
            for user, joined, muted in (("anna", anna, False), ("ben", ben, True))
        ],
        "started_at": anna["joined_at"],
        "duration_seconds": 3,
        "duration_ms": 2500,
        "external": False,
    }


async def test_calls_that_are_over(site: Site) -> None:
    anna = await site.join("anna", "lobby")
    site.clock.advance(10)
    await stay(site, "ben", 20, "lobby")
    site.clock.advance(30)
    assert (await ask(site, "/api/admin/call-history/materie"))[1]["calls"] == []
    await site.post("/api/voice/leave", {"session_id": anna["session_id"]}, site.api)
    ended_at = format_time(site.clock.now())
    site.clock.advance(5)
    await stay(site, "anna", 7.2, "attic")
    status, body = await ask(site, "/api/admin/call-history/materie")
    assert (status, body["total"], body["next_cursor"], body["world"]) == (200, 2, None, "materie")
    attic, lobby = body["calls"]
    assert (attic["room_id"], attic["duration_seconds"], attic["duration_ms"]) == ("attic", 7, 7200)
    assert lobby == {
        "room_id": "lobby",
        "room_name": "lobby",
        "started_at": anna["joined_at"],
        "ended_at": ended_at,
        "duration_seconds": 60,
        "duration_ms": 60_000,
        "max_participants": 2,
        "total_sessions": 2,
    }
    for query, rooms in (
        ({"room_id": "attic"}, ["attic"]),
        ({"user_id": "ben"}, ["lobby"]),
        ({"user_id": "ben", "room_id": "attic"}, []),
        ({"from": ended_at}, ["attic"]),
        ({"to": ended_at}, ["lobby"]),
        ({"from": anna["joined_at"][:10]}, ["attic", "lobby"]),
        ({"to": anna["joined_at"][:10]}, []),
    ):
        _, filtered = await ask(site, "/api/admin/call-history/materie", **query)
        assert ([call["room_id"] for call in filtered["calls"]], filtered["total"]) == (rooms, len(rooms)), query
    assert (await ask(site, "/api/admin/call-history/energie"))[1]["calls"] == []


async def test_single_sessions(site: Site) -> None:
    first = await stay(site, "anna", 60.4, avatar_emoji="🦊")
    report = {"session_id": first, "room_id": "lobby", "user_id": "anna", "left_at": format_time(site.clock.now())}
    reported = {**report, "duration_seconds": 99, "speaking_seconds": 98}
    assert (await site.post("/api/admin/voice-session/end", reported, site.api)).status == 200
    second = (await site.join("ben", "attic", world="energie"))["session_id"]
    site.clock.advance(3)
    status, body = await ask(site, f"/api/admin/sessions/{first}")
    session = body["session"]
    assert (status, session["reported"]["duration_seconds"], session["reported"]["speaking_seconds"]) == (200, 99, 98)
    del session["reported"]
    joined_at = site.clock.now() - timedelta(seconds=63.4)
    assert session == {
        "session_id": first,
        "room_id": "lobby",
        "room_name": "lobby",
        "user_id": "anna",
        "username": "Anna",
        "world": "materie",
        "avatar_emoji": "🦊",
        "role": "user",
        "joined_at": format_time(joined_at),
        "left_at": report["left_at"],
        "duration_seconds": 60,
        "duration_ms": 60_400,
        "speaking_seconds": 0,
        "speaking_ms": 0,
        "attempted_speaking_ms": 0,
        "reason": "rolled_back",
        "source": "server",
    }
    _, body = await ask(site, f"/api/admin/sessions/{second}")
    running = body["session"]
    assert (running["left_at"], running["reason"], running["duration_ms"], running["reported"]) == (None, None, 3000, None)
    for query, sessions in (
        ({}, [second, first]),
        ({"world": "materie"}, [first]),
        ({"room_id": "attic"}, [second]),
        ({"user_id": "anna"}, [first]),
        ({"active": "true"}, [second]),
        ({"active": "false"}, [first]),
        ({"from": running["joined_at"]}, [second]),
    ):
        _, listed = await ask(site, "/api/admin/sessions", **query)
        assert ([entry["session_id"] for entry in listed["sessions"]], listed["total"]) == (sessions, len(sessions)), query
    assert (await ask(site, "/api/admin/sessions/nobody's"))[1]["error"] == "Session not found"


async def test_pages_follow_each_other(site: Site) -> None:
    made = [await stay(site, f"user {number}", 1 + number % 3 / 1000) for number in range(7)]
    for path, key in (("/api/admin/sessions", "sessions"), ("/api/admin/call-history/materie", "calls")):
        seen: list[Any] = []
        cursor: dict[str, str] = {}
        sizes = []
        while True:
            _, body = await ask(site, path, None, limit=3, **cursor)
            assert body["total"] == 7
            sizes.append(len(body[key]))
            seen += body[key]
            if body["next_cursor"] is None:
                break
            cursor = {"cursor": body["next_cursor"]}
        assert sizes == [3, 3, 1]
        if key == "sessions":
            assert [entry["session_id"] for entry in seen] == made[::-1]
        assert len({str(entry) for entry in seen}) == 7


@pytest.mark.parametrize("path", ["/api/admin/sessions", "/api/admin/call-history/materie", "/api/admin/actions"])
@pytest.mark.parametrize(
    ("query", "field", "reason"),
    [
        ("limit=0", "limit", "greater than or equal to 1"),
        ("limit=201", "limit", "less than or equal to 200"),
        ("limit=ten", "limit", "valid integer"),
        ("limit=", "limit", "valid integer"),
        ("limit=1&limit=2", "limit", "given twice"),
        ("cursor=", "cursor", "not a cursor of this list"),
        ("cursor=%F0%9F%A6%8A", "cursor", "not a cursor of this list"),
        ("cursor=bm9uc2Vuc2U", "cursor", "not a cursor of this list"),
        ("cursor=" + "A" * 201, "cursor", "too long: at most 200 characters"),
        ("from=yesterday", "from", "not a time such as 2026-02-13T17:30:00.000Z"),
        ("from=1739467800", "from", "not a time"),
        ("from=2026-02-13T17:30:00", "from", "timezone"),
        ("to=2026-02-30", "to", "valid datetime"),
        ("from=0001-01-01T00:00:00Z", "from", "out of range"),
        ("room_id=", "room_id", "empty"),
        ("room_id=" + "x" * 129, "room_id", "too long: at most 128 characters"),
    ],
)
async def test_queries_that_cannot_be_read(site: Site, path: str, query: str, field: str, reason: str) -> None:
    answer = await site.client.get(f"{path}?{query}", headers=site.api)
    body = await answer.json()
    assert (answer.status, body["error"], body["field"]) == (400, "Invalid request", field)
    assert reason in body["reason"]


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/api/admin/voice-calls/atlantis", "world"),
        ("/api/admin/call-history/atlantis", "world"),
        ("/api/admin/sessions?world=atlantis", "world"),
        ("/api/admin/sessions?active=yes", "active"),
        ("/api/admin/actions?world=atlantis", "world"),
        ("/api/admin/actions?action_type=shout", "action_type"),
        (f"/api/admin/sessions/{quote('a' * 129)}", "session_id"),
        ("/api/admin/user-profile/%00", "user_id"),
    ],
)
async def test_what_does_not_exist_is_refused(site: Site, path: str, field: str) -> None:
    answer = await site.client.get(path, headers=site.api)
    body = await answer.json()
    assert (answer.status, body["error"], body["field"]) == (400, "Invalid request", field)


async def test_a_cursor_of_another_list_is_refused(site: Site) -> None:
    for user in ("anna", "ben"):
        await stay(site, user, 1)
    _, body = await ask(site, "/api/admin/sessions", limit=1)
    status, refused = await ask(site, "/api/admin/call-history/materie", cursor=body["next_cursor"])
    assert (status, refused["field"]) == (400, "cursor")


async def test_a_person_in_figures(site: Site) -> None:
    await stay(site, "anna", 100, avatar_emoji="🦊")
    created = format_time(site.clock.now() - timedelta(seconds=100))
    await stay(site, "anna", 50)
    await site.join("anna", "attic")
    site.clock.advance(60)
    root = {"admin_user_id": "root", "target_user_id": "anna", "world": "materie"}
    for action_type in ("warn", "warn", "mute", "kick", "ban", "unban"):
        logged = await site.post("/api/admin/action/log", {**root, "action_type": action_type}, site.api)
        assert logged.status == 200
    status, body = await ask(site, "/api/admin/user-profile/anna")
    assert status == 200
    assert body["user"] == {
        "user_id": "anna",
        "username": "Anna",
        "role": Role.USER.value,
        "avatar_emoji": "🦊",
        "created_at": created,
        "last_active": format_time(site.clock.now() - timedelta(seconds=60)),
        "total_calls": 3,
        "total_sessions": 3,
        "total_minutes": 4,
        "total_ms": 210_000,
        "speaking_minutes": 0,
        "speaking_ms": 0,
        "warnings": 2,
        "kicks": 1,
        "mutes": 1,
        "bans": 1,
    }
    status, body = await ask(site, "/api/admin/user-profile/nobody")
    assert (status, body["error"]) == (404, "User not found")


async def test_the_moderation_log(site: Site) -> None:
    entries = [
        {"action_type": "kick", "target_user_id": "anna", "admin_user_id": "root", "world": "materie", "room_id": "lobby"},
        {"action_type": "ban", "target_user_id": "ben", "admin_user_id": "mona", "world": "energie", "duration_hours": 2.5},
        {"action_type": "warn", "target_user_id": "anna", "admin_user_id": "mona", "world": "materie", "reason": "Lärm"},
    ]
    ids = []
    for entry in entries:
        ids.append((await (await site.post("/api/admin/action/log", entry, site.api)).json())["action_id"])
        site.clock.advance(1)
    _, body = await ask(site, "/api/admin/actions")
    assert [action["action_id"] for action in body["actions"]] == ids[::-1]
    assert body["total"] == 3
    banned = body["actions"][1]
    expires = format_time(site.clock.now() - timedelta(seconds=2) + timedelta(hours=2.5))
    assert (banned["duration_hours"], banned["expires_at"], banned["log_only"]) == (2.5, expires, True)
    for query, found in (
        ({"world": "materie"}, [2, 0]),
        ({"target_user_id": "anna"}, [2, 0]),
        ({"admin_user_id": "mona"}, [2, 1]),
        ({"action_type": "ban"}, [1]),
        ({"room_id": "lobby"}, [0]),
        ({"limit": 1}, [2]),
    ):
        _, filtered = await ask(site, "/api/admin/actions", **query)
        assert [action["action_id"] for action in filtered["actions"]] == [ids[number] for number in found], query


async def test_names_of_rooms_are_shown_where_there_are_any(make_site: MakeSite) -> None:
    site = await make_site()
    await site.database.write(lambda db: db.execute("INSERT INTO room_names VALUES ('lobby', 'Empfang')"))
    await stay(site, "anna", 5)
    await site.join("ben", "lobby")
    assert (await ask(site, "/api/admin/call-history/materie"))[1]["calls"][0]["room_name"] == "Empfang"
    assert (await ask(site, "/api/admin/voice-calls/materie"))[1]["calls"][0]["room_name"] == "Empfang"
    assert (await ask(site, "/api/admin/sessions"))[1]["sessions"][0]["room_name"] == "Empfang"
