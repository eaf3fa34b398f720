"""Moderators' messages, and the answers of those concerned. The rules are in `server.voice.moderation`, for REST as well."""

from __future__ import annotations

from datetime import timedelta
from typing import Protocol

from server.protocol.client_messages import VoiceAction, VoiceAdminMute, VoiceKick, VoiceWarn, VoiceWarnAck
from server.protocol.server_messages import ActionMessage, MuteMessage, WarnMessage
from server.signalling.peer import Peer, seat_of
from server.voice.moderation import RULES, Action, Actor, Order, Scope
from server.voice.moderator import ActionDone
from server.voice.participant import MutedBy, Participant

__all__ = ["ModerationControl", "OrderHandlers", "tell_muted", "tell_standing"]


class ModerationControl(Protocol):
    """What signalling asks of `Moderator`; its docstrings say more."""

    async def act(self, actor: Actor, order: Order) -> ActionDone: ...
    async def acknowledge(self, participant: Participant, action_id: str) -> None: ...
    def check_removed(self, session_id: str) -> None: ...


class People(Protocol):
    """Who knows who speaks through a connection."""

    def participant(self, session_id: str) -> Participant: ...


class OrderHandlers:
    """One handler a message. Each raises what `Moderator` raises."""

    def __init__(self, people: People, moderation: ModerationControl) -> None:
        self._people = people
        self._moderation = moderation

    async def kick(self, peer: Peer, message: VoiceKick) -> None:
        """`voice_kick`."""
        await self._act(peer, Action.KICK, message, hours=message.duration_hours)

    async def mute(self, peer: Peer, message: VoiceAdminMute) -> None:
        """`voice_admin_mute`."""
        await self._act(peer, Action.MUTE if message.muted else Action.UNMUTE, message, hours=message.duration_hours)

    async def warn(self, peer: Peer, message: VoiceWarn) -> None:
        """`voice_warn`."""
        await self._act(peer, Action.WARN, message)

    async def action(self, peer: Peer, message: VoiceAction) -> None:
        """`voice_action`."""
        await self._act(peer, Action(message.action_type), message, hours=message.duration_hours, world=message.world)

    async def acknowledge(self, peer: Peer, message: VoiceWarnAck) -> None:
        """`voice_warn_ack`."""
        await self._moderation.acknowledge(self._people.participant(seat_of(peer).session_id), message.action_id)

    async def _act(
        self,
        peer: Peer,
        action: Action,
        message: VoiceKick | VoiceAdminMute | VoiceWarn | VoiceAction,
        *,
        hours: float | None = None,
        world: str | None = None,
    ) -> None:
        sender = self._people.participant(seat_of(peer).session_id)
        order = Order(
            action=action,
            target_user_id=message.user_id,
            world=world if world is not None else sender.world,
            room_id=sender.room_id if RULES[action].scope is Scope.ROOM else None,
            reason=message.reason,
            duration=timedelta(hours=hours) if hours is not None else None,
        )
        done = await self._moderation.act(Actor(sender.user_id, sender.username, sender.rights), order)
        answer = ActionMessage(
            request_id=message.request_id,
            session_id=sender.session_id,
            action_id=done.action.action_id,
            action_type=action.value,
            user_id=message.user_id,
            expires_at=done.action.expires_at,
            sessions=done.recorded.sessions,
        )
        peer.send(answer.encode())


def tell_standing(peer: Peer, participant: Participant) -> None:
    """Tell someone who has just connected what moderators did while they were not: muted, warned."""
    if MutedBy.MODERATOR in participant.muted_by:
        tell_muted(peer, participant)
    for warning in participant.warnings.values():
        message = WarnMessage(session_id=participant.session_id, action_id=warning.action_id, reason=warning.words, by=warning.by)
        peer.send(message.encode())


def tell_muted(peer: Peer, participant: Participant, request_id: str | None = None) -> None:
    """Tell someone that a moderator's mute holds, whatever they do themselves."""
    message = MuteMessage(
        request_id=request_id,
        session_id=participant.session_id,
        user_id=participant.user_id,
        muted=True,
        by=MutedBy.MODERATOR.value,
    )
    peer.send(message.encode())
