"""The seam: everything that we use of aiortc and pylibsrtp beyond their public names stands here, and only here.

DTLS (RFC 5763, RFC 6347) is aiortc's `RTCDtlsTransport`, passive, over an object that looks like an ICE transport. When its
handshake is done the SRTP keys (RFC 5764) are in two libsrtp sessions; the packet path then calls libsrtp itself on its own
buffers, about 1 µs a packet. A contract test (`tests/media/test_dtls_srtp.py`) fails when a release renames any of it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, Final, Literal

from aiortc.rtcdtlstransport import (
    RTCCertificate,
    RTCDtlsFingerprint,
    RTCDtlsParameters,
    RTCDtlsTransport,
    SRTPProtectionProfile,
    State,
)
from OpenSSL import SSL
from pylibsrtp._binding import ffi as _srtp_ffi  # type: ignore[import-not-found]  # a compiled module without stubs
from pylibsrtp._binding import lib as _srtp_lib

__all__ = [
    "SRTP_OK",
    "Certificate",
    "DtlsError",
    "DtlsTransport",
    "SrtpSessions",
    "int_pointer",
    "srtp_protect",
    "srtp_protect_rtcp",
    "srtp_unprotect",
    "srtp_unprotect_rtcp",
    "void_pointer",
]

logger = logging.getLogger(__name__)

RECEIVE_QUEUE: Final = 32
"""DTLS datagrams waiting to be read; a handshake has about six. What comes beyond is dropped, DTLS sends again."""
HANDSHAKE_TIMEOUT_SECONDS: Final = 10.0

_MODE_RELEASE_BUFFERS: Final = 0x10
"""OpenSSL's SSL_MODE_RELEASE_BUFFERS, which pyOpenSSL does not name: an idle association keeps no buffers."""

SRTP_OK: Final = 0

# `int f(srtp_t session, void *packet, int *length)`; 0 is success, and then length holds the new length.
srtp_protect: Final[Callable[[Any, Any, Any], int]] = _srtp_lib.srtp_protect
srtp_unprotect: Final[Callable[[Any, Any, Any], int]] = _srtp_lib.srtp_unprotect
srtp_protect_rtcp: Final[Callable[[Any, Any, Any], int]] = _srtp_lib.srtp_protect_rtcp
srtp_unprotect_rtcp: Final[Callable[[Any, Any, Any], int]] = _srtp_lib.srtp_unprotect_rtcp


def void_pointer(address: int) -> Any:
    """A memory address as libsrtp's `void *`. Whoever calls keeps the memory alive."""
    return _srtp_ffi.cast("void *", address)


def int_pointer(address: int) -> Any:
    """A memory address as libsrtp's `int *`."""
    return _srtp_ffi.cast("int *", address)


class DtlsError(Exception):
    """The handshake failed. The text says why, for the log and the listener; it holds nothing of the peer's."""


class _SharingCertificate(RTCCertificate):
    """aiortc makes an OpenSSL context for each association; one for all of them saves 25 KB and a millisecond each."""

    _context: SSL.Context | None = None

    def _create_ssl_context(self, srtp_profiles: list[SRTPProtectionProfile]) -> SSL.Context:
        if self._context is None:
            self._context = super()._create_ssl_context(srtp_profiles)
            self._context.set_mode(_MODE_RELEASE_BUFFERS)
        return self._context


class Certificate:
    """The certificate that one process shows to everybody; its fingerprint goes into each answer."""

    def __init__(self) -> None:
        self.native = _SharingCertificate.generateCertificate()

    @property
    def fingerprint(self) -> str:
        """As in `a=fingerprint:`: `sha-256 AB:CD:…`."""
        for candidate in self.native.getFingerprints():
            if candidate.algorithm == "sha-256":
                return f"sha-256 {candidate.value}"
        raise RuntimeError("aiortc gives no SHA-256 fingerprint")


class SrtpSessions:
    """The two libsrtp contexts of one transport: `rx` for `srtp_unprotect`, `tx` for `srtp_protect`."""

    __slots__ = ("_owners", "rx", "tx")

    def __init__(self, rx_session: Any, tx_session: Any) -> None:
        self._owners = (rx_session, tx_session)  # they free the contexts when they go
        self.rx = rx_session._srtp[0]
        self.tx = tx_session._srtp[0]


class _DatagramPipe:
    """What `RTCDtlsTransport` needs of an ICE transport: `role`, `_recv` and `_send`."""

    def __init__(self, send: Callable[[bytes], None], role: str) -> None:
        self.role = role
        self._send_datagram = send
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue(RECEIVE_QUEUE)
        self._closed = False

    def feed(self, data: bytes) -> None:
        if not self._closed and not self._queue.full():
            self._queue.put_nowait(data)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            if self._queue.full():
                self._queue.get_nowait()
            self._queue.put_nowait(None)

    async def _recv(self) -> bytes:
        data = await self._queue.get()
        if data is None:
            raise ConnectionError("transport closed")
        return data

    async def _send(self, data: bytes) -> None:
        if not self._closed:
            self._send_datagram(data)


class DtlsTransport:
    """One DTLS association. `send` is called with each datagram that is to go out.

    `handshake()` once, then `wait_closed()` until the peer ends it; `close()` at any time, in any state.
    """

    def __init__(
        self, certificate: Certificate, send: Callable[[bytes], None], *, role: Literal["server", "client"] = "server"
    ) -> None:
        self._pipe = _DatagramPipe(send, "controlled" if role == "server" else "controlling")
        self._transport = RTCDtlsTransport(self._pipe, [certificate.native])  # type: ignore[arg-type]
        self._transport._set_role(role)
        self._ended = asyncio.Event()
        self._transport.on("statechange", self._on_state_change)

    def _on_state_change(self) -> None:
        if self._transport.state in ("closed", "failed"):
            self._ended.set()

    def feed(self, data: bytes) -> None:
        """A DTLS datagram from the peer's address. Never blocks; what does not fit is dropped."""
        self._pipe.feed(data)

    async def handshake(self, fingerprints: list[tuple[str, str]]) -> SrtpSessions:
        """Shake hands and check the peer's certificate against `fingerprints` (algorithm, value) of its offer (RFC 8122,
        section 5).

        Raises DtlsError when it fails or takes longer than `HANDSHAKE_TIMEOUT_SECONDS`.
        """
        parameters = RTCDtlsParameters(fingerprints=[RTCDtlsFingerprint(algorithm=a, value=v) for a, v in fingerprints])
        try:
            async with asyncio.timeout(HANDSHAKE_TIMEOUT_SECONDS):
                await self._transport.start(parameters)
        except TimeoutError:
            raise DtlsError("the handshake took too long") from None
        if self._transport._state is not State.CONNECTED:
            encrypted = self._transport.encrypted
            raise DtlsError("fingerprint or SRTP profile does not match the offer" if encrypted else "the handshake failed")
        return SrtpSessions(self._transport._rx_srtp, self._transport._tx_srtp)

    async def wait_closed(self) -> None:
        """Returns when the peer has closed the association (close_notify), or we have."""
        await self._ended.wait()

    async def close(self) -> None:
        """Say goodbye (close_notify) and stop."""
        task = self._transport._task
        await self._transport.stop()
        self._pipe.close()
        self._ended.set()
        if task is not None:
            await asyncio.wait({task})
