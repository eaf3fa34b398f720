"""A client's UDP socket on loopback, and waiting for what arrives at it."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Callable
from typing import Final, TypeVar

from bench.ice import Address

__all__ = ["Endpoint", "Watch", "loopback_socket"]

T = TypeVar("T")
_LARGEST_DATAGRAM: Final = 2048
_DATAGRAMS_A_WAKE_UP: Final = 64
SOCKET_BUFFER_BYTES: Final = 1024 * 1024


def loopback_socket(host: str, port: int = 0) -> socket.socket:
    """A bound, non-blocking UDP socket. Raises ValueError for any other than a loopback address, OSError where it is lacking."""
    if not ipaddress.ip_address(host).is_loopback:
        raise ValueError("simulated clients stay on loopback addresses")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            sock.setsockopt(socket.SOL_SOCKET, option, SOCKET_BUFFER_BYTES)
        sock.bind((host, port))
    except BaseException:
        sock.close()
        raise
    return sock


class Endpoint:
    """A socket read by the running event loop. `received` is called with each datagram."""

    def __init__(self, host: str, received: Callable[[bytes], None]) -> None:
        self._socket = loopback_socket(host)
        self._received = received
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket.fileno(), self._readable)
        self.lost_sends = 0
        """Datagrams that the kernel did not take."""

    @property
    def port(self) -> int:
        """The local port."""
        return int(self._socket.getsockname()[1])

    def send(self, data: bytes, address: Address) -> None:
        """Send one datagram; one that the kernel does not take is lost, as on any wire."""
        try:
            self._socket.sendto(data, address)
        except OSError:
            self.lost_sends += 1

    def detach(self) -> socket.socket:
        """Stop reading and hand the socket over to the caller, who closes it."""
        self._loop.remove_reader(self._socket.fileno())
        return self._socket

    def close(self) -> None:
        """Stop reading and close. Safe to call twice."""
        if self._socket.fileno() >= 0:
            self._loop.remove_reader(self._socket.fileno())
            self._socket.close()

    def _readable(self) -> None:
        for _ in range(_DATAGRAMS_A_WAKE_UP):
            try:
                data = self._socket.recv(_LARGEST_DATAGRAM)
            except BlockingIOError:
                return
            except OSError:
                continue  # the echo of an earlier send to a port that is closed by now
            self._received(data)


class Watch:
    """Lets coroutines wait until a condition holds that changes elsewhere in the same event loop."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()

    def notify(self) -> None:
        """Something changed: those who wait look again."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def until(self, probe: Callable[[], T], *, timeout: float, what: str) -> T:
        """Wait until `probe()` is truthy and return it. Raises TimeoutError that says `what` did not come."""
        try:
            async with asyncio.timeout(timeout):
                while not (value := probe()):
                    await self._changed.wait()
                return value
        except TimeoutError:
            raise TimeoutError(f"{what}: not within {timeout} s") from None
