"""What moderators do, as those concerned see it: told in words, in their language."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest
from playwright.async_api import expect

from tests.support import RunningServer

from .conftest import OpenVisitor
from .launching import BrowserKind
from .room_page import RoomPage
from .visitor import eventually

REFUSED = r"Failed to load resource: the server responded with a status of 403"
"""Chromium notes on its console what the page knows and tells."""

WORDS: dict[str, dict[str, str]] = {
    "de-DE": {
        "warned": "Die Moderation verwarnt dich: Bitte leiser",
        "muted": "Die Moderation hat dich stumm geschaltet. Niemand hört dich, bis sie das aufhebt.",
        "kicked": "Du wurdest aus dem Raum entfernt.",
        "kept out": "Du wurdest aus diesem Raum entfernt und kannst noch nicht zurückkommen.",
        "banned": "Du bist in dieser Welt gesperrt.",
    },
    "en-GB": {
        "warned": "A moderator warns you: Bitte leiser",
        "muted": "A moderator muted you. Nobody hears you until they lift it.",
        "kicked": "You were removed from the room.",
        "kept out": "You were removed from this room and cannot come back yet.",
        "banned": "You are banned from this world.",
    },
}


async def order(http: aiohttp.ClientSession, action: str, target: str, **fields: Any) -> None:
    body = {"action_type": action, "target_user_id": target, "world": "materie", "room_id": "lobby", **fields}
    async with http.post("/api/admin/actions", json=body) as answer:
        assert answer.status == 200, await answer.text()


@pytest.mark.parametrize(("kind", "language"), [(BrowserKind.CHROMIUM, "de-DE"), (BrowserKind.FIREFOX, "en-GB")])
async def test_warned_muted_kicked_and_banned_each_told_in_words(
    server: RunningServer, http: aiohttp.ClientSession, visit: OpenVisitor, kind: BrowserKind, language: str
) -> None:
    words = WORDS[language]
    witness = RoomPage(await visit(BrowserKind.CHROMIUM, server))
    await witness.join("Eva")
    page = RoomPage(await visit(kind, server, language=language))
    page.visitor.tolerate(REFUSED)
    session_id = await page.join("Ben")
    async with http.get("/api/voice/participants/lobby") as answer:
        [ben] = [p["userId"] for p in (await answer.json())["participants"] if p["username"] == "Ben"]

    await order(http, "warn", ben, reason="Bitte leiser")
    await expect(page.find("warned")).to_contain_text(words["warned"])
    await page.find("acknowledge-warning").click()
    await expect(page.find("warned")).to_have_count(0)

    await order(http, "mute", ben)
    await expect(page.find("moderator-mute")).to_contain_text(words["muted"])
    await expect(witness.tile(session_id)).to_have_attribute("data-muted", "true")
    for _ in range(2):  # on, and off again: what they do themselves changes nothing
        await page.find("mute").click()
    await expect(page.find("moderator-mute")).to_be_visible()
    await expect(witness.tile(session_id)).to_have_attribute("data-muted", "true")
    await order(http, "unmute", ben)
    await expect(page.find("moderator-mute")).to_have_count(0)
    await expect(witness.tile(session_id)).to_have_attribute("data-muted", "false")

    await order(http, "kick", ben, reason="Zu laut", duration_hours=0.001)
    await page.complains("kicked", words["kicked"])
    await expect(page.find("error")).to_contain_text("Zu laut")
    await witness.sees("Eva")
    await page.find("again").click()
    await page.complains("forbidden", words["kept out"])

    async def back_in() -> bool:
        if await page.find("join").count() and await page.find("join").is_enabled():
            await page.find("join").click()
        return await page.find("room").count() > 0

    await eventually(back_in, "the kick was over")
    await page.connected()
    await order(http, "ban", ben, room_id=None)
    await page.complains("banned", words["banned"])
    await witness.sees("Eva")
