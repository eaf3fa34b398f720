"""Moderation by REST and by WebSocket: who may do what to whom, what it does, and that it holds."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import json
import sqlite3
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from server.storage.audit import verify
from server.storage.rights import give_right
from server.storage.timestamps import to_text
from server.storage.tokens import add_api_token, revoke
from server.voice.participant import Right, Role
from tests.web.site import Site, Socket, bearer, voice_join

ACTIONS = ("kick", "mute", "unmute", "ban", "unban", "warn", "mute_all")
ROLES = ("user", "moderator", "admin")
SHOULD_BE_FELT_WITHIN_SECONDS = 0.2


async def enter_as(site: Site, user_id: str, room_id: str = "lobby", **claims: Any) -> tuple[Socket, dict[str, Any]]:
    """Someone with a user token, connected."""
    body = {"room_id": room_id, "user_id": user_id, "username": user_id.title(), "world": "materie"}
    answer = await site.post("/api/voice/join", body, bearer(site.user_token(user_id, **claims)))
    assert answer.status == 200, await answer.text()
    joined: dict[str, Any] = await answer.json()
    socket = await site.socket()
    assert (await socket.ask(voice_join(joined)))["type"] == "voice_joined"
    return socket, joined


async def order(site: Site, headers: Mapping[str, str], action: str, target: str = "ben", **fields: Any) -> dict[str, Any]:
    """POST an order; the answer with its status."""
    body = {"action_type": action, "target_user_id": target, "world": "materie", "room_id": "lobby", **fields}
    answer = await site.post("/api/admin/actions", {name: value for name, value in body.items() if value is not None}, headers)
    return {**await answer.json(), "status": answer.status, "retry": answer.headers.get("Retry-After")}


async def logged(site: Site, sql: str = "SELECT * FROM admin_actions ORDER BY id") -> list[dict[str, Any]]:
    def work(db: sqlite3.Connection) -> list[dict[str, Any]]:
        cursor = db.execute(sql)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    return await site.database.read(work)


async def join_status(site: Site, user_id: str, room_id: str = "lobby", world: str = "materie") -> tuple[int, dict[str, Any]]:
    body = {"room_id": room_id, "user_id": user_id, "username": user_id, "world": world}
    answer = await site.post("/api/voice/join", body, bearer(site.user_token(user_id)))
    return answer.status, await answer.json()


# --- who may do what to whom ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", ["rest", "websocket"])
@pytest.mark.parametrize("actor_role", ROLES)
async def test_every_action_by_every_role_on_every_rank(site: Site, way: str, actor_role: str) -> None:
    for action, target_role in itertools.product(ACTIONS, ROLES):
        await enter_as(site, "ben", role=target_role)
        actor, _ = await enter_as(site, "anna", role=actor_role)
        target = "*" if action == "mute_all" else "ben"
        if way == "rest":
            answer = await order(site, bearer(site.user_token("anna", role=actor_role)), action, target)
            outcome = answer["error"] if answer["status"] != 200 else "done"
        else:
            answer = await actor.ask({"type": "voice_action", "actionType": action, "userId": target})
            outcome = answer["error"] if answer["type"] == "voice_error" else "done"
        higher = ROLES.index(actor_role) > ROLES.index(target_role)
        expected = actor_role != "user" and (higher or action == "mute_all")
        assert outcome == ("done" if expected else "Forbidden"), (action, target_role)
        if expected:
            assert [(row["action_type"], row["target_user_id"]) for row in (await logged(site))[-1:]] == [(action, target)]
        if expected and action == "mute_all":
            muted = {someone.user_id for someone in site.service.roster("lobby") if someone.is_muted}
            assert muted == ({"ben"} if target_role == "user" else set())
        for someone in site.service.roster("lobby"):
            await site.post("/api/voice/leave", {"session_id": someone.session_id}, site.api)
        await site.database.write(lambda db: [db.execute(f"DELETE FROM {table}") for table in ("bans", "kicks", "mutes")])
    assert (await site.database.read(verify)).broken_id is None


async def test_an_api_token_has_the_rank_of_an_admin_and_says_who_acts(site: Site) -> None:
    await enter_as(site, "ben", role="moderator")
    await enter_as(site, "eva", role="admin")
    assert (await order(site, site.api, "mute"))["status"] == 200
    assert (await order(site, site.api, "mute", "eva"))["error"] == "Forbidden"
    named = await order(site, site.api, "warn", admin_user_id="root", admin_username="Root")
    assert named["status"] == 200
    assert [(row["admin_user_id"], row["admin_username"]) for row in await logged(site)] == [("api", None), ("root", "Root")]


async def test_the_users_table_gives_a_role_where_it_says(site: Site) -> None:
    right = Right(Role.MODERATOR, frozenset({"materie"}), frozenset({"lobby"}))
    await site.database.write(lambda db: give_right(db, "anna", right, to_text(site.clock.now())))
    anna, joined = await enter_as(site, "anna")
    assert joined["participants"][0]["role"] == "moderator"
    await enter_as(site, "ben")
    await enter_as(site, "eva", "attic")
    plain = bearer(site.user_token("anna"))
    assert (await order(site, plain, "mute"))["status"] == 200
    assert (await anna.ask({"type": "voice_admin_mute", "userId": "ben", "muted": False}))["type"] == "voice_action"
    assert (await order(site, plain, "mute", "eva", room_id="attic"))["error"] == "Forbidden"
    assert (await order(site, plain, "ban"))["error"] == "Forbidden"
    assert (await enter_as(site, "anna", "attic"))[1]["participants"][-1]["role"] == "user"


async def test_someone_who_is_away_keeps_their_rank(site: Site) -> None:
    _, joined = await enter_as(site, "ben", role="admin")
    await site.post("/api/voice/leave", {"session_id": joined["session_id"]}, site.api)
    moderator = bearer(site.user_token("anna", role="moderator"))
    assert (await order(site, moderator, "ban"))["error"] == "Forbidden"
    assert (await order(site, moderator, "ban", "nobody yet"))["status"] == 200


@pytest.mark.parametrize(
    ("fields", "status", "error"),
    [
        ({"action_type": "hug"}, 400, "Invalid request"),
        ({"world": "nowhere"}, 400, "Invalid request"),
        ({"world": None}, 400, "Missing required fields"),
        ({"duration_hours": 0}, 400, "Invalid request"),
        ({"duration_hours": "1"}, 400, "Invalid request"),
        ({"reason": "x" * 501}, 400, "Invalid request"),
        ({"target_user_id": "who?"}, 404, "Target not found"),
        ({"room_id": "elsewhere", "action_type": "warn"}, 404, "Target not found"),
    ],
)
async def test_orders_that_are_refused_change_nothing(site: Site, fields: dict[str, Any], status: int, error: str) -> None:
    await enter_as(site, "ben")
    given = {"action": "kick", **fields}
    answer = await order(site, site.api, given.pop("action_type", given.pop("action")), **{"target": "ben"} | rename(given))
    assert (answer["status"], answer["error"]) == (status, error)
    assert await logged(site) == []
    assert len(site.service.roster("lobby")) == 1


def rename(given: dict[str, Any]) -> dict[str, Any]:
    return {("target" if name == "target_user_id" else name): value for name, value in given.items() if name != "action"}


async def test_without_a_token_or_with_that_of_a_session_nobody_orders(site: Site) -> None:
    _, joined = await enter_as(site, "anna", role="admin")
    assert (await order(site, {}, "kick"))["error"] == "Unauthorized"
    assert (await order(site, bearer(joined["session_token"]), "kick"))["error"] == "Forbidden"


# --- kick and ban -----------------------------------------------------------------------------------------------------


async def test_a_kicked_one_is_told_and_gone_at_once(site: Site) -> None:
    ben, joined = await enter_as(site, "ben")
    eva, _ = await enter_as(site, "eva")
    began = asyncio.get_running_loop().time()
    answer = await order(site, site.api, "kick", reason="noise", admin_user_id="root", admin_username="Root")
    told = await ben.until("voice_kick")
    assert asyncio.get_running_loop().time() - began < SHOULD_BE_FELT_WITHIN_SECONDS
    assert (told["reason"], told["by"], told["banned"], told["expiresAt"]) == ("noise", "Root", False, answer["expires_at"])
    assert (await ben.until("voice_leave"))["reason"] == "kicked"
    assert await ben.close_code() == 4403
    assert (await eva.until("voice_leave"))["userId"] == "ben"
    assert [someone.user_id for someone in site.service.roster("lobby")] == ["eva"]
    assert joined["session_id"] not in site.media.opened
    assert answer["effect"] == {"sessions": [joined["session_id"]], "lifted": 0, "answered": 0}
    [row] = await logged(site)
    assert json.loads(row["effect"]) == {"sessions": [joined["session_id"]]}
    assert (row["log_only"], row["target_username"], row["reason"]) == (0, "Ben", "noise")
    [stay] = await logged(site, "SELECT end_reason FROM voice_sessions WHERE user_id = 'ben'")
    assert stay == {"end_reason": "kicked"}


async def try_to_get_in(site: Site, joined: Mapping[str, Any]) -> list[str]:
    """The four ways back: the user token, the session token, a resumption on a new connection, another tab by the backend."""
    outcomes = []
    status, answer = await join_status(site, "ben")
    outcomes.append("in" if status == 200 else f"{answer['error']} {answer.get('reason')}")
    for headers in ({}, bearer(joined["session_token"])):
        socket = await site.socket(headers=headers)
        reply = await socket.ask(voice_join(joined, **({"token": None} if headers else {})))
        outcomes.append(f"{reply.get('error', 'in')} {await socket.close_code()}")
    body = {"room_id": "lobby", "user_id": "ben", "username": "Ben", "world": "materie"}
    tab = await site.post("/api/voice/join", body, site.api)
    outcomes.append("in" if tab.status == 200 else f"{(await tab.json())['error']} {tab.headers['Retry-After']}")
    return outcomes


async def test_a_kicked_one_does_not_get_in_by_any_way_until_the_time_is_over(site: Site) -> None:
    _, joined = await enter_as(site, "ben")
    moderator = bearer(site.user_token("anna", role="moderator"))
    assert (await order(site, moderator, "kick"))["status"] == 200
    kicked = ["Forbidden kicked", "Forbidden 4403", "Forbidden 4403", "Forbidden 600"]
    assert await try_to_get_in(site, joined) == kicked
    assert (await join_status(site, "ben", "attic"))[0] == 200, "the kick is from one room"
    site.clock.advance(599.9)
    assert [way.split()[0] for way in await try_to_get_in(site, joined)] == ["Forbidden"] * 4
    site.clock.advance(0.1)
    # Now all four: by the user token, by the new session's token, resumed on a second connection, and in another tab.
    ben, again = await enter_as(site, "ben")
    resumed = await site.socket()
    assert (await resumed.ask(voice_join(again)))["resumed"] is True
    assert await ben.close_code() == 4409
    await site.post("/api/voice/leave", {"session_id": again["session_id"]}, bearer(again["session_token"]))
    assert (await site.join("ben"))["success"] is True


async def test_how_long_a_kick_holds_can_be_said(site: Site) -> None:
    await enter_as(site, "ben")
    answer = await order(site, site.api, "kick", duration_hours=0.001)
    assert answer["expires_at"] == (site.clock.now() + timedelta(seconds=3.6)).isoformat(timespec="milliseconds")[:-6] + "Z"
    site.clock.advance(3.5)
    assert (await join_status(site, "ben"))[0] == 403
    site.clock.advance(0.1)
    assert (await join_status(site, "ben"))[0] == 200


async def test_who_dodges_a_kick_by_leaving_first_is_kept_out_all_the_same(site: Site) -> None:
    _, joined = await enter_as(site, "ben")
    await site.post("/api/voice/leave", {"session_id": joined["session_id"]}, site.api)
    assert (await order(site, site.api, "kick", room_id=None))["error"] == "Target not found"
    assert (await order(site, site.api, "kick"))["effect"]["sessions"] == []
    assert (await join_status(site, "ben"))[0] == 403


async def test_a_ban_ends_every_stay_of_the_world_and_by_itself(site: Site) -> None:
    ben, _ = await enter_as(site, "ben")
    await enter_as(site, "ben", "attic")
    answer = await order(site, site.api, "ban", duration_hours=2 / 3600, reason="spam", room_id=None)
    assert len(answer["effect"]["sessions"]) == 2
    assert (await ben.until("voice_kick"))["banned"] is True
    assert await ben.close_code() == 4403
    status, refused = await join_status(site, "ben")
    assert (status, refused["error"], refused["reason"], refused["expires_at"]) == (403, "Banned", "spam", answer["expires_at"])
    assert (await join_status(site, "ben", "hall", "energie"))[0] == 200, "the ban is for one world"
    site.clock.advance(2.0)
    assert (await join_status(site, "ben"))[0] == 200


async def test_a_ban_everywhere_and_its_end(site: Site) -> None:
    await enter_as(site, "ben")
    moderator = bearer(site.user_token("anna", role="moderator"))
    assert (await order(site, moderator, "ban", world="*"))["error"] == "Forbidden"
    assert (await order(site, site.api, "ban", world="*"))["expires_at"] is None
    for world in ("materie", "energie"):
        assert (await join_status(site, "ben", world, world))[1]["error"] == "Banned"
    assert (await order(site, moderator, "unban"))["effect"]["lifted"] == 0, "a moderator of worlds does not lift it"
    assert (await join_status(site, "ben"))[0] == 403
    assert (await order(site, site.api, "unban", world="*"))["effect"]["lifted"] == 1
    assert (await join_status(site, "ben"))[0] == 200


# --- mute and warn ----------------------------------------------------------------------------------------------------


async def test_a_muted_one_cannot_undo_it_and_is_told(site: Site) -> None:
    ben, joined = await enter_as(site, "ben")
    eva, _ = await enter_as(site, "eva")
    anna, _ = await enter_as(site, "anna", role="moderator")
    await ben.settled()
    await eva.settled()
    done = await anna.ask({"type": "voice_admin_mute", "userId": "ben", "muted": True, "reason": "noise"})
    assert (done["type"], done["actionType"], done["userId"]) == ("voice_action", "mute", "ben")
    for socket in (ben, eva):
        told = await socket.until("voice_mute")
        assert (told["userId"], told["muted"], told["by"]) == ("ben", True, "moderator")
    answer = await ben.ask({"type": "voice_mute", "muted": False})
    assert (answer["type"], answer["muted"], answer["by"]) == ("voice_mute", True, "moderator")
    assert site.media.muted[joined["session_id"]] is True
    assert [message["type"] for message in await eva.settled()] == []
    # Coming back on a new connection, and leaving and joining anew, change nothing either.
    again = await site.socket()
    await again.send(voice_join(joined))
    assert (await again.until("voice_mute"))["by"] == "moderator"
    await site.post("/api/voice/leave", {"session_id": joined["session_id"]}, site.api)
    ben, joined = await enter_as(site, "ben")
    assert [someone["isMuted"] for someone in joined["participants"] if someone["userId"] == "ben"] == [True]
    assert site.media.muted[joined["session_id"]] is True
    assert (await ben.until("voice_mute"))["by"] == "moderator"
    unmuted = await anna.ask({"type": "voice_admin_mute", "userId": "ben", "muted": False})
    assert unmuted["actionType"] == "unmute"
    assert (await ben.until("voice_mute"))["muted"] is False
    assert site.media.muted[joined["session_id"]] is False


async def test_a_moderators_unmute_does_not_open_a_microphone_that_its_owner_closed(site: Site) -> None:
    ben, joined = await enter_as(site, "ben")
    eva, _ = await enter_as(site, "eva")
    await ben.ask({"type": "ping"})
    await order(site, site.api, "mute")
    await ben.send({"type": "voice_mute", "muted": True})
    await ben.settled()
    await eva.settled()
    await order(site, site.api, "unmute")
    assert [(m["muted"], m["by"]) for m in await ben.settled()] == [(False, "moderator")]
    assert [(m["muted"], m["by"]) for m in await eva.settled()] == [(True, "self")]
    assert site.media.muted[joined["session_id"]] is True


async def test_mute_all_spares_moderators_and_those_who_come_later(site: Site) -> None:
    for user, role in (("ben", "user"), ("eva", "user"), ("max", "moderator"), ("root", "admin")):
        await enter_as(site, user, role=role)
    anna, _ = await enter_as(site, "anna", role="moderator")
    done = await anna.ask({"type": "voice_action", "actionType": "mute_all", "userId": "*"})
    assert len(done["sessions"]) == 2
    await enter_as(site, "late")
    assert {someone.user_id for someone in site.service.roster("lobby") if someone.is_muted} == {"ben", "eva"}


async def test_a_warning_is_shown_until_it_is_acknowledged(site: Site) -> None:
    ben, joined = await enter_as(site, "ben")
    anna, _ = await enter_as(site, "anna", role="moderator")
    done = await anna.ask({"type": "voice_warn", "userId": "ben", "reason": "be kind"})
    told = await ben.until("voice_warn")
    assert (told["reason"], told["by"], told["actionId"]) == ("be kind", "Anna", done["actionId"])
    again = await site.socket()
    await again.send(voice_join(joined))
    assert (await again.until("voice_warn"))["actionId"] == done["actionId"]
    await again.send({"type": "voice_warn_ack", "actionId": done["actionId"]})
    assert (await anna.until("voice_warn_ack"))["userId"] == "ben"
    [row] = await logged(site, "SELECT * FROM acknowledgements")
    assert row == {"action_id": done["actionId"], "acknowledged_at": to_text(site.clock.now())}
    assert (await again.ask({"type": "voice_warn_ack", "actionId": done["actionId"]}))["error"] == "Target not found"
    third = await site.socket()
    await third.ask(voice_join(joined))
    assert await third.settled() == []


# --- what was done elsewhere, and reports -----------------------------------------------------------------------------


LOG_ENTRY = {
    "action_type": "ban",
    "target_user_id": "ben",
    "target_username": "Ben",
    "admin_user_id": "root",
    "admin_username": "Root",
    "world": "materie",
    "room_id": "lobby",
    "reason": "spam",
    "duration_hours": 24,
    "timestamp": "2026-02-13T12:00:00.000Z",
}


async def test_what_was_done_elsewhere_is_logged_and_nothing_else(site: Site) -> None:
    await enter_as(site, "ben")
    answer = await site.post("/api/admin/action/log", LOG_ENTRY, site.api)
    assert answer.status == 200
    [row] = await logged(site)
    assert row["action_id"] == (await answer.json())["action_id"]
    assert (row["log_only"], row["created_at"], row["expires_at"]) == (1, "2026-02-13T12:00:00.000Z", "2026-02-14T12:00:00.000Z")
    assert {name: row[name] for name in LOG_ENTRY if name != "timestamp"} == {
        k: v for k, v in LOG_ENTRY.items() if k != "timestamp"
    }
    assert len(site.service.roster("lobby")) == 1
    assert await logged(site, "SELECT * FROM bans") == []


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"timestamp": "2999-01-01T00:00:00Z"}, "Invalid request"),
        ({"timestamp": "2026-02-13T12:00:00"}, "Invalid request"),
        ({"timestamp": 1}, "Invalid request"),
        ({"world": "nowhere"}, "Invalid request"),
        ({"target_user_id": "*"}, "Invalid request"),
        ({"action_type": "mute_all"}, "Invalid request"),
        ({"admin_user_id": ""}, "Missing required fields"),
    ],
)
async def test_entries_that_cannot_be_logged(site: Site, changes: dict[str, Any], error: str) -> None:
    answer = await site.post("/api/admin/action/log", {**LOG_ENTRY, **changes}, site.api)
    assert (answer.status, (await answer.json())["error"]) == (400, error)
    assert await logged(site) == []


async def test_only_admins_log(site: Site) -> None:
    for role, status in (("user", 403), ("moderator", 403), ("admin", 200)):
        answer = await site.post("/api/admin/action/log", LOG_ENTRY, bearer(site.user_token("anna", role=role)))
        assert answer.status == status
    assert json.loads((await logged(site))[0]["effect"]) == {"noted_by": "anna"}


async def test_a_report_reaches_those_who_may_act_and_is_answered_by_the_first_action(site: Site) -> None:
    await enter_as(site, "ben")
    _, eva_joined = await enter_as(site, "eva")
    anna, _ = await enter_as(site, "anna", role="moderator")
    body = {"target_user_id": "ben", "room_id": "lobby", "reason": "shouts"}
    answer = await site.post("/api/voice/report", body, bearer(site.user_token("eva")))
    report_id = (await answer.json())["report_id"]
    told = await anna.until("voice_report")
    assert (told["reportId"], told["reporterUserId"], told["targetUserId"], told["reason"]) == (report_id, "eva", "ben", "shouts")
    same = await site.post("/api/voice/report", body, bearer(eva_joined["session_token"]))
    assert (await same.json())["report_id"] == report_id
    site.clock.advance(12.345)
    await order(site, site.api, "unmute")
    assert (await logged(site, "SELECT action_id FROM reports"))[0]["action_id"] is None, "an unmute is no answer"
    first = await order(site, site.api, "warn")
    assert first["effect"]["answered"] == 1
    site.clock.advance(5)
    assert (await order(site, site.api, "kick"))["effect"]["answered"] == 0
    [report] = await logged(site, "SELECT * FROM reports")
    assert (report["action_id"], report["response_ms"], report["world"]) == (first["action_id"], 12_345, "materie")


@pytest.mark.parametrize(
    ("reporter", "target", "status"), [("eva", "ben", 200), ("eva", "eva", 403), ("zoe", "ben", 403), ("eva", "zoe", 404)]
)
async def test_only_people_of_a_room_report_people_of_that_room(site: Site, reporter: str, target: str, status: int) -> None:
    await enter_as(site, "eva")
    _, ben = await enter_as(site, "ben")
    await site.post("/api/voice/leave", {"session_id": ben["session_id"]}, site.api)
    body = {"target_user_id": target, "room_id": "lobby"}
    answer = await site.post("/api/voice/report", body, bearer(site.user_token(reporter)))
    assert answer.status == status
    by_backend = await site.post("/api/voice/report", {**body, "user_id": reporter}, site.api)
    assert by_backend.status == status


# --- tokens -----------------------------------------------------------------------------------------------------------


async def test_api_tokens_come_and_go_without_a_restart(site: Site) -> None:
    def add(db: sqlite3.Connection) -> None:
        for label in ("old", "new"):
            assert add_api_token(db, label, hashlib.sha256(f"secret {label}".encode()).hexdigest(), site.clock.now())

    await site.database.write(add)
    await site.registry.look()
    for label in ("old", "new"):
        answer = await site.client.get("/api/voice/rooms/materie", headers=bearer(f"secret {label}"))
        assert answer.status == 200
    await enter_as(site, "ben")
    assert (await order(site, bearer("secret old"), "warn"))["status"] == 200
    assert (await logged(site))[0]["admin_user_id"] == "api:old"
    socket = await site.socket(headers=bearer("secret old"))
    await site.database.write(lambda db: revoke(db, "old", site.clock.now()))
    await site.registry.look()
    assert await socket.close_code() == 4401
    statuses = []
    for label in ("old", "new"):
        statuses.append((await site.client.get("/api/voice/rooms/materie", headers=bearer(f"secret {label}"))).status)
    assert statuses == [401, 200]


async def test_a_revoked_user_token_opens_nothing_and_what_it_opened_is_closed(site: Site) -> None:
    ben, joined = await enter_as(site, "ben", jti="the one")
    await enter_as(site, "eva")
    await site.database.write(lambda db: revoke(db, "the one", site.clock.now()))
    await site.registry.look()
    assert (await ben.until("voice_leave"))["reason"] == "revoked"
    assert await ben.close_code() == 4401
    assert [someone.user_id for someone in site.service.roster("lobby")] == ["eva"]
    for token in (site.user_token("ben", jti="the one"), joined["session_token"]):
        answer = await site.client.get("/api/voice/rooms/materie", headers=bearer(token))
        assert answer.status == 401
    assert (await join_status(site, "ben"))[0] == 200, "another token of the same person is another token"
