"""What holds for every request: the one error shape, cross-origin rules, and security headers."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Final

from aiohttp import hdrs, web
from aiohttp.http import HttpProcessingError
from aiohttp.typedefs import Handler, Middleware

from server.errors import InternalError, InvalidRequest, MethodNotAllowed, NotFound, PayloadTooLarge, ServerAtCapacity, VoiceError
from server.protocol import MAX_FRAME_BYTES
from server.voice.ports import StoreBusy
from server.web.answers import error_answer
from server.web.deps import DEPS

__all__ = ["UnreadableRequests", "add_headers", "allows_origin", "error_middleware"]

logger = logging.getLogger(__name__)

API_CSP: Final = "default-src 'none'; frame-ancestors 'none'"
_SECURITY_HEADERS: Final = (
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "no-referrer"),
    ("Permissions-Policy", "microphone=(self), camera=(), geolocation=(), payment=(), usb=()"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Content-Security-Policy", API_CSP),
)
_SERVER_NAME: Final = "Weltenstimme"
_ALLOWED_HEADERS: Final = "Authorization, Content-Type, Accept-Language"
_EXPOSED_HEADERS: Final = "Retry-After, Allow"
BUSY_RETRY_AFTER_SECONDS: Final = 1
_PREFLIGHT_SECONDS: Final = "7200"
"""As long as Chromium keeps one."""


class UnreadableRequests(logging.Filter):
    """For aiohttp's log of requests that are no HTTP: leaves out what was in them, which may well be a token, and addresses."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Changes the record; lets all pass."""
        problem = record.exc_info[1] if record.exc_info else None
        if isinstance(problem, HttpProcessingError):
            record.exc_info = None
            record.msg, record.args = "a request could not be read: %s", (type(problem).__name__,)
        return True


def error_middleware(endpoints: Iterable[str]) -> Middleware:
    """The middleware that answers what handlers raise. `endpoints` is what an unknown route is told that there is."""
    available = tuple(endpoints)

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            if request.method == hdrs.METH_OPTIONS:
                return _options(request, available)
            return await handler(request)
        except VoiceError as problem:
            return error_answer(request, problem)
        except web.HTTPException as problem:
            if problem.status < 400:
                raise
            return error_answer(request, _translate(problem, available))
        except StoreBusy:
            return error_answer(request, ServerAtCapacity(retry_after=BUSY_RETRY_AFTER_SECONDS))
        except Exception:
            logger.exception("%s %s failed", request.method, request.match_info.route.resource or "an unknown route")
            return error_answer(request, InternalError())

    return middleware


def allows_origin(allowed: tuple[str, ...], origin: str) -> bool:
    """Whether the setting lets pages of this origin call."""
    return "*" in allowed or origin.lower() in allowed


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """For every answer, whoever made it (`on_response_prepare`)."""
    for name, value in _SECURITY_HEADERS:
        response.headers.setdefault(name, value)
    response.headers[hdrs.SERVER] = _SERVER_NAME
    allowed = request.app[DEPS].settings.allowed_origins
    origin = request.headers.get(hdrs.ORIGIN)
    if "*" in allowed:
        response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = "*"
    else:
        response.headers.add(hdrs.VARY, hdrs.ORIGIN)
        if origin is not None and allows_origin(allowed, origin):
            response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origin
    response.headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = _EXPOSED_HEADERS


def _translate(problem: web.HTTPException, available: tuple[str, ...]) -> VoiceError:
    """What aiohttp raises, as an error of the contract."""
    if isinstance(problem, web.HTTPNotFound):
        return NotFound(available_endpoints=list(available))
    if isinstance(problem, web.HTTPMethodNotAllowed):
        return MethodNotAllowed(allowed_methods=_methods(problem))
    if isinstance(problem, web.HTTPRequestEntityTooLarge):
        return PayloadTooLarge(max_bytes=MAX_FRAME_BYTES)
    if problem.status < 500:
        return InvalidRequest(None, problem.reason)
    return InternalError()


def _methods(problem: web.HTTPMethodNotAllowed) -> list[str]:
    return sorted({*problem.allowed_methods, hdrs.METH_OPTIONS})


def _options(request: web.Request, available: tuple[str, ...]) -> web.StreamResponse:
    """The answer to a preflight (Fetch standard, section 3.2.2), and to a bare `OPTIONS`."""
    problem = request.match_info.http_exception
    is_preflight = hdrs.ORIGIN in request.headers and hdrs.ACCESS_CONTROL_REQUEST_METHOD in request.headers
    if isinstance(problem, web.HTTPMethodNotAllowed):
        methods = ", ".join(_methods(problem))
    elif is_preflight:
        # A page that calls a route that does not exist is to read the 404, not a riddle about CORS.
        methods = "GET, HEAD, OPTIONS, POST"
    else:
        raise NotFound(available_endpoints=list(available))
    answer = web.Response(status=204, headers={hdrs.ALLOW: methods})
    if is_preflight:
        answer.headers[hdrs.ACCESS_CONTROL_ALLOW_METHODS] = methods
        answer.headers[hdrs.ACCESS_CONTROL_ALLOW_HEADERS] = _ALLOWED_HEADERS
        answer.headers[hdrs.ACCESS_CONTROL_MAX_AGE] = _PREFLIGHT_SECONDS
    return answer
