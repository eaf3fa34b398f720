from __future__ import annotations

import asyncio
import uuid
from collections import Counter

import pytest

from server.errors import AlreadyInRoom, Draining, InternalError, InvalidRequest, RoomFull, ServerAtCapacity
from server.storage.database import Database
from server.voice.participant import EndReason, ParticipantState, Role
from server.voice.ports import JoinCommand, JoinResult, StoreBusy
from server.voice.service import ServiceState, VoiceService
from tests.voice.fakes import START, Events, FakeClock, FakeMedia, FlakyStore, command, until
from tests.voice.rows import open_rows, rows, users


async def outcomes(*joins: JoinCommand, service: VoiceService) -> list[JoinResult | BaseException]:
    return await asyncio.gather(*(service.join(join) for join in joins), return_exceptions=True)


async def test_join_takes_a_place_writes_a_row_and_opens_media(
    service: VoiceService, database: Database, media: FakeMedia, events: Events
) -> None:
    result = await service.join(JoinCommand("lobby", "anna", "Anna", "materie", "🦊", Role.MODERATOR))
    anna = result.participant
    assert str(uuid.UUID(anna.session_id, version=4)) == anna.session_id
    assert (result.participants, result.max_participants) == ((anna,), 10)
    assert (anna.state, anna.joined_at) == (ParticipantState.RESERVED, START)
    assert media.opened == {anna.session_id: "lobby"}
    assert service.roster("lobby") == (anna,)
    row = (await rows(database))[anna.session_id]
    known = {
        "session_id": anna.session_id,
        "room_id": "lobby",
        "user_id": "anna",
        "username": "Anna",
        "world": "materie",
        "joined_at": "2026-02-13T17:30:00.123Z",
        "left_at": None,
        "duration_seconds": None,
        "speaking_seconds": 0,
        "created_at": "2026-02-13T17:30:00.123Z",
        "duration_ms": None,
        "speaking_ms": 0,
        "end_reason": None,
        "last_seen": "2026-02-13T17:30:00.123Z",
        "avatar_emoji": "🦊",
        "role": "moderator",
        "room_seq": 1,
    }
    assert known.items() <= row.items()
    assert events.all == [], "others hear of it when the WebSocket is there"


async def test_a_user_is_noted_and_a_join_gives_no_lasting_role(
    service: VoiceService, database: Database, clock: FakeClock
) -> None:
    await service.join(JoinCommand("lobby", "anna", "Anna", "materie", "🦊", Role.ADMIN))
    clock.advance(60)
    await service.join(JoinCommand("attic", "anna", "Anna B.", "materie"))
    assert (await users(database))["anna"] | {"role_worlds": None, "role_rooms": None} == {
        "user_id": "anna",
        "username": "Anna B.",
        "role": "user",
        "role_worlds": None,
        "role_rooms": None,
        "avatar_emoji": "🦊",
        "created_at": "2026-02-13T17:30:00.123Z",
        "last_active": "2026-02-13T17:31:00.123Z",
    }


async def test_of_200_simultaneous_joins_to_a_room_of_10_exactly_10_succeed(service: VoiceService, database: Database) -> None:
    results = await outcomes(*(command(f"user {number}") for number in range(200)), service=service)
    assert Counter(type(result) for result in results) == {JoinResult: 10, RoomFull: 190}
    [refusal] = {str(result) for result in results if isinstance(result, RoomFull)}
    assert refusal == "Room full {'current_participant_count': 10, 'max_participants': 10}"
    joined = [result.participant for result in results if isinstance(result, JoinResult)]
    assert service.roster("lobby") == tuple(joined), "in the order of joining"
    assert await open_rows(database) == [participant.session_id for participant in joined]


async def test_of_50_simultaneous_joins_of_one_user_exactly_one_succeeds(service: VoiceService, database: Database) -> None:
    results = await outcomes(*[command()] * 50, service=service)
    assert Counter(type(result) for result in results) == {JoinResult: 1, AlreadyInRoom: 49}
    [session_id] = await open_rows(database)
    assert {result.details["session_id"] for result in results if isinstance(result, AlreadyInRoom)} == {session_id}


async def test_each_joiner_sees_who_is_there_by_then(service: VoiceService) -> None:
    results = await outcomes(command("anna"), command("bert"), command("cleo"), service=service)
    sizes = [len(result.participants) for result in results if isinstance(result, JoinResult)]
    assert sizes[-1] == 3
    for result in results:
        assert isinstance(result, JoinResult)
        assert result.participant in result.participants


async def test_a_place_is_free_as_soon_as_a_leave_was_called(service: VoiceService) -> None:
    first, *_ = [await service.join(command(f"user {number}")) for number in range(10)]
    leaving = asyncio.create_task(service.end(first.participant.session_id, EndReason.LEFT))
    result = await service.join(command("late"))
    assert len(result.participants) == 10
    await leaving


async def test_a_room_s_world_is_that_of_those_inside(service: VoiceService) -> None:
    anna = (await service.join(command("anna"))).participant
    with pytest.raises(InvalidRequest) as refusal:
        await service.join(command("bert", world="energie"))
    assert refusal.value.details["field"] == "world"
    await service.end(anna.session_id, EndReason.LEFT)
    assert (await service.join(command("bert", world="energie"))).participant.world == "energie"


async def test_one_user_in_two_rooms(service: VoiceService) -> None:
    await service.join(command(room="lobby"))
    await service.join(command(room="attic", world="energie"))
    assert [view.room_id for view in service.active_rooms("materie")] == ["lobby"]
    assert [view.room_id for view in service.active_rooms("energie")] == ["attic"]


async def test_no_media_no_session(service: VoiceService, database: Database, media: FakeMedia, events: Events) -> None:
    media.fail_open = OSError("no port")
    with pytest.raises(InternalError):
        await service.join(command())
    [row] = (await rows(database)).values()
    assert (row["end_reason"], row["duration_ms"]) == ("rolled_back", 0)
    assert service.roster("lobby") == ()
    assert events.all == []
    media.fail_open = None
    await service.join(command())


async def test_a_caller_that_is_cancelled_leaves_nothing_behind(
    service: VoiceService, store: FlakyStore, database: Database, media: FakeMedia
) -> None:
    store.hold = asyncio.Event()
    joining = asyncio.create_task(service.join(command()))
    await store.entered.wait()
    joining.cancel()
    with pytest.raises(asyncio.CancelledError):
        await joining
    store.hold.set()
    await service.close()
    [row] = (await rows(database)).values()
    assert row["end_reason"] == "rolled_back"
    assert media.opened == {}
    assert service.roster("lobby") == ()


async def test_a_caller_that_is_cancelled_as_the_answer_arrives_leaves_nothing_behind(
    service: VoiceService, database: Database
) -> None:
    joining = asyncio.create_task(service.join(command()))
    await until(lambda: service.roster("lobby") != ())
    joining.cancel()
    with pytest.raises(asyncio.CancelledError):
        await joining
    await service.close()
    assert [row["end_reason"] for row in (await rows(database)).values()] == ["rolled_back"]


async def test_a_cancelled_join_that_was_refused_ends_quietly(service: VoiceService, store: FlakyStore) -> None:
    await service.join(command())
    store.hold = asyncio.Event()
    store.entered.clear()
    joining = asyncio.create_task(service.join(command()))
    await store.entered.wait()
    joining.cancel()
    store.hold.set()
    with pytest.raises(asyncio.CancelledError):
        await joining
    await service.close()


async def test_a_store_that_fails_or_is_busy_is_told_in_the_fixed_words(
    service: VoiceService, store: FlakyStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.broken = True
    with pytest.raises(InternalError):
        await service.join(command())

    async def busy(*_: object) -> None:
        raise StoreBusy

    monkeypatch.setattr(store, "open_session", busy)
    with pytest.raises(ServerAtCapacity) as refusal:
        await service.join(command())
    assert refusal.value.retry_after == 1
    assert service.stats()["participants"] == 0


async def test_callers_do_not_gather_without_end_at_a_store_that_hangs(service: VoiceService, store: FlakyStore) -> None:
    store.hold = asyncio.Event()
    joining = [asyncio.create_task(service.join(command(f"user {number}"))) for number in range(1001)]
    [refused], waiting = await asyncio.wait(joining, return_when=asyncio.FIRST_COMPLETED)
    assert isinstance(refused.exception(), ServerAtCapacity)
    store.hold.set()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert Counter(type(result) for result in results) == {JoinResult: 10, RoomFull: 990}


async def test_nobody_comes_in_before_the_start_and_after_the_stop(service: VoiceService, store: FlakyStore) -> None:
    await service.close()
    with pytest.raises(Draining) as refusal:
        await service.join(command())
    assert refusal.value.retry_after is not None


async def test_a_join_under_way_at_the_stop_is_undone(service: VoiceService, store: FlakyStore, database: Database) -> None:
    store.hold = asyncio.Event()
    joining = asyncio.create_task(service.join(command()))
    await store.entered.wait()
    closing = asyncio.create_task(service.close())
    await until(lambda: service.state is ServiceState.CLOSING)
    store.hold.set()
    with pytest.raises(Draining):
        await joining
    await closing
    assert await open_rows(database) == []
