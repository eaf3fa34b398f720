"""What strangers and forgers get from the media port: nothing."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import socket
from dataclasses import replace

import pytest
from aioice import stun

from bench.dtls import DtlsError
from bench.endpoint import loopback_socket
from bench.ice import Address, binding_request
from bench.peer import Peer
from tests.integration.support import CHROMIUM, Call, Person, settled

GARBAGE = int(os.environ.get("WELTENSTIMME_TEST_GARBAGE", "20000"))
"""How many random datagrams the port is sent; more is a matter of patience."""


async def receive(sock: socket.socket) -> bytes:
    async with asyncio.timeout(2):
        return await asyncio.get_running_loop().sock_recv(sock, 2048)


def media_address(person: Person) -> Address:
    assert person.peer.remote is not None
    return person.peer.remote


async def test_a_wrong_fingerprint_never_reaches_media(call: Call) -> None:
    listener = await call.enter("listener")
    client = call.client("forger")
    peer = Peer(replace(CHROMIUM, fingerprint=":".join(["AB"] * 32)))
    forger = Person(client, peer)
    call.people.append(forger)
    await client.join("lobby")
    await client.open()
    await client.negotiate(peer)
    before = await call.media_counters()
    try:
        await peer.connect()  # the client's side of the handshake may be done before the server has looked
    except DtlsError:
        assert peer.srtp is None
    else:
        peer.send_voice(10)
    told = await client.expect("voice_media", lambda message: not message["connected"])
    assert "fingerprint" in told["reason"]
    after = await call.media_counters()
    assert after["packets_in"] == before["packets_in"]
    assert listener.client.slots == dict.fromkeys(listener.client.slots)
    assert sum(slot.received for slot in listener.peer.slots.values()) == 0


@pytest.mark.parametrize("password", [None, "0" * 24])
async def test_stun_without_right_integrity_gets_no_answer(call: Call, password: str | None) -> None:
    person = await call.enter("a")
    remote = person.peer.ice.remote
    assert remote is not None
    with loopback_socket("127.0.0.1") as sock:
        for nominate in (False, True):
            forged = binding_request(person.peer.ice.local.ufrag, remote.ufrag, password, nominate=nominate)
            sock.sendto(bytes(forged), media_address(person))
        unknown = binding_request(person.peer.ice.local.ufrag, "nobody", remote.password)
        sock.sendto(bytes(unknown), media_address(person))
        true = binding_request(person.peer.ice.local.ufrag, remote.ufrag, remote.password)
        sock.sendto(bytes(true), media_address(person))
        answer = stun.parse_message(await receive(sock))
    # datagrams are taken in order: had the others been answered, theirs would have come first
    assert answer.transaction_id == true.transaction_id
    assert answer.message_class == stun.Class.RESPONSE
    assert answer.check_message_integrity(remote.password.encode())


async def test_a_server_is_no_stun_server(call: Call) -> None:
    person = await call.enter("a")
    remote = person.peer.ice.remote
    assert remote is not None
    with loopback_socket("127.0.0.1") as sock:
        bare = stun.Message(stun.Method.BINDING, stun.Class.REQUEST)
        sock.sendto(bytes(bare), media_address(person))
        true = binding_request(person.peer.ice.local.ufrag, remote.ufrag, remote.password)
        sock.sendto(bytes(true), media_address(person))
        assert stun.parse_message(await receive(sock)).transaction_id == true.transaction_id


async def test_packets_from_another_address_are_not_anyones(call: Call) -> None:
    speaker, listener = await call.enter_all("a", "b")
    captured: list[bytes] = []
    assert speaker.peer.srtp is not None
    plain, _ = speaker.peer.microphone.writer.write(
        b"\xf8forged", level=20, voice=True, marker=False, advance=960, sequence=None, timestamp=None
    )
    captured.append(speaker.peer.srtp.tx.protect(plain))
    before = await call.media_counters()
    with loopback_socket("127.0.0.1") as sock:
        sock.sendto(captured[0], media_address(speaker))
    sent = speaker.peer.send_voice(3)
    await listener.heard_all(speaker, sent)
    assert (await call.media_counters())["unauthenticated"] == before["unauthenticated"] + 1
    assert b"\xf8forged" not in listener.peer.slots[listener.slot_of(speaker)].payloads()


async def test_forged_packets_from_the_right_address_are_dropped(call: Call) -> None:
    speaker, listener = await call.enter_all("a", "b")
    for size in (12, 13, 40, 108, 1400):
        speaker.peer.send_raw(b"\x80\x6f" + os.urandom(size - 2))
        speaker.peer.send_raw(b"\x80\xc8" + os.urandom(size - 2))
    sent = speaker.peer.send_voice(3)
    await listener.heard_all(speaker, sent)
    assert len(await listener.hears_from(speaker, 3)) == 3


async def test_garbage_leaves_it_serving(call: Call) -> None:
    speaker, listener = await call.enter_all("a", "b")
    rng = random.Random(20)
    address = media_address(speaker)
    with loopback_socket("127.0.0.1") as sock:
        for number in range(GARBAGE):
            data = bytearray(rng.randbytes(rng.choice((0, 1, 4, 12, 20, 28, 60, 108, 300, 1400))))
            kind = rng.randrange(5)
            if data and kind:
                data[0] = (0, 22, 0x80, 0x90, 255)[kind]
            if len(data) >= 20 and kind == 1:  # a STUN header that is right, with attributes that are not
                data[0:8] = b"\x00\x01" + (len(data) - 20).to_bytes(2, "big") + b"\x21\x12\xa4\x42"
            with contextlib.suppress(BlockingIOError):
                sock.sendto(data, address)
            if number % 32 == 0:
                await asyncio.sleep(0)  # the server is in this process and wants its turn
        await speaker.peer.recheck()
        sock.setblocking(False)
        with pytest.raises(BlockingIOError):
            sock.recv(2048)  # not one answer
    sent = speaker.peer.send_voice(10)
    await listener.heard_all(speaker, sent)
    third = await call.enter("c")
    await settled(speaker, listener, third)
    await third.heard_all(speaker, speaker.peer.send_voice(5))
