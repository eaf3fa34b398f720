"""The AsyncAPI document: valid, and the code's own messages. That frames are as it says is looked at in every test with a socket
(`tests.web.frames`).
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from pydantic import ValidationError

from server.protocol import CloseCode
from server.protocol.client_messages import ClientMessage, RelayedMessage
from server.protocol.server_messages import SERVER_MESSAGES
from server.signalling.dispatch import Dispatcher
from server.web.asyncapi import CLOSE_CODES, client_models, document
from tests.web.frames import check_frame, validator_of
from tests.web.site import Site

DOCUMENT = document("/api/ws")
SPECIFICATION = Path(__file__).parents[2] / "node_modules" / "@asyncapi" / "specs" / "schemas" / "3.0.0-without-$id.json"

SAMPLES: dict[str, list[dict[str, Any]]] = {
    "voice_join": [{"sessionId": "s"}, {"sessionId": "s", "token": "t", "requestId": "r"}],
    "voice_offer": [{"sdp": {"type": "offer", "sdp": "v=0"}}, {"sdp": {"type": "offer", "sdp": "v=0"}, "targetUserId": "ben"}],
    "voice_answer": [{"sdp": {"type": "answer", "sdp": "v=0"}, "targetSessionId": "s"}],
    "voice_ice_candidate": [{}, {"candidate": None}, {"candidate": {"candidate": "", "sdpMid": "0", "sdpMLineIndex": 0}}],
    "voice_mute": [{"muted": True}],
    "voice_hand": [{"raised": False}],
    "voice_leave": [{}],
    "ping": [{"requestId": "r"}],
}
"""What clients send, by type."""
BROKEN: dict[str, list[dict[str, Any]]] = {
    "voice_join": [{}, {"sessionId": 1}, {"sessionId": ""}, {"sessionId": "x" * 129}],
    "voice_offer": [{}, {"sdp": {"type": "answer", "sdp": "v=0"}}, {"sdp": {"type": "offer", "sdp": ""}}, {"sdp": "v=0"}],
    "voice_answer": [{"sdp": {"type": "offer", "sdp": "v=0"}}],
    "voice_ice_candidate": [{"candidate": "a"}, {"candidate": {"sdpMid": "0"}}],
    "voice_mute": [{}, {"muted": 1}, {"muted": "true"}],
    "voice_hand": [{}, {"raised": None}],
    "ping": [{"requestId": 7}, {"requestId": "x" * 65}],
}


def test_it_is_valid() -> None:
    specification = json.loads(SPECIFICATION.read_text(encoding="utf-8"))
    problems = [str(problem) for problem in jsonschema_rs.Draft7Validator(specification).iter_errors(DOCUMENT)]
    assert problems == []


def test_every_reference_leads_somewhere() -> None:
    def references(part: Any) -> list[str]:
        if isinstance(part, dict):
            own = [part["$ref"]] if isinstance(part.get("$ref"), str) else []
            return [*own, *(found for value in part.values() for found in references(value))]
        return [found for value in part for found in references(value)] if isinstance(part, list) else []

    for reference in set(references(DOCUMENT)):
        place: Any = DOCUMENT
        for name in reference.removeprefix("#/").split("/"):
            assert name in place, reference
            place = place[name]


def test_it_has_every_message_of_the_code(site: Site) -> None:
    dispatcher = Dispatcher(site.service, site.hub, site.tokens, site.settings, site.moderation)
    messages = set(DOCUMENT["components"]["messages"])
    sent = {f"client_{type_name}" for type_name in dispatcher.types}
    relayed = {f"relayed_{model.type}" for model in client_models() if issubclass(model, RelayedMessage)}
    assert messages == sent | relayed | {f"server_{model.type}" for model in SERVER_MESSAGES}
    [channel] = DOCUMENT["channels"].values()
    assert (channel["address"], set(channel["messages"])) == ("/api/ws", messages)
    actions = {name: found["action"] for name, found in DOCUMENT["operations"].items()}
    assert actions == {
        **{f"on_{name}": "receive" for name in sent},
        **{f"send_{name}": "send" for name in messages - sent},
    }


def test_it_has_every_close_code() -> None:
    assert DOCUMENT[CLOSE_CODES] == {str(code.value): code.name.lower() for code in CloseCode}


def takes(model: type[ClientMessage], message: dict[str, Any]) -> bool:
    try:
        model.model_validate(message)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize("model", client_models(), ids=lambda model: model.type)
def test_what_it_says_of_clients_is_what_is_taken(model: type[ClientMessage]) -> None:
    validator = validator_of(f"client_{model.type}")
    for sample in SAMPLES.get(model.type, []):
        message = {"type": model.type, **sample}
        assert takes(model, message), message
        assert validator.is_valid(message), message
    for sample in BROKEN.get(model.type, []):
        message = {"type": model.type, **sample}
        assert not takes(model, message), message
        assert not validator.is_valid(message), message
    assert not validator.is_valid({**SAMPLES.get(model.type, [{}])[0], "type": "other"})


@pytest.mark.parametrize(
    "frame",
    [
        {"type": "pong", "sessionId": 7},
        {"type": "pong", "sessionId": None},
        {"type": "voice_mute", "sessionId": "s", "userId": "u", "muted": True, "by": "somebody"},
        {"type": "voice_speaking", "speakers": []},
        {"type": "voice_nothing"},
    ],
)
def test_a_frame_that_is_otherwise_is_noticed(frame: dict[str, Any]) -> None:
    with pytest.raises(AssertionError):
        check_frame(frame)


async def test_it_is_served(site: Site) -> None:
    answer = await site.client.get("/api/asyncapi.json")
    assert (answer.status, answer.content_type) == (200, "application/json")
    assert json.loads(await answer.text()) == json.loads(json.dumps(DOCUMENT))
