"""Datagrams to transports, by their first byte (RFC 7983, section 7).

STUN goes to the transport that its USERNAME names, DTLS and SRTP to the one whose authenticated check came from that address.
What belongs to nobody is counted and gets no answer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from .ice import parse_binding_request
from .packet_path import PacketPath
from .rtcp import is_rtcp
from .transport import Transport
from .udp import RX_STRIDE, AddressKey, SocketAddress, UdpSocket

__all__ = ["Demultiplexer"]

MAX_BATCHES_PER_WAKEUP: Final = 4
"""After so many batches the event loop gets its turn; the socket stays readable. What came in while a batch was handled is read
at once: that costs one system call, another wake-up of the loop many."""


class Demultiplexer:
    """Reads `udp` when it is readable. Knows which transport is called what, and where its packets come from."""

    def __init__(self, udp: UdpSocket, path: PacketPath, clock: Callable[[], float]) -> None:
        self._udp = udp
        self._path = path
        self._clock = clock
        self._by_ufrag: dict[str, Transport] = {}
        self._by_address: dict[AddressKey, Transport] = {}

    @property
    def is_empty(self) -> bool:
        """Whether no transport is known by any name or address."""
        return not self._by_ufrag and not self._by_address

    def add(self, transport: Transport) -> None:
        """Checks that name one of the transport's user fragments are its own from now on."""
        for ufrag in transport.ufrags:
            self._by_ufrag[ufrag] = transport

    def remove_names(self, transport: Transport) -> None:
        """Before its credentials change, or it goes."""
        for ufrag in transport.ufrags:
            self._by_ufrag.pop(ufrag, None)

    def remove(self, transport: Transport) -> None:
        """Nothing is this transport's any more."""
        self.remove_names(transport)
        for key in transport.address_keys:
            self.remove_address(transport, key)

    def add_address(self, transport: Transport, address: SocketAddress) -> None:
        """An authenticated check came from there: so do its packets. The newest check decides whose an address is."""
        self._by_address[address.key] = transport

    def remove_address(self, transport: Transport, key: AddressKey) -> None:
        """Unless the address has become another transport's."""
        if self._by_address.get(key) is transport:
            del self._by_address[key]

    def read(self) -> None:
        """Handle what has come in, and send what follows from it."""
        for _ in range(MAX_BATCHES_PER_WAKEUP):
            count = self._udp.receive()
            if not count:
                return
            self._handle(count)
            self._path.flush()

    def _handle(self, count: int) -> None:
        now = self._clock()
        udp = self._udp
        rx, lengths = udp.rx, udp.rx_lengths
        position, step = udp.rx_length_offset, udp.rx_length_step
        for index in range(count):
            length = lengths[position]
            position += step
            offset = index * RX_STRIDE
            first = rx[offset] if length else 255
            if 128 <= first < 192 and 12 <= length < RX_STRIDE:
                self._on_srtp(index, length, is_rtcp(rx[offset + 1]), now)
            elif first < 4:
                self._on_stun(index, bytes(rx[offset : offset + length]), now)
            elif 20 <= first < 64 and length < RX_STRIDE:
                self._on_dtls(index, bytes(rx[offset : offset + length]))
            else:
                self._path.counters.malformed += 1

    def _on_srtp(self, index: int, length: int, control: bool, now: float) -> None:
        key = self._udp.address_key(index)
        transport = self._by_address.get(key)
        if transport is None or transport.srtp is None:
            self._path.counters.unauthenticated += 1
            return
        if control:
            authentic = self._path.receive_rtcp(index, length, transport.srtp.rx, transport.reports, now)
        elif transport.producer is not None:
            authentic = self._path.receive_rtp(index, length, transport.srtp.rx, transport.producer, now)
        else:
            self._path.counters.dropped += 1
            return
        if authentic:
            transport.last_seen = now
            if key == transport.selected_key:
                transport.last_selected_seen = now

    def _on_dtls(self, index: int, data: bytes) -> None:
        transport = self._by_address.get(self._udp.address_key(index))
        if transport is not None:
            transport.dtls.feed(data)
        else:
            self._path.counters.unauthenticated += 1

    def _on_stun(self, index: int, data: bytes, now: float) -> None:
        request = parse_binding_request(data)
        if request is None:
            self._path.counters.malformed += 1
            return
        transport = self._by_ufrag.get(request.local_ufrag)
        if transport is None or not transport.handle_check(request, self._udp.address(index), now):
            self._path.counters.unauthenticated += 1
