"""Bodies in and out: JSON read with a limit, and the one shape of all errors."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web
from pydantic import BaseModel
from pydantic_core import to_json

from server.errors import InvalidRequest, MethodNotAllowed, PayloadTooLarge, Unauthorized, VoiceError
from server.i18n import Language, negotiate, sentence
from server.protocol import MAX_FRAME_BYTES, format_time
from server.signalling.views import wire_details
from server.web.deps import DEPS

__all__ = ["error_answer", "json_answer", "language_of", "read_body"]

BODY_PATIENCE_SECONDS: Final = 10.0

_JSON: Final = "application/json"
_READABLE_TYPES: Final = frozenset({_JSON, "text/plain", "application/octet-stream"})
"""`text/plain` is what `navigator.sendBeacon` sends a string as; the last is what aiohttp says where no type was given."""


def language_of(request: web.Request) -> Language:
    """The language for the sentences of this answer."""
    default = Language(request.app[DEPS].settings.default_language)
    return negotiate(request.headers.get("Accept-Language"), default)


async def read_body(request: web.Request) -> bytes:
    """The body. Raises `PayloadTooLarge` as soon as that is known, and `InvalidRequest` for one that cannot be had or be JSON."""
    if request.content_type not in _READABLE_TYPES and not request.content_type.endswith("+json"):
        raise InvalidRequest(None, "Content-Type is not application/json")
    if request.content_length is not None and request.content_length > MAX_FRAME_BYTES:
        raise PayloadTooLarge(max_bytes=MAX_FRAME_BYTES)
    try:
        async with asyncio.timeout(BODY_PATIENCE_SECONDS):
            return await _all_of(request)
    except web.RequestPayloadError:
        raise InvalidRequest(None, "the body cannot be decoded") from None
    except (ConnectionError, TimeoutError):
        raise InvalidRequest(None, "the body is not complete") from None


async def _all_of(request: web.Request) -> bytes:
    body = bytearray()
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > MAX_FRAME_BYTES:
            raise PayloadTooLarge(max_bytes=MAX_FRAME_BYTES)
    return bytes(body)


def json_answer(answer: BaseModel | Mapping[str, Any], *, status: int = 200) -> web.Response:
    """An answer of the API: never kept by a cache."""
    body = to_json(answer, by_alias=True)
    return web.Response(body=body, status=status, content_type=_JSON, charset="utf-8", headers={"Cache-Control": "no-store"})


def error_answer(request: web.Request, error: VoiceError) -> web.Response:
    """The answer for an error, in the language of the request."""
    answer = json_answer(
        {
            "success": False,
            "error": error.error,
            "message": sentence(error.message_key, language_of(request), error.details),
            "timestamp": format_time(request.app[DEPS].clock.now()),
            **wire_details(error.details),
        },
        status=error.status,
    )
    if error.retry_after is not None:
        answer.headers["Retry-After"] = str(error.retry_after)
    if isinstance(error, MethodNotAllowed):
        answer.headers["Allow"] = ", ".join(error.details["allowed_methods"])
    if isinstance(error, Unauthorized):
        answer.headers["WWW-Authenticate"] = "Bearer"
    return answer
