"""Reports about stays by REST: what they take, and what they never change."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from server.protocol import format_time
from tests.web.site import Site, bearer

START, END = "/api/admin/voice-session/start", "/api/admin/voice-session/end"


def started(site: Site, **changes: Any) -> dict[str, Any]:
    joined_at = format_time(site.clock.now() - timedelta(minutes=5))
    stay = {
        "session_id": "e1",
        "room_id": "lobby",
        "user_id": "anna",
        "username": "Anna",
        "world": "materie",
        "joined_at": joined_at,
    }
    return {name: value for name, value in {**stay, **changes}.items() if value is not None}


def ended(site: Site, **changes: Any) -> dict[str, Any]:
    stay = {"session_id": "e1", "room_id": "lobby", "user_id": "anna", "left_at": format_time(site.clock.now())}
    return {name: value for name, value in {**stay, "duration_seconds": 300, "speaking_seconds": 42, **changes}.items()
            if value is not None}  # fmt: skip


async def test_a_call_elsewhere(site: Site) -> None:
    answer = await site.post(START, started(site), site.api)
    body = await answer.json()
    assert (answer.status, body["success"], body["session_id"], body["created"]) == (200, True, "e1", True)
    again = await (await site.post(START, started(site), site.api)).json()
    assert (again["success"], again["created"], again["message"]) == (True, False, "Diese Session ist schon erfasst")
    answer = await site.post(END, ended(site), site.api)
    body = await answer.json()
    assert (answer.status, body["measured_by"]) == (200, "report")
    assert body["stats"] == {"duration_seconds": 300, "duration_ms": None, "speaking_seconds": 42, "speaking_ms": None}
    answer = await site.post(END, ended(site), site.api)
    body = await answer.json()
    assert (answer.status, body["error"], body["left_at"]) == (409, "Session already ended", ended(site)["left_at"])


async def test_a_session_of_ours_is_known_and_keeps_its_measurement(site: Site) -> None:
    joined = await site.join()
    here = {"session_id": joined["session_id"]}
    start = await (await site.post(START, started(site, **here), site.api)).json()
    assert (start["success"], start["created"]) == (True, False)
    site.clock.advance(61)
    await site.post("/api/voice/leave", here, site.api)
    site.clock.advance(60)
    answer = await site.post(END, ended(site, **here, duration_seconds=120, speaking_seconds=119), site.api)
    body = await answer.json()
    assert (answer.status, body["measured_by"]) == (200, "server")
    assert body["stats"] == {"duration_seconds": 61, "duration_ms": 61_000, "speaking_seconds": 0, "speaking_ms": 0}
    session = await site.client.get(f"/api/admin/sessions/{joined['session_id']}", headers=site.api)
    stored = (await session.json())["session"]
    assert (stored["duration_ms"], stored["speaking_ms"], stored["reported"]["speaking_seconds"]) == (61_000, 0, 119)


async def test_a_report_puts_nobody_out(site: Site) -> None:
    joined = await site.join()
    site.clock.advance(2)
    assert (
        await site.post(END, ended(site, session_id=joined["session_id"], duration_seconds=2, speaking_seconds=1), site.api)
    ).ok
    assert len(site.service.roster("lobby")) == 1
    left = await (await site.post("/api/voice/leave", {"session_id": joined["session_id"]}, site.api)).json()
    assert left["duration_ms"] == 2000


@pytest.mark.parametrize("name", ["session_id", "room_id", "user_id", "username", "world", "joined_at"])
async def test_every_field_of_a_start_is_required(site: Site, name: str) -> None:
    answer = await site.post(START, started(site, **{name: None}), site.api)
    body = await answer.json()
    assert (answer.status, body["error"], body["missing"]) == (400, "Missing required fields", [name])
    assert body["required"] == ["session_id", "room_id", "user_id", "username", "world", "joined_at"]


@pytest.mark.parametrize("name", ["session_id", "room_id", "user_id", "left_at", "duration_seconds", "speaking_seconds"])
async def test_every_field_of_an_end_is_required(site: Site, name: str) -> None:
    answer = await site.post(END, ended(site, **{name: None}), site.api)
    body = await answer.json()
    assert (answer.status, body["error"], body["missing"]) == (400, "Missing required fields", [name])


@pytest.mark.parametrize(
    ("path", "changes", "field", "reason"),
    [
        (START, {"world": "atlantis"}, "world", "unknown world"),
        (START, {"joined_at": "now"}, "joined_at", "not a time"),
        (START, {"joined_at": 1739467800}, "joined_at", "not a string"),
        (START, {"joined_at": "2026-02-13T17:30:00"}, "joined_at", "timezone"),
        (START, {"joined_at": "2999-01-01T00:00:00.000Z"}, "joined_at", "in the future"),
        (START, {"username": "Anna\u202e"}, "username", "control characters"),
        (END, {"left_at": "2999-01-01T00:00:00.000Z"}, "left_at", "in the future"),
        (END, {"left_at": "2001-01-01T00:00:00.000Z"}, "left_at", "before joined_at"),
        (END, {"duration_seconds": -1}, "duration_seconds", "greater than or equal to 0"),
        (END, {"speaking_seconds": -1}, "speaking_seconds", "greater than or equal to 0"),
        (END, {"duration_seconds": 3.5}, "duration_seconds", "not a whole number"),
        (END, {"duration_seconds": True}, "duration_seconds", "not a whole number"),
        (END, {"duration_seconds": "300"}, "duration_seconds", "not a whole number"),
        (END, {"duration_seconds": 10**30}, "duration_seconds", "less than or equal to"),
        (END, {"speaking_seconds": 301}, "speaking_seconds", "longer than duration_seconds"),
        (END, {"duration_seconds": 306}, "duration_seconds", "longer than from joined_at to left_at"),
        (END, {"room_id": "attic"}, "room_id", "not that of this session"),
        (END, {"user_id": "ben"}, "user_id", "not that of this session"),
    ],
)
async def test_impossible_values_are_refused(site: Site, path: str, changes: dict[str, Any], field: str, reason: str) -> None:
    if path == END:
        assert (await site.post(START, started(site), site.api)).ok
    body = started(site, **changes) if path == START else ended(site, **changes)
    answer = await site.post(path, body, site.api)
    refused = await answer.json()
    assert (answer.status, refused["error"], refused["field"]) == (400, "Invalid request", field)
    assert reason in refused["reason"]


async def test_an_unknown_session_cannot_end(site: Site) -> None:
    answer = await site.post(END, ended(site), site.api)
    assert (answer.status, (await answer.json())["error"]) == (404, "Session not found")


async def test_operators_only_and_where_their_grants_reach(site: Site) -> None:
    joined = await site.join()
    callers = {
        site.user_token("anna"): 403,
        site.user_token("mona", role="moderator"): 403,
        joined["session_token"]: 403,
        "nonsense": 401,
        site.user_token("root", role="admin", worlds=["energie"]): 403,
        site.user_token("root", role="admin", rooms=["attic"]): 403,
        site.user_token("root", role="admin", worlds=["materie"]): 200,
    }
    for number, (token, expected) in enumerate(callers.items()):
        session = {"session_id": f"e{number}"}
        assert (await site.post(START, started(site, **session), bearer(token))).status == expected
        await site.post(START, started(site, **session), site.api)
        assert (await site.post(END, ended(site, **session), bearer(token))).status == expected


async def test_an_admin_of_a_world_learns_nothing_of_others(site: Site) -> None:
    admin = bearer(site.user_token("root", role="admin", worlds=["energie"]))
    assert (await site.post(END, ended(site), admin)).status == 403
