"""What REST carries for operators: filters of lists, and the lists."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, Protocol, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, ValidationError, WithJsonSchema

from server.errors import InvalidRequest
from server.protocol.fields import Identifier, Moment, WireTime, reason_of
from server.protocol.moderation import ActionType
from server.protocol.rest import Answer

__all__ = [
    "DEFAULT_LIMIT",
    "MAX_LIMIT",
    "ActionEntry",
    "ActionQuery",
    "ActionsAnswer",
    "CallEntry",
    "CallHistoryAnswer",
    "CallQuery",
    "CallsAnswer",
    "ListQuery",
    "LiveCall",
    "LiveParticipant",
    "ReportedEnd",
    "SessionAnswer",
    "SessionEntry",
    "SessionQuery",
    "SessionsAnswer",
    "UserAnswer",
    "UserEntry",
]

DEFAULT_LIMIT: Final = 50
MAX_LIMIT: Final = 200
MAX_CURSOR_CHARS: Final = 200

_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def _beginning_of_day(value: object) -> object:
    return f"{value}T00:00:00Z" if isinstance(value, str) and _DAY.fullmatch(value) else value


def _switch(value: object) -> object:
    """As in JSON; pydantic would take `yes` and `1` as well."""
    return {"true": True, "false": False}.get(value) if isinstance(value, str) else value


DayOrMoment = Annotated[
    Moment,
    BeforeValidator(_beginning_of_day),
    WithJsonSchema({"type": "string", "anyOf": [{"format": "date-time"}, {"format": "date"}]}, mode="validation"),
]
"""A time, or a day, which stands for its beginning (UTC)."""

Switch = Annotated[bool, BeforeValidator(_switch), Field(strict=True)]
"""`true` or `false`."""


class Parameters(Protocol):
    """The query of a URL, with every value of each name."""

    def keys(self) -> Any: ...
    def getall(self, key: str) -> list[str]: ...


class ListQuery(BaseModel):
    """What every list takes: how many rows, from where on, and of which time. Unknown parameters are left aside."""

    model_config = ConfigDict(frozen=True, extra="ignore", validate_by_name=False, validate_by_alias=True)

    limit: int = Field(default=DEFAULT_LIMIT, ge=1, le=MAX_LIMIT)
    cursor: Annotated[str, StringConstraints(max_length=MAX_CURSOR_CHARS)] | None = None
    since: DayOrMoment | None = Field(default=None, alias="from")
    until: DayOrMoment | None = Field(default=None, alias="to")

    @classmethod
    def decode(cls, query: Parameters) -> Self:
        """Read the query of a URL. Raises `InvalidRequest`."""
        values = {}
        for name in query.keys():  # noqa: SIM118 - a query has names more than once, and iterating is no part of the protocol
            given = query.getall(name)
            if len(given) > 1 and name in {field.alias or key for key, field in cls.model_fields.items()}:
                raise InvalidRequest(name, "given twice")
            values[name] = given[0]
        try:
            return cls.model_validate(values)
        except ValidationError as problem:
            raise InvalidRequest(*reason_of(problem, "query")) from None


class CallQuery(ListQuery):
    """`GET /api/admin/call-history/{world}`. The time is that of the first join; `user_id`: calls that this user was in."""

    room_id: Identifier | None = None
    user_id: Identifier | None = None


class SessionQuery(ListQuery):
    """`GET /api/admin/sessions`. The time is that of joining; `active`: only those that go on, or only the others."""

    world: Identifier | None = None
    room_id: Identifier | None = None
    user_id: Identifier | None = None
    active: Switch | None = None


class ActionQuery(ListQuery):
    """`GET /api/admin/actions`. The time is that of the action."""

    world: Identifier | None = None
    room_id: Identifier | None = None
    action_type: ActionType | None = None
    target_user_id: Identifier | None = None
    admin_user_id: Identifier | None = None


class Entry(BaseModel):
    """An entry of a list."""

    model_config = ConfigDict(frozen=True)


class LiveParticipant(Entry):
    """Someone in a call. `session_id` is that of their stay."""

    session_id: str
    user_id: str
    username: str
    is_muted: bool
    is_speaking: bool
    joined_at: WireTime


class LiveCall(Entry):
    """A call that goes on. `external`: it runs elsewhere, and is known from reports only."""

    room_id: str
    room_name: str
    participant_count: int
    participants: tuple[LiveParticipant, ...]
    started_at: WireTime
    duration_seconds: int
    duration_ms: int
    external: bool


class CallsAnswer(Answer):
    """The calls of a world that go on now, the longest first."""

    world: str
    calls: tuple[LiveCall, ...]
    total_active_calls: int


class CallEntry(Entry):
    """A call that is over. `max_participants` is how many were there at the same time, at most."""

    room_id: str
    room_name: str
    started_at: WireTime
    ended_at: WireTime
    duration_seconds: int
    duration_ms: int
    max_participants: int
    total_sessions: int


class CallHistoryAnswer(Answer):
    """Calls of a world that are over, the newest first. `next_cursor` is None on the last page; `total` counts all pages."""

    world: str
    calls: tuple[CallEntry, ...]
    total: int
    next_cursor: str | None


class ReportedEnd(Entry):
    """What was reported about the end of a session that this server measured itself."""

    left_at: WireTime
    duration_seconds: int
    speaking_seconds: int
    reported_at: WireTime


class SessionEntry(Entry):
    """A stay. `left_at` and `reason` are None while it goes on; the durations are those so far, then.

    The ms are None where only whole seconds are known. `source`: `server` for a stay here, `external` for one that was only
    reported, `import` for one of an older database. `attempted_speaking_ms`: how long they tried to speak while a moderator had
    muted them. `reported` is what was reported beside the measurement, None where nothing.
    """

    session_id: str
    room_id: str
    room_name: str
    user_id: str
    username: str
    world: str
    avatar_emoji: str | None
    role: str
    joined_at: WireTime
    left_at: WireTime | None
    duration_seconds: int
    duration_ms: int | None
    speaking_seconds: int
    speaking_ms: int | None
    attempted_speaking_ms: int
    reason: str | None
    source: Literal["server", "external", "import"]
    reported: ReportedEnd | None


class SessionsAnswer(Answer):
    """Sessions, the newest first. `next_cursor` is None on the last page; `total` counts all pages."""

    sessions: tuple[SessionEntry, ...]
    total: int
    next_cursor: str | None


class SessionAnswer(Answer):
    """One session."""

    session: SessionEntry


class UserEntry(Entry):
    """A person in figures: minutes are rounded, ms are exact. A call counts once, however often they left it and came back."""

    user_id: str
    username: str
    role: str
    avatar_emoji: str | None
    created_at: WireTime
    last_active: WireTime
    total_calls: int
    total_sessions: int
    total_minutes: int
    total_ms: int
    speaking_minutes: int
    speaking_ms: int
    warnings: int
    kicks: int
    mutes: int
    bans: int


class UserAnswer(Answer):
    """One person."""

    user: UserEntry


class ActionEntry(Entry):
    """An entry of the moderation log.

    `duration_hours` and `expires_at` are None for what does not end by itself, or does not last. `log_only`: carried out
    elsewhere and only noted here; `effect` is None then.
    """

    action_id: str
    action_type: str
    target_user_id: str
    target_username: str | None
    admin_user_id: str
    admin_username: str | None
    world: str
    room_id: str | None
    reason: str | None
    duration_hours: float | None
    created_at: WireTime
    expires_at: WireTime | None
    log_only: bool
    effect: Mapping[str, Any] | None


class ActionsAnswer(Answer):
    """Entries of the moderation log, the newest first. `next_cursor` is None on the last page; `total` counts all pages."""

    actions: tuple[ActionEntry, ...]
    total: int
    next_cursor: str | None
