"""The room page as a person uses it: what they type and press, and what they see."""

from __future__ import annotations

import re
from typing import Final

from playwright.async_api import Locator, expect

from .visitor import Visitor

__all__ = ["AUDIO", "RoomPage"]

CONNECT_MS: Final = 15_000
"""A browser that has just started, on a busy machine, takes a while; what takes how long is printed, not asserted."""
AUDIO: Final = 'audio[data-session-id="{}"]'
"""The element that plays someone, by their session."""


class RoomPage:
    """One visitor's room page. Waits for what it is asked for, up to a few seconds."""

    def __init__(self, visitor: Visitor) -> None:
        self.visitor = visitor
        self.page = visitor.page

    def find(self, testid: str) -> Locator:
        """The element with that `data-testid`."""
        return self.page.get_by_test_id(testid)

    # the way in and out

    async def open(self, address: str = "/") -> RoomPage:
        """Load the page until its form is there."""
        await self.page.goto(address)
        await expect(self.find("join-form")).to_be_visible(timeout=CONNECT_MS)
        return self

    async def send_form(self, name: str, *, world: str = "materie", room: str = "lobby") -> None:
        """Fill the form in and send it; what comes of it is for others to look at."""
        await self.find("name").fill(name)
        await self.find("world").select_option(world)
        await self.find("room-name").fill(room)
        await self.find("join").click()

    async def join(self, name: str, *, world: str = "materie", room: str = "lobby") -> str:
        """Open the page, join and wait until audio flows. Returns the session's id."""
        await self.open()
        await self.send_form(name, world=world, room=room)
        return await self.connected()

    async def connected(self) -> str:
        """Wait until audio flows. Returns the session's id."""
        await expect(self.find("room")).to_have_attribute("data-state", "connected", timeout=CONNECT_MS)
        return await self.session_id()

    async def session_id(self) -> str:
        """The id of the session, as the page has it."""
        session_id = await self.find("room").get_attribute("data-session-id")
        assert session_id, "the page has no session"
        return session_id

    async def leave(self) -> None:
        """Leave by the button and wait for the account of the stay."""
        await self.find("leave").click()
        await expect(self.find("summary")).to_be_visible()

    # who is here

    def tile(self, session_id: str) -> Locator:
        """The tile of that person."""
        return self.page.locator(f'[data-testid="tile"][data-session-id="{session_id}"]')

    async def sees(self, *names: str) -> None:
        """Wait until exactly these are in the list of people, in this order."""
        await expect(self.page.locator('[data-testid="tile"] .name')).to_have_text(list(names))

    async def watch_speaking(self) -> None:
        """Note from now on who is shown as speaking; `Visitor.changes("speaking")` gives it."""
        await self.visitor.watch("speaking", '[data-testid="tile"]', "data-session-id", "data-speaking")

    # what went wrong

    async def complains(self, code: str, words: str, *, within_seconds: float = CONNECT_MS / 1000) -> None:
        """Wait until the page tells of that error, in words that contain `words`."""
        error = self.find("error")
        await expect(error).to_have_attribute("data-code", code, timeout=within_seconds * 1000)
        await expect(error).to_contain_text(re.compile(re.escape(words)))
        await expect(error).to_be_visible()
        await expect(error).to_have_attribute("role", "alert")
