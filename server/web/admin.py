"""`/api/admin/…`, what operators look at: calls that go on and that are over, sessions, people, the moderation log."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from aiohttp import web

from server.errors import SessionNotFound, UserNotFound
from server.protocol.admin import (
    ActionQuery,
    ActionsAnswer,
    CallHistoryAnswer,
    CallQuery,
    CallsAnswer,
    LiveCall,
    LiveParticipant,
    SessionAnswer,
    SessionQuery,
    SessionsAnswer,
    UserAnswer,
)
from server.storage.lists import LiveRows
from server.storage.queries import Span
from server.storage.queries_calls import CallFilter
from server.storage.queries_people import ActionFilter
from server.storage.queries_sessions import SessionFilter
from server.voice.moderation import EVERYWHERE
from server.voice.participant import Participant
from server.web.access import identifier, known_world, operator, reach
from server.web.admin_views import action_entry, call_entry, session_entry, user_entry
from server.web.answers import json_answer
from server.web.cursors import cursor_of, position_of
from server.web.deps import DEPS

__all__ = ["actions", "call_history", "session", "sessions", "user_profile", "voice_calls"]


async def voice_calls(request: web.Request) -> web.Response:
    """The calls of a world that go on now, here and elsewhere."""
    deps = request.app[DEPS]
    identity = operator(request)
    world = request.match_info["world"]
    known_world(deps, world)
    reach(identity, world=world)
    here = {view.room_id: deps.service.roster(view.room_id) for view in deps.service.active_rooms(world)}
    rows = await deps.lists.live(world, here)
    calls = sorted(_live_calls(here, rows, deps.clock.now()), key=lambda call: (call.started_at, call.room_id))
    answer = CallsAnswer(timestamp=deps.clock.now(), world=world, calls=tuple(calls), total_active_calls=len(calls))
    return json_answer(answer)


async def call_history(request: web.Request) -> web.Response:
    """The calls of a world that are over, the newest first."""
    deps = request.app[DEPS]
    identity = operator(request)
    world = request.match_info["world"]
    known_world(deps, world)
    query = CallQuery.decode(request.query)
    reach(identity, world=world, room_id=query.room_id)
    wanted = CallFilter(world, query.room_id, query.user_id, Span(query.since, query.until))
    page = await deps.lists.calls(wanted, position_of("calls", query.cursor), query.limit)
    return json_answer(
        CallHistoryAnswer(
            timestamp=deps.clock.now(),
            world=world,
            calls=tuple(call_entry(row) for row in page.rows),
            total=page.total,
            next_cursor=cursor_of("calls", page.next),
        )
    )


async def sessions(request: web.Request) -> web.Response:
    """Single stays, the newest first."""
    deps = request.app[DEPS]
    identity = operator(request)
    query = SessionQuery.decode(request.query)
    if query.world is not None:
        known_world(deps, query.world)
    reach(identity, world=query.world, room_id=query.room_id)
    wanted = SessionFilter(query.world, query.room_id, query.user_id, Span(query.since, query.until), query.active)
    page = await deps.lists.sessions(wanted, position_of("sessions", query.cursor), query.limit)
    now = deps.clock.now()
    return json_answer(
        SessionsAnswer(
            timestamp=now,
            sessions=tuple(session_entry(row, now) for row in page.rows),
            total=page.total,
            next_cursor=cursor_of("sessions", page.next),
        )
    )


async def session(request: web.Request) -> web.Response:
    """One stay."""
    deps = request.app[DEPS]
    identity = operator(request)
    row = await deps.lists.session(identifier("session_id", request.match_info["session_id"]))
    if row is None:
        raise SessionNotFound
    reach(identity, world=row.world, room_id=row.room_id)
    now = deps.clock.now()
    return json_answer(SessionAnswer(timestamp=now, session=session_entry(row, now)))


async def user_profile(request: web.Request) -> web.Response:
    """A person in figures, over all worlds."""
    deps = request.app[DEPS]
    identity = operator(request)
    reach(identity, world=None)
    profile = await deps.lists.profile(identifier("user_id", request.match_info["user_id"]))
    if profile is None:
        raise UserNotFound
    return json_answer(UserAnswer(timestamp=deps.clock.now(), user=user_entry(profile)))


async def actions(request: web.Request) -> web.Response:
    """The moderation log, the newest first."""
    deps = request.app[DEPS]
    identity = operator(request)
    query = ActionQuery.decode(request.query)
    if query.world not in (None, EVERYWHERE):
        known_world(deps, query.world)
    reach(identity, world=query.world, room_id=query.room_id)
    wanted = ActionFilter(
        world=query.world,
        room_id=query.room_id,
        action_type=query.action_type,
        target_user_id=query.target_user_id,
        admin_user_id=query.admin_user_id,
        span=Span(query.since, query.until),
    )
    page = await deps.lists.actions(wanted, position_of("actions", query.cursor), query.limit)
    return json_answer(
        ActionsAnswer(
            timestamp=deps.clock.now(),
            actions=tuple(action_entry(row) for row in page.rows),
            total=page.total,
            next_cursor=cursor_of("actions", page.next),
        )
    )


def _live_calls(here: dict[str, tuple[Participant, ...]], rows: LiveRows, now: datetime) -> Iterable[LiveCall]:
    """Those who are here and those who are only reported, by room."""
    people: dict[str, list[LiveParticipant]] = {}
    for room_id, roster in here.items():
        people[room_id] = [_here(participant) for participant in roster]
    for row in rows.elsewhere:
        elsewhere = LiveParticipant(
            session_id=row.session_id,
            user_id=row.user_id,
            username=row.username,
            is_muted=False,
            is_speaking=False,
            joined_at=row.joined_at,
        )
        people.setdefault(row.room_id, []).append(elsewhere)
    for room_id, inside in people.items():
        started_at = min(person.joined_at for person in inside)
        duration_ms = max(0, (now - started_at) // timedelta(milliseconds=1))
        yield LiveCall(
            room_id=room_id,
            room_name=rows.room_names.get(room_id, room_id),
            participant_count=len(inside),
            participants=tuple(inside),
            started_at=started_at,
            duration_seconds=(duration_ms + 500) // 1000,
            duration_ms=duration_ms,
            external=room_id not in here,
        )


def _here(participant: Participant) -> LiveParticipant:
    return LiveParticipant(
        session_id=participant.session_id,
        user_id=participant.user_id,
        username=participant.username,
        is_muted=participant.is_muted,
        is_speaking=participant.is_speaking,
        joined_at=participant.joined_at,
    )
