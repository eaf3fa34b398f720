"""Nobody is lost and nobody is a ghost: the rounds of the service, in made-up time."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from server.storage.database import Database
from server.storage.timestamps import from_text
from server.voice.events import ParticipantLeft
from server.voice.participant import EndReason
from server.voice.recorder import Recorder
from server.voice.service import VoiceService
from tests.voice.fakes import START, Events, FakeClock, FakeMedia, FlakyStore, ManualSleep, command, speak
from tests.voice.rows import rows, spoken


@pytest.fixture
async def session_id(service: VoiceService) -> str:
    return (await service.join(command())).participant.session_id


async def test_a_place_whose_client_never_comes_is_rolled_back(
    *, service: VoiceService, session_id: str, clock: FakeClock, database: Database, recorder: Recorder, events: Events
) -> None:
    clock.advance(19.9)
    service.judge()
    assert service.roster("lobby")
    clock.advance(0.1)
    service.judge()
    assert service.roster("lobby") == ()
    await recorder.flush()
    row = (await rows(database))[session_id]
    assert (row["end_reason"], row["left_at"], row["duration_ms"]) == ("rolled_back", row["joined_at"], 0)
    assert events.all == []


async def test_silence_ends_a_stay_at_the_last_sign_of_life(
    *,
    service: VoiceService,
    session_id: str,
    clock: FakeClock,
    database: Database,
    recorder: Recorder,
    media: FakeMedia,
    events: Events,
) -> None:
    service.signalling_attached(session_id)
    clock.advance(10)
    service.signalling_seen(session_id)
    speak(service, clock, session_id, 4000)
    clock.advance(5)
    media.seen[session_id] = clock.monotonic() - 1.5
    service.judge()
    clock.advance(6.4)
    service.judge()
    assert service.roster("lobby"), "13.5 s after the join was the last packet, 7.9 s ago"
    clock.advance(0.1)
    service.judge()
    await recorder.flush()
    row = (await rows(database))[session_id]
    assert (row["end_reason"], row["duration_ms"], row["speaking_ms"]) == ("timeout", 13_500, 4000)
    assert events.all[-1] == ParticipantLeft("lobby", session_id, "anna", EndReason.TIMEOUT)
    assert media.opened == {}


@pytest.mark.parametrize("sign", ["signalling", "media"])
async def test_one_kind_of_sign_is_enough(
    service: VoiceService, session_id: str, clock: FakeClock, media: FakeMedia, sign: str
) -> None:
    service.signalling_attached(session_id)
    service.signalling_detached(session_id)
    for _ in range(20):
        clock.advance(7)
        if sign == "signalling":
            service.signalling_seen(session_id)
        else:
            media.seen[session_id] = clock.monotonic()
        service.judge()
    assert service.roster("lobby")


async def test_an_open_websocket_alone_is_no_sign(service: VoiceService, session_id: str, clock: FakeClock) -> None:
    service.signalling_attached(session_id)
    clock.advance(8)
    service.judge()
    assert service.roster("lobby") == ()


async def test_rows_are_marked_so_that_a_crash_costs_a_second(
    *, service: VoiceService, session_id: str, clock: FakeClock, database: Database, recorder: Recorder
) -> None:
    spoken_ms = 0
    for _ in range(10):
        clock.advance(0.5)
        service.media_connected(session_id)
        spoken_ms += 300
        speak(service, clock, session_id, 300)
        service.judge()
        await recorder.flush()
        row = (await rows(database))[session_id]
        assert await spoken(database, session_id) == spoken_ms
        assert spoken_ms - row["speaking_ms"] <= 300
        assert clock.now() - from_text(row["last_seen"]) <= timedelta(seconds=1)


async def test_rounds_go_on_whatever_happens_in_one(
    *,
    service: VoiceService,
    session_id: str,
    rounds: ManualSleep,
    clock: FakeClock,
    monkeypatch: pytest.MonkeyPatch,
    media: FakeMedia,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(session_id: str) -> float | None:
        raise RuntimeError("no")

    assert await rounds.next() == 0.5
    with monkeypatch.context() as broken:
        broken.setattr(media, "last_seen", fail)
        rounds.wake()
        assert await rounds.next() == 0.5
    assert "a round of presence failed" in caplog.text
    clock.advance(20)
    rounds.wake()
    await rounds.next()
    assert service.roster("lobby") == ()


async def test_rounds_do_not_wait_for_a_store_that_hangs(
    service: VoiceService, session_id: str, store: FlakyStore, clock: FakeClock, events: Events
) -> None:
    service.signalling_attached(session_id)
    store.hold = asyncio.Event()
    service.judge()
    clock.advance(8)
    service.judge()
    assert events.of(ParticipantLeft) == [ParticipantLeft("lobby", session_id, "anna", EndReason.TIMEOUT)]
    store.hold.set()


def test_the_clock_of_the_tests_begins_at_a_whole_millisecond() -> None:
    assert START.microsecond % 1000 == 0
