"""An SFU made of aiortc's `MediaRelay`, as its documents suggest: `python -m bench.others.relay_server PORT`.

Each participant publishes over one connection and receives everyone else over another. The relay hands decoded frames on, so
each voice is decoded once and encoded for each who listens: what it costs not to forward packets.
"""

from __future__ import annotations

import asyncio
import sys

import aioice.ice
from aiohttp import web
from aiortc import MediaStreamTrack, RTCPeerConnection, RTCSessionDescription
from aiortc.contrib.media import MediaRelay

__all__ = ["main"]


class RelayServer:
    """Rooms of tracks. Handlers take `{room, user, sdp}` and answer `{sdp}`."""

    def __init__(self) -> None:
        self._relay = MediaRelay()
        self._tracks: dict[str, dict[str, MediaStreamTrack]] = {}
        self._connections: list[RTCPeerConnection] = []

    async def publish(self, request: web.Request) -> web.Response:
        """An offer that sends one track."""
        body = await request.json()
        connection = self._connection()

        @connection.on("track")
        def _(track: MediaStreamTrack) -> None:
            self._tracks.setdefault(body["room"], {})[body["user"]] = track

        return await self._answer(connection, body["sdp"])

    async def subscribe(self, request: web.Request) -> web.Response:
        """An offer that receives as many tracks as there are others in the room."""
        body = await request.json()
        connection = self._connection()
        await connection.setRemoteDescription(RTCSessionDescription(body["sdp"], "offer"))
        for user, track in self._tracks[body["room"]].items():
            if user != body["user"]:
                connection.addTrack(self._relay.subscribe(track))
        return await self._answer(connection, None)

    async def health(self, request: web.Request) -> web.Response:
        """It runs."""
        return web.json_response({"status": "ok"})

    async def close(self, app: web.Application) -> None:
        """End every connection."""
        await asyncio.gather(*(connection.close() for connection in self._connections))

    def _connection(self) -> RTCPeerConnection:
        connection = RTCPeerConnection()
        self._connections.append(connection)
        return connection

    @staticmethod
    async def _answer(connection: RTCPeerConnection, offer: str | None) -> web.Response:
        if offer is not None:
            await connection.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        answer = await connection.createAnswer()
        assert answer is not None
        await connection.setLocalDescription(answer)
        return web.json_response({"sdp": connection.localDescription.sdp})


def _loopback_only(use_ipv4: bool, use_ipv6: bool) -> list[str]:
    return ["127.0.0.1"]


def main(port: int) -> None:
    """Serve until asked to stop."""
    aioice.ice.get_host_addresses = _loopback_only  # it leaves the loopback interface out, and nothing else is wanted here
    server = RelayServer()
    app = web.Application()
    app.router.add_post("/publish", server.publish)
    app.router.add_post("/subscribe", server.subscribe)
    app.router.add_get("/health", server.health)
    app.on_shutdown.append(server.close)
    web.run_app(app, host="127.0.0.1", port=port, print=None, access_log=None)


if __name__ == "__main__":
    main(int(sys.argv[1]))
