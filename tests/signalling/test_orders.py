"""Moderators' messages: what they become, and what is answered. The rules themselves are tested with `Moderator`."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from server.config import Settings
from server.errors import Banned, Forbidden, Kicked
from server.signalling.dispatch import Dispatcher
from server.signalling.hub import Hub
from server.voice.moderation import Action, Order
from server.voice.participant import MutedBy, Participant, Right, Role, UnreadWarning
from tests.signalling.fakes import (
    JOINED_AT,
    Client,
    FakeAuthority,
    FakeCalls,
    FakeModeration,
    new_client,
    new_participant,
    settle,
)


class World:
    def __init__(self, settings: Settings) -> None:
        self.hub = Hub()
        self.calls = FakeCalls(self.hub)
        self.moderation = FakeModeration()
        self.dispatcher = Dispatcher(self.calls, self.hub, FakeAuthority(), settings, self.moderation)

    async def ask(self, client: Client, message: dict[str, Any]) -> list[dict[str, Any]]:
        await client.flush()
        await self.dispatcher.receive(client.peer, json.dumps(message))
        return await client.flush()

    async def knock(self, participant: Participant) -> tuple[Client, list[dict[str, Any]]]:
        client = new_client(self.hub)
        session_id = participant.session_id
        message = {"type": "voice_join", "sessionId": session_id, "token": f"token of {session_id}"}
        return client, await self.ask(client, message)

    async def enter(self, user_id: str) -> tuple[Client, Participant]:
        participant = self.calls.add(new_participant(user_id, role=Role.MODERATOR))
        participant.rights = (Right(Role.MODERATOR, frozenset({"materie"})),)
        client, _ = await self.knock(participant)
        return client, participant


@pytest.fixture
async def world(settings: Settings) -> World:
    return World(settings)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({"type": "voice_kick", "userId": "ben"}, Order(Action.KICK, "ben", "materie", "lobby")),
        (
            {"type": "voice_kick", "userId": "ben", "reason": "noise", "durationHours": 0.5},
            Order(Action.KICK, "ben", "materie", "lobby", "noise", timedelta(minutes=30)),
        ),
        ({"type": "voice_admin_mute", "userId": "ben", "muted": True}, Order(Action.MUTE, "ben", "materie", "lobby")),
        ({"type": "voice_admin_mute", "userId": "ben", "muted": False}, Order(Action.UNMUTE, "ben", "materie", "lobby")),
        ({"type": "voice_warn", "userId": "ben", "reason": "  "}, Order(Action.WARN, "ben", "materie", "lobby")),
        ({"type": "voice_action", "actionType": "mute_all", "userId": "*"}, Order(Action.MUTE_ALL, "*", "materie", "lobby")),
        ({"type": "voice_action", "actionType": "ban", "userId": "ben"}, Order(Action.BAN, "ben", "materie")),
        ({"type": "voice_action", "actionType": "unban", "userId": "ben", "world": "*"}, Order(Action.UNBAN, "ben", "*")),
    ],
)
async def test_a_message_becomes_an_order_in_the_senders_room_and_name(
    world: World, message: dict[str, Any], expected: Order
) -> None:
    anna, participant = await world.enter("anna")
    [answer] = await world.ask(anna, {**message, "requestId": "r1", "sessionId": "somebody else's"})
    [(actor, given)] = world.moderation.orders
    assert given == expected
    assert (actor.user_id, actor.name, actor.rights) == ("anna", "Anna", participant.rights)
    assert answer == {
        "type": "voice_action",
        "requestId": "r1",
        "sessionId": participant.session_id,
        "actionId": "action-1",
        "actionType": expected.action.value,
        "userId": expected.target_user_id,
        "expiresAt": None,
        "sessions": ["s1"],
    }


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ({"type": "voice_kick"}, "userId"),
        ({"type": "voice_admin_mute", "userId": "ben"}, "muted"),
        ({"type": "voice_action", "actionType": "hug", "userId": "ben"}, "actionType"),
        ({"type": "voice_kick", "userId": "ben", "durationHours": 0}, "durationHours"),
        ({"type": "voice_kick", "userId": "ben", "durationHours": True}, "durationHours"),
        ({"type": "voice_warn_ack"}, "actionId"),
    ],
)
async def test_messages_that_cannot_be_understood(world: World, message: dict[str, Any], field: str) -> None:
    anna, _ = await world.enter("anna")
    [answer] = await world.ask(anna, message)
    assert (answer["error"], answer["field"]) == ("Bad message", field)
    assert world.moderation.orders == []


async def test_a_refusal_is_told_with_its_reason(world: World) -> None:
    anna, _ = await world.enter("anna")
    world.moderation.refusal = Forbidden(reason="rank")
    [answer] = await world.ask(anna, {"type": "voice_kick", "userId": "ben", "requestId": "r1"})
    assert (answer["error"], answer["reason"], answer["requestId"]) == ("Forbidden", "rank", "r1")


@pytest.mark.parametrize("refusal", [Kicked(expires_at=JOINED_AT, retry_after=5), Banned(reason=None, expires_at=None)])
async def test_who_was_put_out_is_told_so_and_not_let_in(world: World, refusal: Kicked | Banned) -> None:
    ben = new_participant("ben")
    world.moderation.removed[ben.session_id] = refusal
    client, [answer] = await world.knock(ben)
    assert answer["error"] == refusal.error
    assert (await client.ended())[0] == 4403


async def test_who_connects_is_told_what_holds(world: World) -> None:
    ben = world.calls.add(new_participant("ben"))
    ben.muted_by.add(MutedBy.MODERATOR)
    ben.warnings["a1"] = UnreadWarning("a1", "be kind", "Anna", "anna")
    client, [_, muted, warned] = await world.knock(ben)
    assert (muted["type"], muted["by"]) == ("voice_mute", "moderator")
    assert (warned["type"], warned["actionId"], warned["reason"], warned["by"]) == ("voice_warn", "a1", "be kind", "Anna")
    assert await world.ask(client, {"type": "voice_warn_ack", "actionId": "a1"}) == []
    assert world.moderation.read == [("ben", "a1")]


async def test_connections_of_a_revoked_token_are_closed(world: World) -> None:
    carried = new_client(world.hub, credential="api:ci")
    other = new_client(world.hub, credential="api:other")
    world.hub.close_credential("api:ci")
    assert (await carried.ended())[0] == 4401
    await settle()
    assert other.wire.closed is None
