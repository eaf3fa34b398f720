"""The WebSocket protocol as an AsyncAPI 3 document, made from the types that decode and encode its messages."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from pydantic import BaseModel

from server import resources
from server.protocol import MAX_FRAME_BYTES, CloseCode
from server.protocol.client_messages import ClientMessage, RelayedMessage
from server.protocol.server_messages import SERVER_MESSAGES, ErrorMessage, ServerMessage, SpeakingMessage

__all__ = ["CLOSE_CODES", "client_models", "document"]

_REFERENCE: Final = "#/components/schemas/{model}"
_CHANNEL: Final = "signalling"
CLOSE_CODES: Final = "x-close-codes"
"""Where the document says why the server closes a connection; AsyncAPI has no place of its own for that."""

_REPLIES: Final[Mapping[str, str]] = MappingProxyType(
    {"voice_join": "voice_joined", "voice_offer": "voice_answer", "ping": "pong"}
)
"""What answers what; everything may be answered by `voice_error`."""

_ABOUT: Final = f"""\
One JSON object a text frame, at most {MAX_FRAME_BYTES} bytes. A request may have a `requestId`; its answer, or its error, repeats
it. Fields that are not known are left aside, by both sides. `docs/protocol.md` tells how a call goes.
"""


def client_models() -> tuple[type[ClientMessage], ...]:
    """The type of every message that clients send."""

    def below(base: type[ClientMessage]) -> Iterator[type[ClientMessage]]:
        for model in base.__subclasses__():
            if "type" in vars(model):
                yield model
            yield from below(model)

    return tuple(below(ClientMessage))


def document(path: str) -> dict[str, Any]:
    """The document; `path` is where the WebSocket is."""
    schemas: dict[str, Any] = {}
    sent = {f"client_{model.type}": _client_message(model, schemas) for model in client_models()}
    received = {f"server_{model.type}": _server_message(model, schemas) for model in SERVER_MESSAGES}
    relayed = [model for model in client_models() if issubclass(model, RelayedMessage)]
    received |= {f"relayed_{model.type}": _relayed_message(model, schemas) for model in relayed}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Weltenstimme signalling",
            "version": resources.version(),
            "description": _ABOUT,
            "license": {"name": "MIT"},
        },
        "defaultContentType": "application/json",
        "channels": {
            _CHANNEL: {
                "address": path,
                "description": "The first message of a client says who it is; until then nothing else is understood but `ping`.",
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in (*sent, *received)},
                "bindings": {"ws": {"method": "GET", "bindingVersion": "0.1.0"}},
            }
        },
        "operations": dict(_operations(sent, received)),
        "components": {"messages": {**sent, **received}, "schemas": schemas},
        CLOSE_CODES: {str(code.value): code.name.lower() for code in CloseCode},
    }


def _operations(sent: Mapping[str, Any], received: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    channel = {"$ref": f"#/channels/{_CHANNEL}"}

    def of_channel(name: str) -> dict[str, str]:
        return {"$ref": f"#/channels/{_CHANNEL}/messages/{name}"}

    for name in sent:
        answers = [f"server_{_REPLIES[name.removeprefix('client_')]}"] if name.removeprefix("client_") in _REPLIES else []
        replies = [of_channel(answer) for answer in (*answers, f"server_{ErrorMessage.type}")]
        reply = {"channel": channel, "messages": replies}
        yield f"on_{name}", {"action": "receive", "channel": channel, "messages": [of_channel(name)], "reply": reply}
    for name in received:
        yield f"send_{name}", {"action": "send", "channel": channel, "messages": [of_channel(name)]}


def _client_message(model: type[ClientMessage], schemas: dict[str, Any]) -> dict[str, Any]:
    payload = _schema(model, schemas)
    return _message(model.type, model, _with_type(payload, model.type))


def _server_message(model: type[ServerMessage], schemas: dict[str, Any]) -> dict[str, Any]:
    payload = _schema(model, schemas)
    properties, required = payload["properties"], payload["required"]
    optional = ["requestId"]
    if model is SpeakingMessage:
        # Put in front of the frame for each of its receivers.
        properties["sessionId"] = {"type": "string"}
        required.append("sessionId")
    elif _may_be_null(properties.get("sessionId", {})):
        optional.append("sessionId")
    if model is ErrorMessage:
        # They stand beside the other fields, and what there is none of is absent.
        del properties["details"]
        required.remove("details")
        optional.append("retryAfter")
    for name in optional:
        if name in properties:
            properties[name] = _not_null(properties[name])
        if name in required:
            required.remove(name)
    return _message(model.type, model, _with_type(payload, model.type))


def _relayed_message(model: type[RelayedMessage], schemas: dict[str, Any]) -> dict[str, Any]:
    payload = _schema(model, schemas)
    content = {model.payload_field: payload["properties"][model.payload_field]}
    people = {name: {"type": "string"} for name in ("sessionId", "userId", "targetSessionId", "targetUserId")}
    relayed = {"type": "object", "properties": {**people, **content}, "required": [*people, model.payload_field]}
    message = _message(model.type, model, _with_type(relayed, model.type))
    message["summary"] = "From another participant, whose ids are as the server knows them, whatever the sender wrote."
    return message


def _message(name: str, model: type[BaseModel], payload: dict[str, Any]) -> dict[str, Any]:
    payload.pop("description", None)
    return {"name": name, "summary": " ".join((inspect.getdoc(model) or "").split()), "payload": payload}


def _schema(model: type[BaseModel], schemas: dict[str, Any]) -> dict[str, Any]:
    """The schema of a model as it is on the wire; what it is made of goes into `schemas`."""
    # What a model takes is what it writes, by the names of the wire: its serializer only leaves out what is None.
    schema = model.model_json_schema(by_alias=True, mode="validation", ref_template=_REFERENCE)
    schemas |= schema.pop("$defs", {})
    schema.pop("title", None)
    for field in schema["properties"].values():
        field.pop("title", None)
    schema.setdefault("required", [])
    return schema


def _with_type(schema: dict[str, Any], type_name: str) -> dict[str, Any]:
    schema["properties"] = {"type": {"const": type_name}, **schema["properties"]}
    schema["required"] = ["type", *schema["required"]]
    return schema


def _may_be_null(schema: Mapping[str, Any]) -> bool:
    return {"type": "null"} in schema.get("anyOf", ())


def _not_null(schema: dict[str, Any]) -> dict[str, Any]:
    if not _may_be_null(schema):
        return schema
    [variant] = [variant for variant in schema["anyOf"] if variant != {"type": "null"}]
    return {**{name: value for name, value in schema.items() if name not in {"anyOf", "default"}}, **variant}
