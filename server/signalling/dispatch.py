"""Messages from clients: decoded once, checked against the state of the connection, and handed to their handler by a table.

What is wrong with a message is answered by `voice_error` and the connection stays; what is no message at all ends it (4400), and
so does a `voice_join` that is refused (4401, 4404).
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Generic, Protocol, TypeVar

from pydantic import ValidationError

from server.config import Settings
from server.errors import (
    BadMessage,
    Banned,
    InternalError,
    Kicked,
    RateLimited,
    SessionAlreadyEnded,
    SessionNotFound,
    TargetNotFound,
    Unauthorized,
    VoiceError,
    WrongState,
)
from server.media.sdp import OfferError
from server.protocol import CloseCode
from server.protocol.client_messages import (
    ClientMessage,
    JoinMessage,
    LeaveMessage,
    RelayedMessage,
    VoiceAction,
    VoiceAdminMute,
    VoiceAnswer,
    VoiceHand,
    VoiceIceCandidate,
    VoiceKick,
    VoiceMute,
    VoiceOffer,
    VoicePing,
    VoiceWarn,
    VoiceWarnAck,
)
from server.protocol.fields import MAX_REQUEST_ID_CHARS, object_from_json, reason_of
from server.protocol.server_messages import JoinedMessage, PongMessage, RelayMessage, SfuAnswer
from server.signalling.hub import Hub
from server.signalling.orders import ModerationControl, OrderHandlers, tell_muted, tell_standing
from server.signalling.outbox import Delivery
from server.signalling.peer import Peer, PeerState, Seat, seat_of
from server.signalling.views import error_message, participant_views
from server.voice.participant import EndReason, MutedBy, Participant, ParticipantState, Role
from server.voice.ports import SessionSummary

__all__ = ["CallControl", "Dispatcher", "SessionAuthority"]

logger = logging.getLogger(__name__)

M = TypeVar("M", bound=ClientMessage)

_JOINED: Final = frozenset({PeerState.JOINED})
_OPEN: Final = frozenset({PeerState.AWAITING_JOIN, PeerState.JOINED})
_JOIN_REFUSALS: Final[Mapping[type[VoiceError], CloseCode]] = MappingProxyType(
    {
        Unauthorized: CloseCode.UNAUTHORIZED,
        Kicked: CloseCode.REMOVED,
        Banned: CloseCode.REMOVED,
        SessionNotFound: CloseCode.NO_SESSION,
        SessionAlreadyEnded: CloseCode.NO_SESSION,
    }
)
_RELAY_RETRY_AFTER_SECONDS: Final = 1


class CallControl(Protocol):
    """What signalling asks of `VoiceService`; its docstrings say more."""

    def participant(self, session_id: str) -> Participant: ...
    def roster(self, room_id: str) -> tuple[Participant, ...]: ...
    def signalling_attached(self, session_id: str) -> bool: ...
    def signalling_detached(self, session_id: str) -> None: ...
    def signalling_seen(self, session_id: str) -> None: ...
    def set_self_muted(self, session_id: str, muted: bool) -> None: ...
    def set_hand(self, session_id: str, raised: bool) -> None: ...
    async def negotiate(self, session_id: str, offer_sdp: str) -> str: ...
    async def end(self, session_id: str, reason: EndReason) -> SessionSummary: ...


class SessionAuthority(Protocol):
    """Who knows whether a token opens a session."""

    def verify_session_token(self, token: str, session_id: str) -> None:
        """Raises `Unauthorized` unless `token` is a valid session token of this very session."""
        ...


@dataclass(frozen=True, slots=True)
class _Entry(Generic[M]):
    """A row of the table. `closes` says which errors of this message end the connection, and how."""

    model: type[M]
    handle: Callable[[Peer, M], Awaitable[None]]
    states: frozenset[PeerState]
    closes: Mapping[type[VoiceError], CloseCode] = field(default_factory=dict)


class Dispatcher:
    """Takes what a connection sends. One message of a connection is done before its next one is taken."""

    def __init__(
        self, service: CallControl, hub: Hub, authority: SessionAuthority, settings: Settings, moderation: ModerationControl
    ) -> None:
        self._service = service
        self._moderation = moderation
        orders = OrderHandlers(service, moderation)
        self._hub = hub
        self._authority = authority
        self._settings = settings
        entries: tuple[_Entry[Any], ...] = (
            _Entry(JoinMessage, self._join, frozenset({PeerState.AWAITING_JOIN}), _JOIN_REFUSALS),
            _Entry(VoiceOffer, self._offer, _JOINED),
            _Entry(VoiceAnswer, self._answer, _JOINED),
            _Entry(VoiceIceCandidate, self._candidate, _JOINED),
            _Entry(VoiceMute, self._mute, _JOINED),
            _Entry(VoiceHand, self._hand, _JOINED),
            _Entry(VoiceKick, orders.kick, _JOINED),
            _Entry(VoiceAdminMute, orders.mute, _JOINED),
            _Entry(VoiceWarn, orders.warn, _JOINED),
            _Entry(VoiceAction, orders.action, _JOINED),
            _Entry(VoiceWarnAck, orders.acknowledge, _JOINED),
            _Entry(LeaveMessage, self._leave, _JOINED),
            _Entry(VoicePing, self._ping, _OPEN),
        )
        self._table = {entry.model.type: entry for entry in entries}

    @property
    def types(self) -> tuple[str, ...]:
        """Every type that is understood."""
        return tuple(self._table)

    async def receive(self, peer: Peer, text: bytes | str) -> None:
        """Take one text frame. Whatever is in it, nothing is raised."""
        try:
            raw = object_from_json(text)
        except ValueError as problem:
            peer.close(CloseCode.BAD_MESSAGE, str(problem))
            return
        type_name = raw.get("type")
        if not isinstance(type_name, str):
            peer.close(CloseCode.BAD_MESSAGE, "no type")
            return
        entry = self._table.get(type_name)
        try:
            if entry is None:
                raise BadMessage("type", "unknown")
            if peer.state not in entry.states:
                raise WrongState
            await entry.handle(peer, _decode(entry.model, raw))
        except VoiceError as problem:
            self._refuse(peer, problem, raw)
            if entry is not None and (code := entry.closes.get(type(problem))) is not None:
                peer.close(code, problem.error)
        except Exception:
            logger.exception("a %s failed", type_name if entry is not None else "message")
            self._refuse(peer, InternalError(), raw)

    def seen(self, peer: Peer) -> None:
        """Something came from this connection, if only the answer to a ping."""
        if peer.state is PeerState.JOINED:
            self._service.signalling_seen(seat_of(peer).session_id)

    def disconnected(self, peer: Peer) -> None:
        """The connection is gone. Its session only loses it; presence decides what becomes of it."""
        if self._hub.closed(peer):
            self._service.signalling_detached(seat_of(peer).session_id)

    async def went_away(self, peer: Peer) -> None:
        """The client's page is gone for good: the same as `voice_leave`, if this connection still speaks for its session."""
        if peer.state is PeerState.JOINED and self._hub.speaks_for(peer):
            with contextlib.suppress(VoiceError):  # it has ended already
                await self._service.end(seat_of(peer).session_id, EndReason.LEFT)

    @staticmethod
    def _refuse(peer: Peer, problem: VoiceError, raw: Mapping[str, Any]) -> None:
        request_id = raw.get("requestId")
        if not isinstance(request_id, str) or len(request_id) > MAX_REQUEST_ID_CHARS:
            request_id = None
        session_id = peer.seat.session_id if peer.seat is not None else None
        peer.send(error_message(problem, peer.language, session_id=session_id, request_id=request_id).encode())

    # --- handlers -----------------------------------------------------------------------------------------------

    async def _join(self, peer: Peer, message: JoinMessage) -> None:
        if not peer.preauthorised(message.session_id):
            if message.token is None:
                raise Unauthorized
            self._authority.verify_session_token(message.token, message.session_id)
        # One that a moderator ended is refused for that, and not as one that nobody knows.
        self._moderation.check_removed(message.session_id)
        participant = self._service.participant(message.session_id)
        # No await from here on: what happens between the snapshot and the seat would be missed, or told twice.
        resumed = self._service.signalling_attached(participant.session_id)
        peer.join(Seat(participant.session_id, participant.room_id, participant.user_id))
        peer.send(self._snapshot(participant, resumed=resumed, request_id=message.request_id).encode())
        self._hub.take_seat(peer)
        tell_standing(peer, participant)

    def _snapshot(self, participant: Participant, *, resumed: bool, request_id: str | None) -> JoinedMessage:
        # Who has a place but no connection yet was not announced and would not be said goodbye to either.
        announced = [other for other in self._service.roster(participant.room_id) if other.state is not ParticipantState.RESERVED]
        return JoinedMessage(
            request_id=request_id,
            session_id=participant.session_id,
            room_id=participant.room_id,
            world=participant.world,
            participants=participant_views(announced),
            max_participants=self._settings.max_participants,
            slots=self._settings.slots,
            ice_servers=self._settings.ice_servers,
            resumed=resumed,
            moderator=participant.role in (Role.MODERATOR, Role.ADMIN),
        )

    async def _offer(self, peer: Peer, message: VoiceOffer) -> None:
        if message.has_target:
            self._relay(peer, message)
            return
        session_id = seat_of(peer).session_id
        try:
            answer = await self._service.negotiate(session_id, message.sdp.sdp)
        except OfferError as problem:
            raise BadMessage("sdp", problem.reason) from problem
        sdp = {"type": "answer", "sdp": answer}
        peer.send(SfuAnswer(session_id=session_id, sdp=sdp, request_id=message.request_id).encode())

    async def _answer(self, peer: Peer, message: VoiceAnswer) -> None:
        if not message.has_target:
            raise BadMessage("targetUserId", "missing: the server itself does not offer")
        self._relay(peer, message)

    async def _candidate(self, peer: Peer, message: VoiceIceCandidate) -> None:
        # One for the server is accepted and of no use to it: an ICE-lite agent learns addresses from checks (RFC 8445, 2.5).
        if message.has_target:
            self._relay(peer, message)

    def _relay(self, peer: Peer, message: RelayedMessage) -> None:
        sender = seat_of(peer)
        target = self._hub.find(sender.room_id, session_id=message.target_session_id, user_id=message.target_user_id)
        if target is None or target is peer:
            raise TargetNotFound
        receiver = seat_of(target)
        relayed = RelayMessage(
            relayed_type=message.type,
            session_id=sender.session_id,
            user_id=sender.user_id,
            target_session_id=receiver.session_id,
            target_user_id=receiver.user_id,
            payload={message.payload_field: message.payload()},
        )
        if not target.send(relayed.encode(), Delivery.RELAY):
            raise RateLimited(retry_after=_RELAY_RETRY_AFTER_SECONDS)

    async def _mute(self, peer: Peer, message: VoiceMute) -> None:
        session_id = seat_of(peer).session_id
        self._service.set_self_muted(session_id, message.muted)
        participant = self._service.participant(session_id)
        if MutedBy.MODERATOR in participant.muted_by and not message.muted:
            tell_muted(peer, participant, message.request_id)

    async def _hand(self, peer: Peer, message: VoiceHand) -> None:
        self._service.set_hand(seat_of(peer).session_id, message.raised)

    async def _leave(self, peer: Peer, message: LeaveMessage) -> None:
        await self._service.end(seat_of(peer).session_id, EndReason.LEFT)

    async def _ping(self, peer: Peer, message: VoicePing) -> None:
        session_id = peer.seat.session_id if peer.seat is not None else None
        peer.send(PongMessage(session_id=session_id, request_id=message.request_id).encode())


def _decode(model: type[M], raw: Mapping[str, Any]) -> M:
    try:
        return model.model_validate(raw)
    except ValidationError as problem:
        raise BadMessage(*reason_of(problem, model.type)) from None
