"""One simulated participant: REST join, WebSocket, offer and answer, media, leave.

    async with aiohttp.ClientSession(url) as http:
        client = VoiceClient(http, token=api_token, user_id="u1")
        await client.enter("room", Peer())
        await client.expect("voice_slots", lambda message: …)
        summary = await client.leave()

It knows the wire contract and nothing of the server's code. A client belongs to the event loop it was made in.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Self

import aiohttp

from bench.endpoint import Watch
from bench.peer import Peer
from bench.sdp import Answer

__all__ = ["JoinReply", "Message", "RestError", "SignallingClosed", "SignallingError", "VoiceClient", "guest_token"]

Message = dict[str, Any]
"""A WebSocket message or a REST body: a JSON object."""

_KEPT_MESSAGES: Final = 5000


class RestError(Exception):
    """An answer other than 200. `status` is HTTP's, `body` the error object."""

    def __init__(self, status: int, body: Message) -> None:
        super().__init__(f"{status} {body.get('error')}")
        self.status = status
        self.body = body


class SignallingError(Exception):
    """A `voice_error`; `message` is all of it."""

    def __init__(self, message: Message) -> None:
        super().__init__(f"{message.get('code')}: {message.get('error')}")
        self.message = message


class SignallingClosed(Exception):
    """The WebSocket was closed while something was awaited. `code` is its close code, None where there was none."""

    def __init__(self, code: int | None) -> None:
        super().__init__(f"WebSocket closed with {code}")
        self.code = code


@dataclass(frozen=True, slots=True)
class JoinReply:
    """What REST join answered. `body` is all of it."""

    session_id: str
    session_token: str
    room_id: str
    signalling_url: str
    body: Message

    @classmethod
    def of(cls, body: Message) -> Self:
        """Read the answer's body. Raises KeyError where a field is missing."""
        return cls(body["session_id"], body["session_token"], body["room_id"], body["signalling_url"], body)


async def guest_token(http: aiohttp.ClientSession, username: str) -> tuple[str, str]:
    """A user token and the user id it is for. Raises RestError where guests are not allowed."""
    body = await _post(http, "/api/auth/guest", {"username": username}, token=None)
    return body["token"], body["user_id"]


async def _post(http: aiohttp.ClientSession, path: str, body: Message, *, token: str | None) -> Message:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    async with http.post(path, json=body, headers=headers) as response:
        answer: Message = await response.json()
        if response.status != 200:
            raise RestError(response.status, answer)
        return answer


class VoiceClient:
    """A participant who joins one room once. `token` is a user token for `user_id`, or an API token.

    `reply` is there once joined, `joined` (the `voice_joined` message) once the WebSocket is open, `peer` once entered.
    `sent` and `received` count messages by type; `messages` keeps the last received. `slots` is what the last `voice_slots`
    said: mid -> session id, None for a free slot.
    """

    def __init__(self, http: aiohttp.ClientSession, *, token: str, user_id: str, username: str | None = None) -> None:
        self.user_id = user_id
        self.username = username or user_id
        self.reply: JoinReply | None = None
        self.joined: Message | None = None
        self.peer: Peer | None = None
        self.sent: Counter[str] = Counter()
        self.received: Counter[str] = Counter()
        self.messages: deque[Message] = deque(maxlen=_KEPT_MESSAGES)
        self.slots: dict[str, str | None] = {}
        self.close_code: int | None = None
        self._http = http
        self._token = token
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._reader: asyncio.Task[None] | None = None
        self._unclaimed: deque[Message] = deque(maxlen=_KEPT_MESSAGES)
        self.on_message: Callable[[Message], None] | None = None
        """Called with each message in the moment it comes."""
        self._watch = Watch()
        self._requests = 0

    @property
    def session_id(self) -> str:
        """The session's id. Only after `join`."""
        assert self.reply is not None, "not joined"
        return self.reply.session_id

    # the way in

    async def enter(self, room_id: str, peer: Peer, *, world: str = "materie") -> Answer:
        """All of it: join, open, negotiate, connect. Raises what those raise; nothing is rolled back."""
        await self.join(room_id, world=world)
        await self.open()
        answer = await self.negotiate(peer)
        await peer.connect()
        return answer

    async def join(self, room_id: str, *, world: str = "materie") -> JoinReply:
        """REST join. Raises RestError."""
        request = {"room_id": room_id, "user_id": self.user_id, "username": self.username, "world": world}
        self.reply = JoinReply.of(await _post(self._http, "/api/voice/join", request, token=self._token))
        return self.reply

    async def open(self, *, timeout: float = 5.0) -> Message:
        """Open the WebSocket and bind it to the session. Raises SignallingError or SignallingClosed."""
        assert self.reply is not None, "not joined"
        self._socket = await self._http.ws_connect(self.reply.signalling_url)
        self._reader = asyncio.create_task(self._read(self._socket), name="signalling")
        self.joined = await self.request(
            "voice_join", timeout=timeout, sessionId=self.reply.session_id, token=self.reply.session_token
        )
        return self.joined

    async def negotiate(self, peer: Peer, *, restart: bool = False, timeout: float = 5.0) -> Answer:
        """Send the peer's offer, give it the answer. Raises SignallingError, or AnswerError."""
        self.peer = peer
        offer = {"type": "offer", "sdp": peer.create_offer(restart=restart)}
        reply = await self.request("voice_offer", timeout=timeout, sdp=offer)
        return peer.set_answer(reply["sdp"]["sdp"])

    # messages

    async def send(self, kind: str, **fields: Any) -> None:
        """Send one message."""
        assert self._socket is not None, "the WebSocket is not open"
        self.sent[kind] += 1
        await self._socket.send_str(json.dumps({"type": kind} | fields))

    async def request(self, kind: str, *, timeout: float = 5.0, **fields: Any) -> Message:
        """Send one message and wait for the answer to it. Raises SignallingError where that is a `voice_error`."""
        self._requests += 1
        identifier = f"r{self._requests}"
        await self.send(kind, requestId=identifier, **fields)
        answer = await self.expect(None, lambda message: message.get("requestId") == identifier, timeout=timeout)
        if answer["type"] == "voice_error":
            raise SignallingError(answer)
        return answer

    async def expect(
        self, kind: str | None, match: Callable[[Message], bool] = lambda _: True, *, timeout: float = 3.0
    ) -> Message:
        """The oldest message of this type (any where None) that matches and that no one claimed before; waits for it.

        Raises TimeoutError, or SignallingClosed.
        """

        def claim() -> Message | None:
            for message in self._unclaimed:
                if kind in (None, message["type"]) and match(message):
                    self._unclaimed.remove(message)
                    return message
            if self._reader is None or self._reader.done() or self.close_code is not None:
                raise SignallingClosed(self.close_code)
            return None

        found = await self._watch.until(claim, timeout=timeout, what=kind or "the answer")
        assert found is not None
        return found

    async def hears(self, count: int, *, timeout: float = 5.0) -> dict[str, str | None]:
        """Wait until this many slots have somebody; returns them all. Raises TimeoutError."""

        def filled() -> bool:
            return sum(session is not None for session in self.slots.values()) == count

        await self._watch.until(filled, timeout=timeout, what=f"{count} filled slots")
        return self.slots

    async def closed(self, *, timeout: float = 3.0) -> int:
        """Wait until the server closed the WebSocket; returns the close code. Raises TimeoutError."""
        code = await self._watch.until(lambda: self.close_code, timeout=timeout, what="the WebSocket's close")
        assert code is not None
        return code

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        try:
            async for frame in socket:
                if frame.type is aiohttp.WSMsgType.TEXT:
                    message: Message = json.loads(frame.data)
                    self.received[message["type"]] += 1
                    self.messages.append(message)
                    if self.on_message is not None:
                        self.on_message(message)
                    if message["type"] == "voice_slots":
                        self.slots = {slot["mid"]: slot["sessionId"] for slot in message["slots"]}
                    self._unclaimed.append(message)
                    self._watch.notify()
        finally:
            self.close_code = socket.close_code
            self._watch.notify()

    # the way out

    async def leave(self) -> Message:
        """REST leave. Raises RestError."""
        assert self.reply is not None, "not joined"
        return await _post(self._http, "/api/voice/leave", {"session_id": self.reply.session_id}, token=self.reply.session_token)

    async def close(self) -> None:
        """Close media and the WebSocket, without a leave. Safe to call twice."""
        if self.peer is not None:
            await self.peer.close()
        if self._socket is not None:
            await self._socket.close()
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.wait([self._reader])
            if not self._reader.cancelled():
                self._reader.result()
