"""The kinds of values that the wire carries: texts with their limits, times, and JSON read strictly.

Limits are in characters where a person counts them and in UTF-8 bytes where storage does. Right-to-left text, marks and emoji are
welcome; control characters are not, and neither are the characters that turn the direction of what stands after them.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BeforeValidator,
    Field,
    PlainSerializer,
    StringConstraints,
    ValidationError,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError, from_json

__all__ = [
    "MAX_EMOJI_BYTES",
    "MAX_FRAME_BYTES",
    "MAX_ID_CHARS",
    "MAX_NAME_BYTES",
    "MAX_NAME_CHARS",
    "MAX_REASON_CHARS",
    "MAX_REQUEST_ID_CHARS",
    "MAX_TOKEN_CHARS",
    "DurationHours",
    "Emoji",
    "Identifier",
    "Moment",
    "PersonName",
    "Reason",
    "RequestId",
    "Token",
    "WireTime",
    "count_characters",
    "format_time",
    "is_blank",
    "object_from_json",
    "reason_of",
    "whole_seconds",
]

MAX_FRAME_BYTES: Final = 64 * 1024
"""The largest REST body and WebSocket frame."""
MAX_ID_CHARS: Final = 128
MAX_NAME_CHARS: Final = 64
MAX_NAME_BYTES: Final = 1024
"""64 emoji of several code points each fit; a name that is nothing but marks does not grow without end."""
MAX_EMOJI_BYTES: Final = 64
MAX_REQUEST_ID_CHARS: Final = 64
MAX_REASON_CHARS: Final = 500
MIN_DURATION_HOURS: Final = 0.0001
"""A third of a second; what is shorter is nothing."""
MAX_DURATION_HOURS: Final = 876_000
"""A hundred years; what is to last longer is for good."""
MAX_TOKEN_CHARS: Final = 8192

_DATE_AND_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}")
_FIRST_YEAR: Final = 1970
_LAST_YEAR: Final = 9000
_LINE_SEPARATORS: Final = "\u2028\u2029"
_DIRECTION_CONTROLS: Final = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
_REFUSED: Final = frozenset(_LINE_SEPARATORS + _DIRECTION_CONTROLS)
_INVISIBLE_CATEGORIES: Final = frozenset({"Cc", "Cf", "Zl", "Zp", "Zs"})
_EXTENDING_CATEGORIES: Final = frozenset({"Cf", "Mc", "Me", "Mn"})
_ZERO_WIDTH_JOINER: Final = "\u200d"
_SKIN_TONES: Final = range(0x1F3FB, 0x1F400)
_REGIONAL_INDICATORS: Final = range(0x1F1E6, 0x1F200)


def format_time(moment: datetime) -> str:
    """UTC, ISO 8601, milliseconds, `Z`: `2026-02-13T17:30:00.000Z`. `moment` must be aware."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def whole_seconds(ms: int) -> int:
    """Milliseconds as the whole seconds that older clients read: rounded, halves up, as in the rows."""
    return (ms + 500) // 1000


def is_blank(text: str) -> bool:
    """Whether nothing of a text would be seen: empty, white space, or invisible characters only."""
    return all(unicodedata.category(character) in _INVISIBLE_CATEGORIES for character in text)


def count_characters(text: str) -> int:
    """Characters as a person counts them, nearly (UAX #29 without its tables for Hangul and Indic conjuncts).

    Marks, skin tones and what a zero-width joiner joins belong to the character before; two regional indicators are one flag.
    """
    count = 0
    joined = False
    flag_open = False
    for character in text:
        code = ord(character)
        extends = joined or code in _SKIN_TONES or unicodedata.category(character) in _EXTENDING_CATEGORIES
        joined = character == _ZERO_WIDTH_JOINER
        if code in _REGIONAL_INDICATORS and not extends:
            flag_open = not flag_open
            extends = not flag_open
        elif not extends:
            flag_open = False
        if not extends or count == 0:
            count += 1
    return count


def object_from_json(body: bytes | str) -> dict[str, Any]:
    """The JSON object in `body`. Raises `ValueError` with a short reason that never quotes the body.

    Strict where the standard library is not: no NaN, no lone surrogates, no nesting deeper than 200.
    """
    try:
        value = from_json(body, allow_inf_nan=False)
    except ValueError:
        raise ValueError("not JSON") from None
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    return value


_REASONS: Final = {
    "missing": "missing",
    "string_type": "not a string",
    "bool_type": "not true or false",
    "int_type": "not a whole number",
    "model_type": "not an object",
    "model_attributes_type": "not an object",
    "dict_type": "not an object",
    "list_type": "not a list",
    "string_too_short": "empty",
}


def reason_of(problem: ValidationError, whole: str) -> tuple[str, str]:
    """The field, as the wire names it, and the reason of the first thing that is wrong with a message or a body.

    The field is a path such as `candidate.sdpMid`, or `whole` where it is the thing as a whole. The reason is stable English and
    holds nothing of the input.
    """
    first = problem.errors(include_url=False, include_input=False, include_context=True)[0]
    names = [str(part) for part in first["loc"]]
    kind = first["type"]
    reason = _REASONS.get(kind)
    if kind == "string_too_long":
        reason = f"too long: at most {first['ctx']['max_length']} characters"
    elif kind == "literal_error":
        reason = f"not {first['ctx']['expected']}"
    return ".".join(names) or whole, reason or first["msg"]


def _without_controls(text: str) -> str:
    if any(character in _REFUSED or unicodedata.category(character) == "Cc" for character in text):
        raise PydanticCustomError("control_characters", "control characters")
    return text


def _visible(text: str) -> str:
    if is_blank(text):
        raise PydanticCustomError("blank", "empty")
    return text


def _short_name(text: str) -> str:
    text = text.strip()
    if count_characters(text) > MAX_NAME_CHARS:
        raise PydanticCustomError("name_too_long", "too long: at most {limit} characters", {"limit": MAX_NAME_CHARS})
    if len(text.encode()) > MAX_NAME_BYTES:
        raise PydanticCustomError("name_too_long", "too long: at most {limit} bytes", {"limit": MAX_NAME_BYTES})
    return text


def _short_emoji(text: str) -> str:
    if len(text.encode()) > MAX_EMOJI_BYTES:
        raise PydanticCustomError("emoji_too_long", "too long: at most {limit} bytes", {"limit": MAX_EMOJI_BYTES})
    return text


def _iso_text(value: object) -> object:
    """Numbers in a text would be taken for seconds since 1970."""
    if not isinstance(value, str):
        raise PydanticCustomError("string_type", "not a string")
    if not _DATE_AND_TIME.match(value):
        raise PydanticCustomError("not_a_time", "not a time such as 2026-02-13T17:30:00.000Z")
    return value


def _recent_era(moment: datetime) -> datetime:
    if not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
        raise PydanticCustomError("out_of_range", "out of range")
    return moment


_TIME_SCHEMA: Final = {"type": "string", "format": "date-time"}

WireTime = Annotated[datetime, PlainSerializer(format_time, return_type=str), WithJsonSchema(_TIME_SCHEMA, mode="serialization")]
"""An aware time, written as `format_time` does."""

Moment = Annotated[
    AwareDatetime, BeforeValidator(_iso_text), AfterValidator(_recent_era), WithJsonSchema(_TIME_SCHEMA, mode="validation")
]
"""A time that somebody tells us: ISO 8601 with its offset, as text."""

Identifier = Annotated[
    str,
    StringConstraints(strict=True, max_length=MAX_ID_CHARS),
    AfterValidator(_without_controls),
    AfterValidator(_visible),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": MAX_ID_CHARS}, mode="validation"),
]
"""The id of a room, a user or a session, or the name of a world."""

PersonName = Annotated[
    str,
    StringConstraints(strict=True),
    AfterValidator(_without_controls),
    AfterValidator(_short_name),
    AfterValidator(_visible),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": MAX_NAME_BYTES}, mode="validation"),
]
"""What a person wants to be called, without white space around it."""

Emoji = Annotated[
    str,
    StringConstraints(strict=True),
    AfterValidator(_without_controls),
    AfterValidator(_short_emoji),
    WithJsonSchema({"type": "string", "maxLength": MAX_EMOJI_BYTES}, mode="validation"),
]
"""The emoji that stands for a person. Whether it is one is the business of the font."""

RequestId = Annotated[str, StringConstraints(strict=True, max_length=MAX_REQUEST_ID_CHARS), AfterValidator(_without_controls)]
"""What a client calls its request; the answer repeats it."""

Reason = Annotated[
    str,
    StringConstraints(strict=True, max_length=MAX_REASON_CHARS),
    AfterValidator(_without_controls),
    AfterValidator(lambda text: text if not is_blank(text) else None),
]
"""Why somebody does something, in their words; None where they say nothing."""

DurationHours = Annotated[float, Field(strict=True, ge=MIN_DURATION_HOURS, le=MAX_DURATION_HOURS, allow_inf_nan=False)]
"""How long something is to last; fractions are welcome."""

Token = Annotated[str, StringConstraints(strict=True, max_length=MAX_TOKEN_CHARS)]
"""A bearer token."""
