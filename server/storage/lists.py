"""The lists of operators, asked of a database: one read each, on one snapshot."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from server.storage.database import Database
from server.storage.queries import Page, Position
from server.storage.queries_calls import CallFilter, CallRow, list_calls, room_names
from server.storage.queries_people import ActionFilter, ActionRow, UserProfile, find_profile, list_actions
from server.storage.queries_sessions import SessionFilter, SessionRow, find_session, list_sessions, open_elsewhere

__all__ = ["Lists", "LiveRows"]


@dataclass(frozen=True, slots=True)
class LiveRows:
    """What the database adds to those who are here: who is in calls elsewhere, and how rooms are called."""

    elsewhere: tuple[SessionRow, ...]
    room_names: dict[str, str]


class Lists:
    """`now` is the wall clock. Everything here may raise `StoreError`."""

    def __init__(self, database: Database, *, now: Callable[[], datetime]) -> None:
        self._database = database
        self._now = now

    async def sessions(self, wanted: SessionFilter, behind: Position | None, limit: int) -> Page[SessionRow]:
        """Sessions, the newest first."""
        return await self._database.read(lambda db: list_sessions(db, wanted, behind=behind, limit=limit))

    async def session(self, session_id: str) -> SessionRow | None:
        """One session."""
        return await self._database.read(lambda db: find_session(db, session_id))

    async def calls(self, wanted: CallFilter, behind: Position | None, limit: int) -> Page[CallRow]:
        """Calls that are over, the newest first."""
        return await self._database.read(lambda db: list_calls(db, wanted, behind=behind, limit=limit))

    async def live(self, world: str, room_ids: Iterable[str]) -> LiveRows:
        """Who is in calls of a world elsewhere, and the names of those rooms and of `room_ids`."""
        here = tuple(room_ids)

        def work(db: sqlite3.Connection) -> LiveRows:
            elsewhere = open_elsewhere(db, world)
            return LiveRows(elsewhere, room_names(db, {*here, *(row.room_id for row in elsewhere)}))

        return await self._database.read(work)

    async def profile(self, user_id: str) -> UserProfile | None:
        """A person in figures."""
        return await self._database.read(lambda db: find_profile(db, user_id, self._now()))

    async def actions(self, wanted: ActionFilter, behind: Position | None, limit: int) -> Page[ActionRow]:
        """The moderation log, the newest first."""
        return await self._database.read(lambda db: list_actions(db, wanted, behind=behind, limit=limit))
