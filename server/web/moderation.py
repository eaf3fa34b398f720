"""`/api/admin/actions`, `/api/admin/action/log` and `/api/voice/report`: orders, what was done elsewhere, and calls for help.

The rules are in `server.voice.moderation`, for REST and WebSocket alike.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from aiohttp import web

from server.errors import Forbidden, InvalidRequest, MissingFields
from server.i18n import sentence
from server.protocol.moderation import (
    ActionAnswer,
    ActionEffect,
    ActionLogAnswer,
    ActionLogRequest,
    ActionRequest,
    ReportAnswer,
    ReportRequest,
)
from server.voice.moderation import EVERYBODY, EVERYWHERE, Action, Actor, Order
from server.voice.moderator import ReportCommand
from server.voice.participant import Right, Role
from server.web.access import authenticated
from server.web.answers import json_answer, language_of, read_body
from server.web.auth import Identity, IdentityKind
from server.web.deps import DEPS, WebDeps

__all__ = ["act", "log", "report"]

CLOCK_TOLERANCE: Final = timedelta(minutes=5)
"""By how much the clock of whoever logs an action may be ahead of ours."""
_API_NAME: Final = "api"
"""Who acts with an API token that says nobody's name."""


async def act(request: web.Request) -> web.Response:
    """Carry an action out and log it, in one step."""
    deps = request.app[DEPS]
    identity = authenticated(request, "action")
    if identity.kind is IdentityKind.SESSION:
        raise Forbidden(reason="token")
    body = ActionRequest.decode(await read_body(request))
    order = Order(
        action=Action(body.action_type),
        target_user_id=body.target_user_id,
        world=body.world,
        room_id=body.room_id,
        reason=body.reason,
        duration=_duration(body.duration_hours),
    )
    done = await deps.moderation.act(_actor(identity, body), order)
    return json_answer(
        ActionAnswer(
            timestamp=deps.clock.now(),
            action_id=done.action.action_id,
            action_type=body.action_type,
            target_user_id=body.target_user_id,
            world=body.world,
            room_id=body.room_id,
            expires_at=done.action.expires_at,
            effect=ActionEffect(sessions=done.recorded.sessions, lifted=done.recorded.lifted, answered=done.recorded.answered),
            message=sentence("action_done", language_of(request)),
        )
    )


async def log(request: web.Request) -> web.Response:
    """Log what was carried out elsewhere. Nothing else comes of it."""
    deps = request.app[DEPS]
    identity = authenticated(request, "action")
    if identity.role is not Role.ADMIN or identity.kind is IdentityKind.SESSION:
        raise Forbidden(reason="role")
    body = ActionLogRequest.decode(await read_body(request))
    if body.world != EVERYWHERE and body.world not in deps.settings.worlds:
        raise InvalidRequest("world", "unknown world")
    if not identity.may_see(world=body.world if body.world != EVERYWHERE else None, room_id=body.room_id):
        raise Forbidden(reason="role")
    if body.target_user_id == EVERYBODY:
        raise InvalidRequest("target_user_id", "not one user")
    at = _past(deps, body.timestamp)
    order = Order(
        action=Action(body.action_type),
        target_user_id=body.target_user_id,
        world=body.world,
        room_id=body.room_id,
        reason=body.reason,
        duration=_duration(body.duration_hours),
    )
    new = deps.moderation.new_action(body.admin_user_id, body.admin_username, order, at=at, target_name=body.target_username)
    await deps.moderation.note(new, _id_of(identity))
    message = sentence("action_logged", language_of(request))
    return json_answer(ActionLogAnswer(timestamp=deps.clock.now(), action_id=new.action_id, message=message))


async def report(request: web.Request) -> web.Response:
    """Report someone who is in the room with oneself, or was a moment ago."""
    deps = request.app[DEPS]
    identity = authenticated(request, "report")
    body = ReportRequest.decode(await read_body(request))
    if not identity.may_see(room_id=body.room_id):
        raise Forbidden
    reporter = identity.user_id if identity.kind is not IdentityKind.API else body.user_id
    if reporter is None:
        raise MissingFields(required=["user_id", *ReportRequest.required_fields], missing=["user_id"])
    command = ReportCommand(reporter, body.target_user_id, body.room_id, body.reason)
    report_id = await deps.moderation.report(command)
    message = sentence("report_received", language_of(request))
    return json_answer(ReportAnswer(timestamp=deps.clock.now(), report_id=report_id, message=message))


def _actor(identity: Identity, body: ActionRequest) -> Actor:
    """A person acts in their own name; a trusted backend in that of whom it says, with its own rights."""
    right = Right(identity.role, identity.worlds, identity.rooms)
    if identity.kind is IdentityKind.API and body.admin_user_id is not None:
        return Actor(body.admin_user_id, body.admin_username, (right,))
    return Actor(_id_of(identity), identity.name, (right,))


def _id_of(identity: Identity) -> str:
    if identity.kind is IdentityKind.API:
        return identity.credential or _API_NAME
    assert identity.user_id is not None, "only API tokens are nobody's"
    return identity.user_id


def _duration(hours: float | None) -> timedelta | None:
    return timedelta(hours=hours) if hours is not None else None


def _past(deps: WebDeps, moment: datetime | None) -> datetime | None:
    if moment is not None and moment > deps.clock.now() + CLOCK_TOLERANCE:
        raise InvalidRequest("timestamp", "in the future")
    return moment
