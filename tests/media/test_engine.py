"""The engine with real peers over loopback: ICE, DTLS, SRTP, RTP."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any

import pytest

from bench.dtls import DtlsError
from bench.ice import IceError
from bench.peer import Peer
from bench.sdp import OfferOptions
from server.config import Settings
from server.media.engine import MediaEngine, OfferError, SlotView
from server.media.quality import QualityView

TIMEOUT = 5.0
VOICE = b"\x78voice"


class Facts:
    """A MediaListener that keeps what it is told and can be waited on."""

    def __init__(self) -> None:
        self.connected: list[str] = []
        self.failed: dict[str, str] = {}
        self.speaking: list[tuple[str, bool]] = []
        self.levels: list[Mapping[str, float]] = []
        self.spurts: list[dict[str, Any]] = []
        self.slots: dict[str, dict[str, str | None]] = {}
        self.quality: dict[str, list[QualityView]] = {}
        self.contradictions: list[tuple[str, str]] = []
        self._changed = asyncio.Event()

    def media_connected(self, session_id: str) -> None:
        self.connected.append(session_id)
        self._changed.set()

    def media_failed(self, session_id: str, reason: str) -> None:
        self.failed[session_id] = reason
        self._changed.set()

    def media_speaking(self, session_id: str, speaking: bool, level: float) -> None:
        self.speaking.append((session_id, speaking))
        self._changed.set()

    def media_spurt(self, session_id: str, start: float, end: float, **fields: Any) -> None:
        self.spurts.append({"session_id": session_id, "start": start, "end": end, **fields})
        self._changed.set()

    def media_levels(self, levels: Mapping[str, float]) -> None:
        self.levels.append(levels)
        self._changed.set()

    def media_quality(self, session_id: str, view: QualityView) -> None:
        self.quality.setdefault(session_id, []).append(view)
        self._changed.set()

    def media_contradiction(self, session_id: str, contradiction: str) -> None:
        self.contradictions.append((session_id, contradiction))
        self._changed.set()

    def media_slots(self, session_id: str, slots: Sequence[SlotView]) -> None:
        self.slots[session_id] = {slot.mid: slot.session_id for slot in slots}
        self._changed.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(TIMEOUT):
            while not condition():
                self._changed.clear()
                await self._changed.wait()


class Studio:
    """An engine and the peers that a test connects to it."""

    def __init__(self, settings: Settings, *, portable: bool = False) -> None:
        self.facts = Facts()
        self.engine = MediaEngine(settings, self.facts, portable_socket=portable)
        self.peers: dict[str, Peer] = {}

    async def connect(self, name: str, options: OfferOptions | None = None, room: str = "room") -> Peer:
        peer = self.peers[name] = Peer(options)
        self.engine.open(room, name)
        peer.set_answer(await self.engine.negotiate(name, peer.create_offer()))
        await peer.connect(timeout=TIMEOUT)
        await self.facts.until(lambda: name in self.facts.connected)
        return peer

    def mid_of(self, listener: str, speaker: str) -> str:
        return next(mid for mid, heard in self.facts.slots[listener].items() if heard == speaker)

    async def heard(self, listener: str, speaker: str, count: int) -> list[bytes]:
        packets = await self.peers[listener].receive(self.mid_of(listener, speaker), count, timeout=TIMEOUT)
        return [p.payload for p in packets]

    async def processed(self, condition: Callable[[dict[str, int | float]], bool]) -> None:
        """Loopback delivers at once; the engine reads in the next turns of the loop."""
        async with asyncio.timeout(TIMEOUT):
            while not condition(self.engine.stats()):  # noqa: ASYNC110 - counters tell nobody when they change
                await asyncio.sleep(0)

    async def close(self) -> None:
        for peer in self.peers.values():
            await peer.close()
        await self.engine.close()


@pytest.fixture(params=["batched", "portable"])
async def studio(settings: Settings, request: pytest.FixtureRequest) -> AsyncIterator[Studio]:
    studio = Studio(settings, portable=request.param == "portable")
    await studio.engine.start()
    yield studio
    await studio.close()


async def settled(studio: Studio, listener: str, speaker: str) -> str:
    """Wait until the first packet of a voice has come through: its slot is on."""
    await studio.facts.until(lambda: speaker in studio.facts.slots.get(listener, {}).values())
    mid = studio.mid_of(listener, speaker)
    async with asyncio.timeout(TIMEOUT):
        while studio.peers[listener].slots[mid].received == 0:
            studio.peers[speaker].send_rtp(VOICE, level=127)
            await asyncio.sleep(0.001)
    return mid


async def test_what_one_says_the_other_hears(studio: Studio) -> None:
    a, b = await studio.connect("a"), await studio.connect("b", OfferOptions(opus_payload_type=109))
    mid = await settled(studio, "b", "a")
    seen = b.slots[mid].received
    sent = [b"\x78" + bytes([n]) * n for n in range(1, 40)]
    for payload in sent:
        a.send_rtp(payload, level=20)
    packets = (await b.receive(mid, seen + len(sent)))[-len(sent) :]
    assert [p.payload for p in packets] == sent
    assert {p.payload_type for p in packets} == {109}
    assert {p.ssrc for p in packets} == {b.slots[mid].ssrc}
    assert [(y.sequence - x.sequence) & 0xFFFF for x, y in zip(packets, packets[1:], strict=False)] == [1] * (len(sent) - 1)  # noqa: RUF007
    assert (a.strays, b.strays, a.unreadable, b.unreadable) == (0, 0, 0, 0)


async def test_rooms_do_not_hear_each_other(studio: Studio) -> None:
    a = await studio.connect("a", room="one")
    await studio.connect("b", room="two")
    a.send_rtp(VOICE, level=20)
    await studio.processed(lambda stats: stats["packets_in"] >= 1)
    assert studio.engine.stats()["packets_out"] == 0


async def test_speaking_is_noticed_measured_and_ends_without_packets(studio: Studio) -> None:
    a = await studio.connect("a")
    for _ in range(50):  # a second of RTP time, sent at once
        a.send_rtp(VOICE, level=20)
    await studio.facts.until(lambda: ("a", True) in studio.facts.speaking)
    await studio.facts.until(lambda: bool(studio.facts.levels))
    assert studio.facts.levels[0].keys() == {"a"}
    assert 0.0 <= studio.facts.levels[0]["a"] <= 1.0
    await studio.facts.until(lambda: ("a", False) in studio.facts.speaking)
    assert studio.engine.speaking_ms("a") == 1000
    *open_ones, last = studio.facts.spurts
    assert all(spurt["is_open"] and spurt["start"] == pytest.approx(last["start"], abs=0.001) for spurt in open_ones)
    assert (last["session_id"], last["is_open"], last["peak_dbov"], last["mean_dbov"]) == ("a", False, 20, 20)
    assert last["end"] - last["start"] == pytest.approx(1.0)
    studio.engine.close_session("a")
    assert studio.engine.speaking_ms("a") == 0


async def test_a_muted_microphone_is_neither_heard_nor_measured(studio: Studio) -> None:
    a, b = await studio.connect("a"), await studio.connect("b")
    mid = await settled(studio, "b", "a")
    for _ in range(5):
        a.send_rtp(VOICE, level=20)
    await studio.facts.until(lambda: ("a", True) in studio.facts.speaking)
    studio.engine.set_muted("a", True)
    studio.engine.set_muted("a", True)
    assert studio.facts.speaking[-1] == ("a", False)
    spoken, out = studio.engine.speaking_ms("a"), studio.engine.stats()["packets_out"]
    for _ in range(50):
        a.send_rtp(b"\x78secret", level=20)
    await studio.processed(lambda stats: stats["dropped"] >= 50)
    assert studio.engine.stats()["packets_out"] == out
    assert studio.engine.speaking_ms("a") == spoken
    studio.engine.set_muted("a", False)
    a.send_rtp(b"\x78again", level=20)
    packets = await b.receive(mid, int(out) + 1)
    assert packets[-1].payload == b"\x78again"
    assert (packets[-1].sequence - packets[-2].sequence) & 0xFFFF == 1
    assert packets[-1].marker


async def test_mute_before_the_connection_holds(studio: Studio) -> None:
    studio.engine.open("room", "early")
    studio.engine.set_muted("early", True)
    peer = studio.peers["early"] = Peer()
    peer.set_answer(await studio.engine.negotiate("early", peer.create_offer()))
    await peer.connect(timeout=TIMEOUT)
    peer.send_rtp(VOICE, level=20)
    await studio.processed(lambda stats: stats["dropped"] == 1)
    studio.engine.set_muted("nobody", True)


async def test_one_leaves_and_another_joins_without_a_new_offer(studio: Studio) -> None:
    a = await studio.connect("a")
    await studio.connect("b")
    mid = await settled(studio, "a", "b")
    ssrc = a.slots[mid].ssrc
    studio.engine.close_session("b")
    assert set(studio.facts.slots["a"].values()) == {None}
    await studio.connect("c")
    assert await settled(studio, "a", "c") == mid
    assert a.slots[mid].ssrc == ssrc
    sequence = [p.sequence for p in a.slots[mid].packets]
    assert [(y - x) & 0xFFFF for x, y in zip(sequence, sequence[1:], strict=False)] == [1] * (len(sequence) - 1)  # noqa: RUF007


async def test_a_plain_client_with_one_section_gets_one_slot(studio: Studio) -> None:
    await studio.connect("plain", OfferOptions(plain=True))
    await studio.connect("b")
    await settled(studio, "plain", "b")
    await settled(studio, "b", "plain")
    await studio.connect("c")
    assert list(studio.facts.slots["plain"].values()) == ["b"]


async def test_a_client_is_followed_to_its_new_address(studio: Studio) -> None:
    a, b = await studio.connect("a"), await studio.connect("b")
    mid = await settled(studio, "b", "a")
    await b.move()
    seen = b.slots[mid].received
    a.send_rtp(b"\x78after the move", level=20)
    assert (await b.receive(mid, seen + 1))[-1].payload == b"\x78after the move"
    seen_a = a.slots[await settled(studio, "a", "b")].received
    assert seen_a >= 1


async def test_an_ice_restart_keeps_keys_and_slots(studio: Studio) -> None:
    a, b = await studio.connect("a"), await studio.connect("b")
    mid = await settled(studio, "b", "a")
    ssrc = b.slots[mid].ssrc
    before = b.answer
    assert before is not None
    b.set_answer(await studio.engine.negotiate("b", b.create_offer(restart=True)))
    assert b.answer is not None
    assert b.answer.credentials != before.credentials
    assert b.slots[mid].ssrc == ssrc
    await b.recheck()
    seen = b.slots[mid].received
    a.send_rtp(VOICE, level=20)
    await b.receive(mid, seen + 1)


async def test_a_new_connection_of_a_session_replaces_the_old_one(studio: Studio) -> None:
    a, old = await studio.connect("a"), await studio.connect("b")
    await settled(studio, "a", "b")
    studio.facts.connected.remove("b")
    new = Peer()
    new.set_answer(await studio.engine.negotiate("b", new.create_offer()))
    await new.connect(timeout=TIMEOUT)
    await studio.facts.until(lambda: "b" in studio.facts.connected)
    await old.close()
    studio.peers["b"] = new
    await settled(studio, "b", "a")
    before = a.slots[studio.mid_of("a", "b")].received
    await settled(studio, "a", "b")
    new.send_rtp(VOICE, level=20)
    packets = await a.receive(studio.mid_of("a", "b"), before + 1)
    sequence = [p.sequence for p in packets]
    assert [(y - x) & 0xFFFF for x, y in zip(sequence, sequence[1:], strict=False)] == [1] * (len(sequence) - 1)  # noqa: RUF007


async def test_another_certificate_than_the_offers_never_reaches_media(studio: Studio) -> None:
    peer = studio.peers["a"] = Peer(OfferOptions(fingerprint=":".join(["AB"] * 32)))
    studio.engine.open("room", "a")
    peer.set_answer(await studio.engine.negotiate("a", peer.create_offer()))
    with contextlib.suppress(DtlsError):  # whether the client hears of it depends on who is faster
        await peer.connect(timeout=TIMEOUT)
    await studio.facts.until(lambda: "a" in studio.facts.failed)
    assert "fingerprint" in studio.facts.failed["a"]
    assert studio.facts.connected == []
    assert studio.engine.stats()["transports"] == 0


async def test_a_wrong_password_gets_no_answer(studio: Studio) -> None:
    peer = studio.peers["a"] = Peer()
    studio.engine.open("room", "a")
    answer = await studio.engine.negotiate("a", peer.create_offer())
    peer.set_answer(answer.replace("a=ice-pwd:", "a=ice-pwd:x"))
    with pytest.raises(IceError):
        await peer.connect(timeout=0.3)
    assert studio.engine.last_seen("a") is None
    assert studio.engine.stats()["unauthenticated"] > 0


async def test_the_clients_goodbye_frees_its_slots(studio: Studio) -> None:
    a = await studio.connect("a")
    await studio.connect("b")
    await settled(studio, "b", "a")
    for _ in range(5):
        a.send_rtp(VOICE, level=10)
    await studio.facts.until(lambda: ("a", True) in studio.facts.speaking)
    await a.close()
    await studio.facts.until(lambda: "a" in studio.facts.failed)
    assert studio.facts.speaking[-1] == ("a", False)
    assert set(studio.facts.slots["b"].values()) == {None}
    assert studio.engine.speaking_ms("a") > 0, "the measure outlives the connection"


@pytest.mark.parametrize(
    "datagram",
    [
        b"",
        b"\x80",
        b"\x80\x6f" + bytes(40),  # RTP that nobody protected
        b"\x80\xc9" + bytes(40),  # RTCP likewise
        b"\x16\xfe\xfd" + bytes(30),  # DTLS
        b"\x00\x01\x00\x00\x21\x12\xa4\x42" + bytes(12),  # a check without integrity
        b"\x47" + bytes(100),  # no protocol of ours
        bytes(2048),
        b"\x80\x6f" + bytes(2046),  # longer than any packet
    ],
    ids=len,
)
async def test_garbage_from_a_stranger_or_a_client_changes_nothing(studio: Studio, datagram: bytes) -> None:
    a = await studio.connect("a")
    await studio.connect("b")
    mid = await settled(studio, "b", "a")
    port = int(studio.engine.stats()["port"])
    loop = asyncio.get_running_loop()
    stranger, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=("127.0.0.1", port))
    stranger.sendto(datagram)
    a.send_raw(datagram)
    seen = studio.peers["b"].slots[mid].received
    a.send_rtp(b"\x78still here", level=20)
    assert (await studio.peers["b"].receive(mid, seen + 1))[-1].payload == b"\x78still here"
    stranger.close()


async def test_rtcp_of_any_kind_is_not_fatal(studio: Studio) -> None:
    a = await studio.connect("a")
    report = struct.pack("!BBHIIIIIII", 0x81, 201, 7, 1, 2, 0x01000001, 3, 4, 5, 6)
    for packet in (report, struct.pack("!BBHI", 0x80, 201, 9, 1), struct.pack("!BBHI", 0x81, 205, 1, 1)):
        a.send_rtcp(packet)
    a.send_rtp(VOICE, level=20)
    await studio.processed(lambda stats: stats["packets_in"] == 1)
    assert studio.engine.stats()["malformed"] >= 1


async def test_a_packet_without_level_is_forwarded(studio: Studio) -> None:
    a = await studio.connect("a", OfferOptions(audio_level_id=None))
    b = await studio.connect("b")
    mid = await settled(studio, "b", "a")
    seen = b.slots[mid].received
    a.send_rtp(b"\xf8\xff\xfe", level=None)
    assert (await b.receive(mid, seen + 1))[-1].payload == b"\xf8\xff\xfe"


async def test_who_only_listens_is_not_measured(studio: Studio) -> None:
    a = await studio.connect("a")
    listener = await studio.connect("listener", OfferOptions(listen_only=True))
    mid = await settled(studio, "listener", "a")
    a.send_rtp(VOICE, level=20)
    await listener.receive(mid, 2)
    dropped = studio.engine.stats()["dropped"]
    listener.send_rtp(VOICE, level=20)
    await studio.processed(lambda stats: stats["dropped"] == dropped + 1)
    assert studio.engine.speaking_ms("listener") == 0


async def test_a_voice_that_starts_takes_a_silent_slot(studio: Studio) -> None:
    for name in ("a", "b", "c"):
        await studio.connect(name, OfferOptions(slots=1))
    assert list(studio.facts.slots["c"].values()) == ["a"]
    for _ in range(3):
        studio.peers["b"].send_rtp(VOICE, level=10)
    await studio.facts.until(lambda: list(studio.facts.slots["c"].values()) == ["b"])
    await settled(studio, "c", "b")


async def misuse(call: Callable[[], Awaitable[str]], error: type[Exception]) -> None:
    with pytest.raises(error):
        await call()


async def test_misuse_is_told(studio: Studio) -> None:
    await misuse(lambda: studio.engine.negotiate("nobody", "v=0"), KeyError)
    studio.engine.open("room", "a")
    with pytest.raises(ValueError, match="open already"):
        studio.engine.open("room", "a")
    await misuse(lambda: studio.engine.negotiate("a", "hello"), OfferError)
    studio.engine.close_session("a")
    studio.engine.close_session("a")
    assert studio.engine.last_seen("a") is None


async def test_closing_gives_everything_back(settings: Settings) -> None:
    before = asyncio.all_tasks()
    studio = Studio(settings)
    assert studio.engine.stats()["port"] == 0
    await studio.engine.start()
    assert studio.engine.alive
    assert studio.engine.port > 0
    for name in ("a", "b", "c"):
        await studio.connect(name)
    demultiplexer = studio.engine._open_port().demultiplexer
    await studio.engine.close()
    await studio.engine.close()
    assert studio.engine.port == 0
    assert len(studio.engine._rooms) == 0
    assert demultiplexer.is_empty
    for peer in studio.peers.values():
        await peer.close()
    assert asyncio.all_tasks() == before
