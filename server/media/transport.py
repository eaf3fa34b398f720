"""One peer connection of a client: its ICE credentials, its addresses, its DTLS association, its SRTP contexts."""

from __future__ import annotations

import enum
import logging
from collections.abc import Callable
from typing import Final, Protocol

from .dtls_srtp import Certificate, DtlsError, DtlsTransport, SrtpSessions
from .ice import BindingRequest, IceCredentials, success_response
from .producer import Producer
from .reports import Reports
from .udp import AddressKey, SocketAddress

__all__ = ["Transport", "TransportListener", "TransportState"]

logger = logging.getLogger(__name__)

MAX_ADDRESSES: Final = 16
"""Candidate pairs of one client that we remember; more would only be kept for an attacker."""
SELECTED_SILENT_SECONDS: Final = 1.0
"""A check without USE-CANDIDATE moves the connection only when the selected address has been silent for this long."""


class TransportState(enum.Enum):
    """NEW: no check yet. CONNECTING: DTLS runs. CONNECTED: keys are there. CLOSED: failed, or ended by either side."""

    NEW = "new"
    CONNECTING = "connecting"
    CONNECTED = "connected"
    CLOSED = "closed"


_TRANSITIONS: Final = {
    TransportState.NEW: {TransportState.CONNECTING, TransportState.CLOSED},
    TransportState.CONNECTING: {TransportState.CONNECTED, TransportState.CLOSED},
    TransportState.CONNECTED: {TransportState.CLOSED},
    TransportState.CLOSED: set(),
}


class TransportListener(Protocol):
    """What a transport tells the one who owns it."""

    def transport_address_added(self, transport: Transport, address: SocketAddress) -> None:
        """An authenticated check came from a new address: its packets are this transport's from now on."""

    def transport_address_removed(self, transport: Transport, key: AddressKey) -> None:
        """That address is forgotten."""

    def transport_moved(self, transport: Transport) -> None:
        """`selected` has changed."""

    def transport_start(self, transport: Transport) -> None:
        """The first check came: run `transport.run()` in a task."""

    def transport_connected(self, transport: Transport) -> None:
        """DTLS is done, `srtp` is set."""

    def transport_closed(self, transport: Transport, reason: str) -> None:
        """It failed, or the client has ended it. Not called for our own `close()`."""


class Transport:
    """State machine of one connection. `srtp` is None until CONNECTED, `selected` None until the first check."""

    __slots__ = (
        "_addresses",
        "_listener",
        "_previous_credentials",
        "_send",
        "credentials",
        "dtls",
        "fingerprints",
        "last_seen",
        "last_selected_seen",
        "producer",
        "remote_ufrag",
        "reports",
        "selected",
        "selected_key",
        "session_id",
        "srtp",
        "state",
    )

    def __init__(
        self,
        session_id: str,
        *,
        remote_ufrag: str,
        fingerprints: tuple[tuple[str, str], ...],
        certificate: Certificate,
        send: Callable[[bytes, SocketAddress], None],
        listener: TransportListener,
    ) -> None:
        self.session_id = session_id
        self.remote_ufrag = remote_ufrag
        self.fingerprints = fingerprints
        self.credentials = IceCredentials.generate()
        self._previous_credentials: IceCredentials | None = None
        self._send = send
        self._listener = listener
        self._addresses: dict[AddressKey, SocketAddress] = {}
        self.selected: SocketAddress | None = None
        self.selected_key: AddressKey | None = None
        self.producer: Producer | None = None
        """The microphone that comes in here; None where the client only listens."""
        self.reports: Reports | None = None
        """Its RTCP; None until it is connected."""
        self.srtp: SrtpSessions | None = None
        self.last_seen: float | None = None
        """Loop time of the last authenticated packet or check; None before the first."""
        self.last_selected_seen = 0.0
        self.state = TransportState.NEW
        self.dtls = DtlsTransport(certificate, self._send_dtls)

    def _set_state(self, state: TransportState, why: str) -> None:
        if state not in _TRANSITIONS[self.state]:
            raise RuntimeError(f"transport cannot go from {self.state.value} to {state.value}")
        logger.info("session %s: transport %s -> %s (%s)", self.session_id, self.state.value, state.value, why)
        self.state = state

    @property
    def address_keys(self) -> tuple[AddressKey, ...]:
        return tuple(self._addresses)

    @property
    def ufrags(self) -> tuple[str, ...]:
        """Our user fragments under which checks for this transport may come."""
        previous = (self._previous_credentials.ufrag,) if self._previous_credentials else ()
        return (self.credentials.ufrag, *previous)

    # ICE

    def restart_ice(self, remote_ufrag: str) -> None:
        """New credentials (RFC 8445, section 9); checks with the old ones stay valid until the next restart, so that nothing is
        cut off."""
        self._previous_credentials, self.credentials = self.credentials, IceCredentials.generate()
        self.remote_ufrag = remote_ufrag

    def handle_check(self, request: BindingRequest, address: SocketAddress, now: float) -> bool:
        """Answer an authentic check and follow the client's address. Returns False, silently, where the check is not
        authentic."""
        credentials = self.credentials
        if request.local_ufrag != credentials.ufrag:
            if self._previous_credentials is None or request.local_ufrag != self._previous_credentials.ufrag:
                return False
            credentials = self._previous_credentials
        if self.state is TransportState.CLOSED or not request.is_authentic(credentials.password):
            return False
        known = self._addresses.get(address.key)
        if known is None:
            if len(self._addresses) >= MAX_ADDRESSES:
                self._forget_oldest()
            self._addresses[address.key] = known = address
            self._listener.transport_address_added(self, address)
        self.last_seen = now
        self._send(success_response(request, credentials.password, address.host, address.port), known)
        if self.selected is None:
            self._select(known, now)
            self._set_state(TransportState.CONNECTING, "first connectivity check")
            self._listener.transport_start(self)
        elif known is self.selected:
            self.last_selected_seen = now
        elif request.use_candidate or now - self.last_selected_seen > SELECTED_SILENT_SECONDS:
            self._select(known, now)
            self._listener.transport_moved(self)
        return True

    def _select(self, address: SocketAddress, now: float) -> None:
        self.selected = address
        self.selected_key = address.key
        self.last_selected_seen = now

    def _forget_oldest(self) -> None:
        for key, address in self._addresses.items():
            if address is not self.selected:
                del self._addresses[key]
                self._listener.transport_address_removed(self, key)
                return

    # DTLS

    def _send_dtls(self, data: bytes) -> None:
        if self.selected is not None:
            self._send(data, self.selected)

    async def run(self) -> None:
        """The life of the connection after its first check: handshake, then wait for its end. The owner runs it in a task."""
        try:
            srtp = await self.dtls.handshake(list(self.fingerprints))
        except DtlsError as error:
            await self._end(str(error))
            return
        if self.state is TransportState.CLOSED:
            return
        self.srtp = srtp
        self._set_state(TransportState.CONNECTED, "DTLS done")
        self._listener.transport_connected(self)
        await self.dtls.wait_closed()
        await self._end("ended by the client")

    async def _end(self, reason: str) -> None:
        if self.state is TransportState.CLOSED:
            return
        self._set_state(TransportState.CLOSED, reason)
        self._listener.transport_closed(self, reason)
        await self.dtls.close()

    async def close(self) -> None:
        """End it from our side. Idempotent."""
        if self.state is not TransportState.CLOSED:
            self._set_state(TransportState.CLOSED, "closed by the server")
        await self.dtls.close()
