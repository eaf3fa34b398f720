"""RTCP with real peers, both ways, and the quality that follows from it."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiortc.rtp import RtcpPacket, RtcpReceiverInfo, RtcpRrPacket, RtcpSenderInfo, RtcpSrPacket

from bench.peer import Peer
from bench.sdp import OfferOptions
from server.config import Settings
from server.media import quality_observer
from server.media.quality import QualityView
from tests.media.test_engine import TIMEOUT, Studio, settled

VOICE = b"\xf8\xff\xfe"
HUM = 90


@pytest.fixture
async def studio(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Studio]:
    """Reports come twenty times as often as they do otherwise."""
    monkeypatch.setattr(quality_observer, "REPORT_SECONDS", 0.15)
    monkeypatch.setattr(quality_observer, "FIRST_REPORT_SECONDS", 0.02)
    monkeypatch.setattr(quality_observer, "TICK_SECONDS", 0.005)
    studio = Studio(settings)
    await studio.engine.start()
    yield studio
    await studio.close()


def parts(packet: bytes) -> list[Any]:
    """The reports of a compound packet; our source description has more than one chunk, which aiortc does not read."""
    end = 0
    while packet[end + 1] in (200, 201):
        end += 4 + 4 * struct.unpack_from("!H", packet, end + 2)[0]
    return list(RtcpPacket.parse(packet[:end]))


async def reports_of(peer: Peer, kind: type, count: int = 1) -> list[Any]:
    """Wait until the peer has so many parts of this kind."""

    def found() -> list[Any]:
        return [part for packet in peer.rtcp for part in parts(packet) if isinstance(part, kind)]

    await peer.until(lambda: len(found()) >= count, what=f"{count} reports", timeout=TIMEOUT)
    return found()


def latest(studio: Studio, name: str) -> QualityView | None:
    views = studio.facts.quality.get(name)
    return views[-1] if views else None


async def test_the_receiver_gets_sender_reports_of_the_slots_that_send(studio: Studio) -> None:
    a, b = await studio.connect("a"), await studio.connect("b")
    mid = await settled(studio, "b", "a")
    for _ in range(20):
        a.send_rtp(VOICE, level=HUM)
    packets = await b.receive(mid, 20)
    [*_, report] = await reports_of(b, RtcpSrPacket)
    assert isinstance(report, RtcpSrPacket)
    assert report.ssrc == b.slots[mid].ssrc
    assert 1 <= report.sender_info.packet_count <= b.slots[mid].received
    ahead = (report.sender_info.rtp_timestamp - packets[-1].timestamp + 0x80000000) % 0x100000000 - 0x80000000
    assert abs(ahead) < 48_000


async def test_the_sender_gets_receiver_reports_of_its_microphone(studio: Studio) -> None:
    a = await studio.connect("a")
    sent = [a.send_rtp(VOICE, level=HUM) for _ in range(10)]
    for _ in range(5):
        a.microphone.writer.sequence += 1
    sent += [a.send_rtp(VOICE, level=HUM) for _ in range(10)]
    await studio.processed(lambda stats: stats["packets_in"] >= 20)
    name = 0x11112222_33334444
    a.send_rtcp(bytes(RtcpSrPacket(a.microphone.writer.ssrc, RtcpSenderInfo(name, 0, 20, 100))))

    def named() -> list[RtcpReceiverInfo]:
        found = (part for packet in a.rtcp for part in parts(packet) if isinstance(part, RtcpRrPacket))
        return [block for part in found for block in part.reports if block.lsr == 0x22223333]

    await a.until(lambda: bool(named()), what="a block that names our report", timeout=TIMEOUT)
    block = named()[0]
    assert (block.ssrc, block.packets_lost) == (a.microphone.writer.ssrc, 5)
    assert block.highest_sequence & 0xFFFF == sent[-1].sequence
    assert 0 <= block.dlsr < TIMEOUT * 65536


async def test_round_trip_and_loss_downstream_come_from_the_clients_reports(studio: Studio) -> None:
    a, b = await studio.connect("a"), await studio.connect("b")
    mid = await settled(studio, "b", "a")
    for _ in range(50):
        a.send_rtp(VOICE, level=HUM)
    await b.receive(mid, 50)
    [*_, report] = await reports_of(b, RtcpSrPacket)
    assert isinstance(report, RtcpSrPacket)
    name = (report.sender_info.ntp_timestamp >> 16) & 0xFFFFFFFF
    block = RtcpReceiverInfo(b.slots[mid].ssrc, 0, 0, 1000, 0, name, 0)
    b.send_rtcp(bytes(RtcpRrPacket(1, [block])))
    await studio.facts.until(lambda: (view := latest(studio, "b")) is not None and view.figures.rtt_ms is not None)
    view = latest(studio, "b")
    assert view is not None
    assert view.figures.rtt_ms is not None
    assert 0 <= view.figures.rtt_ms < TIMEOUT * 1000
    for lost, highest in ((0, 1050), (10, 1100)):
        b.send_rtcp(bytes(RtcpRrPacket(1, [RtcpReceiverInfo(b.slots[mid].ssrc, 0, lost, highest, 0, 0, 0)])))
        said = len(studio.facts.quality["b"])
        await studio.facts.until(lambda said=said: len(studio.facts.quality["b"]) >= said + 2)  # type: ignore[misc]
    view = latest(studio, "b")
    assert view is not None
    assert view.figures.down_loss_pct == pytest.approx(10.0)
    assert view.figures.up_loss_pct is None
    assert view.mos < 3.5


async def test_loss_upstream_makes_it_fall_and_is_told_of_the_one_who_has_it(studio: Studio) -> None:
    a = await studio.connect("a")
    await studio.connect("b")
    stop = asyncio.Event()

    async def talk() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            if number % 5 == 0 and latest(studio, "a") is not None:
                a.microphone.writer.sequence += 1
            a.send_rtp(VOICE, level=HUM, advance=96)
            await asyncio.sleep(0.002)

    talking = asyncio.create_task(talk())
    await studio.facts.until(lambda: (view := latest(studio, "a")) is not None and view.quality == "poor")
    stop.set()
    await talking
    grades = [view.quality for view in studio.facts.quality["a"]]
    assert grades[0] in ("excellent", "good")
    lossy = latest(studio, "a")
    assert lossy is not None
    assert lossy.figures.up_loss_pct is not None
    assert 5 < lossy.figures.up_loss_pct <= 20
    assert {view.figures.up_loss_pct for view in studio.facts.quality.get("b", [])} <= {None}


async def test_a_connection_that_ends_is_lost(studio: Studio) -> None:
    a = await studio.connect("a")
    a.send_rtp(VOICE, level=HUM)
    await a.close()
    await studio.facts.until(lambda: (view := latest(studio, "a")) is not None and view.quality == "lost")
    view = latest(studio, "a")
    assert view is not None
    assert (view.mos, view.is_news) == (1.0, True)


async def test_who_only_listens_has_no_block_and_is_asked_for_the_round_trip(studio: Studio) -> None:
    listener = await studio.connect("listener", OfferOptions(listen_only=True))
    await listener.until(lambda: bool(listener.rtcp), what="a report", timeout=TIMEOUT)
    packet = listener.rtcp[-1]
    [report] = parts(packet)
    assert isinstance(report, RtcpRrPacket)
    assert report.reports == []
    own, block = struct.unpack_from("!IB", packet, len(packet) - 16)
    assert block == 4
    reference = int.from_bytes(packet[-6:-2], "big")
    reply = struct.pack("!BBHIBBHIII", 0x80, 207, 5, 77, 5, 0, 3, own, reference, 0)
    listener.send_rtcp(bytes(RtcpRrPacket(77)) + reply)
    await studio.facts.until(lambda: latest(studio, "listener") is not None)
    view = latest(studio, "listener")
    assert view is not None
    assert view.figures.rtt_ms is not None
    assert view.quality == "excellent"


async def test_what_was_left_behind_has_no_turn_any_more(studio: Studio) -> None:
    a = await studio.connect("a")
    await a.until(lambda: len(a.rtcp) >= 2, what="reports", timeout=TIMEOUT)
    studio.engine.close_session("a")
    said = len(studio.facts.quality.get("a", []))
    b = await studio.connect("b")
    await b.until(lambda: len(b.rtcp) >= 3, what="reports", timeout=TIMEOUT)
    assert len(studio.facts.quality.get("a", [])) == said
