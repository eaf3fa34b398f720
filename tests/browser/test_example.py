"""The smallest client works, as it stands."""

from __future__ import annotations

import time

from playwright.async_api import expect

from tests.support import RunningServer

from .conftest import OpenVisitor
from .launching import BrowserKind
from .room_page import AUDIO, CONNECT_MS
from .visitor import Visitor, eventually


async def enter(visitor: Visitor, name: str) -> str:
    """Join by the example's form. Returns the session's id."""
    page = visitor.page
    await page.goto("/example/")
    await page.get_by_test_id("name").fill(name)
    await page.get_by_test_id("join").click()
    await expect(page.locator("body")).to_have_attribute("data-state", "connected", timeout=CONNECT_MS)
    session_id = await page.get_by_test_id("tile").filter(has_text=name).get_attribute("data-session-id")
    assert session_id
    return session_id


async def test_two_people_talk_with_the_smallest_client(server: RunningServer, visit: OpenVisitor) -> None:
    chromium = await visit(BrowserKind.CHROMIUM, server, drivable_microphone=True)
    firefox = await visit(BrowserKind.FIREFOX, server)
    anna_id = await enter(chromium, "Anna")
    ben_id = await enter(firefox, "Ben")

    async def anna_hears_ben() -> bool:
        return (await chromium.tones(AUDIO.format(ben_id), [880]))[0] > 0.05

    await eventually(anna_hears_ben, "Chromium hears Firefox")
    started = time.time()
    await chromium.hum(440)
    await eventually(lambda: firefox.hears_something(since=started), "Firefox hears Chromium")
    anna_at_ben = firefox.page.locator(f'[data-testid="tile"][data-session-id="{anna_id}"]')
    await expect(anna_at_ben).to_have_attribute("data-speaking", "true")
    await chromium.page.get_by_test_id("mute").click()
    await expect(anna_at_ben).to_have_attribute("data-muted", "true")
    for visitor in (chromium, firefox):
        assert await visitor.offers() == 1
        await expect(visitor.page.locator("body")).to_have_attribute("data-offers", "1")
        await visitor.page.get_by_test_id("leave").click()
        await expect(visitor.page.get_by_test_id("status")).to_contain_text("ended after")
