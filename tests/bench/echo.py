"""The smallest server a simulated client can talk to: ICE-lite, DTLS passive, and every RTP packet comes back in slot 1.

It shares nothing with the real server, so that the client is tested by itself.
"""

from __future__ import annotations

import asyncio
import struct
from typing import Final

import pylibsrtp
from aioice import stun
from aiortc.sdp import SessionDescription

from bench.dtls import DtlsTransport, SrtpSessions, generate_certificate, sha256_fingerprint
from bench.endpoint import Watch, loopback_socket
from bench.ice import Credentials

SLOT_SSRC: Final = 0x51070001


class EchoServer:
    """One client at a time. `checks` counts authenticated binding requests, `sources` has the port of each, `received` has
    every RTP packet, `replayed` counts those that came twice.
    """

    def __init__(self, host: str = "127.0.0.1") -> None:
        self._socket = loopback_socket(host)
        self._host = host
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket.fileno(), self._readable)
        self._certificate = generate_certificate()
        self.credentials = Credentials.generate()
        self.checks = 0
        self.replayed = 0
        self.watch = Watch()
        self.sources: list[int] = []
        self.received: list[bytes] = []
        self._client: tuple[str, int] | None = None
        self.dtls = DtlsTransport(self._certificate, self._send, role="server")
        self._handshake: asyncio.Task[SrtpSessions] | None = None
        self._fingerprints: list[tuple[str, str]] = []
        self.srtp: SrtpSessions | None = None

    def answer(self, offer_sdp: str, *, setup: str = "passive") -> str:
        """An answer to any offer of a simulated client."""
        offer = SessionDescription.parse(offer_sdp)
        dtls = offer.media[0].dtls
        assert dtls is not None
        self._fingerprints = [(f.algorithm, f.value) for f in dtls.fingerprints]
        mids = [media.rtp.muxId for media in offer.media]
        lines = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", f"a=group:BUNDLE {' '.join(mids)}", "a=ice-lite"]
        for index, media in enumerate(offer.media):
            opus = media.rtp.codecs[0].payloadType
            direction = {"sendonly": "recvonly", "recvonly": "sendonly"}.get(media.direction or "", "sendrecv")
            lines += [
                f"m=audio 9 UDP/TLS/RTP/SAVPF {opus}",
                "c=IN IP4 0.0.0.0",
                f"a=mid:{media.rtp.muxId}",
                f"a={direction}",
                f"a=setup:{setup}",
                f"a=fingerprint:sha-256 {sha256_fingerprint(self._certificate)}",
                f"a=ice-ufrag:{self.credentials.ufrag}",
                f"a=ice-pwd:{self.credentials.password}",
                f"a=rtpmap:{opus} opus/48000/2",
                *[f"a=extmap:{extension.id} {extension.uri}" for extension in media.rtp.headerExtensions],
                f"a=candidate:1 1 udp 2130706431 {self._host} {self._socket.getsockname()[1]} typ host",
            ]
            if "send" in direction:
                lines += [f"a=msid:room slot{index}", f"a=ssrc:{SLOT_SSRC + index - 1} cname:server"]
        return "\r\n".join(lines) + "\r\n"

    async def close(self) -> None:
        """Close the association, then the socket."""
        if self._handshake is not None:
            self._handshake.cancel()
            await asyncio.wait([self._handshake])
        await self.dtls.stop()
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()

    def _send(self, data: bytes) -> None:
        assert self._client is not None
        self._socket.sendto(data, self._client)

    def _readable(self) -> None:
        try:
            data, address = self._socket.recvfrom(2048)
        except (BlockingIOError, ConnectionRefusedError):
            return
        source = (str(address[0]), int(address[1]))
        if data[0] < 4:
            self._stun(data, source)
        elif 20 <= data[0] < 64:
            self.dtls.feed(data)
        elif self.srtp is not None:
            self._media(data)

    def _stun(self, data: bytes, source: tuple[str, int]) -> None:
        request = stun.parse_message(data)
        assert request.attributes["USERNAME"].startswith(f"{self.credentials.ufrag}:")
        key = self.credentials.password.encode()
        if not request.check_message_integrity(key):
            return
        self.checks += 1
        self.watch.notify()
        self.sources.append(source[1])
        self._client = source
        response = stun.Message(stun.Method.BINDING, stun.Class.RESPONSE, request.transaction_id, {"XOR-MAPPED-ADDRESS": source})
        response.add_message_integrity(key)
        self._socket.sendto(bytes(response), source)
        if self._handshake is None:
            self._handshake = asyncio.create_task(self.dtls.start(self._fingerprints))
            self._handshake.add_done_callback(self._handshaken)

    def _handshaken(self, task: asyncio.Task[SrtpSessions]) -> None:
        if not task.cancelled() and task.exception() is None:
            self.srtp = task.result()

    def _media(self, data: bytes) -> None:
        assert self.srtp is not None
        try:
            plain = bytearray(self.srtp.rx.unprotect(data))
        except pylibsrtp.Error:
            self.replayed += 1
            return
        self.received.append(bytes(plain))
        self.watch.notify()
        struct.pack_into("!I", plain, 8, SLOT_SSRC)
        self._send(self.srtp.tx.protect(bytes(plain)))
