"""Who calls: API tokens, user tokens and session tokens.

User and session tokens are JWTs (RFC 7519), HS256. None passes for the other: a session token is signed with a key of its own,
derived from the secret, and has its own `typ` and `aud`. A user token may come from another backend that has the secret; then it
needs no `aud`. Nothing here puts a token or its claims into an error or a log line.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import secrets
import uuid
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, Final, Protocol

import jwt
from pydantic import TypeAdapter

from server.config import Settings
from server.errors import Unauthorized
from server.protocol.fields import MAX_TOKEN_CHARS, Identifier
from server.voice.clock import Clock, whole_ms
from server.voice.participant import Participant, Role

__all__ = [
    "ApiTokens",
    "Identity",
    "IdentityKind",
    "IssuedToken",
    "NoApiTokens",
    "NoRevocations",
    "Revocations",
    "TokenService",
    "api_credential",
]

ALGORITHM: Final = "HS256"
USER_AUDIENCE: Final = "weltenstimme:user"
SESSION_AUDIENCE: Final = "weltenstimme:session"
USER_TYPE: Final = "JWT"
SESSION_TYPE: Final = "voice-session+jwt"
NOT_BEFORE_LEEWAY_SECONDS: Final = 60
"""By how much the clock of a backend that issues user tokens may be ahead of ours."""

_SESSION_KEY_LABEL: Final = b"weltenstimme session token"
_IDENTIFIER: Final = TypeAdapter[str](Identifier)
_CHECKED_HERE: Final = {f"verify_{claim}": False for claim in ("exp", "nbf", "iat", "aud", "iss")}


class IdentityKind(Enum):
    """What a token is. API: a trusted backend or operator. USER: a person. SESSION: one stay of a person in one room."""

    API = "api"
    USER = "user"
    SESSION = "session"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who calls, from a valid token.

    `user_id` is None for API tokens. `worlds` and `rooms` are the grants, None where there is no limit; those of a session token
    are the one world and the one room of the session. `session_id` is None unless it is a session token. `jti` and `name` are
    None where the token has none; the name of an API token is its label, None for one of the settings. `parent_jti` is that of
    the user token that a session token came from, None elsewhere.
    """

    kind: IdentityKind
    role: Role
    user_id: str | None = None
    name: str | None = None
    worlds: frozenset[str] | None = None
    rooms: frozenset[str] | None = None
    jti: str | None = None
    session_id: str | None = None
    parent_jti: str | None = None

    @property
    def credential(self) -> str | None:
        """What the token is called where it is revoked; None for one that cannot be."""
        if self.kind is IdentityKind.API:
            return api_credential(self.name) if self.name is not None else None
        return self.jti

    def may_see(self, *, world: str | None = None, room_id: str | None = None) -> bool:
        """Whether the grants include this world and this room; None asks about neither."""
        world_granted = world is None or self.worlds is None or world in self.worlds
        room_granted = room_id is None or self.rooms is None or room_id in self.rooms
        return world_granted and room_granted


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A token that was made here. `expires_at` is aware."""

    token: str = field(repr=False)
    user_id: str
    expires_at: datetime
    jti: str


class Revocations(Protocol):
    """Who knows which tokens are not to be taken any more although they have not expired."""

    def is_revoked(self, identity: Identity) -> bool:
        """Must not block."""
        ...


class NoRevocations:
    """Nothing was revoked."""

    def is_revoked(self, identity: Identity) -> bool:
        return False


class ApiTokens(Protocol):
    """Who knows API tokens beside those of the settings."""

    def label_of(self, token: str) -> str | None:
        """The label of an API token, None for one that is none. Must not block, and take the same time for every token."""
        ...


class NoApiTokens:
    """There are none but those of the settings."""

    def label_of(self, token: str) -> str | None:
        return None


def api_credential(label: str) -> str:
    """What an API token with this label is called among all tokens. No `jti` of ours looks like that."""
    return f"api:{label}"


class TokenService:
    """Makes tokens and reads them. `settings.jwt_secret` must not be empty."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        *,
        revocations: Revocations | None = None,
        api_tokens: ApiTokens | None = None,
        new_guest_id: Callable[[], str] = lambda: f"guest_{secrets.token_hex(8)}",
        new_jti: Callable[[], str] = lambda: str(uuid.uuid4()),
    ) -> None:
        if not settings.jwt_secret:
            raise ValueError("tokens cannot be signed without a secret")
        self._user_key = settings.jwt_secret.encode()
        self._session_key = hmac.digest(self._user_key, _SESSION_KEY_LABEL, "sha256")
        self._api_digests = tuple(hashlib.sha256(token.encode()).digest() for token in settings.api_tokens)
        self._session_life = timedelta(hours=settings.session_token_hours)
        self._guest_life = timedelta(hours=settings.guest_token_hours)
        self._clock = clock
        self._revocations = revocations if revocations is not None else NoRevocations()
        self._api_tokens = api_tokens if api_tokens is not None else NoApiTokens()
        self._new_guest_id = new_guest_id
        self._new_jti = new_jti

    # --- making -------------------------------------------------------------------------------------------------

    def issue_guest(self, username: str, world: str | None = None) -> IssuedToken:
        """A user token for someone without an account; good for `world` only where one is named."""
        user_id = self._new_guest_id()
        claims: dict[str, Any] = {"sub": user_id, "name": username, "role": Role.USER.value, "aud": USER_AUDIENCE}
        if world is not None:
            claims["worlds"] = [world]
        return self._issue(claims, self._user_key, USER_TYPE, user_id, self._guest_life)

    def issue_user(
        self,
        user_id: str,
        *,
        name: str | None,
        role: Role,
        worlds: Collection[str] | None,
        rooms: Collection[str] | None,
        life: timedelta,
    ) -> IssuedToken:
        """A user token with these claims; None for grants means everywhere."""
        claims: dict[str, Any] = {"sub": user_id, "role": role.value, "aud": USER_AUDIENCE}
        optional = {"name": name, "worlds": sorted(worlds) if worlds is not None else None}
        optional["rooms"] = sorted(rooms) if rooms is not None else None
        claims |= {claim: value for claim, value in optional.items() if value is not None}
        return self._issue(claims, self._user_key, USER_TYPE, user_id, life)

    def issue_session(self, participant: Participant) -> IssuedToken:
        """The token of one stay: opens its WebSocket and may end it."""
        claims = {
            "sub": participant.user_id,
            "sid": participant.session_id,
            "room": participant.room_id,
            "world": participant.world,
            "role": participant.role.value,
            "aud": SESSION_AUDIENCE,
            **({"parent": participant.token_id} if participant.token_id is not None else {}),
        }
        return self._issue(claims, self._session_key, SESSION_TYPE, participant.user_id, self._session_life)

    def _issue(self, claims: Mapping[str, Any], key: bytes, token_type: str, user_id: str, life: timedelta) -> IssuedToken:
        now = whole_ms(self._clock.now())
        # Whole seconds, as every library reads them.
        expires = math.ceil((now + life).timestamp())
        jti = self._new_jti()
        payload = {**claims, "iat": int(now.timestamp()), "exp": expires, "jti": jti}
        token = jwt.encode(payload, key, algorithm=ALGORITHM, headers={"typ": token_type})
        return IssuedToken(token, user_id, datetime.fromtimestamp(expires, UTC), jti)

    # --- reading ------------------------------------------------------------------------------------------------

    def authenticate(self, header: str | None) -> Identity:
        """Who calls, by the `Authorization` header (RFC 6750, section 2.1). Raises `Unauthorized`."""
        scheme, _, token = (header or "").partition(" ")
        if scheme.lower() != "bearer":
            raise Unauthorized
        return self.identify(token.strip())

    def identify(self, token: str) -> Identity:
        """Whose token it is. Raises `Unauthorized`."""
        if not token or len(token) > MAX_TOKEN_CHARS or not token.isascii():
            raise Unauthorized
        label = self._api_tokens.label_of(token)
        if self._is_api_token(token) or label is not None:
            return Identity(IdentityKind.API, Role.ADMIN, name=label)
        try:
            is_session = jwt.get_unverified_header(token).get("typ") == SESSION_TYPE
            identity = self._session_identity(token) if is_session else self._user_identity(token)
        except (jwt.PyJWTError, ValueError, LookupError, RecursionError):
            raise Unauthorized from None
        if self._revocations.is_revoked(identity):
            raise Unauthorized
        return identity

    def verify_session_token(self, token: str, session_id: str) -> None:
        """Raises `Unauthorized` unless `token` is a valid session token of this very session."""
        identity = self.identify(token)
        if identity.kind is not IdentityKind.SESSION or identity.session_id != session_id:
            raise Unauthorized

    def _is_api_token(self, token: str) -> bool:
        digest = hashlib.sha256(token.encode()).digest()
        # All of them, always: the time it takes tells nothing.
        matches = [hmac.compare_digest(digest, known) for known in self._api_digests]
        return any(matches)

    def _user_identity(self, token: str) -> Identity:
        claims = self._claims(token, self._user_key)
        if claims.get("aud", USER_AUDIENCE) not in (USER_AUDIENCE, [USER_AUDIENCE]):
            raise ValueError("another audience")
        return Identity(
            IdentityKind.USER,
            _role(claims.get("role")),
            user_id=_IDENTIFIER.validate_python(claims["sub"]),
            name=_text_or_none(claims.get("name")),
            worlds=_grants(claims.get("worlds")),
            rooms=_grants(claims.get("rooms")),
            jti=_text_or_none(claims.get("jti")),
        )

    def _session_identity(self, token: str) -> Identity:
        claims = self._claims(token, self._session_key)
        if claims.get("aud") != SESSION_AUDIENCE:
            raise ValueError("another audience")
        return Identity(
            IdentityKind.SESSION,
            Role(claims["role"]),
            user_id=claims["sub"],
            worlds=frozenset({claims["world"]}),
            rooms=frozenset({claims["room"]}),
            jti=claims["jti"],
            session_id=claims["sid"],
            parent_jti=claims.get("parent"),
        )

    def _claims(self, token: str, key: bytes) -> dict[str, Any]:
        """The claims of a token that is signed with `key` and valid now, by our clock."""
        options: Any = {**_CHECKED_HERE, "require": ["exp", "sub"]}
        claims = jwt.decode(token, key, algorithms=[ALGORITHM], options=options)
        now = self._clock.now().timestamp()
        if _numeric_date(claims["exp"]) <= now:
            raise ValueError("expired")
        if "nbf" in claims and _numeric_date(claims["nbf"]) > now + NOT_BEFORE_LEEWAY_SECONDS:
            raise ValueError("not valid yet")
        return claims


def _numeric_date(value: object) -> float:
    """A NumericDate (RFC 7519, section 2)."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError("not a date")
    return float(value)


def _text_or_none(value: object) -> str | None:
    if value is not None and not isinstance(value, str):
        raise ValueError("not a text")
    return value


def _role(value: object) -> Role:
    """A role that we do not know gives no rights here."""
    name = _text_or_none(value)
    return Role(name) if name in {known.value for known in Role} else Role.USER


def _grants(value: object) -> frozenset[str] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError("not a list of names")
    return frozenset(value)
