"""ICE, seen from the controlling side, for one pair of addresses.

A client of an ICE-lite server (RFC 8445, section 2.5) does all the checking: it sends binding requests, the server answers.
`aioice.stun` makes and reads the messages. There is one candidate pair, so checks are not scheduled, only repeated.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from aioice import stun

__all__ = ["Address", "Credentials", "IceAgent", "IceError", "binding_request"]

logger = logging.getLogger(__name__)

Address = tuple[str, int]
"""Host and port; the flow label and scope of an IPv6 socket address are left out."""

_PRIORITY: Final = (110 << 24) | (65535 << 8) | 255
"""A peer-reflexive candidate's priority (RFC 8445, section 5.1.2.1), sent in each check."""
_FIRST_RETRY_SECONDS: Final = 0.05
_LONGEST_RETRY_SECONDS: Final = 0.5


class IceError(Exception):
    """No authenticated answer came in time, or the server refused the check."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """One side's ICE user name fragment and password (RFC 8839, section 5.4)."""

    ufrag: str
    password: str

    @classmethod
    def generate(cls) -> Credentials:
        """Fresh ones: at least 24 bits of randomness in the one, 128 in the other."""
        return cls(secrets.token_hex(4), secrets.token_hex(16))


def binding_request(
    local_ufrag: str, remote_ufrag: str, password: str | None, *, nominate: bool = False, tie_breaker: int = 1
) -> stun.Message:
    """A connectivity check (RFC 8445, section 7.2.2). `password` is the remote side's; None leaves MESSAGE-INTEGRITY out."""
    attributes: dict[str, Any] = {
        "USERNAME": f"{remote_ufrag}:{local_ufrag}",
        "PRIORITY": _PRIORITY,
        "ICE-CONTROLLING": tie_breaker,
    }
    if nominate:
        attributes["USE-CANDIDATE"] = None
    message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST, attributes=attributes)
    if password is None:
        message.add_fingerprint()
    else:
        message.add_message_integrity(password.encode())
    return message


class IceAgent:
    """Checks one remote address and keeps the consent of RFC 7675 fresh.

    `send` sends one datagram to the remote address. `answered` counts authenticated answers; `mapped` is the address the
    server saw in the last of them, None before the first.
    """

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self._send = send
        self._tie_breaker = secrets.randbits(64)
        self._pending: dict[bytes, tuple[asyncio.Future[None], bytes]] = {}
        self.local = Credentials.generate()
        self.remote: Credentials | None = None
        self.answered = 0
        self.mapped: Address | None = None

    async def check(self, *, nominate: bool = True, timeout: float = 3.0) -> None:
        """Send a check until it is answered, with the same transaction and growing pauses. Raises IceError."""
        if self.remote is None:
            raise IceError("no remote credentials: the answer is not there yet")
        request = binding_request(
            self.local.ufrag, self.remote.ufrag, self.remote.password, nominate=nominate, tie_breaker=self._tie_breaker
        )
        answered = asyncio.get_running_loop().create_future()
        self._pending[request.transaction_id] = (answered, self.remote.password.encode())
        try:
            async with asyncio.timeout(timeout):
                await self._repeat(bytes(request), answered)
        except TimeoutError:
            raise IceError(f"no answer to a connectivity check within {timeout} s") from None
        finally:
            del self._pending[request.transaction_id]

    async def _repeat(self, request: bytes, answered: asyncio.Future[None]) -> None:
        pause = _FIRST_RETRY_SECONDS
        while not answered.done():
            self._send(request)
            await asyncio.wait([answered], timeout=pause)
            pause = min(2 * pause, _LONGEST_RETRY_SECONDS)
        answered.result()

    async def keep_consent(self, interval_seconds: float = 2.0) -> None:
        """Check again and again until cancelled. A check that fails is only logged: the server is the one who decides."""
        while True:
            await asyncio.sleep(interval_seconds)
            try:
                await self.check(nominate=False, timeout=interval_seconds)
            except IceError as error:
                logger.debug("consent check failed: %s", error)

    def receive(self, data: bytes) -> None:
        """A datagram whose first byte says STUN. What is not an authenticated answer to a check of ours is ignored."""
        try:
            message = stun.parse_message(data)
        except (ValueError, IndexError, struct.error) as error:
            logger.debug("unreadable STUN message: %s", error)
            return
        answered, key = self._pending.get(message.transaction_id, (None, b""))
        if answered is None or answered.done() or not message.check_message_integrity(key):
            return
        if message.message_class == stun.Class.RESPONSE:
            self.answered += 1
            self.mapped = message.attributes.get("XOR-MAPPED-ADDRESS")
            answered.set_result(None)
        elif message.message_class == stun.Class.ERROR:
            answered.set_exception(IceError(f"the check was refused with {message.error_code}"))
