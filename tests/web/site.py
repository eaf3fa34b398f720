"""A whole web side on a real voice service and a real database; only media and time are made up."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import jwt
from aiohttp import ClientResponse, ClientWebSocketResponse, WSMsgType, web
from aiohttp.test_utils import TestClient, TestServer

from server.config import Settings
from server.signalling.hub import Hub
from server.storage.actions import SqliteModerationStore
from server.storage.database import Database
from server.storage.lists import Lists
from server.storage.sessions import SqliteSessionStore
from server.storage.tokens import SqliteTokenStore
from server.storage.tracking import TrackingStore
from server.voice.moderator import Moderator
from server.voice.service import VoiceService
from server.web.auth import TokenService
from server.web.deps import SocketTimings, WebDeps
from server.web.routes import setup_routes
from server.web.token_registry import TokenRegistry
from tests.voice.fakes import FakeClock, FakeMedia, ManualSleep
from tests.web.frames import check_frame

PATIENCE_SECONDS = 5.0


@dataclass
class Socket:
    """The client's end of `/api/ws`."""

    raw: ClientWebSocketResponse[Any]

    async def send(self, message: Mapping[str, Any]) -> None:
        await self.raw.send_str(json.dumps(message))

    async def next(self) -> dict[str, Any]:
        """The next message."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            message = await self.raw.receive()
        assert message.type is WSMsgType.TEXT, message
        answer = json.loads(message.data)
        assert isinstance(answer, dict)
        check_frame(answer)
        return answer

    async def until(self, type_name: str) -> dict[str, Any]:
        """The next message of a type; what comes before it is left aside."""
        while (message := await self.next())["type"] != type_name:
            pass
        return message

    async def ask(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """Send a request; the answer to it."""
        await self.send({**message, "requestId": "asked"})
        while (answer := await self.next()).get("requestId") != "asked":
            pass
        return answer

    async def settled(self) -> list[dict[str, Any]]:
        """Everything that came until the server answers a ping."""
        await self.send({"type": "ping", "requestId": "settled"})
        came = []
        while (message := await self.next()).get("requestId") != "settled":
            came.append(message)
        return came

    async def close_code(self) -> int | None:
        """Wait until the server closes; what came before is left aside."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while (await self.raw.receive()).type in (WSMsgType.TEXT, WSMsgType.PING):
                pass
        return self.raw.close_code


class WatchedService(VoiceService):
    """Tells when a session has lost its socket."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.detached: asyncio.Queue[str] = asyncio.Queue(100)

    def signalling_detached(self, session_id: str) -> None:
        super().signalling_detached(session_id)
        self.detached.put_nowait(session_id)


@dataclass
class Site:
    """A running web side. `client` has no token of its own."""

    client: TestClient[web.Request, web.Application]
    settings: Settings
    service: WatchedService
    moderation: Moderator
    registry: TokenRegistry
    media: FakeMedia
    clock: FakeClock
    hub: Hub
    tokens: TokenService
    database: Database
    sockets: AsyncExitStack = field(repr=False)

    @property
    def api(self) -> dict[str, str]:
        """The headers of a trusted backend."""
        return bearer(self.settings.api_tokens[0])

    def user_token(self, user_id: str = "anna", *, key: str | None = None, **claims: Any) -> str:
        """A token as another backend makes it, with the claims of the contract; None leaves a claim out."""
        known = {"sub": user_id, "name": user_id.title(), "role": "user", "exp": self.now + 3600, "jti": f"jti of {user_id}"}
        payload = {name: value for name, value in {**known, **claims}.items() if value is not None}
        return jwt.encode(payload, key if key is not None else self.settings.jwt_secret, algorithm="HS256")

    @property
    def now(self) -> int:
        """The server's clock, in seconds since 1970."""
        return int(self.clock.now().timestamp())

    async def post(self, path: str, body: object = None, headers: Mapping[str, str] | None = None) -> ClientResponse:
        """POST JSON."""
        return await self.client.post(path, json=body, headers=headers)

    async def join(self, user_id: str = "anna", room_id: str = "lobby", **fields: Any) -> dict[str, Any]:
        """Join by the API token; the answer."""
        body = {"room_id": room_id, "user_id": user_id, "username": user_id.title(), "world": "materie", **fields}
        answer = await self.post("/api/voice/join", body, self.api)
        assert answer.status == 200, await answer.text()
        joined = await answer.json()
        assert isinstance(joined, dict)
        return joined

    async def socket(self, **options: Any) -> Socket:
        """Open `/api/ws`; closed when the test ends."""
        raw = await self.sockets.enter_async_context(self.client.ws_connect("/api/ws", **options))
        return Socket(raw)

    async def detached(self) -> str:
        """Wait until a session has lost its socket: which one."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            return await self.service.detached.get()

    async def enter(self, user_id: str = "anna", room_id: str = "lobby") -> tuple[Socket, dict[str, Any]]:
        """Join and connect; the socket and the answer to the REST join."""
        joined = await self.join(user_id, room_id)
        socket = await self.socket()
        answer = await socket.ask(voice_join(joined))
        assert answer["type"] == "voice_joined", answer
        return socket, joined


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def voice_join(joined: Mapping[str, Any], **fields: Any) -> dict[str, Any]:
    return {"type": "voice_join", "sessionId": joined["session_id"], "token": joined["session_token"], **fields}


async def raw_request(site: Site, request: str, body: bytes = b"") -> bytes:
    """Send bytes that no client would; the answer, head and body."""
    reader, writer = await asyncio.open_connection("127.0.0.1", site.client.port)
    writer.write(request.replace("\n", "\r\n").encode() + body)
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"(?im)^content-length: (\d+)", head)
            assert length is not None
            return head + await reader.readexactly(int(length[1]))
    finally:
        writer.close()


async def answered() -> None:
    """The database answers."""


@asynccontextmanager
async def running_site(settings: Settings, static: Path, vendor: Path, **changes: Any) -> AsyncIterator[Site]:
    """Run a site; `changes` are fields of `WebDeps`."""
    async with AsyncExitStack() as stack:
        database = Database(settings.database)
        await database.open()
        stack.push_async_callback(database.close)
        clock, media, hub = FakeClock(), FakeMedia(), Hub(stop_seconds=1.0)
        store = SqliteSessionStore(database, now=clock.now)
        service = WatchedService(settings, store, clock=clock, sleep=ManualSleep(), close_timeout_seconds=2.0)
        service.use_media(media)
        service.subscribe(hub)
        await service.start()
        stack.push_async_callback(service.close)
        moderation = Moderator(
            service.discipline,
            SqliteModerationStore(database),
            clock,
            worlds=settings.worlds,
            kick_for=timedelta(minutes=settings.kick_minutes),
            mute_for=timedelta(hours=settings.mute_hours),
        )
        stack.push_async_callback(moderation.close)
        registry = TokenRegistry(SqliteTokenStore(database))

        async def close_what_it_opened(credential: str) -> None:
            hub.close_credential(credential)
            await moderation.end_of_token(credential)

        registry.subscribe(close_what_it_opened)
        tokens = TokenService(settings, clock, revocations=registry, api_tokens=registry)
        known: dict[str, Any] = {
            "settings": settings,
            "service": service,
            "moderation": moderation,
            "tokens": tokens,
            "hub": hub,
            "tracking": TrackingStore(database, now=clock.now),
            "lists": Lists(database, now=clock.now),
            "store_health": answered,
            "ledger": lambda: {"status": "ok", "spooled": 0, "dropped": 0},
            "media_stats": lambda: {"port": 50000, "transports": 0},
            "media_alive": lambda: True,
            "clock": clock,
            "timings": SocketTimings(close=0.5),
            "static": static,
            "vendor": vendor,
        }
        app = web.Application()
        setup_routes(app, WebDeps(**{**known, **changes}))
        client = await stack.enter_async_context(TestClient(TestServer(app)))
        sockets = await stack.enter_async_context(AsyncExitStack())
        yield Site(client, settings, service, moderation, registry, media, clock, hub, tokens, database, sockets)
