from __future__ import annotations

import asyncio

import pytest

from server.i18n import Language
from server.protocol import CloseCode
from server.signalling.hub import Hub
from server.signalling.outbox import Delivery, Outbox
from server.signalling.peer import Peer, PeerState, Seat
from tests.signalling.fakes import FakeConnection, new_client, settle

SEAT = Seat("session", "lobby", "anna")


async def test_frames_are_written_in_order_then_the_wire_is_closed() -> None:
    client = new_client(Hub())
    assert client.peer.send(b'{"type":"one"}')
    assert client.peer.send(b'{"type":"two"}')
    client.peer.close(CloseCode.NORMAL, "left")
    assert not client.peer.send(b'{"type":"late"}')
    assert await client.ended() == (1000, "left")
    assert client.wire.types == ["one", "two"]


async def test_states_go_one_way() -> None:
    client = new_client(Hub())
    assert (client.peer.state, client.peer.seat, client.peer.close_code) == (PeerState.AWAITING_JOIN, None, None)
    client.peer.join(SEAT)
    assert (client.peer.state, client.peer.seat) == (PeerState.JOINED, SEAT)
    with pytest.raises(RuntimeError, match="joined -> joined"):
        client.peer.join(SEAT)
    client.peer.close(CloseCode.REMOVED, "kicked")
    client.peer.close(CloseCode.NORMAL, "another")
    assert (client.peer.state, client.peer.seat, client.peer.close_code) == (PeerState.CLOSED, SEAT, CloseCode.REMOVED)
    assert await client.ended() == (4403, "kicked")


async def test_a_full_outbox_ends_the_connection_although_the_writer_is_stuck() -> None:
    client = new_client(Hub(), outbox=Outbox(max_frames=4))
    client.wire.reading.clear()
    assert client.peer.send(b'{"type":"stuck"}')
    await settle()
    assert all(client.peer.send(b"{}") for _ in range(4))
    assert not client.peer.send(b"{}")
    assert client.peer.state is PeerState.CLOSED
    assert await client.ended() == (1013, "too slow")
    assert client.wire.frames == []


async def test_an_overflow_before_the_writer_runs_ends_it_too() -> None:
    wire = FakeConnection()
    peer = Peer(wire, language=Language.GERMAN, outbox=Outbox(max_frames=1))
    assert peer.send(b"{}")
    assert not peer.send(b"{}")
    await peer.run()
    assert (wire.closed, wire.frames) == ((1013, "too slow"), [])


async def test_levels_and_relays_are_left_out_and_the_connection_stays() -> None:
    client = new_client(Hub(), outbox=Outbox(max_frames=4))
    client.wire.reading.clear()
    client.peer.send(b'{"type":"stuck"}')
    await settle()
    assert client.peer.send(b'{"type":"levels"}', Delivery.LEVELS)
    assert not client.peer.send(b'{"type":"levels"}', Delivery.LEVELS)
    assert client.peer.send(b'{"type":"relay"}', Delivery.RELAY)
    assert not client.peer.send(b'{"type":"relay"}', Delivery.RELAY)
    client.wire.reading.set()
    await settle()
    assert client.wire.types == ["stuck", "levels", "relay"]
    assert client.peer.state is PeerState.AWAITING_JOIN
    client.peer.close(CloseCode.NORMAL, "")
    await client.ended()


async def test_closing_waits_for_a_slow_client_but_not_for_ever() -> None:
    client = new_client(Hub(), drain_seconds=0.01)
    client.wire.reading.clear()
    client.peer.send(b"{}")
    await settle()
    client.peer.close(CloseCode.REMOVED, "kicked")
    assert await client.ended() == (4403, "kicked")


async def test_a_wire_that_breaks_ends_the_peer() -> None:
    client = new_client(Hub())
    client.wire.broken = ConnectionResetError()
    client.peer.send(b"{}")
    assert await client.ended() == (1000, "connection lost")
    assert client.peer.state is PeerState.CLOSED


async def test_cancelling_the_writer_closes_the_wire() -> None:
    client = new_client(Hub())
    await settle()
    client.writer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await client.writer
    assert client.wire.closed is not None
