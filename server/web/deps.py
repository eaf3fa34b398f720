"""What the handlers work with: made by `server.app`, one for each running server."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final, Protocol

from aiohttp import web

from server import resources
from server.config import Settings
from server.signalling.dispatch import CallControl
from server.signalling.hub import Hub
from server.signalling.orders import ModerationControl
from server.storage.lists import Lists
from server.storage.tracking import TrackingStore
from server.voice.clock import Clock, SystemClock
from server.voice.moderation import Order
from server.voice.moderation_ports import NewAction
from server.voice.moderator import ReportCommand
from server.voice.ports import JoinCommand, JoinResult, RoomView
from server.web.auth import Identity, TokenService

__all__ = ["DEPS", "Limiter", "MessageMeter", "ModerationUseCases", "SocketTimings", "Unlimited", "VoiceUseCases", "WebDeps"]


class VoiceUseCases(CallControl, Protocol):
    """What REST asks of `VoiceService`, beside what signalling asks of it."""

    async def join(self, command: JoinCommand) -> JoinResult: ...
    def active_rooms(self, world: str) -> tuple[RoomView, ...]: ...


class ModerationUseCases(ModerationControl, Protocol):
    """What REST asks of `Moderator`, beside what signalling asks of it; its docstrings say more."""

    async def note(self, new: NewAction, noted_by: str) -> None: ...
    async def report(self, command: ReportCommand) -> str: ...
    def new_action(
        self, actor_id: str, actor_name: str | None, order: Order, *, at: datetime | None = None, target_name: str | None = None
    ) -> NewAction: ...


class MessageMeter(Protocol):
    """Who decides whether a connection sends too much."""

    @property
    def exhausted(self) -> bool:
        """Whether it has been refused so much that it should be closed."""
        ...

    def take(self) -> bool:
        """Count a message. False where it is not to be taken; raises `RateLimited` where the client is to be told so as well."""
        ...


class Limiter(Protocol):
    """Who decides whether a caller has called too often."""

    def check(self, kind: str, *, address: str | None, identity: Identity | None) -> None:
        """Count one request of a kind of `server.limit_rules.KINDS`. Raises `RateLimited`.

        It is counted for whoever calls, and for the address where that is nobody known; `address` is None where there is none.
        """
        ...

    def messages(self) -> MessageMeter | None:
        """What counts the messages of a new connection; None where they are not limited."""
        ...


class Unlimited:
    """No limits (`VOICE_RATE_LIMITS=off`)."""

    def check(self, kind: str, *, address: str | None, identity: Identity | None) -> None:
        return None

    def messages(self) -> MessageMeter | None:
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
    """`store_health` raises, or takes too long, where the database does not answer; `media_alive` says whether the port does.
    `ledger` says what is owed to the database and what had to be dropped.
    """

    settings: Settings
    service: VoiceUseCases
    moderation: ModerationUseCases
    tracking: TrackingStore
    lists: Lists
    tokens: TokenService
    hub: Hub
    store_health: Callable[[], Awaitable[None]]
    ledger: Callable[[], Mapping[str, str | int]]
    media_stats: Callable[[], Mapping[str, int | float]]
    media_alive: Callable[[], bool]
    load_stats: Callable[[], Mapping[str, int | float | None]] = dict
    clock: Clock = field(default_factory=SystemClock)
    limiter: Limiter = field(default_factory=Unlimited)
    timings: SocketTimings = field(default_factory=SocketTimings)
    static: Path = field(default_factory=resources.static_dir)
    vendor: Path = field(default_factory=resources.vendor_dir)


DEPS: Final = web.AppKey("DEPS", WebDeps)
