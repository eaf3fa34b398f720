"""What the handlers work with: made by `server.app`, one for each running server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from aiohttp import web

from server import resources
from server.config import Settings
from server.signalling.dispatch import CallControl
from server.signalling.hub import Hub
from server.voice.clock import Clock, SystemClock
from server.voice.ports import JoinCommand, JoinResult, RoomView
from server.web.auth import Identity, TokenService

__all__ = ["DEPS", "Limiter", "SocketTimings", "Unlimited", "VoiceUseCases", "WebDeps"]


class VoiceUseCases(CallControl, Protocol):
    """What REST asks of `VoiceService`, beside what signalling asks of it."""

    async def join(self, command: JoinCommand) -> JoinResult: ...
    def active_rooms(self, world: str) -> tuple[RoomView, ...]: ...


class Limiter(Protocol):
    """Who decides whether a caller has called too often."""

    def check(self, kind: str, *, address: str | None, identity: Identity | None) -> None:
        """Count one request of a kind (`guest`, `join`). Raises `RateLimited`. `address` is None where the caller has none."""
        ...


class Unlimited:
    """No limits (`VOICE_RATE_LIMITS=off`)."""

    def check(self, kind: str, *, address: str | None, identity: Identity | None) -> None:
        return None


@dataclass(frozen=True, slots=True)
class SocketTimings:
    """In seconds. A connection that says nothing for `ping` is pinged, and is gone if it says nothing for another `ping`.

    Twice `ping` is less than the 8 s of `presence_timeout_seconds`: a dead connection is noticed before its session ends.
    """

    first_message: float = 10.0
    ping: float = 3.0
    close: float = 2.0


@dataclass(frozen=True, slots=True)
class WebDeps:
    """`store_health` raises, or takes too long, where the database does not answer; `media_alive` says whether the port does."""

    settings: Settings
    service: VoiceUseCases
    tokens: TokenService
    hub: Hub
    store_health: Callable[[], Awaitable[None]]
    media_stats: Callable[[], Mapping[str, int | float]]
    media_alive: Callable[[], bool]
    clock: Clock = field(default_factory=SystemClock)
    limiter: Limiter = field(default_factory=Unlimited)
    timings: SocketTimings = field(default_factory=SocketTimings)
    static: Path = field(default_factory=resources.static_dir)
    vendor: Path = field(default_factory=resources.vendor_dir)


DEPS: Final = web.AppKey("DEPS", WebDeps)
