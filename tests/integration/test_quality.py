"""Bad networks, each in one direction, and what everybody is told of them."""

from __future__ import annotations

import asyncio
import contextlib
import random
import sqlite3
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiortc.rtp import RtcpReceiverInfo, RtcpRrPacket

from bench.client import Message
from bench.impairment import lose_randomly
from bench.speech import Utterance
from tests.integration.support import Call, Person

LOSS = 0.1
TALK_MS = 9_500


@contextlib.asynccontextmanager
async def reporting(person: Person, *, loss: float) -> AsyncIterator[None]:
    """What a browser's receiver does: a report on each slot now and then. `loss` is what its network had lost."""

    async def report() -> None:
        while True:
            await asyncio.sleep(1.0)
            blocks = [
                RtcpReceiverInfo(slot.ssrc, 0, round(slot.received * loss), slot.packets[-1].sequence + 0x10000, 30, 0, 0)
                for slot in person.peer.slots.values()
                if slot.packets
            ]
            person.peer.send_rtcp(bytes(RtcpRrPacket(1, blocks)))

    task = asyncio.create_task(report())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


def last_told(listener: Person, about: Person) -> Message:
    told = [
        message
        for message in listener.client.messages
        if message["type"] == "voice_quality" and message["sessionId"] == about.session_id
    ]
    assert told, f"nothing was told of {about.client.user_id}"
    return told[-1]


def rows(call: Call, query: str, *values: str) -> list[Any]:
    database = sqlite3.connect(call.server.settings.database)
    try:
        return database.execute(query, values).fetchall()
    finally:
        database.close()


@pytest.mark.slow
async def test_loss_shows_in_its_direction_and_at_its_person_within_ten_seconds(call: Call) -> None:
    up, down, well = await call.enter_all("up", "down", "well")
    up.peer.microphone.impair(lose_randomly(LOSS, random.Random(3)))
    script = [Utterance(0, TALK_MS)]
    async with reporting(up, loss=0.0), reporting(down, loss=LOSS), reporting(well, loss=0.0):
        await asyncio.gather(*(person.peer.speak(script, TALK_MS) for person in (up, down, well)))

    of_up, of_down, of_well = (last_told(well, person) for person in (up, down, well))
    assert of_up["upLossPct"] == pytest.approx(100 * LOSS, abs=4)
    assert of_up["downLossPct"] <= 1
    assert of_down["downLossPct"] == pytest.approx(100 * LOSS, abs=4)
    assert of_down["upLossPct"] <= 1
    assert of_well["lossPct"] <= 1
    assert of_well["quality"] == "excellent"
    for lossy in (of_up, of_down):
        assert lossy["mos"] < 3.6 < of_well["mos"]
        assert lossy["quality"] != "excellent"
        assert lossy["lossPct"] == pytest.approx(100 * LOSS, abs=4)

    for person in (up, well):
        await person.client.leave()
    [(worst, loss)] = rows(call, "SELECT mos_worst, loss_worst_pct FROM voice_sessions WHERE session_id = ?", up.session_id)
    assert worst < 3.6
    assert loss >= 6
    [(worst, median)] = rows(call, "SELECT mos_worst, mos_p50 FROM voice_sessions WHERE session_id = ?", well.session_id)
    assert median >= worst > 4
    assert rows(call, "SELECT 1 FROM quality_series WHERE session_id = ?", up.session_id)
