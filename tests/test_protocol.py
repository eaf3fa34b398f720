"""The wire as types: what is read, what is refused and why, what is written."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from server.errors import InvalidRequest, MissingFields, MissingSessionId
from server.protocol import CloseCode, client_messages, format_time
from server.protocol.client_messages import ClientMessage, RelayedMessage, VoiceIceCandidate, VoiceOffer
from server.protocol.fields import count_characters, is_blank, object_from_json, reason_of, whole_seconds
from server.protocol.rest import GuestRequest, JoinRequest, LeaveRequest, ParticipantView
from server.protocol.server_messages import (
    SERVER_MESSAGES,
    ErrorMessage,
    JoinedMessage,
    PersonJoined,
    PongMessage,
    RelayMessage,
    SlotEntry,
    SlotsMessage,
    SpeakerEntry,
    SpeakingMessage,
    addressed,
)

JOIN = {"room_id": "lobby", "user_id": "anna", "username": "Anna", "world": "materie"}
PERSON = ParticipantView(
    session_id="s",
    user_id="u",
    username="U",
    avatar_emoji=None,
    is_muted=False,
    is_speaking=True,
    role="user",
    hand_raised=False,
)


# --- values -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2026, 2, 13, 17, 30, tzinfo=UTC), "2026-02-13T17:30:00.000Z"),
        (datetime(2026, 2, 13, 17, 30, 0, 123_999, tzinfo=UTC), "2026-02-13T17:30:00.123Z"),
        (datetime(2026, 2, 13, 23, 15, tzinfo=timezone(timedelta(hours=5, minutes=45))), "2026-02-13T17:30:00.000Z"),
    ],
)
def test_times_are_utc_with_milliseconds(moment: datetime, text: str) -> None:
    assert format_time(moment) == text


@pytest.mark.parametrize(("ms", "seconds"), [(0, 0), (499, 0), (500, 1), (1499, 1), (2500, 3), (3500, 4)])
def test_seconds_are_rounded_halves_up(ms: int, seconds: int) -> None:
    assert whole_seconds(ms) == seconds


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("Anna", 4),
        ("é", 1),
        ("e\u0301", 1),
        ("\u0301", 1),
        ("🦊🦊", 2),
        ("👩🏽‍❤️‍💋‍👨🏽", 1),
        ("👍🏿👍", 2),
        ("🇩🇪", 1),
        ("🇩🇪🇬🇧", 2),
        ("🇩🇪a🇬🇧", 3),
        ("❤️", 1),
        ("שלום", 4),
    ],
)
def test_characters_are_counted_as_people_do(text: str, count: int) -> None:
    assert count_characters(text) == count


@given(st.text())
def test_counting_never_exceeds_the_code_points(text: str) -> None:
    assert (1 if text else 0) <= count_characters(text) <= len(text)


@pytest.mark.parametrize(
    ("text", "blank"), [("", True), (" \t\u00a0", True), ("\u200b\ufeff", True), (" a", False), ("🦊", False)]
)
def test_blank_is_what_nobody_sees(text: str, blank: bool) -> None:
    assert is_blank(text) is blank


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b'{"a": NaN}', "not JSON"),
        (b'{"a": "\xff"}', "not JSON"),
        (b'{"a": "\\ud800"}', "not JSON"),
        (b'{"a":' * 300 + b"1" + b"}" * 300, "not JSON"),
        (b"1" * 5000, "not JSON"),
        (b"[]", "not a JSON object"),
        (b"null", "not a JSON object"),
    ],
)
def test_only_json_objects_are_read(body: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=f"^{reason}$"):
        object_from_json(body)


@given(st.binary(max_size=200) | st.text(max_size=200))
def test_whatever_comes_is_an_object_or_a_value_error(body: bytes | str) -> None:
    reason = ""
    try:
        assert isinstance(object_from_json(body), dict)
    except ValueError as problem:
        reason = str(problem)
    assert reason in {"", "not JSON", "not a JSON object"}


# --- REST ---------------------------------------------------------------------------------------------------------


def test_a_join_is_read() -> None:
    body = json.dumps({**JOIN, "username": "  Anna  ", "avatar_emoji": "🦊", "newer": "field"}).encode()
    join = JoinRequest.decode(body)
    assert (join.room_id, join.user_id, join.username, join.world, join.avatar_emoji) == (
        "lobby",
        "anna",
        "Anna",
        "materie",
        "🦊",
    )


@pytest.mark.parametrize("emoji", [None, "", " "])
def test_an_empty_emoji_is_none(emoji: str | None) -> None:
    assert JoinRequest.decode(json.dumps({**JOIN, "avatar_emoji": emoji}).encode()).avatar_emoji is None


def test_what_is_missing_is_named_before_what_is_wrong() -> None:
    with pytest.raises(MissingFields) as missing:
        JoinRequest.decode(b'{"room_id": 7, "user_id": "", "username": " "}')
    assert missing.value.details == {
        "required": ["room_id", "user_id", "username", "world"],
        "missing": ["user_id", "username", "world"],
    }
    with pytest.raises(MissingSessionId):
        LeaveRequest.decode(b"{}")
    with pytest.raises(MissingFields):
        GuestRequest.decode(b"{}")


@pytest.mark.parametrize(
    ("body", "token"), [(b"", None), (b"[]", None), (b'{"session_token": 1}', None), (b'{"session_token": "t"}', "t")]
)
def test_the_token_of_a_beacon_is_found_in_any_body(body: bytes, token: str | None) -> None:
    assert LeaveRequest.token_in(body) == token


WILD_VALUES = st.none() | st.integers() | st.text(max_size=300) | st.lists(st.text())


@given(st.dictionaries(st.sampled_from([*JOIN, "avatar_emoji"]), WILD_VALUES))
def test_a_join_is_good_or_refused_in_words(values: dict[str, Any]) -> None:
    refusal: MissingFields | InvalidRequest | None = None
    try:
        join = JoinRequest.decode(json.dumps(values).encode())
        assert count_characters(join.username) <= 64
        assert not any(character < " " for character in join.room_id + join.user_id + join.username)
    except (MissingFields, InvalidRequest) as problem:
        refusal = problem
    assert refusal is None or refusal.details.get("missing") or refusal.details["reason"]


# --- WebSocket ----------------------------------------------------------------------------------------------------


def concrete(base: type[ClientMessage]) -> list[type[ClientMessage]]:
    found = [child for direct in base.__subclasses__() for child in concrete(direct)]
    return found or [base]


def test_client_messages_have_a_type_each() -> None:
    types = [message.type for message in concrete(ClientMessage)]
    assert sorted(types) == sorted(set(types))
    assert all(message.__name__ in client_messages.__all__ for message in concrete(ClientMessage))


@pytest.mark.parametrize("model", concrete(RelayedMessage), ids=lambda model: model.__name__)
def test_no_message_has_a_field_for_its_sender(model: type[RelayedMessage]) -> None:
    assert not {"user_id", "session_id", "userId", "sessionId"} & set(model.model_fields)


def test_names_are_camel_case_only() -> None:
    message = VoiceOffer.model_validate({"sdp": {"type": "offer", "sdp": "v=0"}, "target_user_id": "ben"})
    assert not message.has_target


def test_a_relayed_payload_is_as_it_came() -> None:
    sdp = {"sdp": "v=0\r\na=ü", "type": "offer", "more": {"a": [1.5, None, True]}}
    message = VoiceOffer.model_validate({"sdp": sdp, "targetUserId": "ben"})
    assert message.payload() == sdp
    candidate = {"candidate": "candidate:1", "sdpMLineIndex": 0, "usernameFragment": "x"}
    assert VoiceIceCandidate.model_validate({"candidate": candidate}).payload() == candidate
    assert VoiceIceCandidate.model_validate({"candidate": None}).payload() is None


@pytest.mark.parametrize(
    ("values", "field", "reason"),
    [
        ({}, "sdp", "missing"),
        ({"sdp": "v=0"}, "sdp", "not an object"),
        ({"sdp": {"type": "offer"}}, "sdp.sdp", "missing"),
        ({"sdp": {"type": "offer", "sdp": ""}}, "sdp.sdp", "empty"),
        ({"sdp": {"type": "answer", "sdp": "v=0"}}, "sdp.type", "not 'offer'"),
        ({"sdp": {"type": "offer", "sdp": "v=0"}, "targetUserId": 7}, "targetUserId", "not a string"),
        ({"sdp": {"type": "offer", "sdp": "v=0"}, "requestId": "x" * 65}, "requestId", "too long: at most 64 characters"),
    ],
)
def test_what_is_wrong_is_named_as_the_wire_does(values: dict[str, Any], field: str, reason: str) -> None:
    with pytest.raises(ValidationError) as problem:
        VoiceOffer.model_validate(values)
    assert reason_of(problem.value, "voice_offer") == (field, reason)


def test_what_is_wrong_with_the_whole_has_the_name_of_the_whole() -> None:
    with pytest.raises(ValidationError) as problem:
        VoiceOffer.model_validate([])
    assert reason_of(problem.value, "voice_offer") == ("voice_offer", "not an object")


def test_server_messages_have_a_type_each() -> None:
    types = [message.type for message in SERVER_MESSAGES]
    assert sorted(types) == sorted(set(types))


def test_null_stands_where_a_field_may_be_empty_and_is_left_out_where_it_says_nothing() -> None:
    assert json.loads(PongMessage(session_id=None).encode()) == {"type": "pong"}
    assert json.loads(PongMessage(session_id="s", request_id="r").encode()) == {
        "type": "pong",
        "requestId": "r",
        "sessionId": "s",
    }
    slots = SlotsMessage(session_id="s", slots=(SlotEntry(mid="1", session_id=None, user_id=None),))
    assert json.loads(slots.encode())["slots"] == [{"mid": "1", "sessionId": None, "userId": None}]


def test_joined_is_written_as_the_contract_says() -> None:
    message = JoinedMessage(
        session_id="s",
        room_id="lobby",
        world="materie",
        participants=(PERSON,),
        max_participants=10,
        slots=9,
        ice_servers=({"urls": "stun:x"},),
        resumed=False,
        moderator=True,
    )
    assert json.loads(message.encode()) == {
        "type": "voice_joined",
        "sessionId": "s",
        "roomId": "lobby",
        "world": "materie",
        "participants": [
            {
                "sessionId": "s",
                "userId": "u",
                "username": "U",
                "avatarEmoji": None,
                "isMuted": False,
                "isSpeaking": True,
                "role": "user",
                "handRaised": False,
            }
        ],
        "maxParticipants": 10,
        "slots": 9,
        "iceServers": [{"urls": "stun:x"}],
        "resumed": False,
        "moderator": True,
    }


def test_someone_who_comes_is_shown_as_in_the_list() -> None:
    joined = json.loads(PersonJoined(**PERSON.model_dump(by_alias=False)).encode())
    assert joined.pop("type") == "voice_join"
    assert joined == json.loads(PERSON.model_dump_json())


def test_a_broadcast_gets_the_session_id_of_its_receiver() -> None:
    speaker = SpeakerEntry(session_id="a", user_id="u", speaking=True, level=0.5)
    frame = addressed(SpeakingMessage(speakers=(speaker,)).encode(), 'receiver "x"')
    assert json.loads(frame) == {
        "sessionId": 'receiver "x"',
        "type": "voice_speaking",
        "speakers": [{"sessionId": "a", "userId": "u", "speaking": True, "level": 0.5}],
    }


def test_a_relayed_message_can_hold_what_json_cannot() -> None:
    message = RelayMessage(
        relayed_type="voice_offer",
        session_id="s",
        user_id="u",
        target_session_id="t",
        target_user_id="v",
        payload={"sdp": {"huge": float("inf")}},
    )
    assert json.loads(message.encode())["sdp"] == {"huge": None}


def test_details_of_an_error_stand_beside_its_fields_and_never_over_them() -> None:
    message = ErrorMessage(
        session_id=None,
        request_id="r",
        code=409,
        error="Session already ended",
        message="…",
        retry_after=3,
        details={"sessionId": "s", "leftAt": "t", "code": 7, "type": "x"},
    )
    assert json.loads(message.encode()) == {
        "type": "voice_error",
        "requestId": "r",
        "sessionId": "s",
        "leftAt": "t",
        "code": 409,
        "error": "Session already ended",
        "message": "…",
        "retryAfter": 3,
    }


def test_close_codes_are_those_of_the_contract() -> None:
    assert {code.value for code in CloseCode} == {1000, 1009, 1012, 1013, 4400, 4401, 4403, 4404, 4408, 4409, 4429}
