"""A bad network between a browser and the server: a UDP relay that delays everything and loses some of the audio."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, Self

from .visitor import INJECT, Visitor

__all__ = ["Detour"]

_RTCP_TYPES: Final = range(192, 224)

Address = tuple[str, int]


class _Socket(asyncio.DatagramProtocol):
    def __init__(self, received: Callable[[bytes, Address], None]) -> None:
        self._received = received

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._received(data, addr[:2])


class Detour:
    """For one visitor. Every `lose_up`th and `lose_down`th packet of audio is lost (0: none), each way takes `delay_seconds`.

    `async with` opens and closes it.
    """

    def __init__(self, server_port: int, *, delay_seconds: float, lose_up: int = 0, lose_down: int = 0) -> None:
        self._server = ("127.0.0.1", server_port)
        self._delay = delay_seconds
        self._lose = {"up": lose_up, "down": lose_down}
        self._count = {"up": 0, "down": 0}
        self._front: asyncio.DatagramTransport | None = None
        self._backs: dict[Address, asyncio.DatagramTransport] = {}
        self._opening: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._front, _ = await loop.create_datagram_endpoint(lambda: _Socket(self._from_browser), local_addr=("127.0.0.1", 0))
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._opening:
            await asyncio.wait(self._opening)
        for transport in (self._front, *self._backs.values()):
            if transport is not None:
                transport.abort()

    async def lead(self, visitor: Visitor) -> None:
        """Send this visitor's media this way. Before the page is opened."""
        assert self._front is not None
        port = self._front.get_extra_info("sockname")[1]
        await visitor.page.add_init_script(f"window.detourPort = {port};")
        await visitor.page.add_init_script(path=INJECT / "detour.js")

    def _from_browser(self, data: bytes, source: Address) -> None:
        back = self._backs.get(source)
        if back is not None:
            self._pass("up", data, back, None)
            return
        task = asyncio.get_running_loop().create_task(self._open_back(data, source))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _open_back(self, data: bytes, source: Address) -> None:
        loop = asyncio.get_running_loop()
        back, _ = await loop.create_datagram_endpoint(
            lambda: _Socket(lambda answer, _: self._from_server(answer, source)), remote_addr=self._server
        )
        if source in self._backs:
            back.abort()
            back = self._backs[source]
        self._backs[source] = back
        self._pass("up", data, back, None)

    def _from_server(self, data: bytes, source: Address) -> None:
        if self._front is not None:
            self._pass("down", data, self._front, source)

    def _pass(self, way: str, data: bytes, transport: asyncio.DatagramTransport, address: Address | None) -> None:
        if len(data) > 1 and 128 <= data[0] < 192 and data[1] not in _RTCP_TYPES:
            self._count[way] += 1
            if self._lose[way] and self._count[way] % self._lose[way] == 0:
                return
        asyncio.get_running_loop().call_later(self._delay, _send, transport, data, address)


def _send(transport: asyncio.DatagramTransport, data: bytes, address: Address | None) -> None:
    if not transport.is_closing():
        transport.sendto(data, address)
