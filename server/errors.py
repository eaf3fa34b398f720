"""What can go wrong, as classes by audience.

`VoiceError` and its children are told to clients: each has a stable English `error` text from the wire contract, an HTTP
status, and details that a client can act on. The people-facing sentence is made from `message_key` in the language of the
request, by the one translator of each wire (`web.middleware` for REST, `signalling.dispatch` for the WebSocket).
`ConfigError` is told to the operator at start.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

__all__ = [
    "AlreadyInRoom",
    "BadMessage",
    "Banned",
    "ConfigError",
    "Draining",
    "Forbidden",
    "InternalError",
    "InvalidRequest",
    "Kicked",
    "MethodNotAllowed",
    "MissingFields",
    "MissingSessionId",
    "NotFound",
    "PayloadTooLarge",
    "RateLimited",
    "RoomFull",
    "ServerAtCapacity",
    "SessionAlreadyEnded",
    "SessionNotFound",
    "TargetNotFound",
    "Unauthorized",
    "UserNotFound",
    "VoiceError",
    "WrongState",
]


class ConfigError(Exception):
    """A setting is unknown or has a bad value. The text names the setting and says what it takes."""


class VoiceError(Exception):
    """An error that a client is told about.

    `error` is the stable code text of the wire contract, `status` its HTTP status, `details` what stands beside it in the
    answer (JSON values, or `datetime` which the translator formats). `retry_after` is whole seconds, or None where waiting does
    not help. No text of it ever holds a token.
    """

    status: ClassVar[int] = 500
    error: ClassVar[str] = "Internal error"
    message_key: ClassVar[str] = "internal_error"

    def __init__(self, *, retry_after: int | None = None, **details: Any) -> None:
        super().__init__(self.error)
        self.details: dict[str, Any] = details
        self.retry_after = retry_after

    def __str__(self) -> str:
        return f"{self.error} {self.details}" if self.details else self.error


class InternalError(VoiceError):
    """Something failed here that the client cannot mend."""


class MissingFields(VoiceError):
    """Required fields are absent or empty. `required` and `missing` are lists of field names."""

    status = 400
    error = "Missing required fields"
    message_key = "missing_fields"

    def __init__(self, *, required: list[str], missing: list[str]) -> None:
        super().__init__(required=required, missing=missing)


class MissingSessionId(VoiceError):
    """A leave without `session_id`."""

    status = 400
    error = "Missing session_id"
    message_key = "missing_session_id"


class InvalidRequest(VoiceError):
    """A field has a value that cannot be used. `field` is None where the body as a whole cannot be read."""

    status = 400
    error = "Invalid request"
    message_key = "invalid_request"

    def __init__(self, field: str | None, reason: str) -> None:
        super().__init__(field=field, reason=reason)


class Unauthorized(VoiceError):
    """No token, or one that is malformed, expired, revoked or wrongly signed."""

    status = 401
    error = "Unauthorized"
    message_key = "unauthorized"


class Forbidden(VoiceError):
    """The caller is known, but not allowed to do this."""

    status = 403
    error = "Forbidden"
    message_key = "forbidden"


class Kicked(Forbidden):
    """The user was put out of this room and may not come back before `expires_at`. Its code text is that of `Forbidden`."""

    message_key = "kicked"

    def __init__(self, *, expires_at: datetime, retry_after: int) -> None:
        super().__init__(retry_after=retry_after, reason="kicked", expires_at=expires_at)


class RoomFull(VoiceError):
    """The room has no free place."""

    status = 403
    error = "Room full"
    message_key = "room_full"

    def __init__(self, *, current_participant_count: int, max_participants: int) -> None:
        super().__init__(current_participant_count=current_participant_count, max_participants=max_participants)


class Banned(VoiceError):
    """An active ban. `expires_at` is None where it is for good."""

    status = 403
    error = "Banned"
    message_key = "banned"

    def __init__(self, *, reason: str | None, expires_at: datetime | None) -> None:
        super().__init__(reason=reason, expires_at=expires_at)


class NotFound(VoiceError):
    """An unknown route."""

    status = 404
    error = "Not found"
    message_key = "not_found"


class MethodNotAllowed(VoiceError):
    """The route exists, but not with this method. `allowed_methods` lists those it has."""

    status = 405
    error = "Method not allowed"
    message_key = "method_not_allowed"


class SessionNotFound(VoiceError):
    """No session has this id."""

    status = 404
    error = "Session not found"
    message_key = "session_not_found"


class UserNotFound(VoiceError):
    """Nobody of this id was ever here."""

    status = 404
    error = "User not found"
    message_key = "user_not_found"


class AlreadyInRoom(VoiceError):
    """The user has an open session in this room; `session_id` names it."""

    status = 409
    error = "Already in room"
    message_key = "already_in_room"

    def __init__(self, *, session_id: str) -> None:
        super().__init__(session_id=session_id)


class SessionAlreadyEnded(VoiceError):
    """The session ended before, at `left_at`."""

    status = 409
    error = "Session already ended"
    message_key = "session_already_ended"

    def __init__(self, *, session_id: str, left_at: datetime) -> None:
        super().__init__(session_id=session_id, left_at=left_at)


class PayloadTooLarge(VoiceError):
    """The body is larger than `max_bytes`."""

    status = 413
    error = "Payload too large"
    message_key = "payload_too_large"


class RateLimited(VoiceError):
    """Too many requests of this kind; `retry_after` says when to come back."""

    status = 429
    error = "Rate limited"
    message_key = "rate_limited"


class ServerAtCapacity(VoiceError):
    """The machine is full; a join now would cost those inside quality."""

    status = 503
    error = "Server at capacity"
    message_key = "server_at_capacity"


class Draining(VoiceError):
    """The server is about to restart and takes nobody new."""

    status = 503
    error = "Draining"
    message_key = "draining"


class BadMessage(VoiceError):
    """A WebSocket message that cannot be understood. `field` is None where it is the message as a whole."""

    status = 400
    error = "Bad message"
    message_key = "bad_message"

    def __init__(self, field: str | None, reason: str) -> None:
        super().__init__(field=field, reason=reason)


class WrongState(VoiceError):
    """A WebSocket message that this connection may not send now."""

    status = 409
    error = "Wrong state"
    message_key = "wrong_state"


class TargetNotFound(VoiceError):
    """A relayed message names nobody who is in the sender's room, or an action or report nobody who was there."""

    status = 404
    error = "Target not found"
    message_key = "target_not_found"
