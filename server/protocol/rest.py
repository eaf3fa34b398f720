"""What REST requests and answers carry. Fields are `snake_case`; inside `participants` they are `camelCase`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator
from pydantic.alias_generators import to_camel

from server.errors import InvalidRequest, MissingFields, MissingSessionId
from server.protocol.fields import Emoji, Identifier, PersonName, Token, WireTime, is_blank, object_from_json, reason_of

__all__ = [
    "Answer",
    "ConfigAnswer",
    "GuestAnswer",
    "GuestRequest",
    "HealthAnswer",
    "JoinAnswer",
    "JoinRequest",
    "LeaveAnswer",
    "LeaveRequest",
    "ParticipantView",
    "ParticipantsAnswer",
    "RoomEntry",
    "RoomsAnswer",
]


class Request(BaseModel):
    """A body. Fields that we do not know are left aside, as newer clients may send them."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    required_fields: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Read a body. Raises `InvalidRequest` and `MissingFields`."""
        try:
            values = object_from_json(body)
        except ValueError as problem:
            raise InvalidRequest(None, str(problem)) from None
        missing = [name for name in cls.required_fields if _absent(values, name)]
        if missing:
            raise cls.missing(missing)
        try:
            return cls.model_validate(values)
        except ValidationError as problem:
            raise InvalidRequest(*reason_of(problem, "body")) from None

    @classmethod
    def missing(cls, names: list[str]) -> Exception:
        """What to raise where required fields are absent or empty."""
        return MissingFields(required=list(cls.required_fields), missing=names)


def _absent(values: Mapping[str, Any], name: str) -> bool:
    value = values.get(name)
    return value is None or (isinstance(value, str) and is_blank(value))


class JoinRequest(Request):
    """`POST /api/voice/join`. `avatar_emoji` is None where none was given."""

    required_fields = ("room_id", "user_id", "username", "world")

    room_id: Identifier
    user_id: Identifier
    username: PersonName
    world: Identifier
    avatar_emoji: Emoji | None = None

    @field_validator("avatar_emoji")
    @classmethod
    def _none_when_blank(cls, emoji: str | None) -> str | None:
        return emoji if emoji and not is_blank(emoji) else None


class LeaveRequest(Request):
    """`POST /api/voice/leave`. `session_token` is there where the sender could not set a header (a beacon).

    `reason` is the client's: it left, its connection failed, or the microphone was refused. None where it does not say.
    """

    required_fields = ("session_id",)

    session_id: Identifier
    session_token: Token | None = None
    reason: Literal["left", "rolled_back", "rejected_media"] | None = None

    @staticmethod
    def token_in(body: bytes) -> str | None:
        """The token of a body that may well be no proper one; None where there is none."""
        try:
            token = object_from_json(body).get("session_token")
        except ValueError:
            return None
        return token if isinstance(token, str) else None

    @classmethod
    def missing(cls, names: list[str]) -> Exception:
        """The contract has an error of its own for this field."""
        return MissingSessionId()


class GuestRequest(Request):
    """`POST /api/auth/guest`. With a `world` the token is good for that world only."""

    required_fields = ("username",)

    username: PersonName
    world: Identifier | None = None


class ParticipantView(BaseModel):
    """Someone in a room, as others see them: in REST lists and in WebSocket messages. `avatar_emoji` is None when not given."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, validate_by_name=True, serialize_by_alias=True)

    session_id: str
    user_id: str
    username: str
    avatar_emoji: str | None
    is_muted: bool
    is_speaking: bool
    role: str
    hand_raised: bool


class Answer(BaseModel):
    """A success. `timestamp` is when it was answered."""

    model_config = ConfigDict(frozen=True)

    success: Literal[True] = True
    timestamp: WireTime


class GuestAnswer(Answer):
    """A token for a guest. `worlds` is None where it is good for all."""

    token: str
    user_id: str
    username: str
    role: str
    worlds: tuple[str, ...] | None
    expires_at: WireTime
    message: str


class JoinAnswer(Answer):
    """A place in a room. The participants include the one who joined, in order of joining."""

    session_id: str
    session_token: str
    session_token_expires_at: WireTime
    room_id: str
    world: str
    max_participants: int
    current_participant_count: int
    participants: tuple[ParticipantView, ...]
    joined_at: WireTime
    signalling_url: str
    ice_servers: tuple[dict[str, Any], ...]
    message: str


class LeaveAnswer(Answer):
    """What a stay amounted to. Seconds are rounded, milliseconds exact."""

    session_id: str
    room_id: str
    user_id: str
    duration_seconds: int
    duration_ms: int
    speaking_seconds: int
    speaking_ms: int
    left_at: WireTime
    reason: str
    message: str


class RoomEntry(BaseModel):
    """A room that someone is in."""

    model_config = ConfigDict(frozen=True)

    room_id: str
    participant_count: int
    max_participants: int
    is_full: bool
    first_joined_at: WireTime


class RoomsAnswer(Answer):
    """The rooms of a world that someone is in."""

    world: str
    rooms: tuple[RoomEntry, ...]
    total_active_rooms: int


class ParticipantsAnswer(Answer):
    """Who is in a room, in order of joining; nobody where the room is empty or was never used."""

    room_id: str
    participants: tuple[ParticipantView, ...]


class ConfigAnswer(Answer):
    """What a client should know before it asks anybody in. `guests` says whether a name is enough."""

    worlds: tuple[str, ...]
    guests: bool
    max_participants: int
    slots: int
    default_language: str
    languages: tuple[str, ...]


class HealthAnswer(BaseModel):
    """How the server is. `degraded` goes with a status of 503. A figure of `load` is None where there is none."""

    model_config = ConfigDict(frozen=True)

    success: bool
    status: Literal["ok", "degraded"]
    version: str
    features: tuple[str, ...]
    database: Literal["connected", "disconnected"]
    ledger: dict[str, Any]
    media: dict[str, Any]
    load: dict[str, int | float | None]
    timestamp: WireTime
