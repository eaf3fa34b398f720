"""The simulated client against the smallest server."""

from __future__ import annotations

import asyncio
import re
import struct
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aioice import stun

from bench.dtls import DtlsError
from bench.ice import IceError, binding_request
from bench.impairment import delay_every, duplicate_every, lose_every
from bench.peer import Peer, PeerState
from bench.sdp import AnswerError, OfferOptions
from bench.speech import Utterance
from tests.bench.echo import SLOT_SSRC, EchoServer

OTHER_FINGERPRINT = ":".join(["00"] * 32)
Connect = Callable[..., Awaitable[tuple[Peer, EchoServer]]]


@pytest.fixture
async def connected() -> AsyncIterator[Connect]:
    made: list[tuple[Peer, EchoServer]] = []

    async def connect(options: OfferOptions | None = None, host: str = "127.0.0.1") -> tuple[Peer, EchoServer]:
        peer, server = Peer(options or OfferOptions(slots=2), host=host), EchoServer(host)
        made.append((peer, server))
        peer.set_answer(server.answer(peer.create_offer()))
        await peer.connect()
        return peer, server

    yield connect
    for peer, server in made:
        await peer.close()
        await server.close()


async def test_it_hears_what_it_said(connected: Connect) -> None:
    peer, _ = await connected()
    assert peer.state is PeerState.CONNECTED
    sent = peer.send_voice(5, level=30)
    heard = await peer.receive("1", 5)
    assert [packet.payload for packet in heard] == [packet.payload for packet in sent]
    assert [packet.sequence for packet in heard] == [packet.sequence for packet in sent]
    assert [packet.timestamp for packet in heard] == [packet.timestamp for packet in sent]
    assert {packet.level for packet in heard} == {30}
    assert {packet.mid for packet in heard} == {"0"}
    assert {packet.ssrc for packet in heard} == {SLOT_SSRC}
    assert peer.slots["2"].received == 0


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_both_families(connected: Connect, host: str) -> None:
    peer, server = await connected(host=host)
    assert peer.ice.mapped == (host, peer.local_port)
    assert server.checks == 1
    peer.send_voice(1)
    await peer.receive("1", 1)


async def test_levels_go_in_a_one_byte_extension(connected: Connect) -> None:
    peer, server = await connected(OfferOptions(audio_level_id=7, mid_id=None))
    peer.send_rtp(b"x", level=35, voice=True)
    peer.send_rtp(b"x", level=36, voice=False)
    peer.send_rtp(b"x", level=None)
    await peer.receive("1", 3)
    loud, quiet, without = server.received
    assert loud[12:18] == bytes.fromhex("bede0001") + bytes([7 << 4, 0x80 | 35])  # RFC 8285, section 4.2; RFC 6464, section 3
    assert quiet[17] == 36
    assert without[12:] == b"x"


async def test_numbers_wrap_around(connected: Connect) -> None:
    peer, _ = await connected()
    peer.microphone.writer.sequence = 0xFFFE
    peer.microphone.writer.timestamp = 0xFFFFFFFF - 960
    peer.send_voice(4)
    heard = await peer.receive("1", 4)
    assert [packet.sequence for packet in heard] == [0xFFFE, 0xFFFF, 0, 1]
    assert [packet.timestamp for packet in heard] == [0xFFFFFFFF - 960, 0xFFFFFFFF, 959, 1919]


async def test_numbers_jump_where_told(connected: Connect) -> None:
    peer, _ = await connected()
    peer.send_rtp(b"a", sequence=100, timestamp=5000)
    peer.send_rtp(b"b")
    heard = await peer.receive("1", 2)
    assert [(packet.sequence, packet.timestamp) for packet in heard] == [(100, 5000), (101, 5960)]


async def test_a_bad_network(connected: Connect) -> None:
    peer, server = await connected()
    peer.microphone.impair(lose_every(5))
    peer.send_voice(10)
    assert len(await peer.receive("1", 8)) == 8
    peer.microphone.impair(delay_every(4, 0.01))
    peer.send_voice(4)  # the first of them comes last
    sequences = [packet.sequence for packet in await peer.receive("1", 12)][8:]
    assert sequences[-1] == (sequences[0] - 1) & 0xFFFF
    assert len(server.received) == 12


async def test_a_duplicate_is_the_same_datagram_again(connected: Connect) -> None:
    peer, server = await connected()
    peer.microphone.impair(duplicate_every(2))
    peer.send_voice(2)
    assert len(await peer.receive("1", 2)) == 2  # the server's replay check dropped the copy
    assert server.replayed == 1


async def test_a_script_takes_its_time(connected: Connect) -> None:
    peer, server = await connected()
    loop = asyncio.get_running_loop()
    began = loop.time()
    sent = await peer.speak([Utterance(40, 60, level=20)], 160)
    assert 0.155 < loop.time() - began < 2
    assert [packet.level for packet in sent] == [127, 127, 20, 20, 20, 127, 127, 127]
    await peer.receive("1", 8)
    (last,) = struct.unpack_from("!I", server.received[-1], 4)
    assert (peer.microphone.writer.timestamp - last) & 0xFFFFFFFF == 960


async def test_a_move_to_another_port(connected: Connect) -> None:
    peer, server = await connected()
    before = peer.local_port
    await peer.move()
    assert peer.local_port != before
    assert server.sources == [before, peer.local_port]
    peer.send_voice(1)
    await peer.receive("1", 1)


async def test_a_restart_has_fresh_credentials(connected: Connect) -> None:
    peer, server = await connected()
    before = peer.ice.local
    offer = peer.create_offer(restart=True)
    assert peer.ice.local != before
    peer.set_answer(server.answer(offer))
    await peer.recheck()
    assert peer.state is PeerState.CONNECTED
    assert server.checks == 2


async def test_consent_goes_on(connected: Connect) -> None:
    peer, server = await connected()
    consent = asyncio.create_task(peer.ice.keep_consent(0.01))
    try:
        await server.watch.until(lambda: server.checks >= 4, timeout=2, what="four checks")
    finally:
        consent.cancel()


async def test_a_wrong_password_is_never_answered() -> None:
    peer, server = Peer(), EchoServer()
    try:
        answer = server.answer(peer.create_offer()).replace(server.credentials.password, "0" * 32)
        peer.set_answer(answer)
        with pytest.raises(IceError, match="no answer"):
            await peer.connect(timeout=0.1)
        assert peer.state is PeerState.FAILED
        assert server.checks == 0
    finally:
        await peer.close()
        await server.close()


async def test_a_foreign_certificate_is_refused() -> None:
    peer, server = Peer(), EchoServer()
    try:
        answer = server.answer(peer.create_offer())
        peer.set_answer(re.sub("fingerprint:sha-256 [0-9A-F:]+", f"fingerprint:sha-256 {OTHER_FINGERPRINT}", answer))
        with pytest.raises(DtlsError):
            await peer.connect()
        assert peer.srtp is None
    finally:
        await peer.close()
        await server.close()


async def test_close_notify_or_not(connected: Connect) -> None:
    peer, server = await connected()
    await peer.close(notify=False)
    assert not server.dtls.closed.is_set()
    other, other_server = await connected()
    await other.close()
    await asyncio.wait_for(other_server.dtls.closed.wait(), 2)


async def test_answers_that_do_not_fit_the_offer() -> None:
    peer, server = Peer(OfferOptions(slots=1)), EchoServer()
    other = Peer(OfferOptions(slots=2))
    firefox = Peer(OfferOptions(slots=1, opus_payload_type=109))
    try:
        peer.create_offer()
        with pytest.raises(AnswerError, match="3 sections answer 2"):
            peer.set_answer(server.answer(other.create_offer()))
        with pytest.raises(AnswerError, match="answered as 109"):
            peer.set_answer(server.answer(firefox.create_offer()))
    finally:
        for closing in (peer, other, firefox):
            await closing.close()
        await server.close()


async def test_it_stays_on_loopback() -> None:
    with pytest.raises(ValueError, match="loopback"):
        Peer(host="192.0.2.1")


def test_a_check_has_what_rfc_8445_asks_for() -> None:
    check = stun.parse_message(bytes(binding_request("mine", "theirs", "secret", nominate=True)))
    assert check.attributes["USERNAME"] == "theirs:mine"
    assert {"PRIORITY", "ICE-CONTROLLING", "USE-CANDIDATE", "MESSAGE-INTEGRITY", "FINGERPRINT"} <= set(check.attributes)
    assert check.check_message_integrity(b"secret")
    assert "USE-CANDIDATE" not in binding_request("mine", "theirs", "secret").attributes
    assert "MESSAGE-INTEGRITY" not in binding_request("mine", "theirs", None).attributes
