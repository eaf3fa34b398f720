"""Speaking time: what was said, what is shown, what is written down."""

from __future__ import annotations

import asyncio
import itertools
import random

import pytest

from bench.client import Message
from bench.impairment import combined, delay_every, lose_randomly
from bench.speech import Utterance, spoken_ms
from tests.integration.support import HUM_LEVEL, Call, Person

SCRIPT = [Utterance(200, 700, level=24), Utterance(1400, 800, level=35)]
TOTAL_MS = 2400


async def leave_answer(call: Call, person: Person) -> Message:
    """What leave answers, which is what the row says."""
    answer = await person.client.leave()
    row = call.row(person.session_id)
    assert answer["speaking_ms"] == row["speaking_ms"]
    assert answer["speaking_seconds"] == row["speaking_seconds"] == (row["speaking_ms"] + 500) // 1000
    assert answer["duration_ms"] == row["duration_ms"]
    assert row["end_reason"] == "left"
    return answer


@pytest.mark.parametrize("dtx", [False, True])
async def test_speaking_time_is_that_of_the_script(call: Call, dtx: bool) -> None:
    speaker, listener = await call.enter_all("a", "b")
    await speaker.peer.speak(SCRIPT, TOTAL_MS, dtx=dtx)
    spoken = await leave_answer(call, speaker)
    assert spoken["speaking_ms"] == pytest.approx(spoken_ms(SCRIPT), rel=0.02)
    assert spoken["duration_ms"] >= TOTAL_MS
    silent = await leave_answer(call, listener)
    assert silent["speaking_ms"] == 0


async def test_others_see_who_speaks_and_when_it_ends(call: Call) -> None:
    speaker, listener = await call.enter_all("a", "b")
    loop = asyncio.get_running_loop()

    def about(speaking: bool) -> object:
        return lambda message: any(
            entry["sessionId"] == speaker.session_id and entry["speaking"] is speaking for entry in message["speakers"]
        )

    talk = asyncio.create_task(speaker.peer.speak([Utterance(100, 600)], 1300))
    await listener.client.expect("voice_speaking", about(True))  # type: ignore[arg-type]
    began = loop.time()
    await listener.client.expect("voice_speaking", about(False))  # type: ignore[arg-type]
    shown = loop.time() - began
    await talk
    # 600 ms less two packets of attack, and the hang-over of 400 ms on top
    assert 0.85 < shown < 1.6
    levels = [
        entry["level"]
        for message in listener.client.messages
        if message["type"] == "voice_speaking"
        for entry in message["speakers"]
        if entry["speaking"]
    ]
    assert len(levels) >= 2
    assert all(0.0 <= level <= 1.0 for level in levels)
    assert max(levels) > 0.3


async def test_a_bad_network_does_not_change_the_time(call: Call) -> None:
    speaker, listener = await call.enter_all("a", "b")
    speaker.peer.microphone.impair(combined(lose_randomly(0.05, random.Random(3)), delay_every(3, 0.03)))
    await speaker.peer.speak(SCRIPT, TOTAL_MS)
    spoken = await leave_answer(call, speaker)
    assert spoken["speaking_ms"] == pytest.approx(spoken_ms(SCRIPT), abs=60)  # a lost packet at an end costs 20 ms
    await leave_answer(call, listener)


async def test_a_cough_is_not_speech(call: Call) -> None:
    speaker, _ = await call.enter_all("a", "b")
    await speaker.peer.speak([Utterance(100, 20, level=10)], 200)
    assert (await leave_answer(call, speaker))["speaking_ms"] == 0


async def test_noise_below_the_threshold_is_not_speech(call: Call) -> None:
    speaker, _ = await call.enter_all("a", "b")
    await speaker.peer.speak([Utterance(0, 300, level=60)], 300)
    assert (await leave_answer(call, speaker))["speaking_ms"] == 0


async def test_nothing_of_one_who_is_muted_is_heard_or_counted(call: Call) -> None:
    speaker, listener = await call.enter_all("a", "b")
    await listener.heard_all(speaker, speaker.peer.send_voice(1, level=HUM_LEVEL))
    await speaker.client.send("voice_mute", muted=True)
    muted = await listener.client.expect("voice_mute")
    assert (muted["sessionId"], muted["muted"], muted["by"]) == (speaker.session_id, True, "self")
    await speaker.peer.speak([Utterance(0, 300, level=10)], 300)
    await speaker.peer.recheck()  # answered after everything that was sent before it
    await speaker.client.send("voice_mute", muted=False)
    await listener.client.expect("voice_mute", lambda message: not message["muted"])
    sent = speaker.peer.send_voice(3, level=HUM_LEVEL)
    await listener.heard_all(speaker, sent)
    heard = await listener.hears_from(speaker, 4)
    assert len(heard) == 4
    assert [after.sequence - before.sequence & 0xFFFF for before, after in itertools.pairwise(heard)] == [1, 1, 1]
    assert (await leave_answer(call, speaker))["speaking_ms"] == 0


async def test_mute_in_the_middle_of_a_word_ends_it_there(call: Call) -> None:
    speaker, listener = await call.enter_all("a", "b")
    await speaker.peer.speak([Utterance(0, 500)], 500)
    await speaker.peer.recheck()
    await speaker.client.send("voice_mute", muted=True)
    await listener.client.expect("voice_mute")
    await speaker.peer.speak([Utterance(0, 300)], 300)
    assert (await leave_answer(call, speaker))["speaking_ms"] == pytest.approx(500, abs=20)
