"""The load generator, with peers that talk to the smallest server."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import AsyncIterator

import pytest

from bench.endpoint import Watch, loopback_socket
from bench.generator import LoadGenerator
from bench.load_client import LoadClient
from bench.peer import Peer
from bench.rtp import ReceivedPacket, extensions_map
from bench.sdp import AUDIO_LEVEL_URI, OfferOptions
from tests.bench.echo import EchoServer


@pytest.fixture
async def echoed() -> AsyncIterator[list[tuple[Peer, EchoServer]]]:
    pairs = []
    for _ in range(2):
        peer, server = Peer(OfferOptions(slots=1)), EchoServer()
        pairs.append((peer, server))
        peer.set_answer(server.answer(peer.create_offer()))
        await peer.connect()
    yield pairs
    for peer, server in pairs:
        await peer.close()
        await server.close()


async def until_received(generator: LoadGenerator, servers: list[EchoServer], count: int) -> None:
    """Servers tell when something comes; the generator counts in its thread, a little later."""
    watch: Watch = servers[0].watch
    await watch.until(lambda: generator.received >= count, timeout=5, what=f"{count} packets")


async def test_voices_go_out_in_time_and_come_back_counted(echoed: list[tuple[Peer, EchoServer]]) -> None:
    clients = [LoadClient(peer, probe=index == 0, payload_bytes=80) for index, (peer, _) in enumerate(echoed)]
    generator = LoadGenerator(clients, clients, [])
    generator.start()
    try:
        generator.talking = True
        await until_received(generator, [server for _, server in echoed], 30)
        generator.talking = False
    finally:
        await generator.stop()
    server = echoed[0][1]
    packets = [ReceivedPacket.parse(data, extensions_map({AUDIO_LEVEL_URI: 1}), 0.0) for data in server.received]
    steps = {(after.sequence - before.sequence) & 0xFFFF for before, after in itertools.pairwise(packets)}
    assert steps == {1}
    ticks = {(after.timestamp - before.timestamp) & 0xFFFFFFFF for before, after in itertools.pairwise(packets)}
    assert ticks == {960}
    assert {packet.level for packet in packets} == {24}
    assert {len(packet.payload) for packet in packets} == {80}
    totals = generator.totals()
    assert totals.streams == 2
    assert totals.received == generator.received
    assert (totals.lost, totals.late, generator.unreadable, generator.strays, generator.drops()) == (0, 0, 0, 0, 0)
    assert sum(client.send_failures for client in clients) == 0
    delays, lateness = generator.take_delays()
    assert delays.samples == generator.sampled > 0
    assert 0 < delays.p50_us <= delays.max_us < 1e6
    assert lateness.samples == sum(client.sent for client in clients)
    assert generator.datagram_bytes == 12 + 8 + 80 + 16


async def test_consent_goes_on_in_the_peer(echoed: list[tuple[Peer, EchoServer]]) -> None:
    (peer, server), _ = echoed
    generator = LoadGenerator([LoadClient(peer, probe=False, payload_bytes=80)], [], [])
    generator.start()
    try:
        await peer.ice.check()
    finally:
        await generator.stop()
    assert server.checks == 2


async def test_sinks_are_read() -> None:
    with contextlib.ExitStack() as stack:
        sender, sink = (stack.enter_context(loopback_socket("127.0.0.1")) for _ in range(2))
        generator = LoadGenerator([], [], [sink])
        for _ in range(10):
            sender.sendto(b"x", sink.getsockname())
        generator.start()
        await generator.stop()
        generator_saw = generator.sink_received
        assert generator_saw in (0, 10)  # it may be stopped before its first turn; what it reads it reads at once
        assert not generator.is_alive


async def test_a_failure_of_the_thread_is_told(echoed: list[tuple[Peer, EchoServer]]) -> None:
    (peer, _), _ = echoed
    client = LoadClient(peer, probe=False, payload_bytes=80)
    client.send = lambda elapsed_ns: 1 / 0  # type: ignore[method-assign, assignment]
    generator = LoadGenerator([client], [client], [])
    generator.talking = True
    generator.start()
    with pytest.raises(ZeroDivisionError):
        await generator.stop()


async def test_only_connected_peers_can_be_loaded() -> None:
    peer = Peer()
    try:
        with pytest.raises(ValueError, match="not connected"):
            LoadClient(peer, probe=False, payload_bytes=80)
    finally:
        await peer.close()


async def test_a_pause_sends_two_packets_of_comfort_noise_every_400_ms(echoed: list[tuple[Peer, EchoServer]]) -> None:
    speaker, paused = (LoadClient(peer, probe=False, payload_bytes=24) for peer, _ in echoed)
    generator = LoadGenerator([speaker], [], [], packets_per_second=30)
    generator.add([paused])
    generator.cast([speaker], [paused])
    generator.start()
    try:
        generator.talking = True
        await until_received(generator, [server for _, server in echoed], 20)
        generator.talking = False
    finally:
        await generator.stop()
    packets = [ReceivedPacket.parse(data, extensions_map({AUDIO_LEVEL_URI: 1}), 0.0) for data in echoed[1][1].received]
    assert {(packet.level, len(packet.payload)) for packet in packets} == {(127, 1)}
    ticks = [(after.timestamp - before.timestamp) & 0xFFFFFFFF for before, after in itertools.pairwise(packets)]
    assert ticks[:3] == [960, 19_200 - 960, 960]
    assert (paused.sent, paused.comfort_sent) == (0, len(packets))
    assert 1 < speaker.sent / paused.comfort_sent < 30


async def test_only_voices_count_where_that_is_asked_for(echoed: list[tuple[Peer, EchoServer]]) -> None:
    clients = [LoadClient(peer, probe=False, voices=frozenset()) for peer, _ in echoed]
    generator = LoadGenerator(clients, clients, [])
    generator.start()
    try:
        generator.talking = True
        await until_received(generator, [server for _, server in echoed], 5)
    finally:
        await generator.stop()
    assert generator.received >= 5
    assert generator.totals().received == 0
