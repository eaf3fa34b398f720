"""Messages between participants arrive with the sender's true name."""

from __future__ import annotations

from typing import Any

import pytest

from bench.client import SignallingError
from tests.integration.support import Call

CANDIDATE = {"candidate": "candidate:1 1 udp 1 192.0.2.7 9 typ host", "sdpMid": "0", "sdpMLineIndex": 0}


async def test_forged_ids_are_replaced_by_the_true_ones(call: Call) -> None:
    first, second, third = await call.enter_all("a", "b", "c")
    forged = {"userId": "c", "sessionId": third.session_id}
    await first.client.send("voice_offer", targetUserId="b", sdp={"type": "offer", "sdp": "as it is"}, **forged)
    offer = await second.client.expect("voice_offer")
    assert (offer["userId"], offer["sessionId"]) == ("a", first.session_id)
    assert offer["sdp"] == {"type": "offer", "sdp": "as it is"}
    answer = {"type": "answer", "sdp": "back"}
    await second.client.send("voice_answer", targetSessionId=first.session_id, sdp=answer, **forged)
    back = await first.client.expect("voice_answer", lambda message: message["userId"] == "b")
    assert (back["sessionId"], back["sdp"]) == (second.session_id, answer)
    await first.client.send("voice_ice_candidate", targetUserId="b", candidate=CANDIDATE, **forged)
    candidate = await second.client.expect("voice_ice_candidate")
    assert (candidate["userId"], candidate["candidate"]) == ("a", CANDIDATE)
    assert third.client.received["voice_offer"] == third.client.received["voice_ice_candidate"] == 0


async def test_nothing_crosses_rooms(call: Call) -> None:
    (inside,) = await call.enter_all("a", room="here")
    (outside,) = await call.enter_all("b", room="there")
    targets: list[dict[str, Any]] = [{"targetUserId": "b"}, {"targetSessionId": outside.session_id}]
    for target in targets:
        with pytest.raises(SignallingError) as refused:
            await inside.client.request("voice_ice_candidate", candidate=CANDIDATE, **target)
        assert refused.value.message["error"] == "Target not found"
    await outside.client.request("ping")
    assert outside.client.received["voice_ice_candidate"] == 0


async def test_a_session_token_opens_its_own_session_only(call: Call) -> None:
    first, second = call.client("a"), call.client("b")
    await first.join("lobby")
    reply = await second.join("lobby")
    assert first.reply is not None
    object.__setattr__(first.reply, "session_token", reply.session_token)
    with pytest.raises(SignallingError) as refused:
        await first.open()
    assert refused.value.message["error"] == "Unauthorized"
    assert await first.closed() == 4401
    await first.close()
