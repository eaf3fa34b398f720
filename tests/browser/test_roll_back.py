"""What fails on the way in leaves nothing behind, and the page says what happened."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any

import aiohttp
import pytest
from playwright.async_api import WebSocketRoute, expect

from tests.support import RunningServer, ServerFactory

from .conftest import OpenVisitor, ReadRows
from .launching import BrowserKind, Microphone
from .room_page import RoomPage
from .visitor import Visitor, eventually

SIGNALLING = re.compile(r"/api/ws$")
LEAVE_MS = """() => {
  const [entry] = performance.getEntriesByType("resource").filter(({ name }) => name.endsWith("/api/voice/leave"));
  return entry ? entry.responseEnd - entry.requestStart : null;
}"""


async def place_is_free(server: RunningServer, room: str = "lobby") -> None:
    """Nobody is in the room, and someone else gets the place, which has to be its only one."""
    async with aiohttp.ClientSession(server.url, headers=server.headers) as http:
        async with http.get(f"/api/voice/participants/{room}") as answer:
            assert (await answer.json())["participants"] == []
        body = {"room_id": room, "user_id": "next", "username": "Next", "world": "materie"}
        async with http.post("/api/voice/join", json=body) as answer:
            assert answer.status == 200, await answer.text()


async def closed_row(server: RunningServer, rows: ReadRows) -> dict[str, Any]:
    """The one row there is, closed and without speech. Waits for it: the page tells before the backend has answered."""

    async def closed() -> list[dict[str, Any]]:
        return [row for row in rows(server.settings.database) if row["left_at"]]

    await eventually(closed, "the session was ended", timeout=5)
    [row] = rows(server.settings.database)
    assert row["speaking_ms"] == 0
    assert row["end_reason"] in ("left", "rolled_back", "rejected_media")
    return row


async def leave_took_ms(visitor: Visitor) -> float:
    """From the leave request to its answer, which comes when the row is closed; as the browser measured it."""
    return float(await eventually(lambda: visitor.page.evaluate(LEAVE_MS), "the page has called leave"))


@pytest.mark.parametrize(
    ("kind", "microphone", "language", "code", "words"),
    [
        (BrowserKind.CHROMIUM, Microphone.DENIED, "de-DE", "microphone_denied", "Der Browser darf dein Mikrofon nicht benutzen"),
        (BrowserKind.FIREFOX, Microphone.DENIED, "en-US", "microphone_denied", "The browser may not use your microphone"),
        (BrowserKind.CHROMIUM, Microphone.MISSING, "en-US", "microphone_not_found", "No microphone was found"),
        (BrowserKind.CHROMIUM, Microphone.MISSING, "de-DE", "microphone_not_found", "Es wurde kein Mikrofon gefunden"),
    ],
)
async def test_without_a_microphone(
    *,
    start_server: ServerFactory,
    visit: OpenVisitor,
    rows: ReadRows,
    kind: BrowserKind,
    microphone: Microphone,
    language: str,
    code: str,
    words: str,
) -> None:
    server = await start_server(max_participants=1)
    page = RoomPage(await visit(kind, server, microphone=microphone, language=language))
    page.visitor.tolerate(r"/api/ws")  # the socket may be given up before it was open, which both note on their console
    await page.open()
    await page.send_form("Nobody")
    await page.complains(code, words)
    await closed_row(server, rows)
    await place_is_free(server)
    took_ms = await leave_took_ms(page.visitor)
    print(f"{kind}, {microphone}: leave answered, row closed after {took_ms:.1f} ms")  # noqa: T201
    # What is promised is 50 ms; a machine that does other things at the same time gets some more.
    assert took_ms < 250
    # The form is there again, filled in, for another try.
    await expect(page.find("name")).to_have_value("Nobody")
    await expect(page.find("join")).to_be_enabled()


@pytest.mark.parametrize(
    ("kind", "language", "words"),
    [
        (BrowserKind.CHROMIUM, "de-DE", "Die Verbindung zum Server kam nicht zustande"),
        (BrowserKind.FIREFOX, "en-US", "No connection to the server came about"),
    ],
)
async def test_without_signalling(
    *, start_server: ServerFactory, visit: OpenVisitor, rows: ReadRows, kind: BrowserKind, language: str, words: str
) -> None:
    async def refuse(socket: WebSocketRoute) -> None:
        await socket.close(code=1011)

    server = await start_server(max_participants=1)
    page = RoomPage(await visit(kind, server, language=language))
    await page.page.route_web_socket(SIGNALLING, refuse)
    await page.open()
    await page.send_form("Nobody")
    await page.complains("socket_closed", words)
    await closed_row(server, rows)
    await place_is_free(server)


def spoil_answers(pattern: str, replacement: str) -> Callable[[WebSocketRoute], None]:
    """A way between page and server on which the answer's SDP is changed."""

    def route(socket: WebSocketRoute) -> None:
        server = socket.connect_to_server()
        server.on_message(lambda text: socket.send(re.sub(pattern, replacement, str(text)) if "voice_answer" in text else text))

    return route


@pytest.mark.slow
async def test_without_a_path_for_audio(start_server: ServerFactory, visit: OpenVisitor, rows: ReadRows) -> None:
    server = await start_server(max_participants=1)
    page = RoomPage(await visit(BrowserKind.CHROMIUM, server, language="de-DE"))
    # The discard port: nobody answers there, and the browser finds that out by itself.
    await page.page.route_web_socket(SIGNALLING, spoil_answers(r"(127\.0\.0\.1) \d+ typ host", r"\1 9 typ host"))
    await page.open()
    await page.send_form("Nobody")
    await page.complains("connection_failed", "Der Ton kommt nicht durch", within_seconds=25)
    await closed_row(server, rows)
    await place_is_free(server)


@pytest.mark.parametrize("kind", list(BrowserKind))
async def test_with_someone_in_between(
    start_server: ServerFactory, visit: OpenVisitor, rows: ReadRows, kind: BrowserKind
) -> None:
    """A certificate that is not the one the answer names: the browser refuses it."""
    server = await start_server(max_participants=1)
    page = RoomPage(await visit(kind, server, language="en-US"))
    other = ":".join(["AB"] * 32)
    await page.page.route_web_socket(SIGNALLING, spoil_answers(r"(a=fingerprint:sha-256) [0-9A-F:]+", rf"\1 {other}"))
    await page.open()
    await page.send_form("Nobody")
    await page.complains("connection_failed", "The audio does not get through")
    await closed_row(server, rows)
    await place_is_free(server)


@pytest.mark.parametrize("kind", list(BrowserKind))
async def test_people_are_shown_before_there_is_any_connection(
    server: RunningServer, visit: OpenVisitor, http: aiohttp.ClientSession, kind: BrowserKind
) -> None:
    body = {"room_id": "lobby", "user_id": "first", "username": "First", "world": "materie"}
    async with http.post("/api/voice/join", json=body) as answer:
        first = await answer.json()
    gate = asyncio.Event()

    async def wait_at_the_gate(socket: WebSocketRoute) -> None:
        await gate.wait()
        socket.connect_to_server()

    async with http.ws_connect("/api/ws") as socket:
        await socket.send_json({"type": "voice_join", "sessionId": first["session_id"], "token": first["session_token"]})
        assert (await socket.receive_json())["type"] == "voice_joined"
        page = RoomPage(await visit(kind, server))
        await page.page.route_web_socket(SIGNALLING, wait_at_the_gate)
        await page.open()
        await page.send_form("Second")
        await page.sees("First", "Second")
        await expect(page.find("room")).to_have_attribute("data-state", "signalling")
        await expect(page.find("count")).to_contain_text("2")
        assert await page.visitor.offers() == 0
        gate.set()
        await page.connected()
        await page.sees("First", "Second")
        await page.leave()
