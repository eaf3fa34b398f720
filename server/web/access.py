"""Who may call what, and what a path may name: the checks that handlers begin with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from aiohttp import hdrs, web
from pydantic import TypeAdapter, ValidationError

from server.errors import Forbidden, InvalidRequest, Unauthorized
from server.protocol.fields import Identifier, reason_of
from server.voice.participant import Role
from server.web.addresses import client_address
from server.web.auth import Identity, IdentityKind
from server.web.deps import DEPS, WebDeps

__all__ = ["authenticated", "identified", "identifier", "known_world", "operator", "reach"]

_IDENTIFIER: Final = TypeAdapter[str](Identifier)


def authenticated(request: web.Request, kind: str) -> Identity:
    """Who calls, by the `Authorization` header. `kind` is what the request counts as where nobody may call too often.

    Raises `Unauthorized`, and `RateLimited` for a caller, or an address that brings bad tokens, that calls too often.
    """
    header = request.headers.get(hdrs.AUTHORIZATION)
    return _counted(request, kind, lambda: request.app[DEPS].tokens.authenticate(header))


def identified(request: web.Request, kind: str, token: str | None) -> Identity:
    """Who calls, by a token that came in another way; None where none came. As `authenticated`."""
    return _counted(request, kind, lambda: request.app[DEPS].tokens.identify(token or ""))


def _counted(request: web.Request, kind: str, identify: Callable[[], Identity]) -> Identity:
    limiter, address = request.app[DEPS].limiter, client_address(request)
    try:
        identity = identify()
    except Unauthorized:
        limiter.check("refused", address=address, identity=None)
        raise
    limiter.check(kind, address=address, identity=identity)
    return identity


def operator(request: web.Request, kind: str = "admin") -> Identity:
    """Who calls, and is one: an API token, or an admin. What they may see says `reach`. Raises `Forbidden` and as above."""
    identity = authenticated(request, kind)
    if identity.kind is IdentityKind.SESSION or identity.role is not Role.ADMIN:
        raise Forbidden
    return identity


def reach(identity: Identity, *, world: str | None, room_id: str | None = None) -> None:
    """Raises `Forbidden` where the grants of an operator do not include what is asked about; None is all there is."""
    for asked, granted in ((world, identity.worlds), (room_id, identity.rooms)):
        if granted is not None and asked not in granted:
            raise Forbidden


def known_world(deps: WebDeps, world: str) -> None:
    """Raises `InvalidRequest` for a world that there is not."""
    if world not in deps.settings.worlds:
        raise InvalidRequest("world", "unknown world")


def identifier(field: str, value: str) -> str:
    """An id from a path. Raises `InvalidRequest`."""
    try:
        return _IDENTIFIER.validate_python(value)
    except ValidationError as problem:
        raise InvalidRequest(field, reason_of(problem, field)[1]) from None
