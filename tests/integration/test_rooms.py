"""People come and go: one offer each, the right voice in the right slot."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace

import pytest

from bench.client import RestError, SignallingError
from tests.integration.support import CHROMIUM, Call, Person, let_through, settled


async def each_hears_the_others(people: list[Person]) -> None:
    for speaker in people:
        sent = speaker.peer.send_voice(3)
        for listener in people:
            if listener is not speaker:
                await listener.heard_all(speaker, sent)


async def test_one_leaves_and_another_joins_without_renegotiation(call: Call) -> None:
    first, second, third = await call.enter_all("a", "b", "c")
    await each_hears_the_others([first, second, third])
    await second.client.leave()
    gone = await first.client.expect("voice_leave")
    assert (gone["sessionId"], gone["reason"]) == (second.session_id, "left")
    for person in (first, third):
        await person.client.hears(1)
    await each_hears_the_others([first, third])
    fourth = await call.enter("d")
    await settled(first, third, fourth)
    await each_hears_the_others([first, third, fourth])
    for person in (first, third, fourth):
        assert person.client.sent["voice_offer"] == 1
        assert person.client.received["voice_answer"] == 1
        assert person.client.received["voice_offer"] == 0
        assert person.peer.strays == 0
        assert person.peer.unreadable == 0


async def test_a_reused_slot_goes_on_counting(call: Call) -> None:
    listener, first = await call.enter_all("a", "b")
    await listener.heard_all(first, first.peer.send_voice(5))
    mid = listener.slot_of(first)
    await first.client.leave()
    await listener.client.hears(0)
    second = await call.enter("c")
    await listener.client.hears(1)
    assert listener.slot_of(second) == mid
    await second.peer.speak([], 100)
    packets = await listener.hears_from(second, 8)
    assert [(after.sequence - before.sequence) & 0xFFFF for before, after in itertools.pairwise(packets)] == [1] * (
        len(packets) - 1
    )
    times = [(after.timestamp - before.timestamp) & 0xFFFFFFFF for before, after in itertools.pairwise(packets)]
    assert all(0 < step < 5 * 48_000 for step in times)
    assert {packet.ssrc for packet in packets} == {listener.peer.slots[mid].ssrc}


async def test_slots_are_told_before_the_first_packet(call: Call) -> None:
    listener = await call.enter("a")
    mids_at_first_packet: dict[str, str | None] = {}

    def note() -> bool:
        for mid, slot in listener.peer.slots.items():
            if slot.received and mid not in mids_at_first_packet:
                mids_at_first_packet[mid] = listener.client.slots.get(mid)
        return len(mids_at_first_packet) == 3

    heard = asyncio.create_task(listener.peer.until(note, what="three voices"))
    speakers = []
    for name in ("b", "c", "d"):
        speaker = await call.enter(name)
        speakers.append(speaker)
        await speaker.peer.speak([], 60)  # as a browser: packets from the first moment on
    await heard
    assert sorted(filter(None, mids_at_first_packet.values())) == sorted(speaker.session_id for speaker in speakers)


async def test_ten_people_all_hear_each_other(call: Call) -> None:
    people = await call.enter_all(*[f"p{number}" for number in range(10)])
    await each_hears_the_others(people)
    with pytest.raises(RestError) as refused:
        await call.client("eleventh").join("lobby")
    assert (refused.value.status, refused.value.body["error"]) == (403, "Room full")


async def test_a_leave_frees_the_place_before_anything_connected(call: Call) -> None:
    client = call.client("a")
    await client.join("lobby")
    await client.leave()
    assert call.row(client.session_id)["left_at"] is not None
    await client.join("lobby")


async def test_those_who_are_there_are_told_of_the_newcomer(call: Call) -> None:
    first = await call.enter("a")
    second = await call.enter("b")
    told = await first.client.expect("voice_join")
    assert (told["sessionId"], told["userId"]) == (second.session_id, "b")
    assert second.client.joined is not None
    assert {entry["userId"] for entry in second.client.joined["participants"]} == {"a", "b"}
    assert second.client.joined["slots"] == 9


async def test_a_client_with_few_slots_hears_as_many(call: Call) -> None:
    small = await call.enter("small", options=replace(CHROMIUM, slots=2))
    others = [await call.enter(name) for name in ("b", "c", "d")]
    await small.client.hears(2)
    unheard = next(other for other in others if other.session_id not in small.client.slots.values())
    unheard.peer.send_voice(3, level=20)  # speaks, and so displaces one who has not
    await small.client.expect("voice_slots", lambda message: unheard.session_id in [s["sessionId"] for s in message["slots"]])
    await let_through(small, unheard)


async def test_a_bad_offer_is_an_error_and_no_end(call: Call) -> None:
    client = call.client("a")
    await client.join("lobby")
    await client.open()
    with pytest.raises(SignallingError) as refused:
        await client.request("voice_offer", sdp={"type": "offer", "sdp": "v=0\r\nnonsense"})
    assert refused.value.message["code"] == 400
    assert (await client.request("ping"))["type"] == "pong"
    await client.close()
