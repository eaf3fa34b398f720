from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from server.i18n import Language
from server.protocol import CloseCode
from server.signalling.hub import CLOSE_CODES, Hub
from server.signalling.outbox import Outbox
from server.signalling.peer import PeerState, Seat
from server.voice.events import (
    HandChanged,
    LevelsChanged,
    LevelsContradicted,
    MediaStateChanged,
    MuteChanged,
    ParticipantJoined,
    ParticipantLeft,
    QualityMeasured,
    SlotsChanged,
    SpeakingChanged,
)
from server.voice.participant import EndReason, MutedBy
from tests.signalling.fakes import Client, new_client, new_participant


def seated(hub: Hub, user_id: str, room_id: str = "lobby") -> Client:
    participant = new_participant(user_id, room_id)
    client = new_client(hub)
    hub.emit(ParticipantJoined(participant))
    client.peer.join(Seat(participant.session_id, room_id, user_id))
    hub.take_seat(client.peer)
    return client


def sid(user_id: str, room_id: str = "lobby") -> str:
    return new_participant(user_id, room_id).session_id


@pytest.fixture
async def hub() -> Hub:
    return Hub()


async def test_others_of_the_room_hear_who_came_and_who_left(hub: Hub) -> None:
    anna, elsewhere = seated(hub, "anna"), seated(hub, "eve", "cellar")
    ben = seated(hub, "ben")
    hub.emit(ParticipantLeft("lobby", sid("ben"), "ben", EndReason.LEFT))
    assert await anna.flush() == [
        {
            "type": "voice_join",
            "sessionId": sid("ben"),
            "userId": "ben",
            "username": "Ben",
            "avatarEmoji": None,
            "isMuted": False,
            "isSpeaking": False,
            "role": "user",
            "handRaised": False,
        },
        {"type": "voice_leave", "sessionId": sid("ben"), "userId": "ben", "reason": "left"},
    ]
    assert await ben.flush() == [{"type": "voice_leave", "sessionId": sid("ben"), "userId": "ben", "reason": "left"}]
    assert await ben.ended() == (1000, "left")
    assert await elsewhere.flush() == []


async def test_every_reason_has_a_close_code() -> None:
    assert set(CLOSE_CODES) == set(EndReason)


@pytest.mark.parametrize("reason", list(EndReason))
async def test_the_connection_of_an_ended_session_is_closed_with_its_reason(hub: Hub, reason: EndReason) -> None:
    anna = seated(hub, "anna")
    hub.emit(ParticipantLeft("lobby", sid("anna"), "anna", reason))
    assert await anna.ended() == (CLOSE_CODES[reason], reason.value)
    assert not hub.closed(anna.peer), "its session is over: there is nothing to detach"


async def test_self_mute_and_hand_are_told_to_the_others(hub: Hub) -> None:
    anna, ben = seated(hub, "anna"), seated(hub, "ben")
    await anna.flush()
    hub.emit(MuteChanged("lobby", sid("anna"), "anna", True, MutedBy.SELF, frozenset({MutedBy.SELF})))
    hub.emit(HandChanged("lobby", sid("anna"), "anna", True))
    assert await anna.flush() == []
    assert await ben.flush() == [
        {"type": "voice_mute", "sessionId": sid("anna"), "userId": "anna", "muted": True, "by": "self"},
        {"type": "voice_hand", "sessionId": sid("anna"), "userId": "anna", "raised": True},
    ]


async def test_a_mute_by_a_moderator_is_told_to_the_muted_too(hub: Hub) -> None:
    anna = seated(hub, "anna")
    hub.emit(MuteChanged("lobby", sid("anna"), "anna", True, MutedBy.MODERATOR, frozenset({MutedBy.MODERATOR})))
    assert [(frame["type"], frame["by"]) for frame in await anna.flush()] == [("voice_mute", "moderator")]


async def test_speaking_is_told_to_all_with_their_own_session_id(hub: Hub) -> None:
    anna, ben = seated(hub, "anna"), seated(hub, "ben")
    await anna.flush()
    hub.emit(SpeakingChanged("lobby", sid("anna"), "anna", True, 0.123456))
    hub.emit(LevelsChanged("lobby", {sid("anna"): 0.5, "a session that is gone": 0.7}))
    hub.emit(LevelsChanged("lobby", {"a session that is gone": 0.7}))
    said = {"sessionId": sid("anna"), "userId": "anna", "speaking": True}
    for client, own in ((anna, sid("anna")), (ben, sid("ben"))):
        assert await client.flush() == [
            {"type": "voice_speaking", "sessionId": own, "speakers": [{**said, "level": 0.123}]},
            {"type": "voice_speaking", "sessionId": own, "speakers": [{**said, "level": 0.5}]},
        ]


async def test_levels_are_left_out_for_a_slow_client_and_changes_are_not(hub: Hub) -> None:
    anna = new_client(hub, outbox=Outbox(max_frames=4))
    participant = new_participant("anna")
    hub.emit(ParticipantJoined(participant))
    anna.peer.join(Seat(participant.session_id, "lobby", "anna"))
    hub.take_seat(anna.peer)
    for _ in range(10):
        hub.emit(LevelsChanged("lobby", {participant.session_id: 0.5}))
    hub.emit(SpeakingChanged("lobby", participant.session_id, "anna", False, 0.0))
    speaking = [frame["speakers"][0]["speaking"] for frame in await anna.flush()]
    assert speaking == [True, False]


async def test_slots_and_media_go_to_the_receiver_only(hub: Hub) -> None:
    anna, ben = seated(hub, "anna"), seated(hub, "ben")
    await anna.flush()
    hub.emit(SlotsChanged("lobby", sid("anna"), (("1", sid("ben"), "ben"), ("2", None, None))))
    hub.emit(MediaStateChanged("lobby", sid("anna"), False, "the handshake failed"))
    assert await anna.flush() == [
        {
            "type": "voice_slots",
            "sessionId": sid("anna"),
            "slots": [
                {"mid": "1", "sessionId": sid("ben"), "userId": "ben"},
                {"mid": "2", "sessionId": None, "userId": None},
            ],
        },
        {"type": "voice_media", "sessionId": sid("anna"), "connected": False, "reason": "the handshake failed"},
    ]
    assert await ben.flush() == []


async def test_slots_that_changed_while_nobody_was_connected_are_told_on_the_next_connection(hub: Hub) -> None:
    anna = seated(hub, "anna")
    assert hub.closed(anna.peer)
    hub.emit(SlotsChanged("lobby", sid("anna"), (("1", None, None),)))
    hub.emit(SlotsChanged("lobby", sid("anna"), (("1", sid("ben"), "ben"),)))
    again = new_client(hub)
    again.peer.join(Seat(sid("anna"), "lobby", "anna"))
    hub.take_seat(again.peer)
    [frame] = await again.flush()
    assert frame["slots"] == [{"mid": "1", "sessionId": sid("ben"), "userId": "ben"}]
    hub.emit(ParticipantLeft("lobby", sid("anna"), "anna", EndReason.LEFT))
    assert hub._slots == {}
    assert hub._user_ids == {}


async def test_quality_is_told_when_it_changes_and_to_those_who_come_later(hub: Hub) -> None:
    anna, ben = seated(hub, "anna"), seated(hub, "ben")
    measured = QualityMeasured("lobby", sid("anna"), "anna", "good", 3.9, 41.26, 2.0, 1.26, 5.04, None, is_news=True)
    hub.emit(measured)
    hub.emit(replace(measured, mos=3.95, is_news=False))
    for client in (anna, ben):
        [frame] = [frame for frame in await client.flush() if frame["type"] != "voice_join"]
        assert frame == {
            "type": "voice_quality",
            "sessionId": sid("anna"),
            "quality": "good",
            "mos": 3.9,
            "rttMs": 41.3,
            "jitterMs": 5.0,
            "lossPct": 1.3,
            "upJitterMs": 2.0,
            "upLossPct": 1.3,
            "downJitterMs": 5.0,
            "downLossPct": None,
        }
    late = seated(hub, "eve")
    assert [frame["sessionId"] for frame in await late.flush()] == [sid("anna")]
    hub.emit(ParticipantLeft("lobby", sid("anna"), "anna", EndReason.LEFT))
    assert hub._quality == {}


async def test_findings_are_not_for_the_room(hub: Hub) -> None:
    anna = seated(hub, "anna")
    hub.emit(LevelsContradicted("lobby", sid("anna"), "anna", "loud_over_silence"))
    assert await anna.flush() == []


async def test_a_newer_connection_takes_the_seat_and_the_older_one_does_not_detach_it(hub: Hub) -> None:
    older = seated(hub, "anna")
    newer = new_client(hub)
    newer.peer.join(Seat(sid("anna"), "lobby", "anna"))
    hub.take_seat(newer.peer)
    assert (await older.ended())[0] == 4409
    assert not hub.closed(older.peer)
    hub.emit(HandChanged("lobby", sid("ben"), "ben", True))
    assert [frame["type"] for frame in await newer.flush()] == ["voice_hand"]
    assert hub.closed(newer.peer)


async def test_find_stays_in_the_room_and_wants_both_ids_to_agree(hub: Hub) -> None:
    anna, ben = seated(hub, "anna"), seated(hub, "ben")
    seated(hub, "eve", "cellar")
    assert hub.find("lobby", session_id=None, user_id="anna") is anna.peer
    assert hub.find("lobby", session_id=sid("ben"), user_id=None) is ben.peer
    assert hub.find("lobby", session_id=sid("ben"), user_id="ben") is ben.peer
    assert hub.find("lobby", session_id=sid("ben"), user_id="anna") is None
    assert hub.find("lobby", session_id=None, user_id="eve") is None
    assert hub.find("lobby", session_id=sid("eve", "cellar"), user_id=None) is None
    assert hub.find("lobby", session_id=None, user_id=None) is None
    assert hub.find("nowhere", session_id=None, user_id="anna") is None


async def test_the_same_user_in_two_rooms_is_found_in_each(hub: Hub) -> None:
    here, there = seated(hub, "anna", "lobby"), seated(hub, "anna", "cellar")
    assert hub.find("lobby", session_id=None, user_id="anna") is here.peer
    hub.emit(ParticipantLeft("lobby", sid("anna", "lobby"), "anna", EndReason.LEFT))
    assert hub.find("lobby", session_id=None, user_id="anna") is None
    assert hub.find("cellar", session_id=None, user_id="anna") is there.peer


async def test_closing_tells_everyone_and_waits_for_them(hub: Hub) -> None:
    anna, stranger = seated(hub, "anna"), new_client(hub, language=Language.GERMAN)
    closing = asyncio.create_task(hub.close())
    assert await anna.ended() == (CloseCode.RESTARTING, "the server stops")
    await stranger.ended()
    assert [(frame["error"], frame["code"], frame["sessionId"]) for frame in anna.wire.frames] == [("Draining", 503, sid("anna"))]
    assert "neu gestartet" in stranger.wire.frames[0]["message"]
    assert not closing.done()
    assert hub.closed(anna.peer)
    assert not hub.closed(stranger.peer)
    await closing
    assert len(hub) == 0


async def test_who_comes_while_it_closes_is_turned_away(hub: Hub) -> None:
    await hub.close()
    late = new_client(hub)
    assert (await late.ended())[0] == 1012
    assert late.peer.state is PeerState.CLOSED


async def test_closing_does_not_wait_for_ever(hub: Hub, caplog: pytest.LogCaptureFixture) -> None:
    hub = Hub(stop_seconds=0.01)
    anna = seated(hub, "anna")
    await hub.close()
    assert "1 connections did not close in time" in caplog.text
    await anna.ended()
