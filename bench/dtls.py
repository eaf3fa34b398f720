"""The client end of DTLS-SRTP (RFC 5764), made of aiortc's transport.

The one file of this package that uses private names of aiortc; `tests/bench/test_dtls.py` fails when a release renames one.
The transport runs over an object that looks like an ICE transport: `feed` puts datagrams in, `send` is called with those that
go out. Only DTLS passes through it. SRTP is protected and unprotected by the two `pylibsrtp` sessions that it leaves behind.
"""
# ruff: noqa: SLF001

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, cast

from aiortc import rtcdtlstransport as aiortc_dtls
from aiortc.rtcdtlstransport import RTCCertificate, RTCDtlsFingerprint, RTCDtlsParameters, RTCDtlsTransport
from pylibsrtp import Session

__all__ = ["Certificate", "DtlsError", "DtlsTransport", "SrtpProfile", "SrtpSessions", "generate_certificate"]

logger = logging.getLogger(__name__)

Certificate = RTCCertificate
SrtpProfile = Literal["SRTP_AEAD_AES_256_GCM", "SRTP_AEAD_AES_128_GCM", "SRTP_AES128_CM_SHA1_80"]
_QUEUE_LIMIT: Final = 64


class DtlsError(Exception):
    """The handshake failed, or the other side's certificate is not the one its SDP announced."""


@dataclass(frozen=True, slots=True)
class SrtpSessions:
    """What a handshake leaves behind: the session for received packets, the one for sent packets, and the profile."""

    rx: Session
    tx: Session
    profile: str


def generate_certificate() -> Certificate:
    """A fresh self-signed certificate, as a browser makes for a connection."""
    return RTCCertificate.generateCertificate()


def sha256_fingerprint(certificate: Certificate) -> str:
    """Its SHA-256 fingerprint as it stands in SDP: upper-case hex bytes with colons (RFC 8122, section 5)."""
    return next(f.value for f in certificate.getFingerprints() if f.algorithm == "sha-256")


class _Wire:
    """What `RTCDtlsTransport` needs of an ICE transport. Datagrams beyond a bounded queue are lost, as on any wire."""

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self.role = "controlling"
        self._datagrams: asyncio.Queue[bytes | None] = asyncio.Queue(_QUEUE_LIMIT)
        self._transmit = send

    async def _recv(self) -> bytes:
        data = await self._datagrams.get()
        if data is None:
            raise ConnectionError
        return data

    async def _send(self, data: bytes) -> None:
        self._transmit(data)

    def feed(self, data: bytes | None) -> None:
        """A received datagram, or None for the end."""
        try:
            self._datagrams.put_nowait(data)
        except asyncio.QueueFull:
            if data is None:
                self._datagrams.get_nowait()
                self._datagrams.put_nowait(None)


class DtlsTransport:
    """One DTLS association. `role` "server" is for tests that put two of these against each other.

    `closed` is set when the association ended: by the other side's close_notify, or by `stop`.
    """

    def __init__(
        self,
        certificate: Certificate,
        send: Callable[[bytes], None],
        *,
        role: Literal["client", "server"] = "client",
        profiles: Sequence[SrtpProfile] | None = None,
    ) -> None:
        self._wire = _Wire(send)
        self._transport = RTCDtlsTransport(cast(Any, self._wire), [certificate])
        self._transport._set_role(role)
        if profiles is not None:
            by_name = {profile.openssl_profile.decode(): profile for profile in aiortc_dtls.SRTP_PROFILES}
            self._transport._srtp_profiles = [by_name[name] for name in profiles]
        self._transport.on("statechange", self._state_changed)
        self.closed = asyncio.Event()

    async def start(self, fingerprints: Sequence[tuple[str, str]], *, timeout: float = 5.0) -> SrtpSessions:
        """Handshake with the side whose certificate has these fingerprints (algorithm, value). Raises DtlsError."""
        parameters = RTCDtlsParameters(fingerprints=[RTCDtlsFingerprint(*fingerprint) for fingerprint in fingerprints])
        try:
            async with asyncio.timeout(timeout):
                await self._transport.start(parameters)
        except TimeoutError:
            raise DtlsError(f"no handshake within {timeout} s") from None
        if self._transport.state != "connected":
            raise DtlsError(f"the handshake ended as {self._transport.state}")
        assert self._transport._ssl is not None
        profile = self._transport._ssl.get_selected_srtp_profile().decode()
        return SrtpSessions(rx=self._transport._rx_srtp, tx=self._transport._tx_srtp, profile=profile)

    def feed(self, data: bytes) -> None:
        """A received datagram whose first byte says DTLS (20 to 63, RFC 7983)."""
        self._wire.feed(data)

    async def stop(self) -> None:
        """Send close_notify and end. Safe to call more than once and in any state."""
        reader = self._transport._task
        await self._transport.stop()
        if reader is not None:
            await asyncio.wait([reader])
        self.closed.set()

    def _state_changed(self) -> None:
        logger.debug("DTLS is %s", self._transport.state)
        if self._transport.state in ("closed", "failed"):
            self.closed.set()
