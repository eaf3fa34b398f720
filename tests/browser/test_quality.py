"""What the server says of a connection, against what the browser itself measures."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from statistics import median
from typing import Any

import aiohttp
import pytest

from bench.client import Message, VoiceClient
from tests.support import RunningServer

from .conftest import OpenVisitor
from .detour import Detour
from .launching import BrowserKind
from .room_page import RoomPage
from .visitor import Visitor, eventually

DELAY_SECONDS = 0.08
LOSE_EVERY = 12
LOSS_PCT = 100 / LOSE_EVERY
WINDOW_SECONDS = 10.0
LOOKS = 10


async def stats(visitor: Visitor) -> dict[str, Any]:
    found: dict[str, Any] = await visitor.page.evaluate("() => detour.stats()")
    return found


def middle(looks: list[list[dict[str, Any]]], person: int, name: str) -> float:
    """The median of what a browser said in all looks: each of its values is of one moment."""
    return float(median(look[person][name] for look in looks if look[person][name] is not None))


@dataclass(frozen=True, slots=True)
class Told:
    """Someone in a room and a guest there who is told of their connection."""

    visitor: Visitor
    session_id: str
    guest: VoiceClient

    @property
    def last(self) -> Message | None:
        of_it = [m for m in self.guest.messages if m["type"] == "voice_quality" and m["sessionId"] == self.session_id]
        return of_it[-1] if of_it else None

    async def is_known(self) -> bool:
        return self.last is not None and self.last["rttMs"] is not None and self.last["lossPct"] > 1


@pytest.mark.slow
async def test_round_trip_and_loss_are_those_of_chromiums_own_statistics(
    server: RunningServer, visit: OpenVisitor, record_property: Callable[[str, object], None]
) -> None:
    """One speaks into a bad network, alone; another one hears a third, who has a good one, over a bad network."""
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(aiohttp.ClientSession(server.url))
        async with http.get("/api/health") as response:
            port = (await response.json())["media"]["port"]

        async def enter(room: str, **loss: int) -> Told:
            visitor = await visit(BrowserKind.CHROMIUM, server)
            detour = await stack.enter_async_context(Detour(port, delay_seconds=DELAY_SECONDS, **loss))
            await detour.lead(visitor)
            session_id = await RoomPage(visitor).join(room, room=room)
            guest = VoiceClient(http, token=server.api_token, user_id=f"guest-{session_id}")
            stack.push_async_callback(guest.close)
            await guest.join(room)
            await guest.open()
            return Told(visitor, session_id, guest)

        up = await enter("up", lose_up=LOSE_EVERY)
        down = await enter("down", lose_down=LOSE_EVERY)
        await enter("down")
        before = [await stats(person.visitor) for person in (up, down)]
        looks = []
        for _ in range(LOOKS):
            await asyncio.sleep(WINDOW_SECONDS / LOOKS)  # the time that is measured
            looks.append([await stats(person.visitor) for person in (up, down)])
        after = looks[-1]
        for person in (up, down):
            await eventually(person.is_known, "the connection has figures")
        of_up, of_down = up.last, down.last

    assert of_up is not None
    assert of_down is not None
    for name, value in (("browser", after), ("server", [of_up, of_down])):
        record_property(name, value)
    for number, said in enumerate((of_up, of_down)):
        for measured in ("rttMs", "pathRttMs"):
            seen = [look[number][measured] for look in looks if look[number][measured] is not None]
            assert 0.8 * min(seen) <= said["rttMs"] <= 1.2 * max(seen), (measured, seen)
    assert of_up["upLossPct"] == pytest.approx(middle(looks, 0, "lossUpPct"), abs=1)
    assert of_up["upLossPct"] == pytest.approx(LOSS_PCT, abs=1)
    assert of_up["downLossPct"] is None
    gone, received = after[1]["lostDown"] - before[1]["lostDown"], after[1]["received"] - before[1]["received"]
    assert of_down["downLossPct"] == pytest.approx(100 * gone / (gone + received), abs=1)
    assert of_down["downLossPct"] == pytest.approx(LOSS_PCT, abs=1)
    assert of_down["upLossPct"] == pytest.approx(0, abs=1)
