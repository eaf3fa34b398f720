"""Moderation in rows: implements `server.voice.moderation_ports.ModerationStore` on SQLite.

The functions that take a `sqlite3.Connection` run inside a transaction of `Database`, in its thread.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, Final

from server.storage.audit import append_action
from server.storage.bans import EVERY_WORLD
from server.storage.database import Database
from server.storage.rights import right_of
from server.storage.timestamps import from_text, to_text
from server.voice.moderation import RULES, Action, Scope
from server.voice.moderation_ports import KnownUser, NewAction, NewReport, Recorded
from server.voice.participant import Role

__all__ = ["SqliteModerationStore", "action_row"]

_USERNAME: Final = "SELECT username FROM users WHERE user_id = ?"
_LAST_ROLE: Final = "SELECT role FROM voice_sessions WHERE user_id = ? ORDER BY joined_at DESC, id DESC LIMIT 1"
_OPEN_OF_USER: Final = """
    SELECT session_id, room_id, user_id FROM voice_sessions
    WHERE left_at IS NULL AND source = 'server' AND user_id = :target AND :world IN (world, '*')
        AND coalesce(:room_id, room_id) = room_id
    ORDER BY id
"""
_OPEN_PLAIN_USERS: Final = """
    SELECT session_id, room_id, user_id FROM voice_sessions
    WHERE left_at IS NULL AND source = 'server' AND room_id = :room_id AND world = :world AND role = 'user'
        AND user_id <> :admin
    ORDER BY id
"""
_BAN: Final = """
    INSERT INTO bans (user_id, world, action_id, reason, expires_at) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (user_id, world) DO UPDATE SET
        action_id = excluded.action_id, reason = excluded.reason, expires_at = excluded.expires_at
"""
_KICK: Final = """
    INSERT INTO kicks (user_id, room_id, action_id, expires_at) VALUES (?, ?, ?, ?)
    ON CONFLICT (user_id, room_id) DO UPDATE SET action_id = excluded.action_id, expires_at = excluded.expires_at
"""
_MUTE: Final = """
    INSERT INTO mutes (user_id, room_id, action_id, expires_at) VALUES (?, ?, ?, ?)
    ON CONFLICT (user_id, room_id) DO UPDATE SET action_id = excluded.action_id, expires_at = excluded.expires_at
"""
_UNBAN: Final = "DELETE FROM bans WHERE user_id = ? AND world = ? RETURNING expires_at"
_UNMUTE: Final = "DELETE FROM mutes WHERE user_id = ? AND room_id = ? RETURNING expires_at"
_FORGET_KICKS: Final = "DELETE FROM kicks WHERE user_id = ? AND expires_at <= ?"
_OPEN_REPORTS: Final = """
    SELECT id, created_at FROM reports
    WHERE target_user_id = ? AND action_id IS NULL AND ? IN (world, '*') AND coalesce(?, room_id) = room_id
"""
_ANSWER: Final = "UPDATE reports SET action_id = ?, response_ms = ? WHERE id = ?"
_SAME_REPORT: Final = """
    SELECT report_id FROM reports
    WHERE target_user_id = ? AND world = ? AND room_id = ? AND reporter_user_id = ? AND action_id IS NULL
"""
_REPORT: Final = """
    INSERT INTO reports (report_id, reporter_user_id, target_user_id, world, room_id, reason, created_at)
    VALUES (?, ?, ?, ?, ?, ?, ?)
"""
_WAS_IN_ROOM: Final = """
    SELECT 1 FROM voice_sessions WHERE user_id = ? AND room_id = ? AND (left_at IS NULL OR left_at >= ?) LIMIT 1
"""
_ACKNOWLEDGE: Final = "INSERT OR IGNORE INTO acknowledgements (action_id, acknowledged_at) VALUES (?, ?)"


class SqliteModerationStore:
    """The database is opened and closed by its owner."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def known(self, user_id: str) -> KnownUser | None:
        """See `ModerationStore.known`."""

        def work(db: sqlite3.Connection) -> KnownUser | None:
            right = right_of(db, user_id)
            last = db.execute(_LAST_ROLE, (user_id,)).fetchone()
            return KnownUser(right, Role(last[0]) if last is not None else Role.USER) if right is not None else None

        return await self._database.read(work)

    async def carry_out(self, new: NewAction) -> Recorded:
        """See `ModerationStore.carry_out`."""
        return await self._database.write(lambda db: carry_out(db, new))

    async def note(self, new: NewAction, noted_by: str) -> None:
        """See `ModerationStore.note`. Who noted it stands in the effect: the admin of the row is who is said to have done it."""
        effect = json.dumps({"noted_by": noted_by}, ensure_ascii=False)
        await self._database.write(lambda db: append_action(db, {**action_row(new), "log_only": 1, "effect": effect}))

    async def report(self, new: NewReport) -> str:
        """See `ModerationStore.report`."""

        def work(db: sqlite3.Connection) -> str:
            same = (new.target_user_id, new.world, new.room_id, new.reporter_user_id)
            found = db.execute(_SAME_REPORT, same).fetchone()
            if found is not None:
                return str(found[0])
            created_at = to_text(new.created_at)
            values = (new.report_id, new.reporter_user_id, new.target_user_id, new.world, new.room_id, new.reason, created_at)
            db.execute(_REPORT, values)
            return new.report_id

        return await self._database.write(work)

    async def was_in_room(self, user_id: str, room_id: str, since: datetime) -> bool:
        """See `ModerationStore.was_in_room`."""
        values = (user_id, room_id, to_text(since))
        return await self._database.read(lambda db: db.execute(_WAS_IN_ROOM, values).fetchone()) is not None

    async def acknowledge(self, action_id: str, at: datetime) -> None:
        """See `ModerationStore.acknowledge`."""
        await self._database.write(lambda db: db.execute(_ACKNOWLEDGE, (action_id, to_text(at))))


def action_row(new: NewAction) -> dict[str, Any]:
    """The columns of the log that an action itself brings."""
    return {
        "action_id": new.action_id,
        "action_type": new.action.value,
        "target_user_id": new.target_user_id,
        "target_username": new.target_username,
        "admin_user_id": new.admin_user_id,
        "admin_username": new.admin_username,
        "world": new.world,
        "room_id": new.room_id,
        "reason": new.reason,
        "duration_hours": new.duration_hours,
        "created_at": to_text(new.created_at),
        "expires_at": to_text(new.expires_at) if new.expires_at is not None else None,
    }


@dataclass(frozen=True, slots=True)
class _Stay:
    """An open session that an action concerns."""

    session_id: str
    room_id: str
    user_id: str


def carry_out(db: sqlite3.Connection, new: NewAction) -> Recorded:
    """The whole of `ModerationStore.carry_out`. What lasts refers to the log, so the log is written first."""
    stays = _concerned(db, new)
    answered = _reports_about(db, new, stays)
    lifted = _to_lift(db, new, stays)
    recorded = Recorded(tuple(stay.session_id for stay in stays), len(lifted), len(answered))
    effect: dict[str, Any] = {"sessions": recorded.sessions}
    if new.action in _LIFTERS:
        effect["lifted"] = recorded.lifted
    if answered:
        effect["answered"] = recorded.answered
    name = db.execute(_USERNAME, (new.target_user_id,)).fetchone()
    row = {**action_row(new), "effect": json.dumps(effect, separators=(",", ":"))}
    append_action(db, {**row, "target_username": name[0] if name is not None else new.target_username})
    _KEEP[new.action](db, new, stays)
    for report_id, response_ms in answered:
        db.execute(_ANSWER, (new.action_id, response_ms, report_id))
    return recorded


def _concerned(db: sqlite3.Connection, new: NewAction) -> tuple[_Stay, ...]:
    """The open sessions that it is about. In the same transaction as all joins, so that none slips through."""
    if new.action is Action.UNBAN:
        return ()
    sql = _OPEN_PLAIN_USERS if RULES[new.action].whole_room else _OPEN_OF_USER
    # A ban is on a world, whatever room it was given in.
    room_id = new.room_id if RULES[new.action].scope is Scope.ROOM else None
    values = {"target": new.target_user_id, "world": new.world, "room_id": room_id, "admin": new.admin_user_id}
    return tuple(_Stay(*row) for row in db.execute(sql, values))


def _to_lift(db: sqlite3.Connection, new: NewAction, stays: Iterable[_Stay]) -> list[str]:
    """The ends of the bans or mutes in force that it lifts; they are taken away here."""
    ends: list[str | None] = []
    if new.action is Action.UNBAN:
        ends = [end for (end,) in db.execute(_UNBAN, (new.target_user_id, new.world)).fetchall()]
    elif new.action is Action.UNMUTE:
        for room_id in _rooms(new, stays):
            ends += [end for (end,) in db.execute(_UNMUTE, (new.target_user_id, room_id)).fetchall()]
    now = to_text(new.created_at)
    return [end or "" for end in ends if end is None or end > now]


def _rooms(new: NewAction, stays: Iterable[_Stay]) -> set[str]:
    return {new.room_id} if new.room_id is not None else {stay.room_id for stay in stays}


def _keep_ban(db: sqlite3.Connection, new: NewAction, stays: tuple[_Stay, ...]) -> None:
    world = EVERY_WORLD if new.world == EVERY_WORLD else new.world
    expires_at = to_text(new.expires_at) if new.expires_at is not None else None
    db.execute(_BAN, (new.target_user_id, world, new.action_id, new.reason, expires_at))


def _keep_kick(db: sqlite3.Connection, new: NewAction, stays: tuple[_Stay, ...]) -> None:
    db.execute(_FORGET_KICKS, (new.target_user_id, to_text(new.created_at)))
    for room_id in _rooms(new, stays):
        db.execute(_KICK, (new.target_user_id, room_id, new.action_id, _end_of(new)))


def _keep_mute(db: sqlite3.Connection, new: NewAction, stays: tuple[_Stay, ...]) -> None:
    for room_id in _rooms(new, stays):
        db.execute(_MUTE, (new.target_user_id, room_id, new.action_id, _end_of(new)))


def _keep_mutes(db: sqlite3.Connection, new: NewAction, stays: tuple[_Stay, ...]) -> None:
    for stay in stays:
        db.execute(_MUTE, (stay.user_id, stay.room_id, new.action_id, _end_of(new)))


def _keep_nothing(db: sqlite3.Connection, new: NewAction, stays: tuple[_Stay, ...]) -> None:
    return None


def _end_of(new: NewAction) -> str:
    assert new.expires_at is not None, "kicks and mutes always end"
    return to_text(new.expires_at)


_LIFTERS: Final = frozenset({Action.UNBAN, Action.UNMUTE})
_Keep = Callable[[sqlite3.Connection, NewAction, tuple[_Stay, ...]], None]
_KEEP: Final[Mapping[Action, _Keep]] = MappingProxyType(
    {
        Action.BAN: _keep_ban,
        Action.KICK: _keep_kick,
        Action.MUTE: _keep_mute,
        Action.MUTE_ALL: _keep_mutes,
        Action.UNBAN: _keep_nothing,
        Action.UNMUTE: _keep_nothing,
        Action.WARN: _keep_nothing,
    }
)


def _reports_about(db: sqlite3.Connection, new: NewAction, stays: Iterable[_Stay]) -> list[tuple[int, int]]:
    """The open reports that it is the first answer to, with the milliseconds that they waited."""
    if not RULES[new.action].answers:
        return []
    room_id = new.room_id if RULES[new.action].scope is Scope.ROOM else None
    users = {stay.user_id for stay in stays} if RULES[new.action].whole_room else {new.target_user_id}
    return [
        (report, max(0, (new.created_at - from_text(created_at)) // timedelta(milliseconds=1)))
        for user_id in sorted(users)
        for report, created_at in db.execute(_OPEN_REPORTS, (user_id, new.world, room_id)).fetchall()
    ]
