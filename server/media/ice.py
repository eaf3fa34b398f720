"""ICE-lite (RFC 8445, section 2.5): we answer connectivity checks and never send any.

Only a check whose MESSAGE-INTEGRITY holds is answered; anything else is silence, so that the port says nothing to strangers and
cannot be used to amplify. `aioice.stun` gives the wire format.
"""

from __future__ import annotations

import secrets
import string
import struct
from dataclasses import dataclass
from typing import Final

from aioice import stun

__all__ = ["BindingRequest", "IceCredentials", "candidate_lines", "parse_binding_request", "success_response"]

_ICE_CHARS: Final = string.ascii_letters + string.digits + "+/"
UFRAG_LENGTH: Final = 8
"""48 random bits; RFC 8445, section 5.3 asks for at least 24."""
PASSWORD_LENGTH: Final = 24
"""144 random bits; RFC 8445, section 5.3 asks for at least 128."""
MAGIC_COOKIE: Final = struct.pack("!I", stun.COOKIE)
MAX_REQUEST_BYTES: Final = 512
"""Browsers send 80 to 130 bytes; a longer one is no connectivity check."""


@dataclass(frozen=True, slots=True)
class IceCredentials:
    """What we put into an answer: the client signs its checks with `password` and addresses them to `ufrag`."""

    ufrag: str
    password: str

    @classmethod
    def generate(cls) -> IceCredentials:
        return cls(_random_text(UFRAG_LENGTH), _random_text(PASSWORD_LENGTH))

    def __repr__(self) -> str:
        return f"IceCredentials(ufrag={self.ufrag!r})"


def _random_text(length: int) -> str:
    return "".join(secrets.choice(_ICE_CHARS) for _ in range(length))


@dataclass(frozen=True, slots=True)
class BindingRequest:
    """A connectivity check as it came in; not yet authenticated. `use_candidate`: the client nominates this pair."""

    local_ufrag: str
    remote_ufrag: str
    use_candidate: bool
    message: stun.Message

    def is_authentic(self, password: str) -> bool:
        """Whether MESSAGE-INTEGRITY holds for our password (RFC 8445, section 7.3); the comparison takes constant time."""
        return self.message.check_message_integrity(password.encode())


def parse_binding_request(data: bytes) -> BindingRequest | None:
    """A binding request with the USERNAME `ours:theirs` and a MESSAGE-INTEGRITY, or None for anything else."""
    if not 20 <= len(data) <= MAX_REQUEST_BYTES or data[4:8] != MAGIC_COOKIE:
        return None
    try:
        message = stun.parse_message(data)
    except (ValueError, struct.error):
        return None
    if message.message_method != stun.Method.BINDING or message.message_class != stun.Class.REQUEST:
        return None
    username = message.attributes.get("USERNAME")
    if not isinstance(username, str) or "MESSAGE-INTEGRITY" not in message.attributes:
        return None
    local_ufrag, separator, remote_ufrag = username.partition(":")
    if not separator:
        return None
    return BindingRequest(local_ufrag, remote_ufrag, "USE-CANDIDATE" in message.attributes, message)


def success_response(request: BindingRequest, password: str, host: str, port: int) -> bytes:
    """The answer to an authentic check: the address it came from, signed (RFC 8489, section 6.3.1.1)."""
    response = stun.Message(
        message_method=stun.Method.BINDING,
        message_class=stun.Class.RESPONSE,
        transaction_id=request.message.transaction_id,
        attributes={"XOR-MAPPED-ADDRESS": (host, port)},
    )
    response.add_message_integrity(password.encode())
    return bytes(response)


def candidate_lines(addresses: list[tuple[str, int]]) -> list[str]:
    """SDP values of `a=candidate` for our addresses, best first. Priorities: RFC 8445, section 5.1.2.1, type preference 126 for
    host."""
    lines = []
    for index, (host, port) in enumerate(addresses):
        priority = (126 << 24) | ((65535 - index) << 8) | 255
        lines.append(f"{index + 1} 1 udp {priority} {host} {port} typ host")
    return lines
