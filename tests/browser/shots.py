"""Pictures of the pages for people to look at: `python -m tests.browser.shots FOLDER`.

Each state of the room page, in light and dark, on a phone and on a desktop, in German and English; a name such as
`room-three.dark.phone.de.png`. Not a test: whether it looks right, somebody has to see.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import aiohttp
from playwright.async_api import Browser, Playwright, WebSocketRoute, async_playwright, expect

from tests.support import RunningServer, make_settings, running_server

from .launching import BrowserKind, Microphone, launch
from .room_page import RoomPage
from .visitor import Visitor

Scheme = Literal["light", "dark"]
SCHEMES: Final[tuple[Scheme, ...]] = ("light", "dark")
LANGUAGES: Final = {"de": "de-DE", "en": "en-US"}
SIZES: Final = {"phone": {"width": 390, "height": 844}, "desktop": {"width": 1280, "height": 800}}
LONG_NAME: Final = "Maximiliane-Friederike von und zu Hohenstauffen-Sondershausen"


@dataclass(frozen=True, slots=True)
class Look:
    """One way to look at a page."""

    scheme: Scheme
    size: str
    language: str

    @property
    def suffix(self) -> str:
        return f"{self.scheme}.{self.size}.{self.language}"


@dataclass(frozen=True, slots=True)
class Studio:
    """What every picture needs."""

    folder: Path
    server: RunningServer
    granted: Browser
    denied: Browser
    look: Look

    @asynccontextmanager
    async def page(self, browser: Browser | None = None) -> AsyncIterator[RoomPage]:
        """A page of its own, as the look says."""
        context = await (browser or self.granted).new_context(
            base_url=self.server.url,
            locale=LANGUAGES[self.look.language],
            color_scheme=self.look.scheme,
            viewport={"width": SIZES[self.look.size]["width"], "height": SIZES[self.look.size]["height"]},
            reduced_motion="reduce",
        )
        try:
            visitor = Visitor(BrowserKind.CHROMIUM, context, await context.new_page(), self.server.url)
            await visitor.prepare(drivable_microphone=True)
            yield RoomPage(visitor)
        finally:
            await context.close()

    async def shoot(self, page: RoomPage, name: str) -> None:
        """Keep a picture of what is seen without scrolling."""
        await page.page.screenshot(path=self.folder / f"{name}.{self.look.suffix}.png", animations="disabled")


async def lobby(studio: Studio) -> None:
    """The form, empty and with a field missing; a full room; a microphone that is refused."""
    async with studio.page() as page:
        await page.open()
        await studio.shoot(page, "join")
        await page.find("join").click()
        await studio.shoot(page, "join-missing")
        await page.send_form("Anna", room="full")
        await expect(page.find("error")).to_be_visible()
        await studio.shoot(page, "error-full")
    async with studio.page(studio.denied) as page:
        await page.open()
        await page.send_form("Anna")
        await expect(page.find("error")).to_be_visible()
        await studio.shoot(page, "error-microphone")


async def room(studio: Studio) -> None:
    """On the way in, alone, muted, and afterwards."""
    gate = asyncio.Event()

    async def wait_at_the_gate(socket: WebSocketRoute) -> None:
        await gate.wait()
        socket.connect_to_server()

    async with studio.page() as page:
        await page.page.route_web_socket("**/api/ws", wait_at_the_gate)
        await page.open()
        await page.send_form("Anna", room="quiet")
        await expect(page.find("room")).to_be_visible()
        await studio.shoot(page, "room-entering")
        gate.set()
        await page.connected()
        await page.find("mute").click()
        await studio.shoot(page, "room-one-muted")
        await page.leave()
        await studio.shoot(page, "summary")


async def company(studio: Studio) -> None:
    """Three people: someone who speaks, someone who is muted and has a long name, and oneself."""
    async with studio.page() as speaker, studio.page() as muted, studio.page() as page:
        speaking = await speaker.join("Ben", room="company")
        await speaker.visitor.hum(440)
        await muted.join(LONG_NAME, room="company")
        await muted.find("mute").click()
        await page.join("Anna", room="company")
        await expect(page.tile(speaking)).to_have_attribute("data-speaking", "true")
        await studio.shoot(page, "room-three")
        # By the keyboard: a ring is for those who use it.
        await page.find("mute").focus()
        await page.page.keyboard.press("Tab")
        await studio.shoot(page, "room-three-focus")


async def crowd(studio: Studio) -> None:
    """Ten people, of whom one sees the page."""
    async with aiohttp.ClientSession(studio.server.url, headers=studio.server.headers) as http, studio.page() as page:
        sockets = []
        for number in range(1, 10):
            body = {"room_id": "crowd", "user_id": f"user{number}", "username": f"Person {number}", "world": "energie"}
            if number % 3 == 0:
                body["avatar_emoji"] = "\U0001f98a"
            async with http.post("/api/voice/join", json=body) as answer:
                joined = await answer.json()
            socket = await http.ws_connect("/api/ws")
            await socket.send_json({"type": "voice_join", "sessionId": joined["session_id"], "token": joined["session_token"]})
            await socket.receive_json()
            sockets.append(socket)
        await page.join("Anna", world="energie", room="crowd")
        await studio.shoot(page, "room-ten")
        for socket in sockets:
            await socket.send_json({"type": "voice_leave"})
            await socket.close()


async def fill_a_room(server: RunningServer) -> None:
    """Takes every place of the room `full`."""
    async with aiohttp.ClientSession(server.url, headers=server.headers) as http:
        for number in range(server.settings.max_participants):
            body = {"room_id": "full", "user_id": f"user{number}", "username": f"Person {number}", "world": "materie"}
            async with http.post("/api/voice/join", json=body) as answer:
                answer.raise_for_status()


async def shoot_all(playwright: Playwright, folder: Path) -> None:
    """Every picture there is, into `folder`, which is there."""
    granted = await launch(playwright, BrowserKind.CHROMIUM)
    denied = await launch(playwright, BrowserKind.CHROMIUM, microphone=Microphone.DENIED)
    with tempfile.TemporaryDirectory() as data:
        # Those who only take places never connect: they have to be patient.
        settings = make_settings(Path(data), join_timeout_seconds=600.0)
        async with running_server(settings) as server:
            await fill_a_room(server)
            for scheme, size, language in itertools.product(SCHEMES, SIZES, LANGUAGES):
                studio = Studio(folder, server, granted, denied, Look(scheme, size, language))
                for scene in (lobby, room, company, crowd):
                    await scene(studio)
    await granted.close()
    await denied.close()


async def run(folder: Path) -> None:
    """Takes the pictures."""
    async with async_playwright() as playwright:
        await shoot_all(playwright, folder)


def main() -> None:
    """Reads the folder from the command line, and makes it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    asyncio.run(run(folder))


if __name__ == "__main__":
    main()
