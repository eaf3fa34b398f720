"""What the server sends over the WebSocket: one model a type, encoded once however many receive it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final, Literal

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer
from pydantic.alias_generators import to_camel
from pydantic_core import to_json

from server.protocol.rest import ParticipantView

__all__ = [
    "SERVER_MESSAGES",
    "ErrorMessage",
    "HandMessage",
    "JoinedMessage",
    "MediaMessage",
    "MuteMessage",
    "PersonJoined",
    "PersonLeft",
    "PongMessage",
    "RelayMessage",
    "ServerMessage",
    "SfuAnswer",
    "SlotEntry",
    "SlotsMessage",
    "SpeakerEntry",
    "SpeakingMessage",
    "addressed",
]

_CAMEL: Final = ConfigDict(frozen=True, alias_generator=to_camel, validate_by_name=True, serialize_by_alias=True)


def addressed(frame: bytes, session_id: str) -> bytes:
    """A frame of a broadcast that has no `sessionId` yet, with that of its receiver: the rest is not encoded again."""
    return b'{"sessionId":' + to_json(session_id) + b"," + frame[1:]


class ServerMessage(BaseModel):
    """What all messages have.

    `request_id` is that of the request which this answers. The wire has no `requestId` and no `sessionId` where they are None.
    """

    model_config = _CAMEL
    type: ClassVar[str]

    request_id: str | None = None

    @model_serializer(mode="wrap")
    def _with_type(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields: dict[str, Any] = {"type": self.type, **handler(self)}
        for name in ("requestId", "sessionId"):
            if fields.get(name, "") is None:
                del fields[name]
        return fields

    def encode(self) -> bytes:
        """One text frame, UTF-8."""
        return to_json(self, by_alias=True, inf_nan_mode="null")


class JoinedMessage(ServerMessage):
    """The answer to `voice_join`. `slots` is how many streams this client may receive."""

    type = "voice_joined"

    session_id: str
    room_id: str
    world: str
    participants: tuple[ParticipantView, ...]
    max_participants: int
    slots: int
    ice_servers: tuple[dict[str, Any], ...]
    resumed: bool
    moderator: bool


class PersonJoined(ServerMessage):
    """Someone's connection is there. They may have been in the list of participants before, from the moment of their join."""

    type = "voice_join"

    session_id: str
    user_id: str
    username: str
    avatar_emoji: str | None
    is_muted: bool
    is_speaking: bool
    role: str
    hand_raised: bool


class PersonLeft(ServerMessage):
    """Someone's session ended; one's own too, just before the connection is closed."""

    type = "voice_leave"

    session_id: str
    user_id: str
    reason: str


class SfuAnswer(ServerMessage):
    """The server's answer to an offer."""

    type = "voice_answer"

    session_id: str
    sdp: Mapping[str, str]


class RelayMessage(ServerMessage):
    """An offer, answer or candidate of another participant.

    `session_id` and `user_id` are the sender's, as the server knows them, whatever the sender wrote.
    `payload` has one field, `sdp` or `candidate`, and holds what the sender put there.
    """

    type: ClassVar[str] = ""

    relayed_type: str
    session_id: str
    user_id: str
    target_session_id: str
    target_user_id: str
    payload: Mapping[str, Any]

    @model_serializer(mode="wrap")
    def _with_type(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {
            "type": self.relayed_type,
            "sessionId": self.session_id,
            "userId": self.user_id,
            "targetSessionId": self.target_session_id,
            "targetUserId": self.target_user_id,
            **self.payload,
        }


class MuteMessage(ServerMessage):
    """Someone is muted, or not any more."""

    type = "voice_mute"

    session_id: str
    user_id: str
    muted: bool
    by: Literal["self", "moderator"]


class HandMessage(ServerMessage):
    """Someone raised or lowered their hand."""

    type = "voice_hand"

    session_id: str
    user_id: str
    raised: bool


class SlotEntry(BaseModel):
    """Who is heard in the m-section `mid`; nobody where the ids are None."""

    model_config = _CAMEL

    mid: str
    session_id: str | None
    user_id: str | None


class SlotsMessage(ServerMessage):
    """All slots of the receiver."""

    type = "voice_slots"

    session_id: str
    slots: tuple[SlotEntry, ...]


class SpeakerEntry(BaseModel):
    """Whether and how loud (0.0 to 1.0) someone speaks."""

    model_config = _CAMEL

    session_id: str
    user_id: str
    speaking: bool
    level: float


class SpeakingMessage(ServerMessage):
    """Changes, and levels of those who speak. Encoded without the receiver's `sessionId`; see `addressed`."""

    type = "voice_speaking"

    speakers: tuple[SpeakerEntry, ...]


class MediaMessage(ServerMessage):
    """The receiver's own media: connected, or lost and why. `reason` is None where it is connected."""

    type = "voice_media"

    session_id: str
    connected: bool
    reason: str | None


class PongMessage(ServerMessage):
    """The answer to `ping`. `session_id` is None before `voice_joined`."""

    type = "pong"

    session_id: str | None


class ErrorMessage(ServerMessage):
    """A request that failed. `code` is the HTTP status of the same error, `error` its stable text, `message` for people.

    `session_id` is None before `voice_joined`, `retry_after` (whole seconds) where waiting does not help. `details` are those of
    the REST error, with `camelCase` names; on the wire they stand beside the other fields.
    """

    type = "voice_error"

    session_id: str | None
    code: int
    error: str
    message: str
    retry_after: int | None
    details: Mapping[str, Any]

    @model_serializer(mode="wrap")
    def _with_type(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields: dict[str, Any] = {"type": self.type, **handler(self)}
        details: dict[str, Any] = fields.pop("details")
        return details | {name: value for name, value in fields.items() if value is not None}


SERVER_MESSAGES: Final[tuple[type[ServerMessage], ...]] = (
    JoinedMessage,
    PersonJoined,
    PersonLeft,
    SfuAnswer,
    MuteMessage,
    HandMessage,
    SlotsMessage,
    SpeakingMessage,
    MediaMessage,
    PongMessage,
    ErrorMessage,
)
"""Every type that the server makes itself. Relayed messages have the types of what is relayed."""
