"""Whether the server is well, and what a client should know before it asks anybody in."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from aiohttp import web

from server import resources
from server.i18n import Language
from server.protocol.rest import ConfigAnswer, HealthAnswer
from server.web.answers import json_answer
from server.web.deps import DEPS, WebDeps

__all__ = ["config", "health"]

logger = logging.getLogger(__name__)

FEATURES: Final = (
    "backend_sessions",
    "sfu",
    "signalling_relay",
    "self_mute",
    "raise_hand",
    "server_measured_speaking",
    "moderation",
    "reports",
)
DATABASE_PATIENCE_SECONDS: Final = 2.0


async def health(request: web.Request) -> web.Response:
    """`ok`, or `degraded` with 503 where the database or the media port does not answer.

    A ledger that has to spool (`ledger.status`) costs no call anything and heals by itself, so it does not count here.
    """
    deps = request.app[DEPS]
    database = await _database_answers(deps)
    media = deps.media_alive()
    well = database and media
    answer = HealthAnswer(
        success=well,
        status="ok" if well else "degraded",
        version=resources.version(),
        features=(*FEATURES, *(("guests",) if deps.settings.guests else ())),
        database="connected" if database else "disconnected",
        ledger=dict(deps.ledger()),
        media={"status": "ok" if media else "down", **deps.media_stats()},
        load=dict(deps.load_stats()),
        timestamp=deps.clock.now(),
    )
    return json_answer(answer, status=200 if well else 503)


async def config(request: web.Request) -> web.Response:
    """What a join form needs to know."""
    deps = request.app[DEPS]
    settings = deps.settings
    return json_answer(
        ConfigAnswer(
            timestamp=deps.clock.now(),
            worlds=settings.worlds,
            guests=settings.guests,
            max_participants=settings.max_participants,
            slots=settings.slots,
            default_language=settings.default_language,
            languages=tuple(language.value for language in Language),
        )
    )


async def _database_answers(deps: WebDeps) -> bool:
    try:
        async with asyncio.timeout(DATABASE_PATIENCE_SECONDS):
            await deps.store_health()
    except Exception as problem:
        logger.warning("the database does not answer: %s", type(problem).__name__, exc_info=problem)
        return False
    return True
