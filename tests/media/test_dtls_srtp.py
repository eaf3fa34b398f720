"""The seam to aiortc and pylibsrtp: that what we use of them is there, and does what we think."""

from __future__ import annotations

import asyncio
import struct

import pytest
from aiortc import rtcdtlstransport
from OpenSSL import SSL
from pylibsrtp._binding import ffi, lib  # type: ignore[import-not-found]

from server.media import dtls_srtp
from server.media.dtls_srtp import Certificate, DtlsError, DtlsTransport, SrtpSessions


class Wire:
    """Two associations over a lossless, instant wire."""

    def __init__(self) -> None:
        self.certificates = Certificate(), Certificate()
        self.server = DtlsTransport(self.certificates[0], self._to_client)
        self.client = DtlsTransport(self.certificates[1], self.server.feed, role="client")

    def _to_client(self, data: bytes) -> None:
        self.client.feed(data)

    def fingerprint(self, index: int) -> list[tuple[str, str]]:
        algorithm, _, value = self.certificates[index].fingerprint.partition(" ")
        return [(algorithm, value)]

    async def connect(self) -> tuple[SrtpSessions, SrtpSessions]:
        return await asyncio.gather(self.server.handshake(self.fingerprint(1)), self.client.handshake(self.fingerprint(0)))

    async def close(self) -> None:
        await self.client.close()
        await self.server.close()


def rtp_packet(sequence: int, payload: bytes) -> bytes:
    return struct.pack("!BBHII", 0x80, 111, sequence, 960 * sequence, 4711) + payload


def call(function: object, context: object, packet: bytes) -> tuple[int, bytes]:
    memory = ffi.new("char[]", 256)
    memory[0 : len(packet)] = packet
    length = ffi.new("int *", len(packet))
    base = int(ffi.cast("uintptr_t", memory))
    assert callable(function)
    status = function(context, dtls_srtp.void_pointer(base), dtls_srtp.int_pointer(int(ffi.cast("uintptr_t", length))))
    return status, bytes(ffi.buffer(memory, length[0]))


def test_the_private_names_that_we_use_exist() -> None:
    for name in ("_set_role", "_set_state", "_do_handshake", "_recv_next", "_write_ssl", "_setup_srtp"):
        assert callable(getattr(rtcdtlstransport.RTCDtlsTransport, name)), name
    for name in ("srtp_protect", "srtp_unprotect", "srtp_protect_rtcp", "srtp_unprotect_rtcp"):
        assert callable(getattr(lib, name)), name
    assert callable(rtcdtlstransport.RTCCertificate._create_ssl_context)
    assert rtcdtlstransport.State.CONNECTED.name == "CONNECTED"


async def test_all_associations_of_a_certificate_share_one_context(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []
    create = rtcdtlstransport.RTCCertificate._create_ssl_context

    def counted(
        self: rtcdtlstransport.RTCCertificate, srtp_profiles: list[rtcdtlstransport.SRTPProtectionProfile]
    ) -> SSL.Context:
        made.append(self)
        return create(self, srtp_profiles)

    monkeypatch.setattr(rtcdtlstransport.RTCCertificate, "_create_ssl_context", counted)
    wire = Wire()
    await wire.connect()
    another = DtlsTransport(wire.certificates[0], lambda data: None)
    handshake = asyncio.ensure_future(another.handshake(wire.fingerprint(1)))
    await asyncio.sleep(0)
    assert len(made) == 2, "one for each end of the wire"
    await another.close()
    with pytest.raises(DtlsError):
        await handshake
    await wire.close()


async def test_what_one_side_protects_the_other_reads() -> None:
    wire = Wire()
    server, client = await wire.connect()
    plain = rtp_packet(1, b"hello")
    status, protected = call(dtls_srtp.srtp_protect, client.tx, plain)
    assert (status, len(protected)) == (dtls_srtp.SRTP_OK, len(plain) + 16)
    assert call(dtls_srtp.srtp_unprotect, server.rx, protected) == (dtls_srtp.SRTP_OK, plain)
    assert call(dtls_srtp.srtp_unprotect, server.rx, protected)[0] != dtls_srtp.SRTP_OK, "a replay must be refused"
    receiver_report = struct.pack("!BBHI", 0x80, 201, 1, 4711)
    status, protected = call(dtls_srtp.srtp_protect_rtcp, server.tx, receiver_report)
    assert status == dtls_srtp.SRTP_OK
    assert call(dtls_srtp.srtp_unprotect_rtcp, client.rx, protected) == (dtls_srtp.SRTP_OK, receiver_report)
    await wire.close()


async def test_a_changed_packet_is_refused() -> None:
    wire = Wire()
    server, client = await wire.connect()
    _, protected = call(dtls_srtp.srtp_protect, client.tx, rtp_packet(1, b"hello"))
    forged = protected[:-1] + bytes([protected[-1] ^ 1])
    assert call(dtls_srtp.srtp_unprotect, server.rx, forged)[0] != dtls_srtp.SRTP_OK
    await wire.close()


async def test_a_certificate_that_is_not_the_offers_fails_the_handshake() -> None:
    wire = Wire()
    client = asyncio.ensure_future(wire.client.handshake(wire.fingerprint(0)))
    with pytest.raises(DtlsError, match="fingerprint"):
        await wire.server.handshake(wire.fingerprint(0))
    await wire.server.close()
    await client
    await wire.close()


async def test_a_fingerprint_of_an_unknown_kind_fails_the_handshake() -> None:
    wire = Wire()
    client = asyncio.ensure_future(wire.client.handshake(wire.fingerprint(0)))
    with pytest.raises(DtlsError):
        await wire.server.handshake([("md5", "AA:BB")])
    await wire.server.close()
    await client
    await wire.close()


async def test_the_clients_goodbye_is_noticed() -> None:
    wire = Wire()
    await wire.connect()
    closed = asyncio.ensure_future(wire.server.wait_closed())
    await asyncio.sleep(0)
    assert not closed.done()
    await wire.client.close()
    await asyncio.wait_for(closed, 5)
    await wire.close()


async def test_a_handshake_with_nobody_ends_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dtls_srtp, "HANDSHAKE_TIMEOUT_SECONDS", 0.01)
    transport = DtlsTransport(Certificate(), lambda data: None)
    with pytest.raises(DtlsError, match="too long"):
        await transport.handshake([("sha-256", "AA")])
    await transport.close()


async def test_closing_during_the_handshake_ends_it() -> None:
    transport = DtlsTransport(Certificate(), lambda data: None)
    handshake = asyncio.ensure_future(transport.handshake([("sha-256", "AA")]))
    await asyncio.sleep(0)
    await transport.close()
    with pytest.raises(DtlsError):
        await asyncio.wait_for(handshake, 5)


async def test_garbage_and_floods_do_not_stop_a_handshake() -> None:
    wire = Wire()
    for n in range(100):
        wire.server.feed(bytes([22]) + b"\xff" * n)
    server, client = await asyncio.wait_for(wire.connect(), 10)
    assert server.rx is not None
    assert client.tx is not None
    for _ in range(100):
        wire.server.feed(b"\x16\xfe\xfd garbage")
    await wire.close()
    wire.server.feed(b"after the end")


def test_the_fingerprint_is_a_sha_256() -> None:
    algorithm, _, value = Certificate().fingerprint.partition(" ")
    assert algorithm == "sha-256"
    assert len(bytes.fromhex(value.replace(":", ""))) == 32
