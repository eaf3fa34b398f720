"""`/api/ws` over a real socket, on a real service."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket as sockets
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import WSMsgType

from server.voice.participant import EndReason, ParticipantState
from server.web.deps import SocketTimings
from tests.web.conftest import MakeSite
from tests.web.site import PATIENCE_SECONDS, Site, bearer, voice_join


async def test_a_call_from_join_to_leave(site: Site) -> None:
    anna, _ = await site.enter("anna")
    ben, joined = await site.enter("ben")
    session_id = joined["session_id"]
    assert (await anna.until("voice_join"))["sessionId"] == session_id
    answer = await ben.ask({"type": "voice_offer", "sdp": {"type": "offer", "sdp": "v=0"}})
    assert (answer["type"], answer["sdp"]) == ("voice_answer", {"type": "answer", "sdp": "answer to v=0 of lobby"})
    site.service.media_connected(session_id)
    site.service.media_speaking(session_id, True, 0.5)
    site.service.media_levels({session_id: 0.25})
    await ben.send({"type": "voice_mute", "muted": True})
    await ben.send({"type": "voice_hand", "raised": True})
    await ben.send({"type": "voice_leave"})
    assert await ben.close_code() == 1000
    seen = [await anna.next() for _ in range(5)]
    assert [message["type"] for message in seen] == [
        "voice_speaking",
        "voice_speaking",
        "voice_mute",
        "voice_hand",
        "voice_leave",
    ]
    assert seen[0]["speakers"] == [{"sessionId": session_id, "userId": "ben", "speaking": True, "level": 0.5}]
    assert site.media.muted == {session_id: True}
    assert [someone.user_id for someone in site.service.roster("lobby")] == ["anna"]


async def test_who_leaves_before_connecting_was_never_shown_by_the_socket(site: Site) -> None:
    waiting = await site.join("ben")
    anna, joined = await site.enter("anna")
    assert [person["userId"] for person in joined["participants"]] == ["ben", "anna"]
    await site.service.end(waiting["session_id"], EndReason.ROLLED_BACK)
    assert await anna.settled() == []


async def test_relaying_between_two_and_not_to_a_third(site: Site) -> None:
    anna, sender = await site.enter("anna")
    ben, receiver = await site.enter("ben")
    eve, elsewhere = await site.enter("eve", "cellar")
    await anna.settled()
    offer = {"type": "voice_offer", "sdp": {"type": "offer", "sdp": "v=0"}}
    await anna.send({**offer, "targetUserId": "ben", "userId": "eve", "sessionId": elsewhere["session_id"]})
    relayed = await ben.next()
    assert (relayed["userId"], relayed["sessionId"]) == ("anna", sender["session_id"])
    assert relayed["targetSessionId"] == receiver["session_id"]
    for target in ({"targetUserId": "eve"}, {"targetSessionId": elsewhere["session_id"]}):
        assert (await anna.ask({**offer, **target}))["error"] == "Target not found"
    assert await eve.settled() == []
    assert await ben.settled() == []


# --- who gets in --------------------------------------------------------------------------------------------------

Forge = Callable[[Site, dict[str, Any], dict[str, Any]], str]


@pytest.mark.parametrize(
    "forge",
    [
        pytest.param(lambda site, mine, other: other["session_token"], id="another session's"),
        pytest.param(lambda site, mine, other: site.user_token("anna"), id="a user token"),
        pytest.param(lambda site, mine, other: site.user_token("anna", sid=mine["session_id"]), id="a user token with a sid"),
        pytest.param(lambda site, mine, other: mine["session_token"][:-4] + "AAAA", id="wrong signature"),
        pytest.param(lambda site, mine, other: site.settings.api_tokens[0], id="an API token in the message"),
        pytest.param(lambda site, mine, other: "", id="empty"),
    ],
)
async def test_only_the_token_of_this_session_opens_it(site: Site, forge: Forge) -> None:
    mine, other = await site.join("anna"), await site.join("ben")
    socket = await site.socket()
    error = await socket.ask({"type": "voice_join", "sessionId": mine["session_id"], "token": forge(site, mine, other)})
    assert (error["error"], error["code"]) == ("Unauthorized", 401)
    assert await socket.close_code() == 4401
    assert site.service.participant(mine["session_id"]).state is ParticipantState.RESERVED


async def test_an_expired_session_token_opens_nothing(site: Site) -> None:
    joined = await site.join("anna")
    site.clock.advance(25 * 3600)
    socket = await site.socket()
    assert (await socket.ask(voice_join(joined)))["error"] == "Unauthorized"
    assert await socket.close_code() == 4401


async def test_an_upgrade_with_an_api_token_needs_no_other(site: Site) -> None:
    joined = await site.join("anna")
    socket = await site.socket(headers=site.api)
    assert (await socket.ask({"type": "voice_join", "sessionId": joined["session_id"]}))["type"] == "voice_joined"


async def test_an_upgrade_with_a_session_token_opens_that_session_only(site: Site) -> None:
    mine, other = await site.join("anna"), await site.join("ben")
    headers = bearer(mine["session_token"])
    stranger = await site.socket(headers=headers)
    assert (await stranger.ask({"type": "voice_join", "sessionId": other["session_id"]}))["error"] == "Unauthorized"
    socket = await site.socket(headers=headers)
    assert (await socket.ask({"type": "voice_join", "sessionId": mine["session_id"]}))["type"] == "voice_joined"


async def test_an_upgrade_with_a_user_token_opens_nothing_by_itself(site: Site) -> None:
    joined = await site.join("anna")
    socket = await site.socket(headers=bearer(site.user_token("anna")))
    assert (await socket.ask({"type": "voice_join", "sessionId": joined["session_id"]}))["error"] == "Unauthorized"


async def test_an_upgrade_with_a_bad_token_is_refused(site: Site) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
        await site.client.ws_connect("/api/ws", headers=bearer("wrong"))
    assert refusal.value.status == 401


async def test_a_session_that_ended_is_not_there(site: Site) -> None:
    joined = await site.join("anna")
    await site.service.end(joined["session_id"], EndReason.LEFT)
    socket = await site.socket()
    assert (await socket.ask(voice_join(joined)))["error"] == "Session not found"
    assert await socket.close_code() == 4404


@pytest.mark.parametrize(
    ("allowed", "origin", "status"),
    [
        (("*",), "https://anywhere.example", 101),
        (("https://voice.example",), "https://voice.example", 101),
        (("https://voice.example",), "HTTPS://VOICE.example", 101),
        (("https://voice.example",), None, 101),
        (("https://voice.example",), "same", 101),
        (("https://voice.example",), "https://evil.example", 403),
        (("https://voice.example",), "http://voice.example", 403),
        (("https://voice.example",), "null", 403),
    ],
)
async def test_origins_are_checked(make_site: MakeSite, allowed: tuple[str, ...], origin: str | None, status: int) -> None:
    site = await make_site({"allowed_origins": allowed})
    if origin == "same":
        origin = f"http://127.0.0.1:{site.client.port}"
    headers = {"Origin": origin} if origin is not None else {}
    if status == 101:
        await site.socket(headers=headers)
        return
    with pytest.raises(aiohttp.WSServerHandshakeError) as refusal:
        await site.client.ws_connect("/api/ws", headers=headers)
    assert refusal.value.status == 403


async def test_a_request_that_is_no_upgrade_is_told_so(site: Site) -> None:
    answer = await site.client.get("/api/ws")
    error = await answer.json()
    assert (answer.status, error["error"], error["field"]) == (400, "Invalid request", "Upgrade")


# --- how connections end ------------------------------------------------------------------------------------------


async def test_who_says_nothing_is_dropped(make_site: MakeSite) -> None:
    site = await make_site(timings=SocketTimings(first_message=0.05, ping=10.0, close=0.5))
    assert await (await site.socket()).close_code() == 4408


async def test_who_says_anything_but_voice_join_is_dropped_all_the_same(make_site: MakeSite) -> None:
    site = await make_site(timings=SocketTimings(first_message=0.2, ping=0.05, close=0.5))
    socket = await site.socket()
    assert (await socket.ask({"type": "voice_mute", "muted": True}))["error"] == "Wrong state"
    assert await socket.close_code() == 4408


async def test_a_client_that_answers_pings_stays_and_is_seen(make_site: MakeSite, monkeypatch: pytest.MonkeyPatch) -> None:
    site = await make_site(timings=SocketTimings(ping=0.02, close=0.5))
    seen = asyncio.Event()
    socket, _ = await site.enter()
    reading = asyncio.create_task(socket.next())  # aiohttp's client answers pings while it reads
    monkeypatch.setattr(site.service, "signalling_seen", lambda session_id: seen.set())
    for _ in range(3):
        seen.clear()
        async with asyncio.timeout(PATIENCE_SECONDS):
            await seen.wait()
    await socket.send({"type": "ping"})
    assert (await reading)["type"] == "pong"


async def test_a_client_that_does_not_answer_pings_is_dropped(make_site: MakeSite) -> None:
    site = await make_site(timings=SocketTimings(ping=0.05, close=0.5))
    socket, joined = await site.enter()
    socket.raw._autoping = False
    pinged = await socket.raw.receive()
    assert pinged.type is WSMsgType.PING
    assert await socket.close_code() == 4408
    assert await site.detached() == joined["session_id"]
    assert site.service.participant(joined["session_id"]).state is ParticipantState.DETACHED


async def test_a_ping_of_the_client_is_answered(site: Site) -> None:
    socket = await site.socket(autoping=False)
    await socket.raw.ping(b"hello")
    message = await socket.raw.receive()
    assert (message.type, message.data) == (WSMsgType.PONG, b"hello")


async def test_a_lost_socket_only_detaches_and_the_next_one_resumes(site: Site) -> None:
    anna, _ = await site.enter("anna")
    ben, joined = await site.enter("ben")
    await anna.settled()
    await ben.raw.close()
    assert await site.detached() == joined["session_id"]
    again = await site.socket()
    assert (await again.ask(voice_join(joined)))["resumed"] is True
    assert await anna.settled() == []


async def test_a_page_that_goes_away_leaves_even_if_its_beacon_is_lost(site: Site) -> None:
    anna, _ = await site.enter("anna")
    ben, joined = await site.enter("ben")
    await anna.settled()
    await ben.raw.close(code=1001)
    left = await anna.next()
    assert (left["type"], left["sessionId"], left["reason"]) == ("voice_leave", joined["session_id"], "left")


async def test_a_page_that_goes_away_after_it_was_replaced_or_has_left_takes_nobody_along(site: Site) -> None:
    older, joined = await site.enter("anna")
    newer = await site.socket()
    assert (await newer.ask(voice_join(joined)))["resumed"] is True
    await older.raw.close(code=1001)
    assert (await newer.ask({"type": "ping"}))["type"] == "pong"
    assert site.service.participant(joined["session_id"]).state is ParticipantState.CONNECTED
    stranger = await site.socket()
    await stranger.raw.close(code=1001)
    await site.service.end(joined["session_id"], EndReason.LEFT)
    await newer.raw.close(code=1001)


async def test_a_newer_connection_replaces_the_older_one(site: Site) -> None:
    older, joined = await site.enter("anna")
    newer = await site.socket()
    assert (await newer.ask(voice_join(joined)))["resumed"] is True
    assert await older.close_code() == 4409
    assert (await newer.ask({"type": "ping"}))["type"] == "pong"
    assert site.service.participant(joined["session_id"]).state is ParticipantState.CONNECTED


@pytest.mark.parametrize(
    ("reason", "code"),
    [(EndReason.KICKED, 4403), (EndReason.BANNED, 4403), (EndReason.LEFT, 1000), (EndReason.TIMEOUT, 4408)],
)
async def test_the_end_of_a_session_closes_its_socket(site: Site, reason: EndReason, code: int) -> None:
    socket, joined = await site.enter("anna")
    await site.service.end(joined["session_id"], reason)
    assert (await socket.until("voice_leave"))["reason"] == reason.value
    assert await socket.close_code() == code


@pytest.mark.parametrize("frame", ["no json", "[1]", '{"x": 1}', '{"type": null}'])
async def test_what_is_no_message_closes_the_socket(site: Site, frame: str) -> None:
    socket, _ = await site.enter()
    await socket.raw.send_str(frame)
    assert await socket.close_code() == 4400


async def test_a_binary_frame_closes_the_socket(site: Site) -> None:
    socket, _ = await site.enter()
    await socket.raw.send_bytes(json.dumps({"type": "ping"}).encode())
    assert await socket.close_code() == 4400


async def test_a_frame_of_64_kib_is_taken_and_a_larger_one_closes_the_socket(site: Site) -> None:
    socket, _ = await site.enter()
    frame = json.dumps({"type": "ping", "requestId": "big", "padding": ""})
    await socket.raw.send_str(frame.replace('"padding": ""', f'"padding": "{"x" * (65_536 - len(frame))}"'))
    assert (await socket.next())["requestId"] == "big"
    await socket.raw.send_str(frame.replace('"padding": ""', f'"padding": "{"x" * (65_537 - len(frame))}"'))
    assert await socket.close_code() == 1009


async def test_a_frame_far_too_large_is_not_even_read(site: Site) -> None:
    socket, joined = await site.enter()
    with contextlib.suppress(ConnectionError):
        await socket.raw.send_str("x" * 2_000_000)
    assert await socket.close_code() in (1006, 1009)
    assert await site.detached() == joined["session_id"]


async def test_a_client_that_does_not_read_is_dropped_and_the_others_hear_everything(site: Site) -> None:
    slow, joined = await site.enter("slow")
    anna, talking = await site.enter("anna")
    transport = slow.raw.get_extra_info("socket")
    assert transport is not None
    transport.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
    connection = slow.raw._conn
    assert connection is not None
    assert connection.transport is not None
    connection.transport.pause_reading()
    heard = 0
    padding = "x" * 8000
    async with asyncio.timeout(PATIENCE_SECONDS):
        while len(site.hub) == 2:
            for _ in range(50):
                site.service.media_failed(joined["session_id"], padding)
            site.service.media_speaking(talking["session_id"], heard % 2 == 0, 0.5)
            assert (await anna.until("voice_speaking"))["speakers"][0]["speaking"] is (heard % 2 == 0)
            heard += 1
    assert site.service.participant(joined["session_id"]).state is ParticipantState.DETACHED
    assert (await anna.ask({"type": "ping"}))["type"] == "pong"
    connection.transport.abort()


async def test_a_slow_client_that_reads_again_learns_why(site: Site) -> None:
    slow, joined = await site.enter("slow")
    for _ in range(300):  # in one go: nothing is written in between
        site.service.media_failed(joined["session_id"], "x" * 100)
    assert await slow.close_code() == 1013


async def test_a_server_that_stops_says_goodbye(site: Site) -> None:
    anna, _ = await site.enter("anna")
    stranger = await site.socket()
    closing = asyncio.create_task(site.hub.close())
    error = await anna.next()
    assert (error["type"], error["error"], error["code"]) == ("voice_error", "Draining", 503)
    assert await anna.close_code() == 1012
    assert await stranger.close_code() == 1012
    await closing
    assert len(site.hub) == 0
    late = await site.socket()
    assert await late.close_code() == 1012


async def test_sentences_come_in_the_language_of_the_upgrade(site: Site) -> None:
    german, english = await site.socket(), await site.socket(headers={"Accept-Language": "en-GB"})
    assert "Moment" in (await german.ask({"type": "voice_leave"}))["message"]
    assert "right now" in (await english.ask({"type": "voice_leave"}))["message"]


async def test_no_token_reaches_a_log_line(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    joined, other = await site.join("anna"), await site.join("ben")
    socket = await site.socket()
    await socket.ask({"type": "voice_join", "sessionId": joined["session_id"], "token": other["session_token"]})
    await socket.close_code()
    await site.enter("eve")
    for token in (joined["session_token"], other["session_token"], *site.settings.api_tokens, site.settings.jwt_secret):
        assert token not in caplog.text
