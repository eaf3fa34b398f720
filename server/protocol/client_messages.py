"""What clients send over the WebSocket: one model a type, decoded strictly.

`sessionId` and `userId` in a client's message are never believed and so are no fields here: the connection says who sends.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from server.protocol.fields import DurationHours, Identifier, Reason, RequestId, Token
from server.protocol.moderation import ActionType

__all__ = [
    "ClientMessage",
    "IceCandidate",
    "JoinMessage",
    "LeaveMessage",
    "RelayedMessage",
    "SessionDescription",
    "VoiceAction",
    "VoiceAdminMute",
    "VoiceAnswer",
    "VoiceHand",
    "VoiceIceCandidate",
    "VoiceKick",
    "VoiceMute",
    "VoiceOffer",
    "VoicePing",
    "VoiceWarn",
    "VoiceWarnAck",
]


class ClientMessage(BaseModel):
    """What all messages have. `request_id` is None where the client wants no answer to be told apart."""

    model_config = ConfigDict(
        frozen=True, strict=True, extra="ignore", alias_generator=to_camel, validate_by_alias=True, validate_by_name=False
    )
    type: ClassVar[str]

    request_id: RequestId | None = None


class JoinMessage(ClientMessage):
    """Bind this connection to a session. `token` is None where the upgrade request carried the right to."""

    type = "voice_join"

    session_id: Identifier
    token: Token | None = None


class SessionDescription(BaseModel):
    """`RTCSessionDescriptionInit`. What else a client put into it is kept for relaying."""

    model_config = ConfigDict(frozen=True, strict=True, extra="allow")

    type: Literal["offer", "answer"]
    sdp: str = Field(min_length=1)


class IceCandidate(BaseModel):
    """`RTCIceCandidateInit`. What else a client put into it is kept for relaying."""

    model_config = ConfigDict(
        frozen=True, strict=True, extra="allow", alias_generator=to_camel, validate_by_alias=True, validate_by_name=False
    )

    candidate: str
    sdp_mid: str | None = None
    sdp_m_line_index: int | None = Field(default=None, alias="sdpMLineIndex")


class RelayedMessage(ClientMessage):
    """A message that is for one other participant of the room where it names a target, and for the server where it does not."""

    payload_field: ClassVar[str]

    target_user_id: Identifier | None = None
    target_session_id: Identifier | None = None

    @property
    def has_target(self) -> bool:
        """Whether it is to be relayed."""
        return self.target_user_id is not None or self.target_session_id is not None

    def payload(self) -> dict[str, Any] | None:
        """What is relayed, as it came, fields that we do not know included. None is the end of candidates."""
        content = getattr(self, self.payload_field)
        if content is None:
            return None
        assert isinstance(content, BaseModel)
        return content.model_dump(by_alias=True, exclude_unset=True)


class Offer(SessionDescription):
    """A description that offers."""

    type: Literal["offer"]


class AnswerDescription(SessionDescription):
    """A description that answers."""

    type: Literal["answer"]


class VoiceOffer(RelayedMessage):
    """An offer: to the server, or to another participant."""

    type = "voice_offer"
    payload_field = "sdp"

    sdp: Offer


class VoiceAnswer(RelayedMessage):
    """An answer to another participant; the server itself never offers."""

    type = "voice_answer"
    payload_field = "sdp"

    sdp: AnswerDescription


class VoiceIceCandidate(RelayedMessage):
    """A candidate. None says that there are no more."""

    type = "voice_ice_candidate"
    payload_field = "candidate"

    candidate: IceCandidate | None = None


class VoiceMute(ClientMessage):
    """Mute or unmute oneself."""

    type = "voice_mute"

    muted: bool


class VoiceHand(ClientMessage):
    """Raise or lower one's hand."""

    type = "voice_hand"

    raised: bool


class LeaveMessage(ClientMessage):
    """End the session."""

    type = "voice_leave"


class VoicePing(ClientMessage):
    """Ask for a `pong`. Messages of a connection are taken in order, so the pong says that those before it were."""

    type = "ping"


class ModeratorMessage(ClientMessage):
    """What moderators send. `user_id` is whom it is about, in the sender's room. `reason` is None where they give none."""

    user_id: Identifier
    reason: Reason | None = None


class VoiceKick(ModeratorMessage):
    """Put someone out of the room."""

    type = "voice_kick"

    duration_hours: DurationHours | None = None


class VoiceAdminMute(ModeratorMessage):
    """Mute someone, or lift a moderator's mute."""

    type = "voice_admin_mute"

    muted: bool
    duration_hours: DurationHours | None = None


class VoiceWarn(ModeratorMessage):
    """Warn someone."""

    type = "voice_warn"


class VoiceAction(ModeratorMessage):
    """Any action. `world` is for those on a whole world: None is that of the room, `*` all of them."""

    type = "voice_action"

    action_type: ActionType
    world: Identifier | None = None
    duration_hours: DurationHours | None = None


class VoiceWarnAck(ClientMessage):
    """A warning was read."""

    type = "voice_warn_ack"

    action_id: Identifier
