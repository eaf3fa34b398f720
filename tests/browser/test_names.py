"""A name is text, whatever stands in it."""

from __future__ import annotations

from typing import Final

import pytest
from playwright.async_api import Dialog, expect

from tests.support import RunningServer

from .conftest import OpenVisitor
from .launching import BrowserKind
from .room_page import RoomPage

ASTRONAUT: Final = "\U0001f469\U0001f3fd\u200d\U0001f680"
PAIRS: Final = {
    "markup": ('<img src=x onerror="alert(1)"><b>x', '"><script>document.title="!"</script>'),
    "template": ("${alert(1)} {{7*7}} &lt;b&gt;", "%00 ' \" \\ <!-- --> {name}"),
    "direction": ("مرحبا بالعالم", "שלום Ben 123 (قمر)"),
    "emoji": ("\U0001f399" * 64, ASTRONAUT * 36),
    "shape": ("Z" + "\u0351\u033f" * 40 + "algo", "W" * 64),
}
"""A name for each of two people."""
FITS: Final = "() => document.documentElement.scrollWidth <= document.documentElement.clientWidth"


@pytest.mark.parametrize("names", PAIRS.values(), ids=PAIRS.keys())
async def test_any_name_is_shown_as_text(server: RunningServer, visit: OpenVisitor, names: tuple[str, str]) -> None:
    dialogs: list[str] = []

    async def dismiss(dialog: Dialog) -> None:
        dialogs.append(dialog.message)
        await dialog.dismiss()

    phone = {"width": 360, "height": 740}
    chromium = RoomPage(await visit(BrowserKind.CHROMIUM, server, viewport=phone))
    firefox = RoomPage(await visit(BrowserKind.FIREFOX, server, language="en-US", viewport=phone))
    for page in (chromium, firefox):
        page.page.on("dialog", dismiss)
    sessions = [await page.join(name) for page, name in zip((chromium, firefox), names, strict=True)]
    for page in (chromium, firefox):
        for session_id, name in zip(sessions, names, strict=True):
            shown = page.tile(session_id).locator(".name")
            await expect(shown).to_be_visible()
            assert await shown.text_content() == name
            assert await page.tile(session_id).locator("img, script, b").count() == 0
        await expect(page.page).to_have_title("lobby · Weltenstimme")
        assert await page.page.evaluate(FITS), "the page must not grow sideways"
    await chromium.leave()
    await expect(firefox.find("news")).to_contain_text(names[0])
    await firefox.leave()
    assert dialogs == []
