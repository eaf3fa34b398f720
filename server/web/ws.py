"""`/api/ws`: the edge between aiohttp's WebSocket and `server.signalling`."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final, Literal, TypeAlias
from urllib.parse import urlsplit

from aiohttp import WSMsgType, hdrs, web
from aiohttp.http import WSMessageNoDecodeText

from server.errors import Forbidden, InvalidRequest, RateLimited
from server.protocol import MAX_FRAME_BYTES, CloseCode
from server.signalling.dispatch import Dispatcher
from server.signalling.peer import Peer, PeerState
from server.signalling.views import error_message
from server.web.access import authenticated
from server.web.addresses import client_address
from server.web.answers import language_of
from server.web.auth import IdentityKind
from server.web.deps import DEPS, MessageMeter, WebDeps
from server.web.limits import SocketCounter
from server.web.middleware import allows_origin

__all__ = ["SocketConnection", "SocketEdge"]

logger = logging.getLogger(__name__)

HARD_LIMIT_BYTES: Final = 4 * MAX_FRAME_BYTES
"""From here on aiohttp drops the connection in the middle of the frame. What is smaller is read, and refused in good order."""

RawSocket: TypeAlias = web.WebSocketResponse[Literal[False]]
Frame: TypeAlias = WSMessageNoDecodeText


class SocketConnection:
    """`server.signalling.peer.Connection` over aiohttp.

    Reading, and with it the closing handshake, belongs to one task: aiohttp does the handshake properly only there, and a client
    that sees the wire go before it could answer the close frame may never learn the code.
    """

    def __init__(self, socket: RawSocket, transport: asyncio.Transport | None, close_seconds: float) -> None:
        self._socket = socket
        self._transport = transport
        self._close_seconds = close_seconds
        self._close_with: tuple[int, str] | None = None
        self._receiving: asyncio.Timeout | None = None

    @property
    def closing(self) -> bool:
        """Whether this side has decided to close."""
        return self._close_with is not None

    async def send_text(self, frame: bytes) -> None:
        await self._socket.send_frame(frame, WSMsgType.TEXT)

    async def close(self, code: int, reason: str) -> None:
        """Have the reading task close."""
        if self._close_with is None:
            self._close_with = (code, reason)
        if self._receiving is not None:
            self._receiving.reschedule(asyncio.get_running_loop().time())

    async def receive(self, until: float) -> Frame | None:
        """The next frame; None when `until` (loop time) has come, or this side closes."""
        if self._close_with is not None:
            return None
        try:
            async with asyncio.timeout_at(until) as receiving:
                self._receiving = receiving
                try:
                    return await self._socket.receive()
                finally:
                    self._receiving = None
        except TimeoutError:
            return None

    async def ping(self) -> None:
        """Ask for a sign of life. Raises `ConnectionError`, and `TimeoutError` where not even that can be written."""
        async with asyncio.timeout(self._close_seconds):
            await self._socket.ping()

    async def pong(self, payload: bytes) -> None:
        """Answer a ping. Raises like `ping`."""
        async with asyncio.timeout(self._close_seconds):
            await self._socket.pong(payload)

    async def finish(self) -> None:
        """The closing handshake, within bounds. Does nothing where the client closed or the wire is gone."""
        code, reason = self._close_with if self._close_with is not None else (CloseCode.NORMAL, "")
        try:
            async with asyncio.timeout(self._close_seconds):
                await self._socket.close(code=code, message=reason.encode())
        except (TimeoutError, ConnectionError):
            logger.debug("a client did not take part in closing")
        if self._transport is not None and self._transport.get_write_buffer_size() > 0:
            # It reads nothing, and what is buffered for it would be kept for as long as TCP is patient.
            self._transport.abort()


GOING_AWAY: Final = 1001
"""What a browser closes with when its page goes: closed, reloaded, left (RFC 6455, section 7.4.1). Its beacon may be lost."""


class SocketEdge:
    """The handler. A connection has two tasks: aiohttp's reads, and awaits the other one, which writes."""

    def __init__(self, dispatcher: Dispatcher, sockets: SocketCounter) -> None:
        self._dispatcher = dispatcher
        self._sockets = sockets

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Raises what the upgrade is refused with: `InvalidRequest`, `Forbidden`, `Unauthorized`, `RateLimited`."""
        _check_origin(request)
        address = client_address(request)
        request.app[DEPS].limiter.check("socket", address=address, identity=None)
        self._sockets.enter(address)
        try:
            return await self._serve(request)
        finally:
            self._sockets.leave(address)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        deps = request.app[DEPS]
        preauthorised, credential = _preauthorised(request)
        # Compression would cost each connection more memory than all the rest of it.
        socket = RawSocket(autoping=False, compress=False, decode_text=False, max_msg_size=HARD_LIMIT_BYTES)
        if not socket.can_prepare(request):
            raise InvalidRequest("Upgrade", "a WebSocket upgrade is needed")
        try:
            await socket.prepare(request)
        except ConnectionError:
            # A page whose microphone was refused gives its socket up before this answer; nobody is there to read it.
            logger.debug("a client was gone before its connection was open")
            return web.Response()
        connection = SocketConnection(socket, request.transport, deps.timings.close)
        peer = Peer(connection, language=language_of(request), preauthorised=preauthorised, credential=credential)
        writer = asyncio.create_task(peer.run(), name="signalling-writer")
        deps.hub.opened(peer)
        try:
            await self._read(connection, peer, deps)
        except (ConnectionError, TimeoutError):
            logger.debug("a connection was lost")
        finally:
            self._dispatcher.disconnected(peer)
            peer.close(CloseCode.NORMAL, "")
            await _ended(writer)
            await connection.finish()
        return socket

    async def _read(self, connection: SocketConnection, peer: Peer, deps: WebDeps) -> None:
        """Take messages until the connection ends, from either side."""
        timings, meter = deps.timings, deps.limiter.messages()
        loop = asyncio.get_running_loop()
        join_until = loop.time() + timings.first_message
        heard = loop.time()
        pinged = False
        while peer.state is not PeerState.CLOSED:
            until = heard + timings.ping * (2 if pinged else 1)
            if peer.state is PeerState.AWAITING_JOIN:
                until = min(until, join_until)
            frame = await connection.receive(until)
            if frame is not None:
                if not await self._take(connection, peer, frame, meter):
                    return
                heard = loop.time()
                pinged = False
            elif connection.closing:
                return
            elif peer.state is PeerState.AWAITING_JOIN and loop.time() >= join_until:
                peer.close(CloseCode.SILENT, "no voice_join in time")
            elif pinged:
                peer.close(CloseCode.SILENT, "silent")
            else:
                await connection.ping()
                pinged = True

    async def _take(self, connection: SocketConnection, peer: Peer, frame: Frame, meter: MessageMeter | None) -> bool:
        """One frame. False where it is the end of the connection."""
        if frame.type is WSMsgType.TEXT:
            self._dispatcher.seen(peer)
            if len(frame.data) > MAX_FRAME_BYTES:
                peer.close(CloseCode.TOO_LARGE, "too large")
            elif meter is None or _may_pass(peer, meter):
                await self._dispatcher.receive(peer, frame.data)
            # What is buffered is read without waiting: others get their turn after each message.
            await asyncio.sleep(0)
        elif frame.type is WSMsgType.PING:
            self._dispatcher.seen(peer)
            await connection.pong(frame.data)
        elif frame.type is WSMsgType.PONG:
            self._dispatcher.seen(peer)
        elif frame.type is WSMsgType.BINARY:
            peer.close(CloseCode.BAD_MESSAGE, "not a text frame")
        else:
            if frame.type is WSMsgType.CLOSE and frame.data == GOING_AWAY:
                await self._dispatcher.went_away(peer)
            return False
        return True


def _check_origin(request: web.Request) -> None:
    """A page of another origin must be allowed by the setting; programs send no `Origin`. Raises `Forbidden`."""
    origin = request.headers.get(hdrs.ORIGIN)
    if origin is None or allows_origin(request.app[DEPS].settings.allowed_origins, origin):
        return
    if urlsplit(origin).netloc.lower() != request.host.lower():
        raise Forbidden


def _may_pass(peer: Peer, meter: MessageMeter) -> bool:
    """Whether a message is taken. Of those that are not, the first is answered; too many of them are the end."""
    try:
        return meter.take()
    except RateLimited as problem:
        session_id = peer.seat.session_id if peer.seat is not None else None
        peer.send(error_message(problem, peer.language, session_id=session_id, request_id=None).encode())
        return False
    finally:
        if meter.exhausted:
            peer.close(CloseCode.TOO_MANY, "too many messages")


def _preauthorised(request: web.Request) -> tuple[Callable[[str], bool], str | None]:
    """For which sessions the request itself carries the right to join, and by which token (None where it carries none, or one
    that cannot be revoked). Raises `Unauthorized` for a token that is none.
    """
    header = request.headers.get(hdrs.AUTHORIZATION)
    if header is None:
        return lambda session_id: False, None
    identity = authenticated(request, "socket")
    if identity.kind is IdentityKind.API:
        return lambda session_id: True, identity.credential
    return lambda session_id: identity.session_id == session_id, identity.credential


async def _ended(writer: asyncio.Task[None]) -> None:
    try:
        await asyncio.wait({writer})
    finally:
        # Only where this task itself was cancelled there is something left to end.
        writer.cancel()
    if not writer.cancelled() and (problem := writer.exception()) is not None:
        logger.error("writing to a connection failed", exc_info=problem)
