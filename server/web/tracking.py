"""`/api/admin/voice-session/…`: what backends and clients report about stays."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from aiohttp import web

from server.errors import InvalidRequest
from server.i18n import sentence
from server.protocol.tracking import EndAnswer, EndRequest, StartAnswer, StartRequest, StayStats
from server.storage.tracking import ElsewhereSession, EndReport
from server.web.access import known_world, operator, reach
from server.web.answers import json_answer, language_of, read_body
from server.web.deps import DEPS, WebDeps

__all__ = ["end", "start"]

CLOCK_TOLERANCE: Final = timedelta(minutes=5)
"""By how much the clock of whoever reports may be ahead of ours."""


async def start(request: web.Request) -> web.Response:
    """Report that somebody joined.

    A session that a join made is known already, and nothing changes. One that is not known is of a call that runs elsewhere.
    """
    deps = request.app[DEPS]
    identity = operator(request, "track")
    body = StartRequest.decode(await read_body(request))
    known_world(deps, body.world)
    reach(identity, world=body.world, room_id=body.room_id)
    _not_in_the_future(deps, "joined_at", body.joined_at)
    session = ElsewhereSession(
        session_id=body.session_id,
        room_id=body.room_id,
        user_id=body.user_id,
        username=body.username,
        world=body.world,
        joined_at=body.joined_at,
    )
    created = await deps.tracking.start(session)
    message = sentence("tracking_started" if created else "tracking_known", language_of(request))
    return json_answer(StartAnswer(timestamp=deps.clock.now(), session_id=body.session_id, created=created, message=message))


async def end(request: web.Request) -> web.Response:
    """Report that somebody left.

    What this server measured counts, whatever is reported about it, and nobody who is here is put out by a report.
    """
    deps = request.app[DEPS]
    identity = operator(request, "track")
    body = EndRequest.decode(await read_body(request))
    reach(identity, world=None if identity.worlds is None else await _world_of(deps, body.session_id), room_id=body.room_id)
    _not_in_the_future(deps, "left_at", body.left_at)
    report = EndReport(
        session_id=body.session_id,
        room_id=body.room_id,
        user_id=body.user_id,
        left_at=body.left_at,
        duration_seconds=body.duration_seconds,
        speaking_seconds=body.speaking_seconds,
    )
    measured = await deps.tracking.end(report)
    stats = StayStats(
        duration_seconds=measured.duration_seconds,
        duration_ms=measured.duration_ms,
        speaking_seconds=measured.speaking_seconds,
        speaking_ms=measured.speaking_ms,
    )
    return json_answer(
        EndAnswer(
            timestamp=deps.clock.now(),
            session_id=body.session_id,
            stats=stats,
            measured_by="server" if measured.here else "report",
            message=sentence("tracking_noted" if measured.here else "tracking_ended", language_of(request)),
        )
    )


async def _world_of(deps: WebDeps, session_id: str) -> str | None:
    session = await deps.lists.session(session_id)
    return session.world if session is not None else None


def _not_in_the_future(deps: WebDeps, field: str, moment: datetime) -> None:
    if moment > deps.clock.now() + CLOCK_TOLERANCE:
        raise InvalidRequest(field, "in the future")
