"""The one place that wires everything: settings in, an aiohttp application out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

from aiohttp import web

from server import capacity
from server.config import Settings
from server.limit_rules import parse_rules
from server.load import LoadMeter, LoadSampler
from server.media.engine import MediaEngine
from server.signalling.hub import Hub
from server.storage.actions import SqliteModerationStore
from server.storage.database import Database
from server.storage.lists import Lists
from server.storage.quality import QualitySink
from server.storage.retention import IntervalRetention
from server.storage.room_events import RoomEventSink
from server.storage.sessions import SqliteSessionStore
from server.storage.spool import FileSpool
from server.storage.tokens import SqliteTokenStore
from server.storage.tracking import StaleStays, TrackingStore
from server.voice.capacity import CapacityGate
from server.voice.clock import Clock, SystemClock
from server.voice.moderator import Moderator
from server.voice.recorder import Recorder
from server.voice.service import VoiceService
from server.web.auth import TokenService
from server.web.deps import WebDeps
from server.web.limits import RateLimiter
from server.web.routes import setup_routes
from server.web.token_registry import TokenRegistry

__all__ = ["create_app"]


async def create_app(settings: Settings) -> web.Application:
    """A server that is ready to be run: the database is opened and the media port bound when it starts up.

    At its end people are told first, then everyone's stay is closed, then the media port and the database. Start-up raises
    OSError where the media port is taken and `server.errors.ConfigError` where the database is not ours; the latter is raised at
    once for a measured capacity that cannot be read.
    """
    clock = SystemClock()
    meter = LoadMeter()
    database = Database(settings.database, wrote=meter.wrote)
    store = SqliteSessionStore(database, max_rooms_per_user=settings.max_rooms_per_user)
    recorder = Recorder(store, spool=FileSpool(settings.data_dir / "ledger.spool"))
    service = VoiceService(settings, store, clock=clock, recorder=recorder)
    engine = MediaEngine(settings, service)
    service.use_media(engine)
    sampler = LoadSampler(meter, engine.packets_out)
    gate = CapacityGate(capacity.packet_limit(settings), meter)
    service.use_gate(gate)
    hub = Hub()
    moderator = _moderator(settings, service, database, clock)
    registry = _token_registry(database, hub, moderator)
    service.subscribe(hub)
    service.subscribe(RoomEventSink(recorder, clock))
    service.subscribe(QualitySink(recorder, clock))
    tracking = TrackingStore(database, now=clock.now)
    stale = StaleStays(tracking)
    retention = IntervalRetention(database, clock, keep_days=settings.interval_retention_days)

    async def run(app: web.Application) -> AsyncIterator[None]:
        await database.open()
        try:
            await engine.start()
            sampler.start()
            try:
                await service.start()
                retention.start()
                stale.start()
                try:
                    await registry.start()
                    yield
                finally:
                    await registry.stop()
                    await moderator.close()
                    await stale.stop()
                    await retention.stop()
                    await service.close()
            finally:
                await sampler.stop()
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
            moderation=moderator,
            tracking=tracking,
            lists=Lists(database, now=clock.now),
            tokens=TokenService(settings, clock, revocations=registry, api_tokens=registry),
            hub=hub,
            store_health=database.ping,
            ledger=recorder.stats,
            media_stats=engine.stats,
            media_alive=lambda: engine.alive,
            load_stats=lambda: {**meter.figures(), "tasks": len(asyncio.all_tasks()), "capacity_packets_per_second": gate.limit},
            clock=clock,
            limiter=RateLimiter(parse_rules(settings.rate_limits)),
        ),
    )
    return app


def _moderator(settings: Settings, service: VoiceService, database: Database, clock: Clock) -> Moderator:
    return Moderator(
        service.discipline,
        SqliteModerationStore(database),
        clock,
        worlds=settings.worlds,
        kick_for=timedelta(minutes=settings.kick_minutes),
        mute_for=timedelta(hours=settings.mute_hours),
    )


def _token_registry(database: Database, hub: Hub, moderator: Moderator) -> TokenRegistry:
    """What a revoked token has opened is closed: the connections that carried it, the stays that began with it."""
    registry = TokenRegistry(SqliteTokenStore(database))

    async def close_what_it_opened(credential: str) -> None:
        hub.close_credential(credential)
        await moderator.end_of_token(credential)

    registry.subscribe(close_what_it_opened)
    return registry
