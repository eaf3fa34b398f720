"""The media engine: one UDP port, its transports, its rooms. What the rest of the server sees of the media plane.

Datagrams are told apart by their first byte (RFC 7983): STUN goes to the transport that its USERNAME names, DTLS and SRTP to
the one whose authenticated check came from that address. Everything runs on the event loop; nothing here waits.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from server.config import Settings

from .addresses import announced_addresses
from .consumer import Consumer
from .dtls_srtp import Certificate
from .ice import candidate_lines, parse_binding_request
from .packet_path import PacketPath
from .producer import Producer
from .router import Endpoint
from .rtcp import is_rtcp
from .sdp import OfferError, parse_offer
from .session import MediaSession, RoomDirectory
from .speaking import SILENT_LEVEL, SpeakingRules, display_level
from .transport import Transport, TransportState
from .udp import RX_BATCH, RX_STRIDE, AddressKey, SocketAddress, UdpSocket, open_udp_socket

__all__ = ["MediaEngine", "MediaListener", "OfferError", "SlotView"]

logger = logging.getLogger(__name__)

MAX_BATCHES_PER_WAKEUP: Final = 4
"""After so many full batches the event loop gets its turn; the socket stays readable."""
TICK_SECONDS: Final = 0.02
"""How often silence is looked for without a packet: the end of a talk-spurt is noticed at most this much late."""
LEVEL_EVERY_TICKS: Final = 10
"""Levels are told five times a second."""
SLOT_ANNOUNCE_LEAD_SECONDS: Final = 0.002
"""Between telling a receiver who is in a slot and the first packet of that voice, so that the message is on its way first."""


@dataclass(frozen=True, slots=True)
class SlotView:
    """Who is heard in the m-section `mid`; `session_id` is None while the slot is free."""

    mid: str
    session_id: str | None


class MediaListener(Protocol):
    """What the media plane tells those who know people. Called on the event loop; must not block and must not raise."""

    def media_connected(self, session_id: str) -> None:
        """DTLS is done: audio flows from now on."""

    def media_failed(self, session_id: str, reason: str) -> None:
        """The connection could not be made, or the client has ended it."""

    def media_speaking(self, session_id: str, speaking: bool, level: float) -> None:
        """A talk-spurt began or ended. `level` is 0.0 to 1.0."""

    def media_levels(self, levels: Mapping[str, float]) -> None:
        """Five times a second: the level of everyone who speaks, by session."""

    def media_slots(self, session_id: str, slots: Sequence[SlotView]) -> None:
        """The whole slot list of a receiver after a change, before the first packet of a new voice."""


class MediaEngine:
    """`start()`, then sessions come (`open`, `negotiate`) and go (`close_session`), then `close()`."""

    def __init__(self, settings: Settings, listener: MediaListener, *, portable_socket: bool = False) -> None:
        self._settings = settings
        self._listener = listener
        self._portable_socket = portable_socket
        self._rules = SpeakingRules(
            threshold_dbov=settings.speaking_threshold_dbov,
            attack_packets=settings.speaking_attack_packets,
            hangover_ms=settings.speaking_hangover_ms,
        )
        self._certificate = Certificate()
        self._sessions: dict[str, MediaSession] = {}
        self._by_ufrag: dict[str, Transport] = {}
        self._by_address: dict[AddressKey, Transport] = {}
        self._rooms = RoomDirectory(self)
        self._speaking: dict[Producer, None] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._ticks = 0
        self._tick_handle: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._udp: UdpSocket | None = None
        self._path: PacketPath | None = None
        self._addresses: list[tuple[str, int]] = []

    # life

    async def start(self) -> None:
        """Bind the port. Raises OSError where it is taken."""
        self._loop = asyncio.get_running_loop()
        self._udp = open_udp_socket(self._settings.media_host, self._settings.media_port, portable=self._portable_socket)
        self._path = PacketPath(self._udp, self)
        self._addresses = announced_addresses(self._settings.media_host, self._udp.port, self._settings.public_addresses)
        self._loop.add_reader(self._udp.fileno(), self._on_readable)
        logger.info("media port %d/udp, %d addresses announced", self._udp.port, len(self._addresses))

    async def close(self) -> None:
        """End every connection and give the port back."""
        for session_id in list(self._sessions):
            self.close_session(session_id)
        while self._tasks:
            await asyncio.wait(set(self._tasks))
        if self._tick_handle is not None:
            self._tick_handle.cancel()
            self._tick_handle = None
        if self._udp is not None and self._loop is not None:
            self._loop.remove_reader(self._udp.fileno())
            self._udp.close()
            self._udp = None

    @property
    def alive(self) -> bool:
        """Whether the media port is open."""
        return self._udp is not None and self._udp.fileno() >= 0

    @property
    def port(self) -> int:
        """The UDP port; 0 before `start` and after `close`."""
        return self._udp.port if self._udp is not None else 0

    def stats(self) -> dict[str, int | float]:
        """Counters since the start, for health and benchmarks."""
        path, udp = self._path, self._udp
        if path is None or udp is None:
            return {"port": 0, "sessions": 0, "transports": 0}
        counters = path.counters
        return {
            "port": udp.port,
            "sessions": len(self._sessions),
            "transports": sum(s.transport is not None for s in self._sessions.values()),
            "packets_in": counters.packets_in,
            "packets_out": counters.packets_out,
            "suppressed": counters.suppressed,
            "dropped": counters.dropped,
            "malformed": counters.malformed,
            "unauthenticated": counters.unauthenticated,
            "send_failures": udp.send_failures,
        }

    def now(self) -> float:
        return self._loop.time() if self._loop is not None else 0.0

    def _spawn(self, coroutine: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.get_running_loop().create_task(coroutine, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._task_done)

    def _task_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("%s failed", task.get_name(), exc_info=error)

    # sessions

    def open(self, room_id: str, session_id: str) -> None:
        """A session was made: its connection may come. Raises ValueError where it is open already."""
        if session_id in self._sessions:
            raise ValueError("the session is open already")
        self._sessions[session_id] = MediaSession(room_id, session_id)

    async def negotiate(self, session_id: str, offer_sdp: str) -> str:
        """The answer to an offer. A second offer of the same connection restarts ICE or adds slots; one with another
        certificate replaces it.

        Raises KeyError for an unknown session, OfferError for an offer that cannot be answered.
        """
        session = self._sessions[session_id]
        offer = parse_offer(offer_sdp)
        transport = session.transport
        new_connection = transport is None or transport.fingerprints != offer.fingerprints
        if transport is None or new_connection:
            self._drop_transport(session)
            transport = Transport(
                session_id,
                remote_ufrag=offer.ufrag,
                fingerprints=offer.fingerprints,
                certificate=self._certificate,
                send=self._require_udp().send_to,
                listener=self,
            )
            session.transport = transport
        elif transport.remote_ufrag != offer.ufrag:
            self._unregister(transport)
            transport.restart_ice(offer.ufrag)
        self._register(transport)
        session.apply_offer(offer, self._settings.slots, self._rules, self.now(), new_connection=new_connection)
        if transport.state is TransportState.CONNECTED:
            self._rooms.router(session.room_id).add_slots(session.endpoint)
        return session.answer(
            offer,
            credentials=transport.credentials,
            fingerprint=self._certificate.fingerprint,
            candidates=candidate_lines(self._addresses),
            addresses=self._addresses,
        )

    def set_muted(self, session_id: str, muted: bool) -> None:
        """While muted a session's packets go no further than this process's front door: not forwarded, not measured."""
        session = self._sessions.get(session_id)
        if session is None or session.muted == muted:
            return
        session.muted = muted
        producer = session.endpoint.producer
        if producer is None:
            return
        producer.muted = muted
        if muted:
            producer.pause()
            self._silence(producer)

    def speaking_ms(self, session_id: str) -> int:
        """How long the session has spoken up to now, in milliseconds; 0 for an unknown one."""
        session = self._sessions.get(session_id)
        return session.speaking_ms if session is not None else 0

    def last_seen(self, session_id: str) -> float | None:
        """Loop time of the last authentic packet or check; None where none came."""
        session = self._sessions.get(session_id)
        return session.transport.last_seen if session is not None and session.transport is not None else None

    def close_session(self, session_id: str) -> int:
        """End a session's media at once. Idempotent. Returns its speaking time in milliseconds."""
        session = self._sessions.pop(session_id, None)
        if session is None:
            return 0
        if session.endpoint.producer is not None:
            self._silence(session.endpoint.producer)
        self._drop_transport(session)
        return session.speaking_ms

    def _drop_transport(self, session: MediaSession) -> None:
        transport, session.transport = session.transport, None
        self._rooms.disconnect(session.room_id, session.endpoint)
        if transport is not None:
            self._unregister(transport)
            for key in transport.address_keys:
                self.transport_address_removed(transport, key)
            self._spawn(transport.close(), f"close transport of {session.session_id}")

    def _register(self, transport: Transport) -> None:
        for ufrag in transport.ufrags:
            self._by_ufrag[ufrag] = transport

    def _unregister(self, transport: Transport) -> None:
        for ufrag in transport.ufrags:
            self._by_ufrag.pop(ufrag, None)

    def _require_udp(self) -> UdpSocket:
        if self._udp is None:
            raise RuntimeError("the media engine is not running")
        return self._udp

    # what transports tell (TransportListener)

    def transport_address_added(self, transport: Transport, address: SocketAddress) -> None:
        self._by_address[address.key] = transport

    def transport_address_removed(self, transport: Transport, key: AddressKey) -> None:
        if self._by_address.get(key) is transport:
            del self._by_address[key]

    def transport_start(self, transport: Transport) -> None:
        self._spawn(transport.run(), f"transport of {transport.session_id}")

    def transport_moved(self, transport: Transport) -> None:
        session = self._sessions.get(transport.session_id)
        if session is not None and session.transport is transport and (destination := session.destination()) is not None:
            self._rooms.router(session.room_id).move(session.endpoint, destination)

    def transport_connected(self, transport: Transport) -> None:
        session = self._sessions.get(transport.session_id)
        if session is None or session.transport is not transport:
            return
        destination = session.destination()
        if destination is not None:
            self._listener.media_connected(session.session_id)
            self._rooms.router(session.room_id).connect(session.endpoint, destination)

    def transport_closed(self, transport: Transport, reason: str) -> None:
        session = self._sessions.get(transport.session_id)
        if session is None or session.transport is not transport:
            return
        if session.endpoint.producer is not None:
            self._silence(session.endpoint.producer)
        self._drop_transport(session)
        self._listener.media_failed(session.session_id, reason)

    # datagrams

    def _on_readable(self) -> None:
        udp, path = self._udp, self._path
        if udp is None or path is None:
            return
        for _ in range(MAX_BATCHES_PER_WAKEUP):
            count = udp.receive()
            if count:
                self._handle_batch(udp, path, count)
                path.flush()
            if count < RX_BATCH:
                return

    def _handle_batch(self, udp: UdpSocket, path: PacketPath, count: int) -> None:
        now = self.now()
        rx, lengths = udp.rx, udp.rx_lengths
        position, step = udp.rx_length_offset, udp.rx_length_step
        for index in range(count):
            length = lengths[position]
            position += step
            offset = index * RX_STRIDE
            first = rx[offset] if length else 255
            if 128 <= first < 192 and 12 <= length < RX_STRIDE:
                self._on_srtp(udp, path, index, length, now)
            elif first < 4:
                self._on_stun(udp, path, index, bytes(rx[offset : offset + length]), now)
            elif 20 <= first < 64 and length < RX_STRIDE:
                transport = self._by_address.get(udp.address_key(index))
                if transport is not None:
                    transport.dtls.feed(bytes(rx[offset : offset + length]))
                else:
                    path.counters.unauthenticated += 1
            else:
                path.counters.malformed += 1

    def _on_srtp(self, udp: UdpSocket, path: PacketPath, index: int, length: int, now: float) -> None:
        key = udp.address_key(index)
        transport = self._by_address.get(key)
        if transport is None or transport.srtp is None:
            path.counters.unauthenticated += 1
            return
        if is_rtcp(udp.rx[index * RX_STRIDE + 1]):
            authentic = path.receive_rtcp(index, length, transport.srtp.rx)
        else:
            session = self._sessions.get(transport.session_id)
            producer = session.endpoint.producer if session is not None else None
            if producer is None:
                path.counters.dropped += 1
                return
            authentic = path.receive_rtp(index, length, transport.srtp.rx, producer, now)
        if authentic:
            transport.last_seen = now
            if transport.selected is not None and transport.selected.key == key:
                transport.last_selected_seen = now

    def _on_stun(self, udp: UdpSocket, path: PacketPath, index: int, data: bytes, now: float) -> None:
        request = parse_binding_request(data)
        if request is None:
            path.counters.malformed += 1
            return
        transport = self._by_ufrag.get(request.local_ufrag)
        if transport is None or not transport.handle_check(request, udp.address(index), now):
            path.counters.unauthenticated += 1

    # who speaks (SpeakingListener)

    def speaking_started(self, producer: Producer) -> None:
        producer.spoke_at = self.now()
        self._speaking[producer] = None
        if self._tick_handle is None:
            self._tick_handle = asyncio.get_running_loop().call_later(TICK_SECONDS, self._tick)
        session = self._sessions.get(producer.session_id)
        if session is not None:
            producer.loudness_db = SILENT_LEVEL - producer.detector.peak_dbov
            self._listener.media_speaking(producer.session_id, True, display_level(producer.detector.peak_dbov))
            self._rooms.router(session.room_id).started_speaking(producer)

    def speaking_stopped(self, producer: Producer) -> None:
        producer.spoke_at = self.now()
        self._speaking.pop(producer, None)
        self._listener.media_speaking(producer.session_id, False, 0.0)
        session = self._sessions.get(producer.session_id)
        if session is not None:
            self._rooms.router(session.room_id).rebalance()

    def _silence(self, producer: Producer) -> None:
        if producer.detector.stop() is not None:
            self.speaking_stopped(producer)

    def _tick(self) -> None:
        """Only while somebody speaks: look for silence, and tell levels now and then."""
        loop = asyncio.get_running_loop()
        now = loop.time()
        for producer in list(self._speaking):
            if producer.detector.tick(producer.timestamp_at(now)) is not None:
                self.speaking_stopped(producer)
        self._ticks += 1
        if self._ticks % LEVEL_EVERY_TICKS == 0 and self._speaking:
            self._report_levels()
        self._tick_handle = loop.call_later(TICK_SECONDS, self._tick) if self._speaking else None

    def _report_levels(self) -> None:
        self._listener.media_levels({p.session_id: display_level(p.report_level()) for p in self._speaking})
        rooms = {self._sessions[p.session_id].room_id for p in self._speaking if p.session_id in self._sessions}
        for room_id in rooms:
            self._rooms.router(room_id).rebalance()

    # what routers ask for (RouterHost)

    def announce(self, endpoint: Endpoint) -> None:
        slots = [
            SlotView(mid, slot.producer.session_id if slot.producer is not None else None) for mid, slot in endpoint.slots.items()
        ]
        self._listener.media_slots(endpoint.session_id, slots)

    def after_announcement(self, function: Callable[[], None]) -> None:
        asyncio.get_running_loop().call_later(SLOT_ANNOUNCE_LEAD_SECONDS, function)

    def replay(self, slot: Consumer) -> None:
        if self._path is not None:
            self._path.replay(slot)
