"""Two people talk: Chromium and Firefox, each through the real page."""

from __future__ import annotations

import time

from playwright.async_api import expect

from tests.support import RunningServer

from .conftest import OpenVisitor, ReadRows
from .launching import BrowserKind
from .room_page import AUDIO, RoomPage
from .visitor import eventually


async def test_chromium_and_firefox_hear_each_other(server: RunningServer, visit: OpenVisitor, rows: ReadRows) -> None:
    chromium = await visit(BrowserKind.CHROMIUM, server, drivable_microphone=True)
    firefox = await visit(BrowserKind.FIREFOX, server, language="en-US")
    anna, ben = RoomPage(chromium), RoomPage(firefox)

    # With the keyboard alone: the form is usable without a mouse.
    await anna.open("/?world=materie&room=lobby")
    await expect(anna.find("room-name")).to_have_value("lobby")
    await anna.find("name").focus()
    await anna.page.keyboard.type("Anna")
    await anna.page.keyboard.press("Enter")
    anna_id = await anna.connected()
    ben_id = await ben.join("Ben", room="lobby")

    for page in (anna, ben):
        await page.sees("Anna", "Ben")
    assert [anna_id, ben_id] == [row["session_id"] for row in rows(server.settings.database)]

    # Firefox's microphone says 880 Hz without end.
    async def anna_hears_ben() -> bool:
        low, high = await chromium.tones(AUDIO.format(ben_id), [440, 880])
        return high > 0.05 > low

    await eventually(anna_hears_ben, "Chromium hears Firefox's tone")
    started = time.time()
    await chromium.hum(440)
    await eventually(lambda: firefox.hears_something(since=started), "Firefox hears Chromium")
    await expect(ben.tile(anna_id)).to_have_attribute("data-speaking", "true")
    await expect(anna.tile(ben_id)).to_have_attribute("data-speaking", "true")

    await ben.leave()
    await anna.sees("Anna")
    await anna.leave()
    for page in (anna, ben):
        assert int(await page.find("summary").get_attribute("data-speaking-ms") or 0) > 0
    closed = rows(server.settings.database)
    assert [row["end_reason"] for row in closed] == ["left", "left"]
    assert all(0 < row["speaking_ms"] <= row["duration_ms"] for row in closed)
