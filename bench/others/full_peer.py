"""A simulated client for servers that are not ours: full ICE agents too, and servers that make the offer."""

from __future__ import annotations

import logging
import struct
from collections.abc import Callable

from aioice import stun

from bench.ice import Address, IceAgent
from bench.peer import Peer
from bench.sdp import OfferOptions, parse_answer

__all__ = ["AnsweringIceAgent", "FullPeer"]

logger = logging.getLogger(__name__)


class AnsweringIceAgent(IceAgent):
    """Answers checks as well: a full ICE agent on the other side trusts no pair before its own check (RFC 8445, 7.3)."""

    def __init__(self, send: Callable[[bytes], None], remote: Callable[[], Address | None]) -> None:
        super().__init__(send)
        self._answer = send
        self._address = remote

    def receive(self, data: bytes) -> None:
        """A datagram whose first byte says STUN."""
        try:
            message = stun.parse_message(data)
        except (ValueError, IndexError, struct.error) as error:
            logger.debug("unreadable STUN message: %s", error)
            return
        if message.message_class is not stun.Class.REQUEST:
            super().receive(data)
        elif message.check_message_integrity(self.local.password.encode()) and (address := self._address()) is not None:
            answer = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, transaction_id=message.transaction_id)
            answer.attributes["XOR-MAPPED-ADDRESS"] = address
            answer.add_message_integrity(self.local.password.encode())
            self._answer(bytes(answer))


class FullPeer(Peer):
    """Speaks to one server end of one connection: sends (`OfferOptions(slots=0)`), or receives what it is offered."""

    def __init__(self, options: OfferOptions | None = None) -> None:
        super().__init__(options if options is not None else OfferOptions(slots=0))
        self.ice = AnsweringIceAgent(self._transmit, lambda: self.remote)

    @classmethod
    def receiving(cls, streams: int) -> FullPeer:
        """One that asks for so many streams and sends nothing."""
        return cls(OfferOptions(slots=streams - 1, listen_only=True))

    def create_full_offer(self) -> str:
        """An offer with our candidate in it, in which we are the DTLS client whatever the other side would like."""
        return self._with_candidate(self.create_offer())

    def answer_offer(self, offer: str) -> str:
        """The answer to a server's offer of streams: we receive all of them. Raises AnswerError for one that we cannot read."""
        # read as an answer, it says the same: whom to check, what comes in which section
        passive = offer.replace("a=setup:actpass", "a=setup:passive")
        sections = len(parse_answer(passive).sections)
        self.options = OfferOptions(slots=sections - 1, listen_only=True, audio_level_id=None, mid_id=None)
        answer = self.create_full_offer()
        self.set_answer(passive)
        return answer

    def _with_candidate(self, sdp: str) -> str:
        candidate = f"a=candidate:1 1 udp 2130706431 127.0.0.1 {self.local_port} typ host"
        lines = []
        for line in sdp.split("\r\n"):
            if line.startswith("m=audio"):
                line = " ".join(line.split(" ")[:4])  # noqa: PLW2901 - Opus alone
            elif line == "a=setup:actpass":
                line = "a=setup:active"  # noqa: PLW2901
            elif line.startswith(("a=ice-options", "a=rtcp-fb", "a=rtpmap:0", "a=rtpmap:8")):
                continue
            lines.append(line)
            if line.startswith("a=rtcp:"):
                lines += [candidate, "a=end-of-candidates"]
        return "\r\n".join(lines)
