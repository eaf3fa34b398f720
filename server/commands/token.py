"""`weltenstimme token create|revoke|list`: user tokens, and API tokens that come and go without a restart.

The token itself is all that stands on standard output, once; whatever else there is to say goes to standard error.
"""

from __future__ import annotations

import hashlib
import re
import secrets as random
import sys
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from server import data_folder, secrets
from server.commands.database import with_database
from server.config import Settings
from server.errors import ConfigError
from server.options import CommandLine
from server.protocol import format_time
from server.protocol.fields import Identifier, PersonName, reason_of
from server.storage import tokens
from server.storage.tokens import ListedToken, Revoked
from server.voice.clock import SystemClock, whole_ms
from server.voice.participant import Role
from server.web.auth import TokenService

__all__ = ["names_of", "run", "user_id_of"]

API_TOKEN_BYTES: Final = 32
DEFAULT_HOURS: Final = 24.0
_LABEL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_JTI: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def run(settings: Settings, line: CommandLine) -> int:
    """0 where it was done, 1 where there was nothing to do. Raises `ConfigError`."""
    assert line.verb is not None, "the parser asks for one"
    return _VERBS[line.verb](settings, line.arguments)


def names_of(text: str | None, option: str) -> frozenset[str] | None:
    """The names of a list with commas; None where it was not given. Raises `ConfigError`."""
    if text is None:
        return None
    return frozenset(_checked(Identifier, name.strip(), option) for name in text.split(","))


def user_id_of(text: str) -> str:
    """A user id as it was given. Raises `ConfigError`."""
    return _checked(Identifier, text, "--user")


def _create(settings: Settings, given: Mapping[str, Any]) -> int:
    user, label = given.get("user"), given.get("api")
    if user is not None and label is None:
        return _create_user(settings, user, given)
    if label is not None and user is None:
        unfit = [f"--{name}" for name in ("name", "role", "worlds", "rooms", "hours") if given.get(name) is not None]
        if unfit:
            raise ConfigError(f"{unfit[0]} goes with --user: an API token may do everything, until it is revoked.")
        return _create_api(settings, label)
    raise ConfigError("weltenstimme token create takes either --user or --api.")


def _create_api(settings: Settings, label: str) -> int:
    if not _LABEL.fullmatch(label) or _JTI.fullmatch(label):
        raise ConfigError("--api takes a label of 1 to 64 letters, digits, dots, dashes and underscores, but no UUID.")
    token = random.token_urlsafe(API_TOKEN_BYTES)
    digest = hashlib.sha256(token.encode()).hexdigest()
    now = whole_ms(SystemClock().now())
    if not with_database(settings, lambda database: database.write(lambda db: tokens.add_api_token(db, label, digest, now))):
        raise ConfigError(f"There is, or was, an API token {label!r}; choose another label.")
    print(token)
    _say(f"API token {label}: a running server takes it within a second; only its hash is kept, so note it now.")
    return 0


def _create_user(settings: Settings, user: str, given: Mapping[str, Any]) -> int:
    user_id = user_id_of(user)
    name = _checked(PersonName, given["name"], "--name") if given.get("name") is not None else None
    role = Role(given.get("role") or Role.USER)
    worlds = names_of(given.get("worlds"), "--worlds")
    unknown = sorted((worlds or frozenset()) - set(settings.worlds))
    if unknown:
        raise ConfigError(f"--worlds names {unknown[0]!r}, which is none of VOICE_WORLDS.")
    data_folder.make(settings)
    service = TokenService(secrets.provide(settings).settings, SystemClock())
    issued = service.issue_user(
        user_id,
        name=name,
        role=role,
        worlds=worlds,
        rooms=names_of(given.get("rooms"), "--rooms"),
        life=timedelta(hours=given.get("hours") or DEFAULT_HOURS),
    )
    now = whole_ms(SystemClock().now())

    def note(db: Any) -> None:
        tokens.add_user_token(
            db, jti=issued.jti, user_id=user_id, name=name, role=role.value, now=now, expires_at=issued.expires_at
        )

    with_database(settings, lambda database: database.write(note))
    print(issued.token)
    _say(f"user token {issued.jti} of {user_id}, {role}, until {format_time(issued.expires_at)}")
    return 0


def _revoke(settings: Settings, given: Mapping[str, Any]) -> int:
    name = _checked(Identifier, given["token"], "the token to revoke")
    now = whole_ms(SystemClock().now())
    found = with_database(settings, lambda database: database.write(lambda db: tokens.revoke(db, name, now)))
    if found is Revoked.BEFORE:
        _say(f"{name} was revoked before.")
        return 1
    note = " It was not made here; it is refused all the same." if found is Revoked.UNKNOWN else ""
    _say(f"{found} {name}: refused within a second, and what it has opened is closed.{note}")
    return 0


def _list(settings: Settings, given: Mapping[str, Any]) -> int:
    for token in with_database(settings, lambda database: database.read(tokens.list_tokens)):
        print(_line(token, SystemClock().now()))
    return 0


def _line(token: ListedToken, now: datetime) -> str:
    """Columns that are divided by tabs: kind, name, state, created, expires, user, role; `-` where a value is not known."""
    state = "valid"
    if token.revoked_at is not None:
        state = f"revoked {format_time(token.revoked_at)}"
    elif token.expires_at is not None and token.expires_at <= now:
        state = "expired"
    times = (format_time(moment) if moment is not None else "-" for moment in (token.created_at, token.expires_at))
    return "\t".join((token.kind, token.name, state, *times, token.user_id or "-", token.role or "-"))


def _checked(kind: Any, text: str, option: str) -> str:
    try:
        checked: str = TypeAdapter(kind).validate_python(text)
    except ValidationError as problem:
        raise ConfigError(f"{option} cannot be used: {reason_of(problem, option)[1]}.") from None
    return checked


def _say(text: str) -> None:
    print(text, file=sys.stderr)


_VERBS: Final[Mapping[str, Callable[[Settings, Mapping[str, Any]], int]]] = MappingProxyType(
    {"create": _create, "revoke": _revoke, "list": _list}
)
