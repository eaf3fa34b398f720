from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from datetime import timedelta

import pytest

from server.errors import InternalError, SessionAlreadyEnded, SessionNotFound
from server.storage.database import Database
from server.voice.events import ParticipantLeft, SpeakingChanged
from server.voice.participant import EndReason, ParticipantState
from server.voice.ports import SessionSummary
from server.voice.recorder import Recorder
from server.voice.service import ServiceState, VoiceService
from tests.voice.fakes import START, Events, FakeClock, FakeMedia, FakeSettings, FlakyStore, ManualSleep, command, speak, until
from tests.voice.rows import open_rows, rows, users


async def join(service: VoiceService, user: str = "anna") -> str:
    return (await service.join(command(user))).participant.session_id


async def test_end_gives_the_account_of_the_stay(
    service: VoiceService, database: Database, clock: FakeClock, media: FakeMedia, events: Events
) -> None:
    session_id = await join(service)
    service.signalling_attached(session_id)
    participant = service.participant(session_id)
    clock.advance(61.5)
    speak(service, clock, session_id, 20_499)
    summary = await service.end(session_id, EndReason.LEFT)
    left_at = START + timedelta(seconds=61.5)
    assert summary == SessionSummary(session_id, "lobby", "anna", "materie", START, left_at, 61_500, 20_499, EndReason.LEFT)
    row = (await rows(database))[session_id]
    assert (row["left_at"], row["end_reason"]) == ("2026-02-13T17:31:01.623Z", "left")
    assert (row["duration_ms"], row["duration_seconds"]) == (61_500, 62)
    assert (row["speaking_ms"], row["speaking_seconds"]) == (20_499, 20)
    assert (await users(database))["anna"]["last_active"] == row["left_at"]
    assert participant.state is ParticipantState.ENDED
    assert media.opened == {}
    assert events.all[-1] == ParticipantLeft("lobby", session_id, "anna", EndReason.LEFT)
    assert (service.roster("lobby"), service.active_rooms("materie")) == ((), ())


async def test_who_was_never_announced_leaves_without_a_word(service: VoiceService, events: Events) -> None:
    await service.end(await join(service), EndReason.LEFT)
    assert events.all == []


async def test_who_leaves_while_speaking_stops_first(service: VoiceService, events: Events, media: FakeMedia) -> None:
    session_id = await join(service)
    service.signalling_attached(session_id)
    service.media_speaking(session_id, True, 0.5)
    media.at_close = lambda closed: service.media_speaking(closed, False, 0.0)
    await service.end(session_id, EndReason.KICKED)
    assert events.all[-2:] == [
        SpeakingChanged("lobby", session_id, "anna", False, 0.0),
        ParticipantLeft("lobby", session_id, "anna", EndReason.KICKED),
    ]


async def test_of_many_simultaneous_ends_one_does_it(service: VoiceService, events: Events, clock: FakeClock) -> None:
    session_id = await join(service)
    service.signalling_attached(session_id)
    clock.advance(1)
    results = await asyncio.gather(*(service.end(session_id, EndReason.LEFT) for _ in range(20)), return_exceptions=True)
    assert Counter(type(result) for result in results) == {SessionSummary: 1, SessionAlreadyEnded: 19}
    left_at = START + timedelta(seconds=1)
    assert {result.details["left_at"] for result in results if isinstance(result, SessionAlreadyEnded)} == {left_at}
    assert len(events.of(ParticipantLeft)) == 1


async def test_a_second_end_is_told_when_the_first_was(service: VoiceService, clock: FakeClock) -> None:
    session_id = await join(service)
    summary = await service.end(session_id, EndReason.LEFT)
    clock.advance(3600)
    with pytest.raises(SessionAlreadyEnded) as refusal:
        await service.end(session_id, EndReason.LEFT)
    assert refusal.value.details == {"session_id": session_id, "left_at": summary.left_at}


async def test_an_unknown_session(service: VoiceService, store: FlakyStore) -> None:
    with pytest.raises(SessionNotFound):
        await service.end(str(uuid.uuid4()), EndReason.LEFT)
    with pytest.raises(SessionNotFound):
        service.participant("nobody")
    store.broken = True
    with pytest.raises(InternalError):
        await service.end(str(uuid.uuid4()), EndReason.LEFT)


@pytest.mark.parametrize("correction", [timedelta(days=-400), timedelta(days=400)])
async def test_a_wall_clock_that_is_set_changes_no_stay(service: VoiceService, clock: FakeClock, correction: timedelta) -> None:
    session_id = await join(service)
    clock.wall += correction
    clock.advance(5)
    summary = await service.end(session_id, EndReason.LEFT)
    assert (summary.duration_ms, summary.left_at) == (5000, START + timedelta(seconds=5))


async def test_nobody_speaks_longer_than_they_stay(service: VoiceService, clock: FakeClock) -> None:
    session_id = await join(service)
    clock.advance(1)
    speak(service, clock, session_id, 1020)
    assert (await service.end(session_id, EndReason.LEFT)).speaking_ms == 1000


async def test_media_that_cannot_be_closed_do_not_keep_anyone_in(
    service: VoiceService, clock: FakeClock, media: FakeMedia
) -> None:
    session_id = await join(service)
    service.signalling_attached(session_id)
    clock.advance(5)
    speak(service, clock, session_id, 3000, is_open=True)
    media.fail_close = RuntimeError("no")
    summary = await service.end(session_id, EndReason.LEFT)
    assert (summary.duration_ms, summary.speaking_ms) == (5000, 3000)
    assert service.roster("lobby") == ()


async def test_a_failing_store_holds_nobody_and_its_row_comes_later(
    *,
    service: VoiceService,
    store: FlakyStore,
    database: Database,
    clock: FakeClock,
    retries: ManualSleep,
    recorder: Recorder,
) -> None:
    session_id = await join(service)
    clock.advance(2)
    store.broken = True
    summary = await service.end(session_id, EndReason.LEFT)
    assert summary.duration_ms == 2000
    assert recorder.unwritten_ends == 1
    with pytest.raises(SessionAlreadyEnded):
        await service.end(session_id, EndReason.LEFT)
    await retries.next()
    store.broken = False
    retries.wake()
    await until(lambda: recorder.unwritten_ends == 0)
    assert (await rows(database))[session_id]["end_reason"] == "left"


async def test_after_a_failure_a_join_finds_the_place_of_those_who_left(
    service: VoiceService, store: FlakyStore, database: Database
) -> None:
    sessions = [await join(service, f"user {number}") for number in range(10)]
    store.broken = True
    await service.end(sessions[0], EndReason.LEFT)
    store.broken = False
    await join(service, "user 0")
    assert len(await open_rows(database)) == 10


async def test_close_ends_everyone_and_can_be_called_again(
    service: VoiceService, database: Database, events: Events, clock: FakeClock
) -> None:
    announced, reserved = await join(service, "anna"), await join(service, "bert")
    service.signalling_attached(announced)
    clock.advance(3)
    await service.close()
    assert service.state is ServiceState.CLOSED
    await service.close()
    assert {row["end_reason"] for row in (await rows(database)).values()} == {"server_stop"}
    assert events.of(ParticipantLeft) == [ParticipantLeft("lobby", announced, "anna", EndReason.SERVER_STOP)]
    with pytest.raises(SessionNotFound):
        service.participant(reserved)


async def test_close_is_bounded_and_the_next_start_closes_what_was_left(
    store: FlakyStore, database: Database, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    def new_service() -> VoiceService:
        service = VoiceService(FakeSettings(), store, clock=clock, sleep=ManualSleep(), close_timeout_seconds=0.05)
        service.use_media(FakeMedia())
        return service

    service = new_service()
    await service.start()
    session_id = await join(service)
    store.broken = True
    async with asyncio.timeout(5):
        await service.close()
    assert "1 ends of sessions could not be written" in caplog.text
    assert await open_rows(database) == [session_id]
    store.broken = False
    service = new_service()
    await service.start()
    assert (await rows(database))[session_id]["end_reason"] == "crash_recovery"
    with pytest.raises(SessionAlreadyEnded):
        await service.end(session_id, EndReason.LEFT)
    await service.close()


async def test_a_service_without_media_does_not_start(store: FlakyStore) -> None:
    service = VoiceService(FakeSettings(), store)
    with pytest.raises(RuntimeError, match="use_media"):
        await service.start()
    await service.close()
    assert service.state is ServiceState.CLOSED
