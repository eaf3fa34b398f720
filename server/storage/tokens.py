"""API tokens and revocations in rows: what may be used, and what not any more. No token is ever kept, only its hash.

The functions that take a `sqlite3.Connection` run inside a transaction of `Database`, in its thread.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from server.storage.database import Database
from server.storage.timestamps import from_text, to_text

__all__ = ["ListedToken", "Revoked", "SqliteTokenStore", "TokenState", "add_api_token", "add_user_token", "list_tokens", "revoke"]

_API: Final = "SELECT label, digest FROM api_tokens WHERE revoked_at IS NULL ORDER BY label"
_REVOKED_SINCE: Final = "SELECT id, jti FROM revocations WHERE id > ? ORDER BY id"
_ADD_API: Final = "INSERT OR IGNORE INTO api_tokens (label, digest, created_at) VALUES (?, ?, ?)"
_ADD_USER: Final = "INSERT INTO user_tokens (jti, user_id, name, role, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?)"
_REVOKE_API: Final = "UPDATE api_tokens SET revoked_at = ? WHERE label = ? AND revoked_at IS NULL"
_IS_API: Final = "SELECT 1 FROM api_tokens WHERE label = ?"
_REVOKE_JTI: Final = "INSERT OR IGNORE INTO revocations (jti, revoked_at) VALUES (?, ?)"
_IS_USER: Final = "SELECT 1 FROM user_tokens WHERE jti = ?"
_LIST: Final = """
    SELECT 'api', label, NULL, NULL, created_at, NULL, revoked_at FROM api_tokens
    UNION ALL
    SELECT 'user', coalesce(made.jti, revoked.jti), made.user_id, made.role, made.created_at, made.expires_at, revoked.revoked_at
    FROM user_tokens AS made LEFT JOIN revocations AS revoked ON revoked.jti = made.jti
    UNION ALL
    SELECT 'user', jti, NULL, NULL, NULL, NULL, revoked_at FROM revocations WHERE jti NOT IN (SELECT jti FROM user_tokens)
    ORDER BY 1, 5, 2
"""


@dataclass(frozen=True, slots=True)
class TokenState:
    """`api` are the API tokens that may be used: label and SHA-256 in hex. `revoked` are the `jti`s that came since the last
    look, `newest` is what the next look goes on from."""

    api: tuple[tuple[str, str], ...]
    revoked: tuple[str, ...]
    newest: int


class Revoked(StrEnum):
    """What `revoke` found. UNKNOWN: a `jti` that was not made here; it is refused from now on all the same."""

    API = "API token"
    USER = "user token"
    UNKNOWN = "token"
    BEFORE = "before"


@dataclass(frozen=True, slots=True)
class ListedToken:
    """A line of the list. `kind` is `api` or `user`, `name` the label or the `jti`. What is not known is None."""

    kind: str
    name: str
    user_id: str | None
    role: str | None
    created_at: datetime | None
    expires_at: datetime | None
    revoked_at: datetime | None


class SqliteTokenStore:
    """What a running server asks for, again and again."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def state(self, after: int) -> TokenState:
        """What holds now; of revocations those after that number. Raises `StoreError`."""

        def work(db: sqlite3.Connection) -> TokenState:
            api = tuple((str(label), str(digest)) for label, digest in db.execute(_API))
            revoked = db.execute(_REVOKED_SINCE, (after,)).fetchall()
            newest = revoked[-1][0] if revoked else after
            return TokenState(api, tuple(str(jti) for _, jti in revoked), newest)

        return await self._database.read(work)


def add_api_token(db: sqlite3.Connection, label: str, digest: str, now: datetime) -> bool:
    """False where a token has, or had, this label."""
    return db.execute(_ADD_API, (label, digest, to_text(now))).rowcount == 1


def add_user_token(
    db: sqlite3.Connection, *, jti: str, user_id: str, name: str | None, role: str, now: datetime, expires_at: datetime
) -> None:
    """Note that a user token was made."""
    db.execute(_ADD_USER, (jti, user_id, name, role, to_text(now), to_text(expires_at)))


def revoke(db: sqlite3.Connection, name: str, now: datetime) -> Revoked:
    """Refuse from now on the API token of this label or, where there never was one, the user token of this `jti`."""
    if db.execute(_IS_API, (name,)).fetchone() is not None:
        changed = db.execute(_REVOKE_API, (to_text(now), name)).rowcount
        return Revoked.API if changed else Revoked.BEFORE
    if not db.execute(_REVOKE_JTI, (name, to_text(now))).rowcount:
        return Revoked.BEFORE
    return Revoked.USER if db.execute(_IS_USER, (name,)).fetchone() is not None else Revoked.UNKNOWN


def list_tokens(db: sqlite3.Connection) -> list[ListedToken]:
    """All that are known, API tokens first, each kind in the order in which they were made."""
    return [
        ListedToken(kind, name, user_id, role, _moment(created), _moment(expires), _moment(revoked))
        for kind, name, user_id, role, created, expires, revoked in db.execute(_LIST)
    ]


def _moment(text: str | None) -> datetime | None:
    return from_text(text) if text is not None else None
