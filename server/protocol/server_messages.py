"""What the server sends over the WebSocket: one model a type, encoded once however many receive it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final, Literal

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer
from pydantic.alias_generators import to_camel
from pydantic_core import to_json

from server.protocol.fields import WireTime
from server.protocol.rest import ParticipantView

__all__ = [
    "SERVER_MESSAGES",
    "ActionMessage",
    "ErrorMessage",
    "HandMessage",
    "JoinedMessage",
    "KickMessage",
    "MediaMessage",
    "MuteMessage",
    "PersonJoined",
    "PersonLeft",
    "PongMessage",
    "QualityMessage",
    "RelayMessage",
    "ReportMessage",
    "ServerMessage",
    "SfuAnswer",
    "SlotEntry",
    "SlotsMessage",
    "SpeakerEntry",
    "SpeakingMessage",
    "WarnMessage",
    "WarningRead",
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


class KickMessage(ServerMessage):
    """To someone who is put out of the room, as the last word but `voice_leave`. `expires_at` is when they may come back; None:
    never. `reason` are the moderator's words, None where there are none; `by` is a name."""

    type = "voice_kick"

    session_id: str
    reason: str | None
    by: str
    banned: bool
    expires_at: WireTime | None


class WarnMessage(ServerMessage):
    """To someone who is warned; told again to each new connection until it is acknowledged (`voice_warn_ack`)."""

    type = "voice_warn"

    session_id: str
    action_id: str
    reason: str | None
    by: str


class WarningRead(ServerMessage):
    """To who warned: it was acknowledged by the one of this session."""

    type = "voice_warn_ack"

    session_id: str
    user_id: str
    action_id: str


class ReportMessage(ServerMessage):
    """To those in the room who may act on it: someone reported someone. `session_id` is the receiver's."""

    type = "voice_report"

    session_id: str
    report_id: str
    reporter_user_id: str
    target_user_id: str
    reason: str | None


class ActionMessage(ServerMessage):
    """The answer to a moderator's message: carried out and logged. `sessions` are those that it concerned."""

    type = "voice_action"

    session_id: str
    action_id: str
    action_type: str
    user_id: str
    expires_at: WireTime | None
    sessions: tuple[str, ...]


class QualityMessage(ServerMessage):
    """How good someone's connection is, when it has changed. `jitter_ms` and `loss_pct` are of the worse direction, up is from
    them to the server; None where nothing was there to measure."""

    type = "voice_quality"

    session_id: str
    quality: str
    mos: float
    rtt_ms: float | None
    jitter_ms: float | None
    loss_pct: float | None
    up_jitter_ms: float | None
    up_loss_pct: float | None
    down_jitter_ms: float | None
    down_loss_pct: float | None


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
    KickMessage,
    WarnMessage,
    WarningRead,
    ReportMessage,
    ActionMessage,
    QualityMessage,
    PongMessage,
    ErrorMessage,
)
"""Every type that the server makes itself. Relayed messages have the types of what is relayed."""
