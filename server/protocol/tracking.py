"""What REST carries for tracking: the beginning and the end of a stay, as a backend or a client reports them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from server.protocol.fields import Identifier, Moment, PersonName
from server.protocol.rest import Answer, Request

__all__ = ["MAX_REPORTED_SECONDS", "EndAnswer", "EndRequest", "StartAnswer", "StartRequest", "StayStats"]

MAX_REPORTED_SECONDS = 31 * 86_400
"""Nobody stays longer than a month."""

Seconds = Annotated[int, Field(strict=True, ge=0, le=MAX_REPORTED_SECONDS)]


class StartRequest(Request):
    """`POST /api/admin/voice-session/start`: somebody joined, here or in a call that runs elsewhere."""

    required_fields = ("session_id", "room_id", "user_id", "username", "world", "joined_at")

    session_id: Identifier
    room_id: Identifier
    user_id: Identifier
    username: PersonName
    world: Identifier
    joined_at: Moment


class EndRequest(Request):
    """`POST /api/admin/voice-session/end`: somebody left."""

    required_fields = ("session_id", "room_id", "user_id", "left_at", "duration_seconds", "speaking_seconds")

    session_id: Identifier
    room_id: Identifier
    user_id: Identifier
    left_at: Moment
    duration_seconds: Seconds
    speaking_seconds: Seconds

    @field_validator("speaking_seconds")
    @classmethod
    def _not_longer_than_the_stay(cls, seconds: int, info: ValidationInfo) -> int:
        if seconds > info.data.get("duration_seconds", seconds):
            raise PydanticCustomError("impossible", "longer than duration_seconds")
        return seconds


class StayStats(BaseModel):
    """What counts for a stay. The ms are None where only whole seconds were reported."""

    model_config = ConfigDict(frozen=True)

    duration_seconds: int
    duration_ms: int | None
    speaking_seconds: int
    speaking_ms: int | None


class StartAnswer(Answer):
    """`created` is False where the session was known already, and nothing was changed."""

    session_id: str
    created: bool
    message: str


class EndAnswer(Answer):
    """`stats` are those of `measured_by`: `server`, whatever was reported, or `report` for a call that ran elsewhere."""

    session_id: str
    stats: StayStats
    measured_by: Literal["server", "report"]
    message: str
