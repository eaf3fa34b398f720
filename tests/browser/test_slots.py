"""People come and go: nobody negotiates again, and each voice is where the page says it is."""

from __future__ import annotations

import time
from typing import Final

from playwright.async_api import expect

from tests.support import RunningServer

from .conftest import OpenVisitor
from .launching import BrowserKind
from .room_page import AUDIO, RoomPage
from .visitor import LOUD, eventually

FIREFOX_HZ: Final = 880
"""What its microphone says, see `conftest.browser`."""
TONES: Final = (440, 660, FIREFOX_HZ, 1100)


class Person:
    """Someone in the room who says one tone, all the time."""

    def __init__(self, page: RoomPage, frequency: int) -> None:
        self.page = page
        self.frequency = frequency
        self.session_id = ""

    async def join(self, name: str) -> None:
        self.session_id = await self.page.join(name)
        if self.page.visitor.kind is BrowserKind.CHROMIUM:
            await self.page.visitor.hum(self.frequency)

    async def hears(self, *others: Person) -> bool:
        """Whether the audio element of each other plays the tone of that one, and no other's."""
        for other in others:
            values = await self.page.visitor.tones(AUDIO.format(other.session_id), TONES)
            heard = dict(zip(TONES, values, strict=True))
            if heard.pop(other.frequency) < 2 * LOUD or max(heard.values()) > LOUD / 2:
                return False
        return True

    async def plays(self) -> set[str]:
        """The sessions whose elements play something audible now; works without an AudioContext."""
        mids = {
            await element.get_attribute("data-mid"): await element.get_attribute("data-session-id")
            for element in await self.page.page.locator("audio[data-session-id]").all()
        }
        now = time.time()
        loud = {h.mid for h in await self.page.visitor.heard(since=now - 0.5) if h.rms > LOUD}
        return {mids.get(mid) or f"nobody in {mid}" for mid in loud}


async def test_the_right_voice_in_the_right_slot_while_people_come_and_go(server: RunningServer, visit: OpenVisitor) -> None:
    async def person(kind: BrowserKind, frequency: int) -> Person:
        visitor = await visit(kind, server, drivable_microphone=kind is BrowserKind.CHROMIUM)
        return Person(RoomPage(visitor), frequency)

    anna, ben = await person(BrowserKind.CHROMIUM, 440), await person(BrowserKind.CHROMIUM, 660)
    finn = await person(BrowserKind.FIREFOX, FIREFOX_HZ)
    for name, each in (("Anna", anna), ("Ben", ben), ("Finn", finn)):
        await each.join(name)
    await anna.page.sees("Anna", "Ben", "Finn")
    await eventually(lambda: anna.hears(ben, finn), "Anna hears Ben and Finn, each in their slot")
    await eventually(lambda: ben.hears(anna, finn), "Ben hears Anna and Finn, each in their slot")

    async def finn_plays(*people: Person) -> bool:
        return await finn.plays() == {each.session_id for each in people}

    await eventually(lambda: finn_plays(anna, ben), "Finn hears Anna and Ben")
    await ben.page.visitor.page.evaluate("() => mic.stop()")
    await eventually(lambda: finn_plays(anna), "Finn hears only Anna where Anna is said to be")

    await ben.page.leave()
    await anna.page.sees("Anna", "Finn")
    await eventually(lambda: anna.hears(finn), "Anna still hears Finn")
    await expect(anna.page.page.locator(AUDIO.format(ben.session_id))).to_have_count(0)

    dora = await person(BrowserKind.CHROMIUM, 1100)
    await dora.join("Dora")
    await anna.page.sees("Anna", "Finn", "Dora")
    await eventually(lambda: anna.hears(finn, dora), "Anna hears Finn and Dora, each in their slot")
    await eventually(lambda: dora.hears(anna, finn), "Dora hears Anna and Finn, each in their slot")
    await eventually(lambda: finn_plays(anna, dora), "Finn hears Anna and Dora")

    for each in (anna, finn, dora):
        assert await each.page.visitor.offers() == 1
        await expect(each.page.find("room")).to_have_attribute("data-offers", "1")
    for each in (dora, finn, anna):
        await each.page.leave()
