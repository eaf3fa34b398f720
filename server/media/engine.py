"""The media engine: one UDP port, its transports, its rooms. What the rest of the server sees of the media plane.

Everything runs on the event loop; nothing here waits.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Coroutine
from typing import Any, Final

from server.config import Settings

from .addresses import announced_addresses
from .consumer import Consumer
from .demultiplexer import Demultiplexer
from .dtls_srtp import Certificate
from .ice import candidate_lines
from .listener import MediaListener, SlotView
from .packet_path import PacketPath
from .quality_observer import QualityObserver
from .rooms import RoomDirectory
from .router import Endpoint
from .sdp import OfferError, parse_offer
from .session import MediaSession
from .speaking import SpeakingRules
from .speech_observer import SpeechObserver
from .transport import Transport, TransportState
from .udp import AddressKey, SocketAddress, UdpSocket, open_udp_socket

__all__ = ["MediaEngine", "MediaListener", "OfferError", "SlotView"]

logger = logging.getLogger(__name__)

SLOT_ANNOUNCE_LEAD_SECONDS: Final = 0.002
"""Between telling a receiver who is in a slot and the first packet of that voice, so that the message is on its way first."""


class MediaEngine:
    """`start()`, then sessions come (`open`, `negotiate`) and go (`close_session`), then `close()`."""

    def __init__(self, settings: Settings, listener: MediaListener, *, portable_socket: bool = False) -> None:
        self._settings = settings
        self._listener = listener
        self._rules = SpeakingRules(
            threshold_dbov=settings.speaking_threshold_dbov,
            attack_packets=settings.speaking_attack_packets,
            hangover_ms=settings.speaking_hangover_ms,
            noise_margin_db=settings.speaking_noise_margin_db,
            noise_window_ms=round(settings.speaking_noise_window_seconds * 1000),
            always_dbov=settings.speaking_always_dbov,
        )
        self._certificate = Certificate()
        self._sessions: dict[str, MediaSession] = {}
        self._rooms = RoomDirectory(self)
        self._speech = SpeechObserver(listener, self._rooms, self._rules.threshold_dbov)
        self._tasks: set[asyncio.Task[None]] = set()
        self._portable_socket = portable_socket
        self._port: _Port | None = None

    # life

    async def start(self) -> None:
        """Bind the port. Raises OSError where it is taken."""
        loop = asyncio.get_running_loop()
        udp = open_udp_socket(self._settings.media_host, self._settings.media_port, portable=self._portable_socket)
        path = PacketPath(udp, self._speech)
        addresses = announced_addresses(self._settings.media_host, udp.port, self._settings.public_addresses)
        quality = QualityObserver(self._listener, udp.send_to, random.SystemRandom(), time.time() - loop.time())
        self._port = _Port(udp, path, Demultiplexer(udp, path, loop.time), addresses, quality)
        loop.add_reader(udp.fileno(), self._port.demultiplexer.read)
        logger.info("media port %d/udp, %d addresses announced", udp.port, len(addresses))

    async def close(self) -> None:
        """End every connection and give the port back."""
        for session_id in list(self._sessions):
            self.close_session(session_id)
        while self._tasks:
            await asyncio.wait(set(self._tasks))
        await self._speech.close()
        port, self._port = self._port, None
        if port is not None:
            port.quality.close()
            asyncio.get_running_loop().remove_reader(port.udp.fileno())
            port.udp.close()

    @property
    def alive(self) -> bool:
        """Whether the media port is open."""
        return self._port is not None and self._port.udp.fileno() >= 0

    @property
    def port(self) -> int:
        """The UDP port; 0 before `start` and after `close`."""
        return self._port.udp.port if self._port is not None else 0

    def packets_out(self) -> int:
        """Media packets sent since `start`; 0 before it and after `close`."""
        return self._port.path.counters.packets_out if self._port is not None else 0

    def stats(self) -> dict[str, int | float]:
        """Counters since the start, for health and benchmarks."""
        if self._port is None:
            return {"port": 0, "sessions": 0, "transports": 0}
        counters = self._port.path.counters
        return {
            "port": self._port.udp.port,
            "sessions": len(self._sessions),
            "transports": sum(s.transport is not None for s in self._sessions.values()),
            "packets_in": counters.packets_in,
            "packets_out": counters.packets_out,
            "suppressed": counters.suppressed,
            "dropped": counters.dropped,
            "malformed": counters.malformed,
            "unauthenticated": counters.unauthenticated,
            "unmeasured": self._speech.unmeasured,
            "send_failures": self._port.udp.send_failures,
        }

    def _open_port(self) -> _Port:
        if self._port is None:
            raise RuntimeError("the media engine is not running")
        return self._port

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
        port = self._open_port()
        transport = session.transport
        new_connection = transport is None or transport.fingerprints != offer.fingerprints
        if transport is None or new_connection:
            self._drop_transport(session)
            transport = Transport(
                session_id,
                remote_ufrag=offer.ufrag,
                fingerprints=offer.fingerprints,
                certificate=self._certificate,
                send=port.udp.send_to,
                listener=self,
            )
            session.transport = transport
        elif transport.remote_ufrag != offer.ufrag:
            port.demultiplexer.remove_names(transport)
            transport.restart_ice(offer.ufrag)
        port.demultiplexer.add(transport)
        session.apply_offer(offer, self._settings.slots, self._rules, self.now(), new_connection=new_connection)
        transport.producer = session.endpoint.producer if offer.microphone is not None else None
        if transport.state is TransportState.CONNECTED:
            self._rooms.router(session.room_id).add_slots(session.endpoint)
        return session.answer(
            offer,
            credentials=transport.credentials,
            fingerprint=self._certificate.fingerprint,
            candidates=candidate_lines(port.addresses),
            addresses=port.addresses,
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
            self._speech.silence(producer)

    def speaking_ms(self, session_id: str) -> int:
        """How long the session has spoken up to now, in milliseconds; 0 for an unknown one."""
        session = self._sessions.get(session_id)
        return session.speaking_ms if session is not None else 0

    def attempted_ms(self, session_id: str) -> int:
        """How much speech of the session was dropped while it was muted, in milliseconds; 0 for an unknown one."""
        session = self._sessions.get(session_id)
        return session.attempted_ms if session is not None else 0

    def last_seen(self, session_id: str) -> float | None:
        """Loop time of the last authentic packet or check; None where none came."""
        session = self._sessions.get(session_id)
        return session.transport.last_seen if session is not None and session.transport is not None else None

    def close_session(self, session_id: str) -> None:
        """End a session's media at once. Idempotent. A talk-spurt that was open is reported as closed."""
        session = self._sessions.pop(session_id, None)
        if session is None:
            return
        self._speech.silence(session.endpoint.producer)
        self._drop_transport(session)

    def _drop_transport(self, session: MediaSession) -> None:
        transport, session.transport = session.transport, None
        self._rooms.disconnect(session.room_id, session.endpoint)
        if transport is not None:
            if self._port is not None:
                self._port.demultiplexer.remove(transport)
            self._spawn(transport.close(), f"close transport of {session.session_id}")

    # what transports tell (TransportListener)

    def transport_address_added(self, transport: Transport, address: SocketAddress) -> None:
        self._open_port().demultiplexer.add_address(transport, address)

    def transport_address_removed(self, transport: Transport, key: AddressKey) -> None:
        self._open_port().demultiplexer.remove_address(transport, key)

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
            if session.endpoint.producer is not None:
                self._speech.attend(session.endpoint.producer)
            self._open_port().quality.connected(session)
            self._listener.media_connected(session.session_id)
            self._rooms.router(session.room_id).connect(session.endpoint, destination)

    def transport_closed(self, transport: Transport, reason: str) -> None:
        session = self._sessions.get(transport.session_id)
        if session is None or session.transport is not transport:
            return
        self._speech.silence(session.endpoint.producer)
        self._drop_transport(session)
        self._open_port().quality.lost(session)
        self._listener.media_failed(session.session_id, reason)

    # what routers ask for (RouterHost)

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def announce(self, endpoint: Endpoint) -> None:
        slots = [
            SlotView(mid, slot.producer.session_id if slot.producer is not None else None) for mid, slot in endpoint.slots.items()
        ]
        self._listener.media_slots(endpoint.session_id, slots)

    def after_announcement(self, function: Callable[[], None]) -> None:
        asyncio.get_running_loop().call_later(SLOT_ANNOUNCE_LEAD_SECONDS, function)

    def replay(self, slot: Consumer) -> None:
        self._open_port().path.replay(slot)


class _Port:
    """What there is while the port is open."""

    __slots__ = ("addresses", "demultiplexer", "path", "quality", "udp")

    def __init__(
        self,
        udp: UdpSocket,
        path: PacketPath,
        demultiplexer: Demultiplexer,
        addresses: list[tuple[str, int]],
        quality: QualityObserver,
    ) -> None:
        self.udp = udp
        self.path = path
        self.demultiplexer = demultiplexer
        self.addresses = addresses
        self.quality = quality
