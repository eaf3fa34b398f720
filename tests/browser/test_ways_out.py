"""How a stay ends other than by the button: the page goes away, or the server does."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.async_api import expect

from tests.support import RunningServer

from .conftest import OpenVisitor, ReadRows
from .launching import BrowserKind
from .room_page import RoomPage
from .visitor import eventually

CHECKOUT: Final = Path(__file__).resolve().parents[2]
START_SECONDS: Final = 20


@dataclass(frozen=True, slots=True)
class ServedSite:
    """A server that was started as people start it, in a process of its own."""

    url: str
    database: Path
    process: asyncio.subprocess.Process


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[ServedSite]:
    """Runs `python -m server serve` and reads the address that it prints. What is left of it is ended with the block."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("VOICE_")}
    environment |= {"PYTHONPATH": str(CHECKOUT), "VOICE_PORT": "0", "VOICE_MEDIA_HOST": "127.0.0.1", "VOICE_MEDIA_PORT": "0"}
    data = folder / "data"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "server", "serve", "--data-dir", str(data)),
        cwd=folder,  # where no .env of the checkout is read
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(START_SECONDS):
            while not (found := re.search(r"http://[^/\s]+", (await process.stdout.readline()).decode())):
                assert not process.stdout.at_eof(), "the server stopped instead of starting"
        yield ServedSite(found[0], data / "voice.db", process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@pytest.mark.parametrize("kind", list(BrowserKind))
async def test_a_page_that_goes_away_leaves_at_once(
    server: RunningServer, visit: OpenVisitor, rows: ReadRows, kind: BrowserKind
) -> None:
    page = RoomPage(await visit(kind, server))
    await page.join("Hasty")
    await page.page.goto("/example/")

    async def ended() -> list[dict[str, Any]]:
        return [row for row in rows(server.settings.database) if row["left_at"]]

    # Well before anybody would be missed.
    [row] = await eventually(ended, "the stay was ended", timeout=server.settings.presence_timeout_seconds / 2)
    assert row["end_reason"] == "left"


@pytest.mark.parametrize(
    ("kind", "language"), [(BrowserKind.CHROMIUM, "de-DE"), (BrowserKind.FIREFOX, "en-US")], ids=["chromium", "firefox"]
)
async def test_a_server_that_is_started_by_hand_and_stopped(
    tmp_path: Path, visit: OpenVisitor, rows: ReadRows, kind: BrowserKind, language: str
) -> None:
    async with served(tmp_path) as site:
        visitor = await visit(kind, site, language=language)
        visitor.tolerate(r"/api/ws|/api/voice/leave|ERR_CONNECTION_REFUSED|Cross-Origin Request Blocked")
        page = RoomPage(visitor)
        await page.join("Guest")
        site.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(10):
            assert await site.process.wait() == 0
        await expect(page.find("room")).to_have_attribute("data-state", re.compile("reconnecting"))
        [row] = rows(site.database)
        assert row["end_reason"] == "server_stop"
        # Nobody waits for a server that is gone: leaving works all the same.
        await page.find("leave").click()
        await expect(page.find("ended")).to_be_visible(timeout=20_000)
