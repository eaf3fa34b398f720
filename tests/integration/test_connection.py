"""Connections that move, restart, end, and the other address family."""

from __future__ import annotations

import asyncio
import itertools
import socket
from collections.abc import AsyncIterator
from dataclasses import replace

import aiohttp
import pytest

from bench.peer import Peer
from tests.integration.support import CHROMIUM, Call, let_through, settled
from tests.support import ServerFactory


def has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
            sock.bind(("::1", 0))
    except OSError:
        return False
    return True


async def test_a_client_behind_a_new_address_is_followed(call: Call) -> None:
    mover, other = await call.enter_all("a", "b")
    await other.heard_all(mover, mover.peer.send_voice(3))
    before = mover.peer.local_port
    await mover.peer.move()
    assert mover.peer.local_port != before
    assert mover.peer.ice.mapped == ("127.0.0.1", mover.peer.local_port)
    await other.heard_all(mover, mover.peer.send_voice(3))
    await mover.heard_all(other, other.peer.send_voice(3))
    assert mover.client.sent["voice_offer"] == other.client.sent["voice_offer"] == 1


async def test_an_ice_restart_keeps_everything_else(call: Call) -> None:
    restarter, other = await call.enter_all("a", "b")
    await restarter.heard_all(other, other.peer.send_voice(3))
    assert restarter.peer.answer is not None
    before = restarter.peer.answer
    answer = await restarter.client.negotiate(restarter.peer, restart=True)
    assert answer.credentials != before.credentials
    assert answer.fingerprints == before.fingerprints
    assert answer.slots() == before.slots()
    await restarter.heard_all(other, other.peer.send_voice(3))  # not even a pause before the first new check
    await restarter.peer.recheck()
    await restarter.heard_all(other, other.peer.send_voice(3))
    await other.heard_all(restarter, restarter.peer.send_voice(3))
    heard = await restarter.hears_from(other, 9)
    assert [(after.sequence - before.sequence) & 0xFFFF for before, after in itertools.pairwise(heard)] == [1] * 8


async def test_an_ice_restart_from_another_port(call: Call) -> None:
    restarter, other = await call.enter_all("a", "b")
    await restarter.client.negotiate(restarter.peer, restart=True)
    await restarter.peer.move()
    await other.heard_all(restarter, restarter.peer.send_voice(3))
    await restarter.heard_all(other, other.peer.send_voice(3))


async def test_a_later_offer_may_add_slots(call: Call) -> None:
    small = await call.enter("small", options=replace(CHROMIUM, slots=1))
    others = [await call.enter(name) for name in ("b", "c")]
    await small.client.hears(1)
    (first,) = [other for other in others if other.session_id in small.client.slots.values()]
    await let_through(small, first)
    assert small.peer.answer is not None
    before = small.peer.answer.slots()
    small.peer.options = replace(small.peer.options, slots=4)
    answer = await small.client.negotiate(small.peer)
    assert before.items() <= answer.slots().items()
    assert len(answer.slots()) == 4
    await settled(small, *others)
    for other in others:
        await small.heard_all(other, other.peer.send_voice(3))


async def test_another_microphone_of_the_same_connection(call: Call) -> None:
    """A browser that replaces its track by one of another source may go on with another SSRC."""
    speaker, listener = await call.enter_all("a", "b")
    await listener.heard_all(speaker, speaker.peer.send_voice(5))
    writer = speaker.peer.microphone.writer
    writer.ssrc, writer.sequence, writer.timestamp = (writer.ssrc + 1) & 0xFFFFFFFF, 7, 7
    await let_through(listener, speaker)
    await listener.heard_all(speaker, speaker.peer.send_voice(5))
    heard = list(listener.peer.slots[listener.slot_of(speaker)].packets)
    assert {(after.sequence - before.sequence) & 0xFFFF for before, after in itertools.pairwise(heard)} == {1}
    assert all(0 < (after.timestamp - before.timestamp) & 0xFFFFFFFF < 48_000 for before, after in itertools.pairwise(heard))


async def test_a_new_connection_of_the_same_session(call: Call) -> None:
    """A page that lost its peer connection makes another one, with another certificate."""
    person, other = await call.enter_all("a", "b")
    await other.heard_all(person, person.peer.send_voice(3))
    await person.peer.close(notify=False)
    person.peer = Peer()
    await person.client.negotiate(person.peer)
    await person.peer.connect()
    await settled(person, other)
    await other.heard_all(person, person.peer.send_voice(3))
    await person.heard_all(other, other.peer.send_voice(3))
    assert other.client.sent["voice_offer"] == 1


async def test_close_notify_of_the_client_ends_its_media(call: Call) -> None:
    leaver, other = await call.enter_all("a", "b")
    await leaver.peer.close()
    await other.client.hears(0)


async def test_leave_closes_the_connection(call: Call) -> None:
    leaver, _ = await call.enter_all("a", "b")
    await leaver.client.leave()
    async with asyncio.timeout(2):
        await leaver.peer.dtls.closed.wait()


@pytest.fixture
async def ipv6_call(start_server: ServerFactory) -> AsyncIterator[Call]:
    server = await start_server(media_host="::1")
    async with aiohttp.ClientSession(server.url) as http:
        call = Call(server, http)
        yield call
        await call.close()


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 loopback")
async def test_ipv6(ipv6_call: Call) -> None:
    first = await ipv6_call.enter("a", host="::1")
    second = await ipv6_call.enter("b", host="::1")
    assert first.peer.ice.mapped == ("::1", first.peer.local_port)
    await settled(first, second)
    await second.heard_all(first, first.peer.send_voice(5))
    await first.heard_all(second, second.peer.send_voice(5))
    await first.peer.move()
    await second.heard_all(first, first.peer.send_voice(5))
