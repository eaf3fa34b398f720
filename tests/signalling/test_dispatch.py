from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest

from server.config import Settings
from server.i18n import Language
from server.media.sdp import OfferError
from server.signalling.dispatch import Dispatcher
from server.signalling.hub import Hub
from server.signalling.outbox import Outbox
from server.signalling.peer import PeerState
from server.voice.events import MuteChanged, ParticipantLeft
from server.voice.participant import EndReason, MutedBy, Participant, Role
from tests.signalling.fakes import Client, FakeAuthority, FakeCalls, FakeModeration, new_client, new_participant, settle


@dataclass
class World:
    hub: Hub
    calls: FakeCalls
    dispatcher: Dispatcher
    moderation: FakeModeration

    async def say(self, client: Client, message: object) -> None:
        text = message if isinstance(message, str) else json.dumps(message)
        await self.dispatcher.receive(client.peer, text)

    async def ask(self, client: Client, message: object) -> dict[str, Any]:
        """Send a message; its only answer."""
        await client.flush()
        await self.say(client, message)
        [answer] = await client.flush()
        return answer

    async def enter(self, user_id: str, room_id: str = "lobby", **options: Any) -> tuple[Client, Participant]:
        """Someone who joined and whose `voice_joined` was read."""
        participant = self.calls.add(new_participant(user_id, room_id))
        client = new_client(self.hub, **options)
        answer = await self.ask(client, join_message(participant))
        assert answer["type"] == "voice_joined"
        return client, participant


def join_message(participant: Participant, **fields: Any) -> dict[str, Any]:
    session_id = participant.session_id
    return {"type": "voice_join", "sessionId": session_id, "token": f"token of {session_id}", **fields}


@pytest.fixture
async def world(settings: Settings) -> World:
    hub = Hub()
    calls = FakeCalls(hub)
    moderation = FakeModeration()
    return World(hub, calls, Dispatcher(calls, hub, FakeAuthority(), settings, moderation), moderation)


async def test_joining_answers_with_a_snapshot_and_tells_the_others(world: World, settings: Settings) -> None:
    anna, _ = await world.enter("anna")
    participant = world.calls.add(new_participant("ben", role=Role.MODERATOR))
    ben = new_client(world.hub)
    answer = await world.ask(ben, join_message(participant, requestId="r1"))
    people = answer.pop("participants")
    assert answer == {
        "type": "voice_joined",
        "requestId": "r1",
        "sessionId": participant.session_id,
        "roomId": "lobby",
        "world": "materie",
        "maxParticipants": settings.max_participants,
        "slots": settings.slots,
        "iceServers": [],
        "resumed": False,
        "moderator": True,
    }
    assert [person["userId"] for person in people] == ["anna", "ben"]
    assert [frame["type"] for frame in await anna.flush()] == ["voice_join"]


async def test_the_snapshot_holds_those_whose_coming_was_announced(world: World) -> None:
    await world.enter("anna")
    world.calls.add(new_participant("not connected yet"))
    carl = new_client(world.hub)
    answer = await world.ask(carl, join_message(world.calls.add(new_participant("carl"))))
    assert [person["userId"] for person in answer["participants"]] == ["anna", "carl"]


async def test_nothing_is_missed_and_nothing_is_told_twice_around_the_snapshot(world: World) -> None:
    _, anna = await world.enter("anna")
    ben = new_client(world.hub)
    world.calls.set_self_muted(anna.session_id, True)
    await world.say(ben, join_message(world.calls.add(new_participant("ben"))))
    world.calls.set_self_muted(anna.session_id, False)
    frames = await ben.flush()
    assert [frame["type"] for frame in frames] == ["voice_joined", "voice_mute"]
    assert [person["isMuted"] for person in frames[0]["participants"]] == [True, False]
    assert frames[1]["muted"] is False


async def test_a_second_connection_resumes_and_replaces(world: World) -> None:
    older, participant = await world.enter("anna")
    newer = new_client(world.hub)
    assert (await world.ask(newer, join_message(participant)))["resumed"] is True
    assert (await older.ended())[0] == 4409
    world.dispatcher.disconnected(older.peer)
    assert world.calls.detached == []
    world.dispatcher.disconnected(newer.peer)
    assert world.calls.detached == [participant.session_id]


async def test_after_a_lost_connection_the_next_one_resumes(world: World) -> None:
    client, participant = await world.enter("anna")
    world.dispatcher.disconnected(client.peer)
    again = new_client(world.hub)
    assert (await world.ask(again, join_message(participant)))["resumed"] is True


@pytest.mark.parametrize("token", [None, "", "token of another session", "x" * 8000])
async def test_joining_without_the_right_token_is_refused(world: World, token: str | None) -> None:
    participant = world.calls.add(new_participant("anna"))
    client = new_client(world.hub)
    await world.say(client, {**join_message(participant), "token": token, "requestId": "r"})
    assert await client.ended() == (4401, "Unauthorized")
    [error] = client.wire.frames
    assert (error["type"], error["error"], error["code"], error["requestId"]) == ("voice_error", "Unauthorized", 401, "r")


async def test_an_upgrade_that_carried_the_right_needs_no_token(world: World) -> None:
    participant = world.calls.add(new_participant("anna"))
    client = new_client(world.hub, preauthorised=lambda session_id: session_id == participant.session_id)
    assert (await world.ask(client, {"type": "voice_join", "sessionId": participant.session_id}))["type"] == "voice_joined"


async def test_joining_a_session_that_is_gone_ends_the_connection(world: World) -> None:
    client = new_client(world.hub)
    await world.say(client, join_message(new_participant("nobody")))
    assert (await client.ended())[0] == 4404
    assert client.wire.frames[0]["error"] == "Session not found"


async def test_a_join_that_is_badly_written_can_be_repeated(world: World) -> None:
    participant = world.calls.add(new_participant("anna"))
    client = new_client(world.hub)
    error = await world.ask(client, {"type": "voice_join", "sessionId": 7})
    assert (error["error"], error["field"], error["reason"]) == ("Bad message", "sessionId", "not a string")
    assert (await world.ask(client, join_message(participant)))["type"] == "voice_joined"


@pytest.mark.parametrize(
    "text", ["", "no json", "[]", '"text"', "{}", '{"type": 7}', "[" * 5000, "NaN", '{"type":"ping","x":"\\ud800"}']
)
async def test_what_is_no_message_ends_the_connection(world: World, text: str) -> None:
    client, _ = await world.enter("anna")
    await world.say(client, text)
    assert (await client.ended())[0] == 4400


async def test_an_unknown_type_is_an_error_and_the_connection_stays(world: World) -> None:
    client, participant = await world.enter("anna")
    error = await world.ask(client, {"type": "voice_dance", "requestId": "7"})
    assert error == {
        "type": "voice_error",
        "sessionId": participant.session_id,
        "requestId": "7",
        "code": 400,
        "error": "Bad message",
        "message": "The message cannot be understood.",
        "field": "type",
        "reason": "unknown",
    }
    assert client.peer.state is PeerState.JOINED


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"type": "voice_mute"}, "muted"),
        ({"type": "voice_mute", "muted": 1}, "muted"),
        ({"type": "voice_hand", "raised": "yes"}, "raised"),
        ({"type": "voice_offer"}, "sdp"),
        ({"type": "voice_offer", "sdp": "v=0"}, "sdp"),
        ({"type": "voice_offer", "sdp": {"type": "answer", "sdp": "v=0"}}, "sdp.type"),
        ({"type": "voice_offer", "sdp": {"type": "offer", "sdp": ""}}, "sdp.sdp"),
        ({"type": "voice_answer", "sdp": {"type": "answer", "sdp": "v=0"}}, "targetUserId"),
        ({"type": "voice_ice_candidate", "candidate": {"sdpMid": "0"}}, "candidate.candidate"),
        ({"type": "voice_ice_candidate", "candidate": {"candidate": "", "sdpMLineIndex": "0"}}, "candidate.sdpMLineIndex"),
        ({"type": "ping", "requestId": 7}, "requestId"),
        ({"type": "ping", "requestId": "x" * 65}, "requestId"),
    ],
)
async def test_a_bad_field_is_named(world: World, fields: dict[str, Any], field: str) -> None:
    client, _ = await world.enter("anna")
    error = await world.ask(client, fields)
    assert (error["error"], error["code"], error["field"]) == ("Bad message", 400, field)
    assert client.peer.state is PeerState.JOINED


@pytest.mark.parametrize(
    "type_name", ["voice_offer", "voice_answer", "voice_ice_candidate", "voice_mute", "voice_hand", "voice_leave"]
)
async def test_before_joining_only_join_and_ping_are_taken(world: World, type_name: str) -> None:
    client = new_client(world.hub)
    assert (await world.ask(client, {"type": type_name}))["error"] == "Wrong state"
    assert await world.ask(client, {"type": "ping", "requestId": "1"}) == {"type": "pong", "requestId": "1"}


async def test_joining_twice_on_one_connection_is_an_error(world: World) -> None:
    client, participant = await world.enter("anna")
    assert (await world.ask(client, join_message(participant)))["error"] == "Wrong state"


async def test_an_offer_is_answered_by_the_server(world: World) -> None:
    client, participant = await world.enter("anna")
    offer = {"type": "voice_offer", "sdp": {"type": "offer", "sdp": "v=0"}, "requestId": "o"}
    assert await world.ask(client, offer) == {
        "type": "voice_answer",
        "requestId": "o",
        "sessionId": participant.session_id,
        "sdp": {"type": "answer", "sdp": "answer to v=0"},
    }


async def test_an_offer_that_cannot_be_answered_says_why(world: World) -> None:
    client, _ = await world.enter("anna")
    world.calls.fail_negotiate = OfferError("no audio section")
    error = await world.ask(client, {"type": "voice_offer", "sdp": {"type": "offer", "sdp": "v=0"}})
    assert (error["error"], error["field"], error["reason"]) == ("Bad message", "sdp", "no audio section")


async def test_a_failure_here_is_logged_and_not_told(world: World, caplog: pytest.LogCaptureFixture) -> None:
    client, _ = await world.enter("anna")
    world.calls.fail_negotiate = RuntimeError("a secret of ours")
    error = await world.ask(client, {"type": "voice_offer", "sdp": {"type": "offer", "sdp": "v=0"}, "requestId": "9"})
    assert (error["error"], error["code"], error["requestId"]) == ("Internal error", 500, "9")
    assert "a secret of ours" not in json.dumps(error)
    assert "a secret of ours" in caplog.text


async def test_a_candidate_for_the_server_is_accepted(world: World) -> None:
    client, _ = await world.enter("anna")
    await world.say(client, {"type": "voice_ice_candidate", "candidate": None})
    await world.say(client, {"type": "voice_ice_candidate", "candidate": {"candidate": "candidate:1", "sdpMid": None}})
    assert await client.flush() == []


RELAYED = [
    ("voice_offer", "sdp", {"type": "offer", "sdp": "v=0\r\n", "extra": {"deep": [1, None]}}),
    ("voice_answer", "sdp", {"type": "answer", "sdp": "v=0\r\n"}),
    (
        "voice_ice_candidate",
        "candidate",
        {"candidate": "candidate:1", "sdpMid": "0", "sdpMLineIndex": 0, "usernameFragment": "u"},
    ),
    ("voice_ice_candidate", "candidate", None),
]


@pytest.mark.parametrize(("type_name", "field", "payload"), RELAYED)
@pytest.mark.parametrize("by", ["targetUserId", "targetSessionId"])
async def test_relaying_tags_the_true_sender_whatever_was_written(
    world: World, type_name: str, field: str, payload: object, by: str
) -> None:
    anna, sender = await world.enter("anna")
    ben, receiver = await world.enter("ben")
    await anna.flush()
    target = receiver.user_id if by == "targetUserId" else receiver.session_id
    forged = {"userId": "eve", "sessionId": receiver.session_id, "username": "Eve", "roomId": "cellar", "requestId": "mine"}
    await world.say(anna, {"type": type_name, field: payload, by: target, **forged})
    assert await ben.flush() == [
        {
            "type": type_name,
            "sessionId": sender.session_id,
            "userId": "anna",
            "targetSessionId": receiver.session_id,
            "targetUserId": "ben",
            field: payload,
        }
    ]
    assert await anna.flush() == []


@pytest.mark.parametrize(
    "target",
    [
        {"targetUserId": "eve"},
        {"targetSessionId": "session-eve-cellar"},
        {"targetUserId": "nobody"},
        {"targetUserId": "anna"},
        {"targetUserId": "ben", "targetSessionId": "session-eve-cellar"},
        {"targetUserId": "waiting"},
    ],
)
async def test_relaying_never_leaves_the_room(world: World, target: dict[str, str]) -> None:
    anna, _ = await world.enter("anna")
    ben, _ = await world.enter("ben")
    eve, _ = await world.enter("eve", "cellar")
    world.calls.add(new_participant("waiting"))
    error = await world.ask(anna, {"type": "voice_offer", "sdp": {"type": "offer", "sdp": "v=0"}, "requestId": "r", **target})
    assert (error["error"], error["code"], error["requestId"]) == ("Target not found", 404, "r")
    assert await eve.flush() == []
    assert await ben.flush() == []


async def test_flooding_someone_slow_is_refused_to_the_sender_and_costs_the_other_nothing(world: World) -> None:
    anna, _ = await world.enter("anna")
    ben, _ = await world.enter("ben", outbox=Outbox(max_frames=8))
    await anna.flush()
    ben.wire.reading.clear()
    for _ in range(20):
        await world.say(anna, {"type": "voice_ice_candidate", "candidate": None, "targetUserId": "ben"})
    assert {frame["error"] for frame in await anna.flush()} == {"Rate limited"}
    assert ben.peer.state is PeerState.JOINED
    ben.wire.reading.set()
    assert len(await ben.flush()) == 4


async def test_mute_and_hand_reach_the_service(world: World) -> None:
    client, participant = await world.enter("anna")
    await world.say(client, {"type": "voice_mute", "muted": True})
    await world.say(client, {"type": "voice_hand", "raised": True})
    assert (participant.is_muted, participant.hand_raised) == (True, True)


async def test_leaving_ends_the_session_and_the_connection(world: World) -> None:
    client, participant = await world.enter("anna")
    await world.say(client, {"type": "voice_leave"})
    assert await client.ended() == (1000, "left")
    assert participant.session_id not in world.calls.people
    world.dispatcher.disconnected(client.peer)
    assert world.calls.detached == []


async def test_signs_of_life_count_for_joined_connections(world: World) -> None:
    stranger = new_client(world.hub)
    client, participant = await world.enter("anna")
    world.dispatcher.seen(stranger.peer)
    world.dispatcher.seen(client.peer)
    assert world.calls.seen == [participant.session_id]


async def test_a_connection_that_never_joined_detaches_nobody(world: World) -> None:
    stranger = new_client(world.hub)
    world.dispatcher.disconnected(stranger.peer)
    assert (world.calls.detached, len(world.hub)) == ([], 0)


async def test_messages_of_a_closed_connection_do_nothing(world: World) -> None:
    client, participant = await world.enter("anna")
    world.hub.emit(ParticipantLeft("lobby", participant.session_id, "anna", EndReason.KICKED))
    await world.say(client, {"type": "voice_mute", "muted": True})
    assert (await client.ended())[0] == 4403
    assert participant.is_muted is False


async def test_events_are_seen_in_the_order_in_which_they_happened(world: World) -> None:
    anna, someone = await world.enter("anna")
    for number in range(100):
        world.hub.emit(MuteChanged("lobby", someone.session_id, f"{number}", number % 2 == 0, MutedBy.MODERATOR, frozenset()))
    await settle()
    assert [frame["userId"] for frame in await anna.flush()] == [str(number) for number in range(100)]


async def test_errors_are_told_in_the_language_of_the_connection(world: World) -> None:
    client = new_client(world.hub, language=Language.GERMAN)
    assert (await world.ask(client, {"type": "voice_mute"}))["message"] == "Das geht in diesem Moment nicht."
