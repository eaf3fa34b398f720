"""The use cases of people in rooms: join, end, and everything between.

Every way into a room is `join`; every way out, whoever decides it, ends in the same step of `stays`. What the media engine
reports to this service becomes events about people (`media_facts`).
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable, Mapping
from enum import Enum
from types import MappingProxyType

from server.errors import Draining, ServerAtCapacity, SessionNotFound
from server.voice.capacity import CapacityGate
from server.voice.clock import Clock, SystemClock
from server.voice.discipline import Discipline
from server.voice.events import ConnectionChanged, HandChanged, ParticipantJoined
from server.voice.media_facts import MediaFacts
from server.voice.participant import EndReason, Participant, ParticipantState
from server.voice.ports import (
    EventSink,
    JoinCommand,
    JoinResult,
    MediaPort,
    RoomView,
    SessionStore,
    SessionSummary,
    VoiceSettings,
)
from server.voice.presence import Presence
from server.voice.recorder import Recorder
from server.voice.rooms import RoomRegistry
from server.voice.sinks import EventSinks
from server.voice.stays import BUSY_RETRY_AFTER_SECONDS, DRAINING_RETRY_AFTER_SECONDS, Stays
from server.voice.tasks import OwnedTasks

__all__ = ["ServiceState", "VoiceService"]

logger = logging.getLogger(__name__)


_MAX_JOINS_UNDER_WAY = 1000
"""Beyond it a join is refused at once: a store that hangs must not gather callers without end."""


class ServiceState(Enum):
    """Joins are taken while RUNNING only; everyone is ended in CLOSING."""

    NEW = "new"
    RUNNING = "running"
    CLOSING = "closing"
    CLOSED = "closed"


_NEXT: Mapping[ServiceState, frozenset[ServiceState]] = MappingProxyType(
    {
        ServiceState.NEW: frozenset({ServiceState.RUNNING, ServiceState.CLOSED}),
        ServiceState.RUNNING: frozenset({ServiceState.CLOSING}),
        ServiceState.CLOSING: frozenset({ServiceState.CLOSED}),
        ServiceState.CLOSED: frozenset(),
    }
)


class VoiceService(MediaFacts):
    """Everyone who is in a room. To be used from one event loop.

    The media engine reports to this service and is asked by it, so it comes after: `use_media`, then `start`.
    `round_seconds` is how often presence is judged and rows are marked; `close_timeout_seconds` bounds `close`.
    """

    def __init__(
        self,
        settings: VoiceSettings,
        store: SessionStore,
        *,
        clock: Clock | None = None,
        recorder: Recorder | None = None,
        round_seconds: float = 0.5,
        close_timeout_seconds: float = 10.0,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        new_id: Callable[[], str] = lambda: str(uuid.uuid4()),
    ) -> None:
        super().__init__(
            RoomRegistry(),
            Presence(join_timeout=settings.join_timeout_seconds, presence_timeout=settings.presence_timeout_seconds),
            EventSinks(),
            clock if clock is not None else SystemClock(),
        )
        self._settings = settings
        self._store = store
        self._recorder = recorder if recorder is not None else Recorder(store)
        self._round_seconds = round_seconds
        self._close_timeout_seconds = close_timeout_seconds
        self._sleep = sleep
        self._tasks = OwnedTasks()
        self._rounds: asyncio.Task[None] | None = None
        self._state = ServiceState.NEW
        self._stays = Stays(
            rooms=self._rooms,
            presence=self._presence,
            sinks=self._sinks,
            store=store,
            recorder=self._recorder,
            intervals=self._intervals,
            clock=self._clock,
            new_id=new_id,
            accepting=lambda: self._state is ServiceState.RUNNING,
        )
        self.discipline = Discipline(self._rooms, self._stays, self._stays.muting, self._sinks)
        """What moderators do to people."""

    # --- life -----------------------------------------------------------------------------------------------------------

    def use_media(self, media: MediaPort) -> None:
        """Tell the service its media engine, before `start`."""
        self._stays.media = media

    def use_gate(self, gate: CapacityGate) -> None:
        """Ask `gate` about each newcomer from now on; without one, everybody fits on this machine."""
        self._stays.gate = gate

    def subscribe(self, sink: EventSink) -> None:
        """Let `sink` hear every event from now on."""
        self._sinks.add(sink)

    @property
    def state(self) -> ServiceState:
        return self._state

    async def start(self) -> None:
        """Write what an earlier process could not, close what a crash left open, then take people in.

        Raises `StoreError` where the store does not work, `RuntimeError` without a media engine.
        """
        _ = self._stays.media
        await self._recorder.start()
        try:
            recovered = await self._store.recover_open_sessions()
        except BaseException:
            await self._recorder.stop()
            raise
        if recovered:
            logger.warning("%d sessions that a crash left open were closed at their last sign of life", len(recovered))
        self._rounds = asyncio.get_running_loop().create_task(self._run_rounds(), name="voice-rounds")
        self._move(ServiceState.RUNNING, "started")

    async def close(self) -> None:
        """Take nobody in any more, end everyone (`server_stop`), write it all; within `close_timeout_seconds`.

        What the store does not take in that time is left in the spool to the next start. Does nothing the second time.
        """
        if self._state is ServiceState.NEW:
            self._move(ServiceState.CLOSED, "never started")
        if self._state is not ServiceState.RUNNING:
            return
        self._move(ServiceState.CLOSING, "close")
        assert self._rounds is not None
        self._rounds.cancel()
        await asyncio.wait({self._rounds})
        for participant in self._rooms:
            self._stays.end_now(participant, EndReason.SERVER_STOP)
        try:
            async with asyncio.timeout(self._close_timeout_seconds):
                await self._tasks.settle()  # joins that were under way: they undo themselves
                await self._recorder.flush()
        except TimeoutError:
            logger.error("%d ends of sessions could not be written before the stop", self._recorder.unwritten_ends)
        finally:
            await self._tasks.cancel()
            await self._recorder.stop()
            self._move(ServiceState.CLOSED, "closed")

    def stats(self) -> dict[str, int]:
        """How many people and rooms there are. What is owed to the store is told by the recorder's own `stats`."""
        return {"participants": len(self._rooms), "rooms": self._rooms.room_count}

    # --- in and out -----------------------------------------------------------------------------------------------------

    async def join(self, command: JoinCommand) -> JoinResult:
        """Take a place: ban, world, duplicate and capacity are checked and the row is written in one transaction.

        Raises `Banned`, `InvalidRequest` (field `world`), `AlreadyInRoom`, `RoomFull`, `Draining`, `ServerAtCapacity`,
        `InternalError`. A caller that is cancelled leaves nothing behind: the join is finished apart from it and then undone.
        """
        if self._state is not ServiceState.RUNNING:
            raise Draining(retry_after=DRAINING_RETRY_AFTER_SECONDS)
        if len(self._tasks) >= _MAX_JOINS_UNDER_WAY:
            raise ServerAtCapacity(retry_after=BUSY_RETRY_AFTER_SECONDS)
        task = self._tasks.spawn(self._join(command), "voice-join")
        try:
            await asyncio.wait({task})
        except asyncio.CancelledError:
            _ = self._tasks.spawn(self._undo(task), "voice-join-undo")
            raise
        return task.result()

    async def end(self, session_id: str, reason: EndReason) -> SessionSummary:
        """THE way out, for everybody and every cause.

        The row is closed when it returns; where the store does not work it is left to the recorder. Raises
        `SessionAlreadyEnded`, also for the second of two simultaneous callers, `SessionNotFound`, and `InternalError` where
        that cannot be looked up.
        """
        participant = self._rooms.find(session_id)
        if participant is None:
            raise await self._stays.why_gone(session_id)
        return await self._stays.end(participant, reason)

    def judge(self) -> None:
        """One round, as done every `round_seconds`: end those who are gone, mark how far the others have come."""
        self._stays.judge()
        self._stays.muting.lift_expired(self._rooms, self._clock.now())

    # --- who is where ---------------------------------------------------------------------------------------------------

    def participant(self, session_id: str) -> Participant:
        """Raises `SessionNotFound` for a session that is not open."""
        participant = self._rooms.find(session_id)
        if participant is None:
            raise SessionNotFound
        return participant

    def roster(self, room_id: str) -> tuple[Participant, ...]:
        """Everyone with an open session in the room, in the order of joining."""
        return self._rooms.roster(room_id)

    def active_rooms(self, world: str) -> tuple[RoomView, ...]:
        """The rooms of `world` that someone is in, the longest open first."""
        return self._rooms.views(world, self._settings.max_participants)

    # --- from signalling ------------------------------------------------------------------------------------------------

    def signalling_attached(self, session_id: str) -> bool:
        """A WebSocket of this session is there. True where it is not its first: a resumption, or a newer one that takes over.

        The first one makes the participant known to others. Raises `SessionNotFound`.
        """
        participant = self.participant(session_id)
        self._presence.seen(session_id, self._clock.monotonic())
        before = participant.state
        if before is not ParticipantState.CONNECTED:
            participant.move(ParticipantState.CONNECTED, "signalling attached")
        if before is ParticipantState.RESERVED:
            self._sinks.emit(ParticipantJoined(participant))
        elif before is ParticipantState.DETACHED:
            self._sinks.emit(ConnectionChanged(participant.room_id, session_id, participant.user_id, True))
        return before is not ParticipantState.RESERVED

    def signalling_detached(self, session_id: str) -> None:
        """The WebSocket is gone. Not to be called for one that a newer one of the same session replaced."""
        participant = self._rooms.find(session_id)
        if participant is not None and participant.state is ParticipantState.CONNECTED:
            participant.move(ParticipantState.DETACHED, "signalling detached")
            self._sinks.emit(ConnectionChanged(participant.room_id, session_id, participant.user_id, False))

    def signalling_seen(self, session_id: str) -> None:
        """A sign of life: to be called for every frame of an attached WebSocket, pongs included.

        An attached WebSocket that is silent is no sign by itself: a dead network leaves it open for minutes. So whoever
        holds it must ping more often than the presence timeout.
        """
        self._presence.seen(session_id, self._clock.monotonic())

    def set_self_muted(self, session_id: str, muted: bool) -> None:
        """Mute or unmute oneself; a moderator's mute holds all the same. Raises `SessionNotFound`."""
        self._stays.muting.by_self(self.participant(session_id), muted)

    def set_hand(self, session_id: str, raised: bool) -> None:
        """Raises `SessionNotFound`."""
        participant = self.participant(session_id)
        if participant.hand_raised is raised:
            return
        participant.hand_raised = raised
        self._sinks.emit(HandChanged(participant.room_id, session_id, participant.user_id, raised))

    async def negotiate(self, session_id: str, offer_sdp: str) -> str:
        """The answer SDP. Raises `SessionNotFound`, and what the media engine raises for an offer it cannot answer."""
        self.participant(session_id)
        try:
            return await self._stays.media.negotiate(session_id, offer_sdp)
        except KeyError:
            self.participant(session_id)  # gone meanwhile is an answer; anything else is a fault
            raise

    # --- inside ---------------------------------------------------------------------------------------------------------

    async def _join(self, command: JoinCommand) -> JoinResult:
        max_participants = self._settings.max_participants
        participant = await self._stays.begin(command, max_participants)
        return JoinResult(participant, self._rooms.roster(participant.room_id), max_participants)

    async def _undo(self, join: asyncio.Task[JoinResult]) -> None:
        """End what a join that nobody waits for any more began: nobody knows its session id."""
        await asyncio.wait({join})
        if join.cancelled() or join.exception() is not None:
            return
        participant = self._rooms.find(join.result().participant.session_id)
        if participant is not None:
            await self._stays.end(participant, EndReason.ROLLED_BACK)

    async def _run_rounds(self) -> None:
        while True:
            await self._sleep(self._round_seconds)
            try:
                self.judge()
            except Exception:
                logger.exception("a round of presence failed")

    def _move(self, to: ServiceState, why: str) -> None:
        if to not in _NEXT[self._state]:
            raise RuntimeError(f"voice service: {self._state.value} -> {to.value} ({why})")
        logger.info("voice service: %s -> %s (%s)", self._state.value, to.value, why)
        self._state = to
