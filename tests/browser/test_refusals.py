"""Someone may not come in: the page says why, in the person's language."""

from __future__ import annotations

import aiohttp
import pytest
from playwright.async_api import expect

from tests.support import ServerFactory

from .conftest import OpenVisitor
from .launching import BrowserKind
from .room_page import RoomPage

REFUSED = r"Failed to load resource: the server responded with a status of (403|409)"
"""Chromium notes on its console what the page knows and tells."""


@pytest.mark.parametrize(
    ("kind", "language", "words"),
    [
        (BrowserKind.CHROMIUM, "de-DE", "Der Raum ist voll: 1 von 1 Plätzen sind belegt"),
        (BrowserKind.FIREFOX, "en-GB", "The room is full: 1 of 1 places are taken"),
    ],
)
async def test_a_full_room(start_server: ServerFactory, visit: OpenVisitor, kind: BrowserKind, language: str, words: str) -> None:
    server = await start_server(max_participants=1)
    async with aiohttp.ClientSession(server.url, headers=server.headers) as http:
        body = {"room_id": "lobby", "user_id": "first", "username": "First", "world": "materie"}
        async with http.post("/api/voice/join", json=body) as answer:
            assert answer.status == 200
        page = RoomPage(await visit(kind, server, language=language))
        page.visitor.tolerate(REFUSED)
        await page.open()
        await page.send_form("Second")
        await page.complains("room_full", words)
        async with http.get("/api/voice/participants/lobby") as answer:
            assert [p["username"] for p in (await answer.json())["participants"]] == ["First"]


@pytest.mark.parametrize(
    ("kind", "language", "words"),
    [
        (BrowserKind.CHROMIUM, "en-US", "You are in this room already"),
        (BrowserKind.FIREFOX, "de-DE", "Du bist schon in diesem Raum"),
    ],
)
async def test_the_same_person_in_a_second_tab(
    start_server: ServerFactory, visit: OpenVisitor, kind: BrowserKind, language: str, words: str
) -> None:
    server = await start_server()
    async with aiohttp.ClientSession(server.url) as http, http.post("/api/auth/guest", json={"username": "Twice"}) as answer:
        token = (await answer.json())["token"]
    address = f"/?world=materie&room=lobby#token={token}"
    visitor = await visit(kind, server, language=language)
    visitor.tolerate(REFUSED)
    first = RoomPage(visitor)
    second = RoomPage(await visit(kind, server, language=language))
    second.visitor.tolerate(REFUSED)
    for page in (first, second):
        await page.open(address)
        assert token not in page.page.url, "the token has to leave the address bar"
        await expect(page.find("name")).to_have_value("Twice")
    await first.find("join").click()
    await first.connected()
    await second.find("join").click()
    await second.complains("already_in_room", words)
    await expect(first.find("room")).to_have_attribute("data-state", "connected")
    await first.sees("Twice")
    await first.leave()
    # Now the place is free, and the second tab may have it.
    await second.find("join").click()
    await second.connected()
    await second.leave()
