"""Levels that are measured here, because a client tells none or false ones, with real packets."""

from __future__ import annotations

import array
import asyncio
import itertools
import logging
from collections.abc import AsyncIterator, Iterator, Sequence

import pytest

from bench.peer import Peer
from bench.sdp import OfferOptions
from server.config import Settings
from server.media.level_audit import Contradiction
from server.media.level_meter import MAX_WAITING, LevelMeter
from server.media.producer import Producer
from server.media.speaking import SpeakingRules
from tests.browser.speech import make_speech
from tests.media.test_engine import Studio
from tests.media.voices import SAMPLES, Voiced, encode, read_samples

WITHIN_SECONDS = 5.0


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> list[Voiced]:
    """A sentence without a pause, 24 kbit/s and every packet of the same size, so that its size tells nothing."""
    folder = tmp_path_factory.mktemp("speech")
    path = make_speech(folder, utterances=1, speech_seconds=3.0, pause_seconds=0.1, lead_seconds=0.0).path
    return encode(read_samples(path), 24_000, vbr="off")[:145]


@pytest.fixture(scope="module")
def silence() -> list[Voiced]:
    return encode(array.array("h", bytes(2 * SAMPLES * 50)), 24_000, vbr="off")


@pytest.fixture
async def studio(settings: Settings) -> AsyncIterator[Studio]:
    studio = Studio(settings)
    await studio.engine.start()
    yield studio
    await studio.close()


class Talk:
    """Sends packets every 20 ms until it is left."""

    def __init__(self, peer: Peer, packets: Iterator[Voiced], level: int | None) -> None:
        self._peer, self._packets, self._level = peer, packets, level
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> None:
        self._task = asyncio.create_task(self._send())

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.wait({self._task})

    async def _send(self) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time()
        for _, payload in self._packets:
            self._peer.send_rtp(payload, level=self._level)
            due += 0.02
            await asyncio.sleep(max(0.0, due - loop.time()))


async def seconds_until_flagged(studio: Studio, peer: Peer, packets: Sequence[Voiced], level: int) -> float:
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with Talk(peer, itertools.cycle(packets), level):
        await studio.facts.until(lambda: bool(studio.facts.contradictions))
    return loop.time() - began


async def test_loud_claimed_over_silence_is_flagged_and_counts_no_more(
    studio: Studio, silence: list[Voiced], caplog: pytest.LogCaptureFixture
) -> None:
    liar = await studio.connect("liar")
    with caplog.at_level(logging.WARNING):
        assert await seconds_until_flagged(studio, liar, silence, 24) < WITHIN_SECONDS
    assert studio.facts.contradictions == [("liar", "loud_over_silence")]
    assert "session liar: its levels are false: loud_over_silence" in caplog.text
    async with Talk(liar, itertools.cycle(silence), 24):
        await studio.facts.until(lambda: ("liar", False) in studio.facts.speaking)
        counted = studio.engine.speaking_ms("liar")
        seen = studio.engine.stats()["packets_in"]
        await studio.processed(lambda stats: stats["packets_in"] >= seen + 30)
    assert studio.engine.speaking_ms("liar") == counted
    assert len(studio.facts.contradictions) == 1


async def test_silence_claimed_over_speech_is_flagged_and_counts_from_then_on(studio: Studio, speech: list[Voiced]) -> None:
    liar = await studio.connect("liar")
    assert await seconds_until_flagged(studio, liar, speech, 127) < WITHIN_SECONDS
    assert studio.facts.contradictions == [("liar", "silence_over_speech")]
    assert studio.engine.speaking_ms("liar") == 0
    async with Talk(liar, itertools.cycle(speech), 127):
        await studio.facts.until(lambda: ("liar", True) in studio.facts.speaking)
    assert studio.engine.speaking_ms("liar") > 0


async def test_an_offer_made_anew_does_not_make_a_liar_honest(studio: Studio, silence: list[Voiced]) -> None:
    liar = await studio.connect("liar")
    await seconds_until_flagged(studio, liar, silence, 24)
    liar.set_answer(await studio.engine.negotiate("liar", liar.create_offer(restart=True)))
    await liar.recheck()
    await studio.facts.until(lambda: studio.facts.speaking[-1] == ("liar", False))
    counted = studio.engine.speaking_ms("liar")
    seen = studio.engine.stats()["packets_in"]
    for _ in range(20):
        liar.send_rtp(silence[0][1], level=10)
    await studio.processed(lambda stats: stats["packets_in"] >= seen + 20)
    assert studio.engine.speaking_ms("liar") == counted


async def test_a_client_without_levels_is_measured(studio: Studio, speech: list[Voiced]) -> None:
    plain = await studio.connect("plain", OfferOptions(audio_level_id=None))
    loop = asyncio.get_running_loop()
    began = loop.time()
    async with Talk(plain, iter(speech), None):
        await studio.facts.until(lambda: ("plain", True) in studio.facts.speaking)
        shown_after = loop.time() - began
        await studio.facts.until(lambda: ("plain", False) in studio.facts.speaking)
    assert shown_after < 0.15
    # Cut out of running speech, it begins and ends with sound.
    assert studio.engine.speaking_ms("plain") == pytest.approx(len(speech) * 20, abs=100)
    assert studio.facts.contradictions == []


async def test_a_microphone_that_is_cut_off_leaves_nothing_behind(studio: Studio, speech: list[Voiced]) -> None:
    plain = await studio.connect("plain", OfferOptions(audio_level_id=None))
    for _, payload in speech[:50]:
        plain.send_rtp(payload, level=None)
    await studio.processed(lambda stats: stats["packets_in"] >= 1)
    studio.engine.close_session("plain")
    await studio.engine.close()
    assert studio.engine.speaking_ms("plain") == 0


class Readings:
    """A LevelListener that keeps what it is told."""

    def __init__(self) -> None:
        self.levels: list[tuple[int, int]] = []
        self.changed = asyncio.Event()

    def level_measured(self, producer: Producer, timestamp: int, duration: int, level: int) -> None:
        self.levels.append((timestamp, level))
        self.changed.set()

    def level_contradicted(self, producer: Producer, contradiction: Contradiction) -> None:
        raise AssertionError("nothing was claimed")


async def test_what_waits_is_bounded(speech: list[Voiced]) -> None:
    readings = Readings()
    meter = LevelMeter(readings, 50)
    producer = Producer("room", "a", SpeakingRules(), 0.0)
    meter.add(producer)
    meter.add(producer)
    count = MAX_WAITING + 30
    for n in range(count):
        meter.measure(producer, n * 960, 960, speech[n % len(speech)][1])
    # The first one is on its way, the others wait for it.
    assert meter.dropped == count - 1 - MAX_WAITING
    async with asyncio.timeout(WITHIN_SECONDS):
        while len(readings.levels) < 1 + MAX_WAITING:
            readings.changed.clear()
            await readings.changed.wait()
    timestamps = [timestamp for timestamp, _ in readings.levels]
    assert timestamps == sorted(timestamps)
    assert timestamps[-1] == (count - 1) * 960
    meter.remove(producer)
    meter.measure(producer, 0, 960, speech[0][1])
    await meter.close()
    assert len(readings.levels) == 1 + MAX_WAITING
