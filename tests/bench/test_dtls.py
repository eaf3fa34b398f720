"""Two DTLS transports against each other; fails when a release of aiortc renames what `bench.dtls` uses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pylibsrtp
import pytest

from bench.dtls import DtlsError, DtlsTransport, SrtpProfile, generate_certificate, sha256_fingerprint

RTP = bytes.fromhex("806f0001000003c011223344") + b"payload"


class Pair:
    """A client and a server joined by a wire that may lose datagrams."""

    def __init__(self, *, profiles: list[SrtpProfile] | None = None, lose: Callable[[int], bool] = lambda _: False) -> None:
        self.certificates = generate_certificate(), generate_certificate()
        self._loop = asyncio.get_running_loop()
        self._lose = lose
        self._count = 0
        self.client = DtlsTransport(self.certificates[0], lambda data: self._carry(self.server, data), profiles=profiles)
        self.server = DtlsTransport(self.certificates[1], lambda data: self._carry(self.client, data), role="server")

    def _carry(self, target: DtlsTransport, data: bytes) -> None:
        self._count += 1
        if not self._lose(self._count):
            self._loop.call_soon(target.feed, data)

    def fingerprint(self, index: int) -> tuple[str, str]:
        return "sha-256", sha256_fingerprint(self.certificates[index])

    async def close(self) -> None:
        await self.client.stop()
        await self.server.stop()


@pytest.fixture
async def pairs() -> AsyncIterator[Callable[..., Pair]]:
    made: list[Pair] = []

    def make(profiles: list[SrtpProfile] | None = None, lose: Callable[[int], bool] = lambda _: False) -> Pair:
        made.append(Pair(profiles=profiles, lose=lose))
        return made[-1]

    yield make
    for pair in made:
        await pair.close()


@pytest.mark.parametrize("profile", ["SRTP_AEAD_AES_256_GCM", "SRTP_AEAD_AES_128_GCM", "SRTP_AES128_CM_SHA1_80"])
async def test_what_one_protects_the_other_reads(pairs: Callable[..., Pair], profile: SrtpProfile) -> None:
    pair = pairs(profiles=[profile])
    client, server = await asyncio.gather(pair.client.start([pair.fingerprint(1)]), pair.server.start([pair.fingerprint(0)]))
    assert client.profile == server.profile == profile
    assert server.rx.unprotect(client.tx.protect(RTP)) == RTP
    assert client.rx.unprotect(server.tx.protect(RTP)) == RTP
    with pytest.raises(pylibsrtp.Error):
        client.rx.unprotect(client.tx.protect(RTP))


async def test_by_default_the_strongest_profile_is_agreed_on(pairs: Callable[..., Pair]) -> None:
    pair = pairs()
    client, _ = await asyncio.gather(pair.client.start([pair.fingerprint(1)]), pair.server.start([pair.fingerprint(0)]))
    assert client.profile == "SRTP_AEAD_AES_256_GCM"


async def test_a_wrong_fingerprint_is_refused(pairs: Callable[..., Pair]) -> None:
    pair = pairs()
    _, server = await asyncio.gather(
        pair.client.start([pair.fingerprint(1)]), pair.server.start([pair.fingerprint(1)]), return_exceptions=True
    )
    assert isinstance(server, DtlsError)


async def test_a_lost_flight_is_sent_again(pairs: Callable[..., Pair]) -> None:
    pair = pairs(lose=lambda count: count == 2)
    client, _ = await asyncio.gather(pair.client.start([pair.fingerprint(1)]), pair.server.start([pair.fingerprint(0)]))
    assert client.profile


async def test_nobody_there(pairs: Callable[..., Pair]) -> None:
    pair = pairs(lose=lambda _: True)
    with pytest.raises(DtlsError, match="no handshake within"):
        await pair.client.start([pair.fingerprint(1)], timeout=0.05)


async def test_close_notify_ends_the_other_side(pairs: Callable[..., Pair]) -> None:
    pair = pairs()
    await asyncio.gather(pair.client.start([pair.fingerprint(1)]), pair.server.start([pair.fingerprint(0)]))
    assert not pair.server.closed.is_set()
    await pair.client.stop()
    await asyncio.wait_for(pair.server.closed.wait(), 2)
