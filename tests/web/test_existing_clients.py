"""The requests of clients that exist, word for word as the contract lists them, and what these clients read of the answers.

An app and an admin panel were written against them: a field that is gone, or whose kind has changed, breaks them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from aiohttp import ClientResponse

from server.protocol import format_time
from tests.web.site import Site

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")

Shape = Mapping[str, Any]
"""What a client reads: a type, `TIME`, a value, a shape, or a list with the shape of its entries."""

PARTICIPANT: Shape = {
    "sessionId": str,
    "userId": str,
    "username": str,
    "avatarEmoji": (str, type(None)),
    "isMuted": bool,
    "isSpeaking": bool,
    "role": str,
}
JOIN = {"room_id": "materie_room", "user_id": "test_001", "username": "Test", "world": "materie"}


def fits(value: Any, shape: Any, where: str = "answer") -> None:
    """Everything that a client reads is there and of its kind; more may be there."""
    if isinstance(shape, Mapping):
        assert isinstance(value, dict), where
        for name, part in shape.items():
            assert name in value, f"{where}.{name}"
            fits(value[name], part, f"{where}.{name}")
    elif isinstance(shape, list):
        assert isinstance(value, list), where
        assert value, f"{where}: nothing to look at"
        for entry in value:
            fits(entry, shape[0], f"{where}[]")
    elif shape is TIME:
        assert TIME.fullmatch(str(value)), (where, value)
    elif isinstance(shape, type | tuple):
        # Dart and TypeScript tell whole numbers from others, and true from 1.
        assert isinstance(value, shape), (where, value)
        assert isinstance(value, bool) is (shape is bool), (where, value)
    else:
        assert value == shape, where


async def success(answer: ClientResponse, shape: Shape) -> dict[str, Any]:
    body = await answer.json()
    assert answer.status == 200, body
    fits(body, {"success": True, "timestamp": TIME, **shape})
    assert isinstance(body, dict)
    return body


async def test_the_app_joins_talks_and_leaves(site: Site) -> None:
    join = await success(
        await site.post("/api/voice/join", {**JOIN, "avatar_emoji": "🦊"}, site.api),
        {
            "session_id": str,
            "session_token": str,
            "room_id": "materie_room",
            "world": "materie",
            "max_participants": 10,
            "current_participant_count": 1,
            "participants": [PARTICIPANT],
            "joined_at": TIME,
            "signalling_url": "/api/ws",
            "ice_servers": list,
            "message": "Backend-Session erfolgreich erstellt",
        },
    )
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", join["session_id"])
    rooms = {"room_id": "materie_room", "participant_count": 1, "max_participants": 10, "is_full": False, "first_joined_at": TIME}
    await success(
        await site.client.get("/api/voice/rooms/materie", headers=site.api),
        {"world": "materie", "rooms": [rooms], "total_active_rooms": 1},
    )
    await success(
        await site.client.get("/api/voice/participants/materie_room", headers=site.api),
        {"room_id": "materie_room", "participants": [PARTICIPANT]},
    )
    again = await site.post("/api/voice/join", JOIN, site.api)
    fits(await again.json(), {"success": False, "error": "Already in room", "session_id": join["session_id"]})
    assert again.status == 409
    site.clock.advance(61.7)
    ended = {"session_id": join["session_id"], "room_id": "materie_room", "user_id": "test_001", "left_at": TIME}
    await success(
        await site.post("/api/voice/leave", {"session_id": join["session_id"]}, site.api),
        {**ended, "duration_seconds": 62, "speaking_seconds": int, "message": "Session erfolgreich beendet"},
    )
    twice = await site.post("/api/voice/leave", {"session_id": join["session_id"]}, site.api)
    fits(await twice.json(), {"success": False, "error": "Session already ended", "left_at": TIME, "message": str})
    assert twice.status == 409


async def test_the_app_gives_a_place_back_when_its_page_goes_away(site: Site) -> None:
    joined = await site.join("anna")
    beacon = json.dumps({"session_id": joined["session_id"], "session_token": joined["session_token"]})
    answer = await site.client.post("/api/voice/leave", data=beacon, headers={"Content-Type": "text/plain;charset=UTF-8"})
    await success(answer, {"session_id": joined["session_id"], "duration_seconds": int})


async def test_the_app_is_told_what_it_acts_on(site: Site) -> None:
    missing = await site.post("/api/voice/join", {"room_id": "materie_room"}, site.api)
    fits(await missing.json(), {"error": "Missing required fields", "required": [str], "missing": [str]})
    assert missing.status == 400
    unauthorised = await site.post("/api/voice/join", JOIN)
    fits(await unauthorised.json(), {"success": False, "error": "Unauthorized", "message": str, "timestamp": TIME})
    assert unauthorised.status == 401
    for number in range(10):
        await site.join(f"user {number}", "materie_room")
    full = await site.post("/api/voice/join", JOIN, site.api)
    fits(await full.json(), {"error": "Room full", "current_participant_count": 10, "max_participants": 10})
    assert full.status == 403
    nameless = await site.post("/api/voice/leave", {}, site.api)
    fits(await nameless.json(), {"success": False, "error": "Missing session_id"})
    assert nameless.status == 400
    unknown = await site.post("/api/voice/leave", {"session_id": "nobody's"}, site.api)
    fits(await unknown.json(), {"success": False, "error": "Session not found"})
    assert unknown.status == 404


async def test_the_tracker_reports_the_start_and_the_end(site: Site) -> None:
    joined = await site.join("test_001", "materie_room")
    start = {"session_id": joined["session_id"], **JOIN, "joined_at": joined["joined_at"]}
    tracked = {"session_id": joined["session_id"], "message": str}
    await success(await site.post("/api/admin/voice-session/start", start, site.api), tracked)
    await success(await site.post("/api/admin/voice-session/start", start, site.api), tracked)
    site.clock.advance(300)
    await site.post("/api/voice/leave", {"session_id": joined["session_id"]}, site.api)
    end = {
        "session_id": joined["session_id"],
        "room_id": "materie_room",
        "user_id": "test_001",
        "left_at": format_time(site.clock.now()),
        "duration_seconds": 300,
        "speaking_seconds": 120,
    }
    stats = {"duration_seconds": 300, "speaking_seconds": int}
    await success(
        await site.post("/api/admin/voice-session/end", end, site.api), {"session_id": joined["session_id"], "stats": stats}
    )
    assert (await site.post("/api/admin/voice-session/end", end, site.api)).status == 409


async def test_the_admin_panel_logs_an_action(site: Site) -> None:
    action = {
        "action_type": "kick",
        "target_user_id": "test_001",
        "target_username": "Test",
        "admin_user_id": "admin_001",
        "admin_username": "Admin",
        "world": "materie",
        "room_id": "materie_room",
        "reason": "Störung",
        "duration_hours": 24,
        "timestamp": format_time(site.clock.now()),
    }
    await success(await site.post("/api/admin/action/log", action, site.api), {"action_id": str, "message": str})
    for action_type in ("mute", "unmute", "ban", "unban", "warn"):
        least = {"action_type": action_type, "target_user_id": "test_001", "admin_user_id": "admin_001", "world": "materie"}
        await success(await site.post("/api/admin/action/log", least, site.api), {"action_id": str, "message": str})


async def test_the_admin_panel_looks_at_calls_and_people(site: Site) -> None:
    joined = await site.join("test_001", "materie_room")
    site.clock.advance(90)
    person = {"user_id": "test_001", "username": str, "is_muted": bool, "is_speaking": bool, "joined_at": TIME}
    call = {"room_id": "materie_room", "room_name": str, "participant_count": 1, "participants": [person], "started_at": TIME}
    await success(
        await site.client.get("/api/admin/voice-calls/materie", headers=site.api),
        {"world": "materie", "calls": [{**call, "duration_seconds": 90}], "total_active_calls": 1},
    )
    await site.post("/api/voice/leave", {"session_id": joined["session_id"]}, site.api)
    over = {"room_id": "materie_room", "room_name": str, "started_at": TIME, "ended_at": TIME, "duration_seconds": 90}
    await success(
        await site.client.get("/api/admin/call-history/materie?limit=50", headers=site.api),
        {"calls": [{**over, "max_participants": 1, "total_sessions": 1}], "total": 1, "next_cursor": None},
    )
    day = (site.clock.now() + timedelta(days=1)).date().isoformat()
    limited = f"/api/admin/call-history/materie?limit=1&to={day}&room_id=materie_room&user_id=test_001"
    await success(await site.client.get(limited, headers=site.api), {"calls": [over], "total": 1})
    user = {
        "user_id": "test_001",
        "username": str,
        "role": "user",
        "avatar_emoji": (str, type(None)),
        "created_at": TIME,
        "last_active": TIME,
        **dict.fromkeys(("total_calls", "total_minutes", "speaking_minutes", "warnings", "kicks", "mutes", "bans"), int),
    }
    await success(await site.client.get("/api/admin/user-profile/test_001", headers=site.api), {"user": user})
    unknown = await site.client.get("/api/admin/user-profile/nobody", headers=site.api)
    fits(await unknown.json(), {"success": False, "error": "User not found"})
    assert unknown.status == 404


async def test_anybody_asks_how_the_server_is_and_what_there_is(site: Site) -> None:
    for path in ("/api/health", "/health"):
        answer = await site.client.get(path)
        shape = {"status": "ok", "version": str, "features": [str], "database": "connected", "media": {}, "timestamp": TIME}
        fits(await answer.json(), shape)
    lost = await site.client.get("/api/voice/nothing")
    fits(await lost.json(), {"success": False, "error": "Not found", "available_endpoints": [str]})
    assert lost.status == 404
    preflight = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}
    asked = await site.client.options("/api/voice/join", headers=preflight)
    assert (asked.status, asked.headers["Access-Control-Allow-Origin"]) == (204, "*")


async def test_the_app_signals_over_the_websocket(site: Site) -> None:
    socket, joined = await site.enter("anna", "materie_room")
    other, ben = await site.enter("ben", "materie_room")
    fits(await socket.until("voice_join"), {"sessionId": ben["session_id"], "userId": "ben", "username": "Ben"})
    candidate = {"candidate": "candidate:1 1 udp 1 192.0.2.1 9 typ host", "sdpMid": "0", "sdpMLineIndex": 0}
    sent = {"type": "voice_ice_candidate", "sessionId": joined["session_id"], "targetUserId": "ben", "candidate": candidate}
    await socket.send(sent)
    relayed = {"type": "voice_ice_candidate", "sessionId": joined["session_id"], "userId": "anna", "candidate": candidate}
    fits(await other.until("voice_ice_candidate"), relayed)
    await socket.send({"type": "voice_mute", "sessionId": joined["session_id"], "muted": True})
    fits(await other.until("voice_mute"), {"sessionId": joined["session_id"], "userId": "anna", "muted": True, "by": "self"})
    await socket.send({"type": "voice_leave", "sessionId": joined["session_id"]})
    fits(await other.until("voice_leave"), {"sessionId": joined["session_id"], "userId": "anna", "reason": "left"})
