"""Rows of older versions as rows of this one. Pure.

Three kinds of databases are known: one with ids and times in milliseconds since 1970, the classic one with a session id and times
as text, and a mixture of both. The kind does not matter here: each value says by itself what it is.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from pydantic import TypeAdapter, ValidationError

from server.protocol.fields import MAX_NAME_CHARS, Identifier, is_blank, reason_of
from server.storage.older_file import OlderRow, Undecodable, Value

__all__ = ["OlderAction", "OlderSession", "OlderUser", "Unreadable", "action_of", "kind_of", "session_of", "user_of"]

_EVERY_WORLD: Final = "*"
_IDENTIFIER: Final = TypeAdapter[str](Identifier)
_NAMESPACE: Final = uuid.UUID("5b0e8d5a-6f6c-4b1d-9a55-3f1a6f2b7c11")
_EARLIEST: Final = datetime(2000, 1, 1, tzinfo=UTC)
_MS_FROM: Final = 100_000_000_000
"""A number from here on is milliseconds since 1970 (1973 and later), a smaller one seconds."""
_LONGEST_SECONDS: Final = 366 * 86_400
_MAX_REASON_CHARS: Final = 2_000
_ACTIONS: Final = frozenset({"kick", "mute", "unmute", "ban", "unban", "warn"})
_ROLES: Final = frozenset({"user", "moderator", "admin"})


class Unreadable(ValueError):
    """A row that cannot be taken over; the text says why."""


@dataclass(frozen=True, slots=True)
class OlderSession:
    """A stay. `ended` is False where its end was never written: `left_at` is then what is known of it.

    `duration_ms` is None where only whole seconds are known, `speaking_seconds` where nobody measured.
    """

    session_id: str
    room_id: str
    room_name: str | None
    user_id: str
    username: str
    world: str
    joined_at: datetime
    left_at: datetime
    created_at: datetime
    duration_seconds: int
    duration_ms: int | None
    speaking_seconds: int | None
    ended: bool


@dataclass(frozen=True, slots=True)
class OlderUser:
    """A person. A role that is not known here is `user`, and `role_known` False."""

    user_id: str
    username: str
    role: str
    role_known: bool
    avatar_emoji: str | None
    created_at: datetime | None
    last_active: datetime | None


@dataclass(frozen=True, slots=True)
class OlderAction:
    """An entry of the moderation log."""

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
    created_at: datetime
    expires_at: datetime | None


def kind_of(columns: Collection[str]) -> str:
    """What people call a database by the columns of its `voice_sessions`."""
    if "session_id" not in columns:
        return "ids and times in milliseconds"
    return "a mixture of both older ones" if "room_name" in columns else "the classic one"


def session_of(row: OlderRow) -> OlderSession:
    """Raises `Unreadable`."""
    values = row.values
    joined_at = _moment(values, "joined_at")
    if joined_at is None:
        raise Unreadable("joined_at is missing")
    left_at = _moment(values, "left_at")
    seconds, speaking = _whole(values, "duration_seconds"), _whole(values, "speaking_seconds")
    ended = left_at is not None
    if left_at is None:
        left_at = joined_at + timedelta(seconds=seconds or 0)
    if left_at < joined_at:
        raise Unreadable("left_at is before joined_at")
    duration_ms = (left_at - joined_at) // timedelta(milliseconds=1)
    if duration_ms > _LONGEST_SECONDS * 1000:
        raise Unreadable("it lasted longer than a year")
    exact = seconds is None or seconds == (duration_ms + 500) // 1000
    duration_seconds = (duration_ms + 500) // 1000 if seconds is None else seconds
    if speaking is not None and speaking > duration_seconds + 1:
        raise Unreadable("speaking_seconds is more than the stay lasted")
    user_id = _id(values, "user_id")
    return OlderSession(
        session_id=_session_id(row),
        room_id=_id(values, "room_id"),
        room_name=_words(values, "room_name", MAX_NAME_CHARS),
        user_id=user_id,
        username=_words(values, "username", MAX_NAME_CHARS) or user_id[:MAX_NAME_CHARS],
        world=_id(values, "world"),
        joined_at=joined_at,
        left_at=left_at,
        created_at=_moment(values, "created_at") or joined_at,
        duration_seconds=duration_seconds,
        duration_ms=duration_ms if exact else None,
        speaking_seconds=speaking,
        ended=ended,
    )


def user_of(row: OlderRow) -> OlderUser:
    """Raises `Unreadable`."""
    values = row.values
    user_id = _id(values, "user_id" if "user_id" in values else "id")
    role = (_words(values, "role", MAX_NAME_CHARS) or "user").lower()
    return OlderUser(
        user_id=user_id,
        username=_words(values, "username", MAX_NAME_CHARS) or user_id[:MAX_NAME_CHARS],
        role=role if role in _ROLES else "user",
        role_known=role in _ROLES,
        avatar_emoji=_words(values, "avatar_emoji", 16),
        created_at=_moment(values, "created_at"),
        last_active=_moment(values, "last_active"),
    )


def action_of(row: OlderRow) -> OlderAction:
    """Raises `Unreadable`."""
    values = row.values
    action_type = (_words(values, "action_type", MAX_NAME_CHARS) or "").lower()
    if action_type not in _ACTIONS:
        raise Unreadable("its action_type is not known")
    created_at = _moment(values, "created_at" if values.get("created_at") is not None else "timestamp")
    if created_at is None:
        raise Unreadable("created_at is missing")
    hours = _number(values, "duration_hours")
    expires_at = _moment(values, "expires_at")
    if expires_at is None and hours is not None and hours > 0 and action_type in {"ban", "mute"}:
        expires_at = created_at + timedelta(hours=min(hours, _LONGEST_SECONDS))
    if expires_at is not None and expires_at < created_at:
        raise Unreadable("expires_at is before created_at")
    own = values.get("action_id") if values.get("action_id") not in (None, "") else values.get("id")
    return OlderAction(
        action_id=_id({"id": str(own) if isinstance(own, str | int) else own}, "id"),
        action_type=action_type,
        target_user_id=_id(values, "target_user_id"),
        target_username=_words(values, "target_username", MAX_NAME_CHARS),
        admin_user_id=_id(values, "admin_user_id" if "admin_user_id" in values else "admin_id"),
        admin_username=_words(values, "admin_username", MAX_NAME_CHARS),
        world=_id(values, "world") if values.get("world") not in (None, "") else _EVERY_WORLD,
        room_id=_id(values, "room_id") if values.get("room_id") not in (None, "") else None,
        reason=_words(values, "reason", _MAX_REASON_CHARS),
        duration_hours=hours if hours is not None and hours > 0 else None,
        created_at=created_at,
        expires_at=expires_at,
    )


def _session_id(row: OlderRow) -> str:
    """Its session id; in a mixture some rows have none, and their `id` is one. A number is no id for all times: one is made of it
    and of what the stay was, so that it is the same the next time.
    """
    for name in ("session_id", "id"):
        value = row.values.get(name)
        if isinstance(value, str) and not is_blank(value):
            return _id(row.values, name)
    parts = [str(row.values.get(name)) for name in ("id", "room_id", "user_id", "world", "joined_at")]
    return str(uuid.uuid5(_NAMESPACE, "\n".join(parts)))


def _id(values: dict[str, Value], name: str) -> str:
    value = values.get(name)
    if isinstance(value, int):
        value = str(value)
    if not isinstance(value, str):
        raise Unreadable(f"{name} is {_what(value)}")
    try:
        return _IDENTIFIER.validate_python(value)
    except ValidationError as problem:
        raise Unreadable(f"{name} is not usable: {reason_of(problem, name)[1]}") from None


def _words(values: dict[str, Value], name: str, longest: int) -> str | None:
    """A text for people, without control characters and not too long; None where there is none."""
    value = values.get(name)
    if value is None:
        return None
    if isinstance(value, int | float):
        value = str(value)
    if not isinstance(value, str):
        raise Unreadable(f"{name} is {_what(value)}")
    tidy = " ".join("".join(character if character.isprintable() else " " for character in value).split())[:longest].strip()
    return tidy if not is_blank(tidy) else None


def _whole(values: dict[str, Value], name: str) -> int | None:
    number = _number(values, name)
    if number is None:
        return None
    if not 0 <= number <= _LONGEST_SECONDS:
        raise Unreadable(f"{name} is out of range")
    return math.floor(number + 0.5)


def _number(values: dict[str, Value], name: str) -> float | None:
    value = values.get(name)
    if value is None or value == "":
        return None
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            raise Unreadable(f"{name} is not a number") from None
    if not isinstance(value, int | float):
        raise Unreadable(f"{name} is {_what(value)}")
    if not math.isfinite(value):
        raise Unreadable(f"{name} is out of range")
    return float(value)


def _moment(values: dict[str, Value], name: str) -> datetime | None:
    """A time, to the millisecond; text without a zone is UTC, as SQLite writes it."""
    value = values.get(name)
    if value is None or (isinstance(value, str) and is_blank(value)):
        return None
    if isinstance(value, str) and not value.strip().isdecimal():
        moment = _from_text(value.strip(), name)
    else:
        number = _number(values, name)
        assert number is not None
        moment = _from_number(number, name)
    if moment < _EARLIEST:
        raise Unreadable(f"{name} is before the year 2000")
    return moment


def _from_text(text: str, name: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise Unreadable(f"{name} is not a time") from None
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def _from_number(number: float, name: str) -> datetime:
    ms = math.floor(number if number >= _MS_FROM else number * 1000)
    try:
        return datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=ms)
    except OverflowError:
        raise Unreadable(f"{name} is out of range") from None


def _what(value: object) -> str:
    if value is None:
        return "missing"
    return "not UTF-8" if isinstance(value, Undecodable) else "not a text"
