"""What moderators do reaches the packets, and those who were put out stay out, whatever client they use."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import jwt
import pytest

from bench.speech import Utterance
from tests.integration.support import HUM_LEVEL, Call
from tests.support import MakeSettings, running_server

LOUD_MS = 600
FELT_WITHIN_SECONDS = 0.2


async def order(call: Call, action: str, target: str, **fields: Any) -> dict[str, Any]:
    body = {"action_type": action, "target_user_id": target, "world": "materie", "room_id": "lobby", **fields}
    async with call.http.post("/api/admin/actions", json=body, headers=call.server.headers) as answer:
        reply: dict[str, Any] = await answer.json()
        assert answer.status == 200, reply
        return reply


async def test_a_muted_client_that_keeps_sending_is_not_heard_and_not_counted(call: Call) -> None:
    speaker, listener = await call.enter_all("a", "b")
    await order(call, "mute", "a")
    await listener.client.expect("voice_mute", lambda message: message["by"] == "moderator")
    listener.peer.forget()
    out_before = (await call.media_counters())["packets_out"]
    # A modified client: it goes on, says that it is not muted, and goes on.
    await speaker.peer.speak([Utterance(0, LOUD_MS // 2, level=10)], LOUD_MS // 2)
    told = await speaker.client.request("voice_mute", muted=False)
    assert (told["muted"], told["by"]) == (True, "moderator")
    await speaker.peer.speak([Utterance(0, LOUD_MS // 2, level=10)], LOUD_MS // 2)
    await speaker.peer.recheck()  # answered after everything that was sent before it
    assert (await call.media_counters())["packets_out"] == out_before
    assert sum(slot.received for slot in listener.peer.slots.values()) == 0
    await order(call, "unmute", "a")
    await speaker.client.expect("voice_mute", lambda message: not message["muted"])
    await listener.heard_all(speaker, speaker.peer.send_voice(3, level=HUM_LEVEL))
    assert listener.peer.slots[listener.slot_of(speaker)].received == 3, "nothing from before"
    left = await speaker.client.leave()
    row = call.row(speaker.session_id)
    assert left["speaking_ms"] == row["speaking_ms"] == 0
    assert row["attempted_speaking_ms"] == pytest.approx(LOUD_MS, abs=40)


async def test_a_kick_is_felt_by_everybody_at_once(call: Call) -> None:
    kicked, other, third = await call.enter_all("a", "b", "c")
    loop = asyncio.get_running_loop()
    began = loop.time()
    answer = asyncio.create_task(order(call, "kick", "a", reason="noise"))
    told = await kicked.client.expect("voice_kick")
    gone = await other.client.expect("voice_leave")
    code = await kicked.client.closed()
    assert loop.time() - began < FELT_WITHIN_SECONDS
    await answer
    assert (told["reason"], gone["reason"], code) == ("noise", "kicked", 4403)
    other.peer.forget()
    kicked.peer.send_voice(10, level=10)
    await other.heard_all(third, third.peer.send_voice(3, level=HUM_LEVEL))
    assert sum(slot.received for slot in other.peer.slots.values()) == 3, "of the kicked one nothing arrives any more"
    assert call.row(kicked.session_id)["end_reason"] == "kicked"


async def join_status(http: aiohttp.ClientSession, token: str, user_id: str) -> tuple[int, str | None]:
    body = {"room_id": "lobby", "user_id": user_id, "username": user_id, "world": "materie"}
    async with http.post("/api/voice/join", json=body, headers={"Authorization": f"Bearer {token}"}) as answer:
        return answer.status, (await answer.json()).get("error")


async def test_kicks_bans_and_mutes_outlast_a_restart(make_settings: MakeSettings) -> None:
    settings = make_settings()
    people = {"a": "kick", "b": "ban", "c": "mute", "d": "warn"}
    expires = 4_000_000_000
    tokens = {user: jwt.encode({"sub": user, "exp": expires}, settings.jwt_secret, algorithm="HS256") for user in people}
    async with running_server(settings) as server, aiohttp.ClientSession(server.url) as http:
        call = Call(server, http)
        for user, action in people.items():
            assert await join_status(http, tokens[user], user) == (200, None)
            await order(call, "mute" if action == "warn" else action, user)
        await order(call, "unmute", "d")
    async with running_server(settings) as server, aiohttp.ClientSession(server.url) as http:
        outcomes = {user: await join_status(http, token, user) for user, token in tokens.items()}
        assert outcomes == {"a": (403, "Forbidden"), "b": (403, "Banned"), "c": (200, None), "d": (200, None)}
        async with http.get("/api/voice/participants/lobby", headers=server.headers) as answer:
            muted = {someone["userId"]: someone["isMuted"] for someone in (await answer.json())["participants"]}
        assert muted == {"c": True, "d": False}


async def test_a_ban_of_two_seconds_ends_by_itself(call: Call) -> None:
    await call.enter("a")
    loop = asyncio.get_running_loop()
    banned_at = loop.time()
    await order(call, "ban", "a", duration_hours=2 / 3600)
    token = call.server.api_token
    async with asyncio.timeout(6):
        while (await join_status(call.http, token, "a"))[1] == "Banned":  # noqa: ASYNC110 - it ends without telling anybody
            await asyncio.sleep(0.05)
    assert 1.9 < loop.time() - banned_at < 4.0
