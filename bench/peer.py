"""One simulated client's media: ICE, DTLS, SRTP and RTP over one UDP socket, with hooks to misbehave.

    peer = Peer()
    answer = await signalling(peer.create_offer())
    peer.set_answer(answer)
    await peer.connect()
    peer.send_rtp(b"…", level=24)
    packets = await peer.receive("1", 10)

`bench.client` does the signalling. A peer belongs to the event loop it was made in.
"""

from __future__ import annotations

import asyncio
import enum
import logging
import random
import secrets
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

import pylibsrtp
from aiortc.rtp import is_rtcp

from bench.dtls import Certificate, DtlsError, DtlsTransport, SrtpProfile, SrtpSessions, generate_certificate, sha256_fingerprint
from bench.endpoint import Endpoint, Watch
from bench.ice import Address, Credentials, IceAgent, IceError
from bench.impairment import Impairment, undisturbed
from bench.microphone import Microphone
from bench.rtp import ReceivedPacket, Slot, extensions_map
from bench.sdp import Answer, AnswerError, OfferOptions, build_offer, parse_answer

__all__ = ["Peer", "PeerState"]

logger = logging.getLogger(__name__)

_KEPT_RTCP: Final = 1000


class PeerState(enum.Enum):
    """Where a peer is on its way; FAILED may still be closed, CLOSED is the end."""

    NEW = enum.auto()
    OFFERED = enum.auto()
    ANSWERED = enum.auto()
    CHECKING = enum.auto()
    HANDSHAKING = enum.auto()
    CONNECTED = enum.auto()
    FAILED = enum.auto()
    CLOSED = enum.auto()


_TRANSITIONS: Final = {
    PeerState.NEW: {PeerState.OFFERED, PeerState.CLOSED},
    PeerState.OFFERED: {PeerState.OFFERED, PeerState.ANSWERED, PeerState.CLOSED},
    PeerState.ANSWERED: {PeerState.CHECKING, PeerState.CLOSED},
    PeerState.CHECKING: {PeerState.HANDSHAKING, PeerState.FAILED, PeerState.CLOSED},
    PeerState.HANDSHAKING: {PeerState.CONNECTED, PeerState.FAILED, PeerState.CLOSED},
    PeerState.CONNECTED: {PeerState.FAILED, PeerState.CLOSED},
    PeerState.FAILED: {PeerState.CLOSED},
    PeerState.CLOSED: set(),
}


class Peer:
    """A client of the media plane.

    `sequence` and `timestamp` are the first of the sent stream (random where None), `impairment` is what the network does to
    its RTP packets, `profiles` the SRTP profiles it offers, `rng` makes its payloads. `slots` (mid -> `Slot`) and `answer` are
    there once `set_answer` was called. `strays` counts received packets that belong to no slot, `unreadable` those that did
    not unprotect, `rtcp` keeps received RTCP.
    """

    def __init__(
        self,
        options: OfferOptions | None = None,
        *,
        host: str = "127.0.0.1",
        certificate: Certificate | None = None,
        sequence: int | None = None,
        timestamp: int | None = None,
        impairment: Impairment = undisturbed,
        profiles: Sequence[SrtpProfile] | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self.options = options or OfferOptions()
        self.slots: dict[str, Slot] = {}
        self.strays = 0
        self.unreadable = 0
        self.rtcp: deque[bytes] = deque(maxlen=_KEPT_RTCP)
        self.answer: Answer | None = None
        self.remote: Address | None = None
        self.srtp: SrtpSessions | None = None
        self._host = host
        self._state = PeerState.NEW
        self._certificate = certificate or generate_certificate()
        self.endpoint = Endpoint(host, self.handle)
        self._watch = Watch()
        self._slots_by_ssrc: dict[int, Slot] = {}
        self._extensions = extensions_map({})
        self._consent: asyncio.Task[None] | None = None
        self._session_id = secrets.randbits(62)
        self._offers = 0
        self.ice = IceAgent(self._transmit)
        self.dtls = DtlsTransport(self._certificate, self._transmit, profiles=profiles)
        self.microphone = Microphone(
            self._transmit, sequence=sequence, timestamp=timestamp, impairment=impairment, rng=rng or random.Random()
        )
        self.send_rtp = self.microphone.send
        self.send_voice = self.microphone.send_voice
        self.speak = self.microphone.speak

    # offer and answer

    @property
    def state(self) -> PeerState:
        """Where the peer is."""
        return self._state

    @property
    def local_port(self) -> int:
        """The UDP port it sends from now."""
        return self.endpoint.port

    def create_offer(self, *, restart: bool = False) -> str:
        """The next offer. With `restart` it has fresh ICE credentials (RFC 8839, section 4.4.1.1.1) and is allowed at any
        time.
        """
        if restart:
            self.ice.local = Credentials.generate()
        if self._state in (PeerState.NEW, PeerState.OFFERED):
            self._set_state(PeerState.OFFERED, "offer made")
        self._offers += 1
        return build_offer(
            self.options,
            self.ice.local,
            sha256_fingerprint(self._certificate),
            ssrc=self.microphone.writer.ssrc,
            cname=f"peer-{self._session_id:x}",
            session_id=self._session_id,
            version=self._offers,
        )

    def set_answer(self, sdp: str) -> Answer:
        """Read an answer. Raises AnswerError where it does not fit the offer. Packets received in a slot before are kept."""
        answer = parse_answer(sdp)
        if len(answer.sections) != len(self.options.directions()):
            raise AnswerError(f"{len(answer.sections)} sections answer {len(self.options.directions())}")
        first = answer.sections[0]
        if first.opus_payload_type != self.options.opus_payload_type:
            raise AnswerError(f"Opus was offered as {self.options.opus_payload_type}, answered as {first.opus_payload_type}")
        version = 6 if ":" in self._host else 4
        reachable = [address for address in answer.candidates if (":" in address[0]) == (version == 6)]
        if not reachable:
            raise AnswerError(f"the answer has no IPv{version} candidate")
        self.remote = next((address for address in reachable if address[0] == self._host), reachable[0])
        self.answer = answer
        self.ice.remote = answer.credentials
        self.microphone.writer.payload_type = first.opus_payload_type
        self.microphone.writer.extensions = extensions_map(first.extensions)
        self._extensions = self.microphone.writer.extensions
        for ssrc, mid in answer.slots().items():
            if mid not in self.slots or self.slots[mid].ssrc != ssrc:
                self.slots[mid] = Slot(mid, ssrc)
        self._slots_by_ssrc = {slot.ssrc: slot for slot in self.slots.values()}
        if self._state is PeerState.OFFERED:
            self._set_state(PeerState.ANSWERED, "answer read")
        return answer

    # the connection

    async def connect(self, *, timeout: float = 5.0) -> None:
        """Check, then handshake. Raises IceError or DtlsError."""
        assert self.answer is not None
        self._set_state(PeerState.CHECKING, "connect")
        try:
            await self.ice.check(timeout=timeout)
            self._set_state(PeerState.HANDSHAKING, "a check was answered")
            self.srtp = await self.dtls.start(self.answer.fingerprints, timeout=timeout)
        except (IceError, DtlsError) as error:
            self._set_state(PeerState.FAILED, str(error))
            raise
        self.microphone.session = self.srtp.tx
        self._set_state(PeerState.CONNECTED, f"keys for {self.srtp.profile}")
        self._consent = asyncio.create_task(self.ice.keep_consent(), name="consent checks")

    async def recheck(self, *, timeout: float = 3.0) -> None:
        """Send a nominating check now: after an ICE restart. Raises IceError."""
        await self.ice.check(timeout=timeout)

    async def move(self, *, timeout: float = 3.0) -> None:
        """Go on from another local port, as a client behind a new address does. Raises IceError."""
        old, self.endpoint = self.endpoint, Endpoint(self._host, self.handle)
        old.close()
        await self.ice.check(timeout=timeout)

    async def close(self, *, notify: bool = True) -> None:
        """End, with a DTLS close_notify unless `notify` is False: then it just falls silent. Safe to call twice."""
        if self._state is PeerState.CLOSED:
            return
        self._set_state(PeerState.CLOSED, "close")
        self.microphone.close()
        if self._consent is not None:
            self._consent.cancel()
            await asyncio.wait([self._consent])
        if not notify:
            self.endpoint.close()
        await self.dtls.stop()
        self.endpoint.close()

    # sending; RTP goes through the microphone

    def send_rtcp(self, packet: bytes) -> None:
        """Send one compound RTCP packet, protected."""
        assert self.srtp is not None, "not connected"
        self._transmit(self.srtp.tx.protect_rtcp(packet))

    def send_raw(self, data: bytes) -> None:
        """Send any datagram from this peer's address."""
        self._transmit(data)

    def _transmit(self, data: bytes) -> None:
        assert self.remote is not None
        self.endpoint.send(data, self.remote)

    # receiving

    async def receive(self, mid: str, count: int, *, timeout: float = 3.0) -> list[ReceivedPacket]:
        """Wait until `count` packets in all were heard in a slot; returns those it keeps. Raises TimeoutError."""
        slot = self.slots[mid]
        what = f"{count} packets in slot {mid}"
        try:
            await self._watch.until(lambda: slot.received >= count, timeout=timeout, what=what)
        except TimeoutError as error:
            raise TimeoutError(f"{error}, only {slot.received} came") from None
        return list(slot.packets)

    def forget(self) -> None:
        """Begin to count what is heard from nothing again."""
        for slot in self.slots.values():
            slot.packets.clear()
            slot.received = 0

    async def until(self, probe: Callable[[], bool], *, what: str, timeout: float = 3.0) -> None:
        """Wait until a condition holds that what this peer receives may change. Raises TimeoutError."""
        await self._watch.until(probe, timeout=timeout, what=what)

    def handle(self, data: bytes) -> None:
        """One received datagram. The endpoint calls it; so does whoever took the socket over, for what it does not want
        itself.
        """
        if not data:
            return
        first = data[0]  # RFC 7983, section 7
        if first < 4:
            self.ice.receive(data)
        elif 20 <= first < 64:
            self.dtls.feed(data)
        elif 128 <= first < 192 and self.srtp is not None:
            self._secured(data, self.srtp)
        self._watch.notify()

    def _secured(self, data: bytes, srtp: SrtpSessions) -> None:
        try:
            if is_rtcp(data):
                self.rtcp.append(srtp.rx.unprotect_rtcp(data))
                return
            plain = srtp.rx.unprotect(data)
        except pylibsrtp.Error as error:
            self.unreadable += 1
            logger.debug("a packet does not unprotect: %s", error)
            return
        packet = ReceivedPacket.parse(plain, self._extensions, asyncio.get_running_loop().time())
        slot = self._slots_by_ssrc.get(packet.ssrc)
        if slot is None:
            self.strays += 1
        else:
            slot.add(packet)

    def _set_state(self, state: PeerState, why: str) -> None:
        if state not in _TRANSITIONS[self._state]:
            raise RuntimeError(f"a peer does not go from {self._state.name} to {state.name}")
        logger.debug("peer: %s -> %s (%s)", self._state.name, state.name, why)
        self._state = state
