"""The simulated participant against a server that misbehaves."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from bench.client import RestError, SignallingClosed, SignallingError, VoiceClient, guest_token


class Scripted:
    """A server whose answers are made up. `said` is what clients sent; `replies` are by message type."""

    def __init__(self) -> None:
        self.said: list[dict[str, Any]] = []
        self.headers: list[str | None] = []
        self.refuse: tuple[int, str] | None = None
        self.replies: dict[str, list[dict[str, Any]]] = {}
        self.close_with: int | None = None

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/api/{path:.+}", self.rest)
        app.router.add_get("/api/ws", self.socket)
        return app

    async def rest(self, request: web.Request) -> web.Response:
        self.said.append(await request.json())
        self.headers.append(request.headers.get("Authorization"))
        if self.refuse is not None:
            return web.json_response({"success": False, "error": self.refuse[1]}, status=self.refuse[0])
        return web.json_response(
            {
                "session_id": "s1",
                "session_token": "t1",
                "room_id": "r",
                "signalling_url": "/api/ws",
                "token": "g1",
                "user_id": "u9",
            }
        )

    async def socket(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        async for frame in socket:
            message = json.loads(frame.data)
            self.said.append(message)
            if self.close_with is not None:
                await socket.close(code=self.close_with)
                break
            for reply in self.replies.get(message["type"], [{"type": "voice_joined"}]):
                await socket.send_json({"requestId": message.get("requestId")} | reply)
        return socket


@pytest.fixture
async def scripted() -> AsyncIterator[tuple[Scripted, VoiceClient]]:
    server = Scripted()
    async with TestServer(server.app(), host="127.0.0.1") as running, aiohttp.ClientSession(running.make_url("")) as http:
        client = VoiceClient(http, token="api", user_id="u1")
        yield server, client
        await client.close()


async def test_join_open_leave(scripted: tuple[Scripted, VoiceClient]) -> None:
    server, client = scripted
    await client.join("room", world="energie")
    assert server.said[-1] == {"room_id": "room", "user_id": "u1", "username": "u1", "world": "energie"}
    assert server.headers[-1] == "Bearer api"
    assert (await client.open())["type"] == "voice_joined"
    assert (server.said[-1]["sessionId"], server.said[-1]["token"]) == ("s1", "t1")
    await client.leave()
    assert (server.said[-1], server.headers[-1]) == ({"session_id": "s1"}, "Bearer t1")
    assert client.sent["voice_join"] == client.received["voice_joined"] == 1


async def test_a_guest_gets_a_token(scripted: tuple[Scripted, VoiceClient]) -> None:
    server, client = scripted
    assert await guest_token(client._http, "Gast") == ("g1", "u9")
    assert (server.said[-1], server.headers[-1]) == ({"username": "Gast"}, None)


async def test_refusals_are_errors(scripted: tuple[Scripted, VoiceClient]) -> None:
    server, client = scripted
    server.refuse = (403, "Room full")
    with pytest.raises(RestError, match="403 Room full") as refused:
        await client.join("room")
    assert (refused.value.status, refused.value.body["error"]) == (403, "Room full")
    server.refuse = None
    await client.join("room")
    server.replies["voice_join"] = [{"type": "voice_error", "code": 401, "error": "Unauthorized"}]
    with pytest.raises(SignallingError, match="401: Unauthorized"):
        await client.open()


async def test_a_close_ends_all_waiting(scripted: tuple[Scripted, VoiceClient]) -> None:
    server, client = scripted
    await client.join("room")
    server.close_with = 4404
    with pytest.raises(SignallingClosed, match="4404"):
        await client.open()
    assert await client.closed() == 4404


async def test_messages_are_claimed_once_and_in_order(scripted: tuple[Scripted, VoiceClient]) -> None:
    server, client = scripted
    await client.join("room")
    await client.open()
    server.replies["ping"] = [
        {"type": "voice_mute", "requestId": None, "muted": True},
        {"type": "voice_slots", "requestId": None, "slots": [{"mid": "1", "sessionId": "s2"}, {"mid": "2", "sessionId": None}]},
        {"type": "voice_mute", "requestId": None, "muted": False},
        {"type": "pong"},
    ]
    assert (await client.request("ping"))["type"] == "pong"
    assert client.slots == {"1": "s2", "2": None}
    assert await client.hears(1) == client.slots
    assert (await client.expect("voice_mute", lambda message: not message["muted"]))["muted"] is False
    assert (await client.expect("voice_mute"))["muted"] is True
    with pytest.raises(TimeoutError, match="voice_mute: not within"):
        await client.expect("voice_mute", timeout=0.01)
    assert [message["type"] for message in client.messages].count("voice_mute") == 2
