"""The one place that wires everything: settings in, an aiohttp application out."""

from __future__ import annotations

from collections.abc import AsyncIterator

from aiohttp import web

from server.config import Settings
from server.media.engine import MediaEngine
from server.signalling.hub import Hub
from server.storage.database import Database
from server.storage.sessions import SqliteSessionStore
from server.voice.clock import SystemClock
from server.voice.service import VoiceService
from server.web.auth import TokenService
from server.web.deps import WebDeps
from server.web.routes import setup_routes

__all__ = ["create_app"]


async def create_app(settings: Settings) -> web.Application:
    """A server that is ready to be run: the database is opened and the media port bound when it starts up.

    At its end people are told first, then everyone's stay is closed, then the media port and the database. Start-up raises
    OSError where the media port is taken and `server.errors.ConfigError` where the database is not ours.
    """
    clock = SystemClock()
    database = Database(settings.database)
    service = VoiceService(settings, SqliteSessionStore(database), clock=clock)
    engine = MediaEngine(settings, service)
    service.use_media(engine)
    hub = Hub()
    service.subscribe(hub)

    async def run(app: web.Application) -> AsyncIterator[None]:
        await database.open()
        try:
            await engine.start()
            try:
                await service.start()
                try:
                    yield
                finally:
                    await service.close()
            finally:
                await engine.close()
        finally:
            await database.close()

    app = web.Application()
    app.cleanup_ctx.append(run)
    setup_routes(
        app,
        WebDeps(
            settings=settings,
            service=service,
            tokens=TokenService(settings, clock),
            hub=hub,
            store_health=database.ping,
            media_stats=engine.stats,
            media_alive=lambda: engine.alive,
            clock=clock,
        ),
    )
    return app
