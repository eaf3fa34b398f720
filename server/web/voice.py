"""`/api/voice/…` and `/api/auth/guest`: joining, leaving, and who is where."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from server.errors import Forbidden, SessionNotFound
from server.i18n import sentence
from server.protocol.fields import whole_seconds
from server.protocol.rest import (
    GuestAnswer,
    GuestRequest,
    JoinAnswer,
    JoinRequest,
    LeaveAnswer,
    LeaveRequest,
    ParticipantsAnswer,
    RoomEntry,
    RoomsAnswer,
)
from server.signalling.views import participant_views
from server.voice.participant import EndReason, ParticipantState, Role
from server.voice.ports import JoinCommand
from server.web.access import authenticated, identified, identifier, known_world
from server.web.addresses import client_address
from server.web.answers import json_answer, language_of, read_body
from server.web.auth import Identity, IdentityKind
from server.web.deps import DEPS, WebDeps

__all__ = ["SIGNALLING_PATH", "guest", "join", "leave", "participants", "rooms"]

SIGNALLING_PATH: Final = "/api/ws"


async def guest(request: web.Request) -> web.Response:
    """A user token for someone without an account."""
    deps = request.app[DEPS]
    if not deps.settings.guests:
        raise Forbidden
    deps.limiter.check("guest", address=client_address(request), identity=None)
    body = GuestRequest.decode(await read_body(request))
    if body.world is not None:
        known_world(deps, body.world)
    issued = deps.tokens.issue_guest(body.username, body.world)
    return json_answer(
        GuestAnswer(
            timestamp=deps.clock.now(),
            token=issued.token,
            user_id=issued.user_id,
            username=body.username,
            role=Role.USER.value,
            worlds=(body.world,) if body.world is not None else None,
            expires_at=issued.expires_at,
            message=sentence("guest_created", language_of(request)),
        )
    )


async def join(request: web.Request) -> web.Response:
    """A place in a room, before any WebRTC."""
    deps = request.app[DEPS]
    identity = authenticated(request, "join")
    body = JoinRequest.decode(await read_body(request))
    known_world(deps, body.world)
    _may_join(identity, body)
    command = JoinCommand(
        room_id=body.room_id,
        user_id=body.user_id,
        username=body.username,
        world=body.world,
        avatar_emoji=body.avatar_emoji,
        # An API token is an admin's, but those whom it brings in are not admins by that.
        role=identity.role if identity.kind is IdentityKind.USER else Role.USER,
        worlds=identity.worlds,
        rooms=identity.rooms,
        token_id=identity.jti,
    )
    result = await deps.service.join(command)
    participant = result.participant
    issued = deps.tokens.issue_session(participant)
    return json_answer(
        JoinAnswer(
            timestamp=deps.clock.now(),
            session_id=participant.session_id,
            session_token=issued.token,
            session_token_expires_at=issued.expires_at,
            room_id=participant.room_id,
            world=participant.world,
            max_participants=result.max_participants,
            current_participant_count=len(result.participants),
            participants=participant_views(result.participants),
            joined_at=participant.joined_at,
            signalling_url=SIGNALLING_PATH,
            ice_servers=deps.settings.ice_servers,
            message=sentence("session_created", language_of(request)),
        )
    )


async def leave(request: web.Request) -> web.Response:
    """The end of a stay; the roll-back of a join too."""
    deps = request.app[DEPS]
    content = await read_body(request)
    identity = _leaver(request, content)
    body = LeaveRequest.decode(content)
    summary = await deps.service.end(body.session_id, _end_reason(deps, identity, body))
    return json_answer(
        LeaveAnswer(
            timestamp=deps.clock.now(),
            session_id=summary.session_id,
            room_id=summary.room_id,
            user_id=summary.user_id,
            duration_seconds=whole_seconds(summary.duration_ms),
            duration_ms=summary.duration_ms,
            speaking_seconds=whole_seconds(summary.speaking_ms),
            speaking_ms=summary.speaking_ms,
            left_at=summary.left_at,
            reason=summary.reason.value,
            message=sentence("session_ended", language_of(request)),
        )
    )


async def rooms(request: web.Request) -> web.Response:
    """The rooms of a world that someone is in."""
    deps = request.app[DEPS]
    identity = authenticated(request, "read")
    world = request.match_info["world"]
    known_world(deps, world)
    if not identity.may_see(world=world):
        raise Forbidden
    entries = tuple(
        RoomEntry(
            room_id=view.room_id,
            participant_count=view.participant_count,
            max_participants=view.max_participants,
            is_full=view.is_full,
            first_joined_at=view.first_joined_at,
        )
        for view in deps.service.active_rooms(world)
    )
    return json_answer(RoomsAnswer(timestamp=deps.clock.now(), world=world, rooms=entries, total_active_rooms=len(entries)))


async def participants(request: web.Request) -> web.Response:
    """Who is in a room."""
    deps = request.app[DEPS]
    identity = authenticated(request, "read")
    room_id = identifier("room_id", request.match_info["room_id"])
    roster = deps.service.roster(room_id)
    if not identity.may_see(world=roster[0].world if roster else None, room_id=room_id):
        raise Forbidden
    answer = ParticipantsAnswer(timestamp=deps.clock.now(), room_id=room_id, participants=participant_views(roster))
    return json_answer(answer)


def _leaver(request: web.Request, content: bytes) -> Identity:
    """Who wants to end a session: by the header, or by the token in the body where a header could not be set (a beacon)."""
    if "Authorization" in request.headers:
        return authenticated(request, "leave")
    return identified(request, "leave", LeaveRequest.token_in(content))


def _end_reason(deps: WebDeps, identity: Identity, body: LeaveRequest) -> EndReason:
    """Why the session ends, by what the leaver says and how far it came. Raises `Forbidden` where it is not theirs to end."""
    if identity.kind is IdentityKind.SESSION and identity.session_id != body.session_id:
        raise Forbidden
    try:
        participant = deps.service.participant(body.session_id)
    except SessionNotFound:
        # Ended already, or never there: the service knows which, and says so.
        return EndReason.LEFT
    if identity.kind is IdentityKind.USER and identity.user_id != participant.user_id:
        raise Forbidden
    if body.reason is not None:
        return EndReason(body.reason)
    return EndReason.ROLLED_BACK if participant.state is ParticipantState.RESERVED else EndReason.LEFT


def _may_join(identity: Identity, body: JoinRequest) -> None:
    """A person joins as themselves, where their token lets them; a trusted backend joins anybody anywhere."""
    if identity.kind is IdentityKind.API:
        return
    if identity.kind is not IdentityKind.USER or identity.user_id != body.user_id:
        raise Forbidden
    if not identity.may_see(world=body.world, room_id=body.room_id):
        raise Forbidden
