"""`/api/voice/…` and `/api/auth/guest`, on a real service and a real database."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import jwt
import pytest

from server.errors import Banned, RateLimited
from server.voice.participant import EndReason
from server.voice.ports import JoinCommand, JoinResult
from server.web.auth import Identity
from tests.voice.fakes import speak
from tests.web.conftest import MakeSite
from tests.web.site import Site, bearer, voice_join

BODY = {"room_id": "lobby", "user_id": "anna", "username": "Anna", "world": "materie"}
NOW = "2026-02-13T17:30:00.123Z"


async def refused(site: Site, path: str, body: object, headers: dict[str, str] | None = None) -> tuple[int, dict[str, Any]]:
    """What was answered to a request that must fail, in the one shape of errors."""
    answer = await site.post(path, body, headers)
    error = await answer.json()
    assert error.pop("success") is False
    assert error.pop("timestamp") == NOW
    assert error.pop("message")
    return answer.status, error


# --- join ---------------------------------------------------------------------------------------------------------


async def test_join_answers_as_the_contract_says(site: Site) -> None:
    answer = await site.post("/api/voice/join", {**BODY, "avatar_emoji": "🦊"}, site.api)
    assert (answer.status, answer.headers["Cache-Control"]) == (200, "no-store")
    joined = await answer.json()
    session_id = joined.pop("session_id")
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", session_id)
    assert joined.pop("session_token").count(".") == 2
    assert joined == {
        "success": True,
        "session_token_expires_at": "2026-02-14T17:30:01.000Z",
        "room_id": "lobby",
        "world": "materie",
        "max_participants": 10,
        "current_participant_count": 1,
        "participants": [
            {
                "sessionId": session_id,
                "userId": "anna",
                "username": "Anna",
                "avatarEmoji": "🦊",
                "isMuted": False,
                "isSpeaking": False,
                "role": "user",
                "handRaised": False,
            }
        ],
        "joined_at": NOW,
        "signalling_url": "/api/ws",
        "ice_servers": [],
        "message": "Backend-Session erfolgreich erstellt",
        "timestamp": NOW,
    }
    assert site.service.participant(session_id).user_id == "anna"
    assert site.media.opened == {session_id: "lobby"}


async def test_join_hands_out_the_ice_servers_of_the_settings(make_site: MakeSite) -> None:
    servers = ({"urls": ["turn:turn.example:3478"], "username": "u", "credential": "c"},)
    site = await make_site({"ice_servers": servers})
    assert (await site.join())["ice_servers"] == [*servers]


@pytest.mark.parametrize(
    ("change", "missing"),
    [
        ({"room_id": None}, ["room_id"]),
        ({"user_id": ""}, ["user_id"]),
        ({"username": "  \u200b"}, ["username"]),
        ({"room_id": "", "world": None}, ["room_id", "world"]),
        (dict.fromkeys(BODY), ["room_id", "user_id", "username", "world"]),
    ],
)
async def test_missing_and_empty_fields_are_named(site: Site, change: dict[str, Any], missing: list[str]) -> None:
    status, error = await refused(site, "/api/voice/join", {**BODY, **change}, site.api)
    assert status == 400
    required = ["room_id", "user_id", "username", "world"]
    assert error == {"error": "Missing required fields", "required": required, "missing": missing}


@pytest.mark.parametrize(
    ("change", "field", "reason"),
    [
        ({"room_id": 7}, "room_id", "not a string"),
        ({"username": ["Anna"]}, "username", "not a string"),
        ({"user_id": "x" * 129}, "user_id", "too long: at most 128 characters"),
        ({"username": "x" * 65}, "username", "too long: at most 64 characters"),
        ({"username": "x" + "\u0301" * 600}, "username", "too long: at most 1024 bytes"),
        ({"avatar_emoji": "🦊" * 17}, "avatar_emoji", "too long: at most 64 bytes"),
        ({"avatar_emoji": 7}, "avatar_emoji", "not a string"),
        ({"room_id": "a\nb"}, "room_id", "control characters"),
        ({"username": "a\x9bb"}, "username", "control characters"),
        ({"username": "\u202eanna"}, "username", "control characters"),
        ({"user_id": "a\u2028b"}, "user_id", "control characters"),
        ({"world": "nowhere"}, "world", "unknown world"),
    ],
)
async def test_a_value_that_cannot_be_used_is_named(site: Site, change: dict[str, Any], field: str, reason: str) -> None:
    status, error = await refused(site, "/api/voice/join", {**BODY, **change}, site.api)
    assert (status, error) == (400, {"error": "Invalid request", "field": field, "reason": reason})


@pytest.mark.parametrize("username", ["🦊" * 64, "👨‍👩‍👧‍👦" * 40, "أنا", "Ωmega & <b>", "x" * 64, " Anna "])
async def test_names_of_every_kind_are_welcome(site: Site, username: str) -> None:
    joined = await site.join(username=username)
    assert joined["participants"][0]["username"] == username.strip()


async def test_the_room_of_someone_else_keeps_its_world(site: Site) -> None:
    await site.join("ben", world="energie")
    status, error = await refused(site, "/api/voice/join", BODY, site.api)
    assert (status, error["error"], error["field"]) == (400, "Invalid request", "world")


async def test_a_second_join_is_told_the_session(site: Site) -> None:
    joined = await site.join()
    status, error = await refused(site, "/api/voice/join", BODY, site.api)
    assert (status, error) == (409, {"error": "Already in room", "session_id": joined["session_id"]})


async def test_a_full_room_says_how_full(make_site: MakeSite) -> None:
    site = await make_site({"max_participants": 1})
    await site.join("ben")
    status, error = await refused(site, "/api/voice/join", BODY, site.api)
    assert (status, error) == (403, {"error": "Room full", "current_participant_count": 1, "max_participants": 1})


@pytest.mark.parametrize(("expires_at", "told"), [(datetime(2026, 2, 14, tzinfo=UTC), "2026-02-14T00:00:00.000Z"), (None, None)])
async def test_a_ban_is_told_with_its_end(
    site: Site, monkeypatch: pytest.MonkeyPatch, expires_at: datetime | None, told: str | None
) -> None:
    async def banned(command: JoinCommand) -> JoinResult:
        raise Banned(reason="insults", expires_at=expires_at)

    monkeypatch.setattr(site.service, "join", banned)
    status, error = await refused(site, "/api/voice/join", BODY, site.api)
    assert (status, error) == (403, {"error": "Banned", "reason": "insults", "expires_at": told})


async def test_a_server_that_stops_says_when_to_come_back(site: Site) -> None:
    await site.service.close()
    answer = await site.post("/api/voice/join", BODY, site.api)
    assert (answer.status, (await answer.json())["error"]) == (503, "Draining")
    assert int(answer.headers["Retry-After"]) > 0


async def test_of_200_simultaneous_joins_to_a_room_of_10_exactly_10_succeed(site: Site) -> None:
    answers = await asyncio.gather(*(site.post("/api/voice/join", {**BODY, "user_id": f"u{n}"}, site.api) for n in range(200)))
    results = Counter([(answer.status, (await answer.json()).get("error")) for answer in answers])
    assert results == {(200, None): 10, (403, "Room full"): 190}


async def test_of_50_simultaneous_joins_of_one_user_exactly_one_succeeds(site: Site) -> None:
    answers = await asyncio.gather(*(site.post("/api/voice/join", BODY, site.api) for _ in range(50)))
    bodies = [await answer.json() for answer in answers]
    assert Counter(answer.status for answer in answers) == {200: 1, 409: 49}
    assert len({body["session_id"] for body in bodies}) == 1


# --- who may join -------------------------------------------------------------------------------------------------


async def test_a_person_joins_as_themselves_with_the_role_of_their_token(site: Site) -> None:
    token = site.user_token("anna", role="moderator")
    answer = await site.post("/api/voice/join", BODY, bearer(token))
    assert (await answer.json())["participants"][0]["role"] == "moderator"


async def test_an_api_token_makes_nobody_an_admin(site: Site) -> None:
    assert (await site.join())["participants"][0]["role"] == "user"


@pytest.mark.parametrize(
    "claims",
    [{"user_id": "ben"}, {"worlds": ["energie"]}, {"rooms": ["cellar"]}, {"worlds": []}, {"worlds": ["materie"], "rooms": []}],
)
async def test_a_person_joins_nowhere_else_and_as_nobody_else(site: Site, claims: dict[str, Any]) -> None:
    status, error = await refused(site, "/api/voice/join", BODY, bearer(site.user_token(**claims)))
    assert (status, error) == (403, {"error": "Forbidden"})


async def test_grants_that_include_it_let_one_in(site: Site) -> None:
    token = site.user_token("anna", worlds=["materie", "energie"], rooms=["lobby"])
    assert (await site.post("/api/voice/join", BODY, bearer(token))).status == 200


async def test_a_session_token_joins_nothing(site: Site) -> None:
    joined = await site.join("ben")
    assert (await refused(site, "/api/voice/join", BODY, bearer(joined["session_token"])))[0] == 403


# --- leave --------------------------------------------------------------------------------------------------------


async def test_leaving_reports_what_the_stay_amounted_to(site: Site) -> None:
    socket, joined = await site.enter()
    site.clock.advance(61.5)
    speak(site.service, site.clock, joined["session_id"], 12_499)
    answer = await site.post("/api/voice/leave", {"session_id": joined["session_id"]}, bearer(joined["session_token"]))
    assert await answer.json() == {
        "success": True,
        "session_id": joined["session_id"],
        "room_id": "lobby",
        "user_id": "anna",
        "duration_seconds": 62,
        "duration_ms": 61_500,
        "speaking_seconds": 12,
        "speaking_ms": 12_499,
        "left_at": "2026-02-13T17:31:01.623Z",
        "reason": "left",
        "message": "Session erfolgreich beendet",
        "timestamp": "2026-02-13T17:31:01.623Z",
    }
    assert await socket.until("voice_leave") == {
        "type": "voice_leave",
        "sessionId": joined["session_id"],
        "userId": "anna",
        "reason": "left",
    }
    assert await socket.close_code() == 1000
    await site.join()


async def test_leaving_twice_says_when_it_ended(site: Site) -> None:
    joined = await site.join()
    body = {"session_id": joined["session_id"]}
    assert (await site.post("/api/voice/leave", body, site.api)).status == 200
    for headers in (site.api, bearer(joined["session_token"]), bearer(site.user_token("anna"))):
        status, error = await refused(site, "/api/voice/leave", body, headers)
        assert (status, error) == (409, {"error": "Session already ended", "session_id": joined["session_id"], "left_at": NOW})


async def test_an_unknown_session_is_not_found(site: Site) -> None:
    assert await refused(site, "/api/voice/leave", {"session_id": "nobody"}, site.api) == (404, {"error": "Session not found"})


@pytest.mark.parametrize("body", [{}, {"session_id": ""}, {"session_id": None}])
async def test_leaving_needs_a_session_id(site: Site, body: dict[str, Any]) -> None:
    assert await refused(site, "/api/voice/leave", body, site.api) == (400, {"error": "Missing session_id"})


@pytest.mark.parametrize(
    ("body", "field"), [({"session_id": 7}, "session_id"), ({"session_id": "x", "reason": "kicked"}, "reason"), ([], None)]
)
async def test_leaving_with_a_bad_value_is_named(site: Site, body: object, field: str | None) -> None:
    status, error = await refused(site, "/api/voice/leave", body, site.api)
    assert (status, error["error"], error["field"]) == (400, "Invalid request", field)


@pytest.mark.parametrize(
    ("connected", "said", "reason"),
    [
        (False, None, EndReason.ROLLED_BACK),
        (True, None, EndReason.LEFT),
        (False, "rejected_media", EndReason.REJECTED_MEDIA),
        (True, "rolled_back", EndReason.ROLLED_BACK),
    ],
)
async def test_the_reason_is_what_is_said_or_how_far_it_came(
    site: Site, connected: bool, said: str | None, reason: EndReason
) -> None:
    joined = (await site.enter())[1] if connected else await site.join()
    body = {"session_id": joined["session_id"], **({"reason": said} if said else {})}
    answer = await site.post("/api/voice/leave", body, bearer(joined["session_token"]))
    assert (await answer.json())["reason"] == reason.value


async def test_a_rolled_back_join_frees_its_place_at_once(make_site: MakeSite) -> None:
    site = await make_site({"max_participants": 1})
    joined = await site.join("ben")
    await site.post("/api/voice/leave", {"session_id": joined["session_id"]}, bearer(joined["session_token"]))
    await site.join("anna")


async def test_the_user_may_leave_and_others_may_not(site: Site) -> None:
    joined, other = await site.join("anna"), await site.join("ben")
    body = {"session_id": joined["session_id"]}
    for stranger in (site.user_token("ben"), site.user_token("eve", role="moderator"), other["session_token"]):
        assert await refused(site, "/api/voice/leave", body, bearer(stranger)) == (403, {"error": "Forbidden"})
    assert (await site.post("/api/voice/leave", body, bearer(site.user_token("anna")))).status == 200


async def test_a_beacon_leaves_with_the_token_in_its_body(site: Site) -> None:
    joined = await site.join()
    text = f'{{"session_id": "{joined["session_id"]}", "session_token": "{joined["session_token"]}"}}'
    answer = await site.client.post("/api/voice/leave", data=text, headers={"Content-Type": "text/plain;charset=UTF-8"})
    assert answer.status == 200


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"session_token": 7}', '{"session_token": "no.to.ken"}'])
async def test_a_beacon_without_a_token_is_refused(site: Site, text: str) -> None:
    answer = await site.client.post("/api/voice/leave", data=text, headers={"Content-Type": "text/plain"})
    assert (answer.status, (await answer.json())["error"]) == (401, "Unauthorized")


async def test_a_token_in_the_body_does_not_help_a_bad_header(site: Site) -> None:
    joined = await site.join()
    body = {"session_id": joined["session_id"], "session_token": joined["session_token"]}
    assert (await refused(site, "/api/voice/leave", body, bearer("wrong")))[0] == 401


# --- who is where -------------------------------------------------------------------------------------------------


async def test_rooms_of_a_world(site: Site) -> None:
    await site.join("anna")
    await site.join("ben")
    await site.join("eve", "elsewhere", world="energie")
    answer = await site.client.get("/api/voice/rooms/materie", headers=site.api)
    assert await answer.json() == {
        "success": True,
        "world": "materie",
        "rooms": [{"room_id": "lobby", "participant_count": 2, "max_participants": 10, "is_full": False, "first_joined_at": NOW}],
        "total_active_rooms": 1,
        "timestamp": NOW,
    }


async def test_an_unknown_world_is_a_clear_error(site: Site) -> None:
    answer = await site.client.get("/api/voice/rooms/nowhere", headers=site.api)
    error = await answer.json()
    assert (answer.status, error["error"], error["field"], error["reason"]) == (400, "Invalid request", "world", "unknown world")


async def test_participants_of_a_room_as_the_join_lists_them(site: Site) -> None:
    await site.join("anna")
    joined = await site.join("ben")
    answer = await site.client.get("/api/voice/participants/lobby", headers=site.api)
    listed = await answer.json()
    assert listed["participants"] == joined["participants"]
    assert (listed["success"], listed["room_id"], listed["timestamp"]) == (True, "lobby", NOW)


async def test_nobody_is_in_a_room_that_was_never_used(site: Site) -> None:
    answer = await site.client.get("/api/voice/participants/gr%C3%BCn%20%2F%20blau", headers=site.api)
    listed = await answer.json()
    assert (listed["room_id"], listed["participants"]) == ("grün / blau", [])


@pytest.mark.parametrize("room_id", ["x" * 129, "a%0Ab", "%20"])
async def test_an_impossible_room_id_is_invalid(site: Site, room_id: str) -> None:
    answer = await site.client.get(f"/api/voice/participants/{room_id}", headers=site.api)
    assert (answer.status, (await answer.json())["field"]) == (400, "room_id")


async def test_lists_are_for_those_whose_token_reaches_so_far(site: Site) -> None:
    joined = await site.join("anna")
    session, everywhere = joined["session_token"], site.user_token("ben")
    energie, cellar = site.user_token("ben", worlds=["energie"]), site.user_token("ben", rooms=["cellar"])
    expected = {
        ("rooms/materie", session): 200,
        ("rooms/materie", everywhere): 200,
        ("rooms/materie", cellar): 200,
        ("rooms/materie", energie): 403,
        ("rooms/energie", session): 403,
        ("participants/lobby", session): 200,
        ("participants/lobby", everywhere): 200,
        ("participants/lobby", energie): 403,
        ("participants/lobby", cellar): 403,
        ("participants/cellar", session): 403,
    }
    for (path, token), status in expected.items():
        assert (await site.client.get(f"/api/voice/{path}", headers=bearer(token))).status == status, path


# --- guests -------------------------------------------------------------------------------------------------------


async def test_a_guest_gets_a_token_that_joins(site: Site) -> None:
    answer = await site.post("/api/auth/guest", {"username": " Anna "})
    guest = await answer.json()
    assert re.fullmatch(r"guest_[0-9a-f]{16}", guest["user_id"])
    assert jwt.decode(guest["token"], options={"verify_signature": False})["exp"] - site.now == 24 * 3600 + 1
    token, user_id = guest.pop("token"), guest.pop("user_id")
    assert guest == {
        "success": True,
        "username": "Anna",
        "role": "user",
        "worlds": None,
        "expires_at": "2026-02-14T17:30:01.000Z",
        "message": "Gastzugang erfolgreich erstellt",
        "timestamp": NOW,
    }
    assert (await site.post("/api/voice/join", {**BODY, "user_id": user_id}, bearer(token))).status == 200


async def test_a_guest_of_one_world_stays_in_it(site: Site) -> None:
    guest = await (await site.post("/api/auth/guest", {"username": "Anna", "world": "energie"})).json()
    assert guest["worlds"] == ["energie"]
    body = {**BODY, "user_id": guest["user_id"]}
    assert (await refused(site, "/api/voice/join", body, bearer(guest["token"])))[0] == 403
    assert (await site.post("/api/voice/join", {**body, "world": "energie"}, bearer(guest["token"]))).status == 200


async def test_guests_can_be_turned_away(make_site: MakeSite) -> None:
    site = await make_site({"guests": False})
    assert await refused(site, "/api/auth/guest", {"username": "Anna"}) == (403, {"error": "Forbidden"})


@pytest.mark.parametrize(
    ("body", "error", "field"),
    [
        ({}, "Missing required fields", None),
        ({"username": "\x00"}, "Missing required fields", None),
        ({"username": "a\x00"}, "Invalid request", "username"),
        ({"username": "Anna", "world": "nowhere"}, "Invalid request", "world"),
        ({"username": "Anna", "world": 7}, "Invalid request", "world"),
    ],
)
async def test_a_guest_needs_a_name_and_a_world_that_exists(site: Site, body: object, error: str, field: str | None) -> None:
    status, answer = await refused(site, "/api/auth/guest", body)
    assert (status, answer["error"], answer.get("field")) == (400, error, field)


# --- limits -------------------------------------------------------------------------------------------------------


class OneEach:
    """Lets one request of a kind through."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str | None, str | None]] = []

    def check(self, kind: str, *, address: str | None, identity: Identity | None) -> None:
        known = [asked for asked, _, _ in self.asked]
        self.asked.append((kind, address, identity.user_id if identity is not None else None))
        if kind in known:
            raise RateLimited(retry_after=7)


async def test_a_limit_is_asked_before_anything_is_read(make_site: MakeSite) -> None:
    limiter = OneEach()
    site = await make_site(limiter=limiter)
    token = bearer(site.user_token("anna"))
    for path, headers in (("/api/auth/guest", None), ("/api/voice/join", token)):
        assert (await site.post(path, {}, headers)).status == 400
        answer = await site.post(path, {}, headers)
        assert (answer.status, answer.headers["Retry-After"]) == (429, "7")
        assert (await answer.json())["error"] == "Rate limited"
    assert limiter.asked[0] == ("guest", "127.0.0.1", None)
    assert limiter.asked[-1] == ("join", "127.0.0.1", "anna")


async def test_the_socket_of_a_session_that_was_left_by_rest_does_not_come_back(site: Site) -> None:
    _, joined = await site.enter()
    await site.post("/api/voice/leave", {"session_id": joined["session_id"]}, site.api)
    socket = await site.socket()
    assert (await socket.ask(voice_join(joined)))["error"] == "Session not found"
    assert await socket.close_code() == 4404
