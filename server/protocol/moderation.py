"""What REST carries for moderation: orders, log entries, reports, and their answers."""

from __future__ import annotations

from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict

from server.protocol.fields import DurationHours, Identifier, Moment, PersonName, Reason, WireTime
from server.protocol.rest import Answer, Request

__all__ = [
    "ActionAnswer",
    "ActionEffect",
    "ActionLogAnswer",
    "ActionLogRequest",
    "ActionRequest",
    "ActionType",
    "ReportAnswer",
    "ReportRequest",
]

LoggedActionType: TypeAlias = Literal["kick", "mute", "unmute", "ban", "unban", "warn"]
ActionType: TypeAlias = Literal["kick", "mute", "unmute", "ban", "unban", "warn", "mute_all"]


class ActionRequest(Request):
    """`POST /api/admin/actions`: an order. `target_user_id` is `*` for `mute_all`, `world` may be `*` for a ban and its end.

    `room_id` is None for every room of the world, `duration_hours` for as long as such an action lasts by default. With an API
    token `admin_user_id` and `admin_username` say in whose name it acts; with another they are left aside.
    """

    required_fields = ("action_type", "target_user_id", "world")

    action_type: ActionType
    target_user_id: Identifier
    world: Identifier
    room_id: Identifier | None = None
    reason: Reason | None = None
    duration_hours: DurationHours | None = None
    admin_user_id: Identifier | None = None
    admin_username: PersonName | None = None


class ActionLogRequest(Request):
    """`POST /api/admin/action/log`: what was carried out elsewhere. `timestamp` is when; None: now."""

    required_fields = ("action_type", "target_user_id", "admin_user_id", "world")

    action_type: LoggedActionType
    target_user_id: Identifier
    target_username: PersonName | None = None
    admin_user_id: Identifier
    admin_username: PersonName | None = None
    world: Identifier
    room_id: Identifier | None = None
    reason: Reason | None = None
    duration_hours: DurationHours | None = None
    timestamp: Moment | None = None


class ReportRequest(Request):
    """`POST /api/voice/report`. With an API token `user_id` says who reports; with another it is left aside."""

    required_fields = ("target_user_id", "room_id")

    target_user_id: Identifier
    room_id: Identifier
    reason: Reason | None = None
    user_id: Identifier | None = None


class ActionEffect(BaseModel):
    """What an action came to: the sessions it concerned, how many bans or mutes it lifted, how many reports it answered first."""

    model_config = ConfigDict(frozen=True)

    sessions: tuple[str, ...]
    lifted: int
    answered: int


class ActionAnswer(Answer):
    """An order was carried out and logged. `expires_at` is None where it does not end by itself, or does not last."""

    action_id: str
    action_type: str
    target_user_id: str
    world: str
    room_id: str | None
    expires_at: WireTime | None
    effect: ActionEffect
    message: str


class ActionLogAnswer(Answer):
    """An action was logged, and nothing else."""

    action_id: str
    message: str


class ReportAnswer(Answer):
    """A report was kept; or the same one was there already."""

    report_id: str
    message: str
