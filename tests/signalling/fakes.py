"""Stand-ins for what surrounds signalling: the wire, the voice service, whoever knows tokens."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from server.errors import SessionNotFound, Unauthorized, VoiceError
from server.i18n import Language
from server.signalling.hub import Hub
from server.signalling.peer import Peer
from server.voice.events import HandChanged, MuteChanged, ParticipantJoined, ParticipantLeft
from server.voice.moderation import Actor, Order
from server.voice.moderation_ports import NewAction, Recorded
from server.voice.moderator import ActionDone
from server.voice.participant import EndReason, MutedBy, Participant, ParticipantState, Role
from server.voice.ports import SessionSummary

JOINED_AT = datetime(2026, 2, 13, 17, 30, tzinfo=UTC)


class FakeConnection:
    """Keeps what was written. `reading` cleared: the client does not read, and a write waits until it does."""

    def __init__(self) -> None:
        self.frames: list[dict[str, Any]] = []
        self.closed: tuple[int, str] | None = None
        self.reading = asyncio.Event()
        self.reading.set()
        self.broken: ConnectionError | None = None

    async def send_text(self, frame: bytes) -> None:
        await self.reading.wait()
        if self.broken is not None:
            raise self.broken
        self.frames.append(json.loads(frame))

    async def close(self, code: int, reason: str) -> None:
        self.closed = (int(code), reason)

    @property
    def types(self) -> list[str]:
        return [frame["type"] for frame in self.frames]


@dataclass
class Client:
    """A peer with its wire and its writer."""

    peer: Peer
    wire: FakeConnection
    writer: asyncio.Task[None]

    async def flush(self) -> list[dict[str, Any]]:
        """What was written since the last call."""
        await settle()
        frames, self.wire.frames = self.wire.frames, []
        return frames

    async def ended(self) -> tuple[int, str]:
        """Wait until the connection is closed: its code and reason."""
        async with asyncio.timeout(5):
            await self.writer
        assert self.wire.closed is not None
        return self.wire.closed


async def settle() -> None:
    """Let every task run until it waits for something; a few rounds of the loop are enough, as nothing here sleeps."""
    for _ in range(20):
        await asyncio.sleep(0)


def new_client(hub: Hub, *, language: Language = Language.ENGLISH, **options: Any) -> Client:
    wire = FakeConnection()
    peer = Peer(wire, language=language, **options)
    hub.opened(peer)
    return Client(peer, wire, asyncio.get_running_loop().create_task(peer.run()))


def new_participant(user_id: str, room_id: str = "lobby", *, role: Role = Role.USER) -> Participant:
    return Participant(
        session_id=f"session-{user_id}-{room_id}",
        room_id=room_id,
        user_id=user_id,
        username=user_id.title(),
        world="materie",
        avatar_emoji=None,
        role=role,
        joined_at=JOINED_AT,
        joined_monotonic=0.0,
    )


@dataclass
class FakeCalls:
    """A voice service that does what it is told and tells the hub."""

    hub: Hub
    people: dict[str, Participant] = field(default_factory=dict)
    seen: list[str] = field(default_factory=list)
    detached: list[str] = field(default_factory=list)
    fail_negotiate: Exception | None = None
    at_attach: list[Any] = field(default_factory=list)

    def add(self, participant: Participant) -> Participant:
        self.people[participant.session_id] = participant
        return participant

    def participant(self, session_id: str) -> Participant:
        if session_id not in self.people:
            raise SessionNotFound
        return self.people[session_id]

    def roster(self, room_id: str) -> tuple[Participant, ...]:
        return tuple(someone for someone in self.people.values() if someone.room_id == room_id)

    def signalling_attached(self, session_id: str) -> bool:
        participant = self.participant(session_id)
        first = participant.state is ParticipantState.RESERVED
        if participant.state is not ParticipantState.CONNECTED:
            participant.move(ParticipantState.CONNECTED, "attached")
        if first:
            self.hub.emit(ParticipantJoined(participant))
        return not first

    def signalling_detached(self, session_id: str) -> None:
        self.detached.append(session_id)
        if session_id in self.people:
            self.people[session_id].move(ParticipantState.DETACHED, "detached")

    def signalling_seen(self, session_id: str) -> None:
        self.seen.append(session_id)

    def set_self_muted(self, session_id: str, muted: bool) -> None:
        participant = self.participant(session_id)
        change = participant.muted_by.add if muted else participant.muted_by.discard
        change(MutedBy.SELF)
        causes = frozenset(participant.muted_by)
        self.hub.emit(MuteChanged(participant.room_id, session_id, participant.user_id, muted, MutedBy.SELF, causes))

    def set_hand(self, session_id: str, raised: bool) -> None:
        participant = self.participant(session_id)
        participant.hand_raised = raised
        self.hub.emit(HandChanged(participant.room_id, session_id, participant.user_id, raised))

    async def negotiate(self, session_id: str, offer_sdp: str) -> str:
        if self.fail_negotiate is not None:
            raise self.fail_negotiate
        return f"answer to {offer_sdp}"

    async def end(self, session_id: str, reason: EndReason) -> SessionSummary:
        participant = self.people.pop(session_id)
        participant.move(ParticipantState.ENDED, reason)
        self.hub.emit(ParticipantLeft(participant.room_id, session_id, participant.user_id, reason))
        return SessionSummary(
            session_id=session_id,
            room_id=participant.room_id,
            user_id=participant.user_id,
            world=participant.world,
            joined_at=JOINED_AT,
            left_at=JOINED_AT,
            duration_ms=0,
            speaking_ms=0,
            reason=reason,
        )


@dataclass
class FakeModeration:
    """Keeps what it was told to do; refuses with `refusal` where there is one. `removed` is by session id."""

    orders: list[tuple[Actor, Order]] = field(default_factory=list)
    read: list[tuple[str, str]] = field(default_factory=list)
    removed: dict[str, VoiceError] = field(default_factory=dict)
    refusal: VoiceError | None = None

    async def act(self, actor: Actor, order: Order) -> ActionDone:
        self.orders.append((actor, order))
        if self.refusal is not None:
            raise self.refusal
        new = NewAction(
            action_id=f"action-{len(self.orders)}",
            action=order.action,
            target_user_id=order.target_user_id,
            admin_user_id=actor.user_id,
            admin_username=actor.username,
            world=order.world,
            room_id=order.room_id,
            reason=order.reason,
            duration_hours=None,
            created_at=JOINED_AT,
            expires_at=None,
        )
        return ActionDone(new, Recorded(("s1",)))

    async def acknowledge(self, participant: Participant, action_id: str) -> None:
        self.read.append((participant.user_id, action_id))

    def check_removed(self, session_id: str) -> None:
        if session_id in self.removed:
            raise self.removed[session_id]


class FakeAuthority:
    """`token of X` opens session X."""

    def verify_session_token(self, token: str, session_id: str) -> None:
        if token != f"token of {session_id}":
            raise Unauthorized
