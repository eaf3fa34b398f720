"""Secrets that nobody gave: made once, kept in the data folder, readable by nobody else.

`secrets.json` holds an API token and the key that tokens are signed with. It is made whole or not at all, so that two servers
that start at the same time end up with the same secrets. What the operator gave in the settings is never written to it.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import stat
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

from server.config import Settings
from server.errors import ConfigError

__all__ = ["FILE_NAME", "Provided", "provide"]

logger = logging.getLogger(__name__)

FILE_NAME: Final = "secrets.json"
_FILE_MODE: Final = 0o600
_TOKEN_BYTES: Final = 32
_KEY_BYTES: Final = 48


@dataclass(frozen=True, slots=True)
class Provided:
    """Settings with every secret in them. `generated_api_token` is None where the operator gave tokens."""

    settings: Settings
    generated_api_token: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Kept:
    """What `secrets.json` holds."""

    api_token: str = field(repr=False)
    jwt_secret: str = field(repr=False)


def provide(settings: Settings) -> Provided:
    """The same settings, with secrets from the data folder where none were given; makes the file where it is missing.

    The data folder must be there. Raises `ConfigError` where the file cannot be used or belongs to somebody else.
    """
    if settings.api_tokens and settings.jwt_secret:
        return Provided(settings, generated_api_token=None)
    kept = _read_or_make(settings.data_dir / FILE_NAME)
    complete = replace(
        settings,
        api_tokens=settings.api_tokens or (kept.api_token,),
        jwt_secret=settings.jwt_secret or kept.jwt_secret,
    )
    return Provided(complete, generated_api_token=None if settings.api_tokens else kept.api_token)


def _read_or_make(path: Path) -> _Kept:
    try:
        text = _read_private(path)
        if text is None:
            _write_private(path, _Kept(secrets.token_urlsafe(_TOKEN_BYTES), secrets.token_urlsafe(_KEY_BYTES)))
            text = _read_private(path)
    except OSError as problem:
        raise ConfigError(f"{path} cannot be used: {problem.strerror}.") from None
    return _parse(path, text or "")


def _read_private(path: Path) -> str | None:
    """The file's text, None where there is none. A mode that lets others read is mended and told."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    with open(handle, encoding="utf-8") as file:
        status = os.fstat(handle)
        if status.st_uid not in {os.geteuid(), 0}:
            raise ConfigError(f"{path} belongs to another user; delete it, and a new one is made.")
        mode = stat.S_IMODE(status.st_mode)
        if mode & ~_FILE_MODE:
            os.fchmod(handle, _FILE_MODE)
            logger.warning(
                "%s had mode %03o and is now %03o: others may have read it; delete it to get new secrets", path, mode, _FILE_MODE
            )
        return file.read()


def _write_private(path: Path, kept: _Kept) -> None:
    """Writes the file under a name of its own and links it to `path`, which fails where another start was first."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _FILE_MODE)
    try:
        with open(handle, "w", encoding="utf-8") as file:
            json.dump({"api_token": kept.api_token, "jwt_secret": kept.jwt_secret}, file, indent=2)
            file.flush()
            os.fsync(handle)
        try:
            os.link(draft, path)
        except FileExistsError:
            logger.info("%s was made by another start of the server at the same time", path)
    finally:
        draft.unlink()


def _parse(path: Path, text: str) -> _Kept:
    try:
        found = json.loads(text)
        values = [found["api_token"], found["jwt_secret"]]
    except (ValueError, KeyError, TypeError):
        values = []
    if not values or not all(isinstance(value, str) and len(value) >= _TOKEN_BYTES for value in values):
        raise ConfigError(f"{path} does not hold the secrets that it should; delete it, and a new one is made.")
    return _Kept(*values)
