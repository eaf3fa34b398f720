"""Capacity and duplicates hold under simultaneous joins, over real HTTP."""

from __future__ import annotations

import asyncio
from collections import Counter

from bench.client import JoinReply, RestError, VoiceClient
from tests.integration.support import Call


async def join(client: VoiceClient) -> JoinReply | RestError:
    try:
        return await client.join("lobby")
    except RestError as refused:
        return refused


async def test_of_200_simultaneous_joins_ten_succeed(call: Call) -> None:
    outcomes = await asyncio.gather(*[join(call.client(f"user-{number}")) for number in range(200)])
    joined = [outcome for outcome in outcomes if isinstance(outcome, JoinReply)]
    refused = [outcome for outcome in outcomes if isinstance(outcome, RestError)]
    assert len(joined) == 10
    assert len({reply.session_id for reply in joined}) == 10
    assert Counter((refusal.status, refusal.body["error"]) for refusal in refused) == {(403, "Room full"): 190}
    assert {(r.body["current_participant_count"], r.body["max_participants"]) for r in refused} == {(10, 10)}
    async with call.http.get("/api/voice/participants/lobby", headers=call.server.headers) as response:
        assert len((await response.json())["participants"]) == 10


async def test_of_50_simultaneous_joins_of_one_user_one_succeeds(call: Call) -> None:
    outcomes = await asyncio.gather(*[join(call.client("same")) for _ in range(50)])
    (joined,) = [outcome for outcome in outcomes if isinstance(outcome, JoinReply)]
    refused = [outcome for outcome in outcomes if isinstance(outcome, RestError)]
    assert Counter((refusal.status, refusal.body["error"]) for refusal in refused) == {(409, "Already in room"): 49}
    assert {refusal.body["session_id"] for refusal in refused} == {joined.session_id}


async def test_places_that_were_given_back_are_taken_again(call: Call) -> None:
    clients = [call.client(f"user-{number}") for number in range(10)]
    await asyncio.gather(*[client.join("lobby") for client in clients])
    await asyncio.gather(*[client.leave() for client in clients])
    outcomes = await asyncio.gather(*[join(call.client(f"next-{number}")) for number in range(20)])
    assert sum(isinstance(outcome, JoinReply) for outcome in outcomes) == 10
