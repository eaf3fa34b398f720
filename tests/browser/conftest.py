"""Fixtures of the browser tests. Browsers start once and are shared; each visitor has a context of its own.

All of it, the server included, runs on one event loop for the whole session, as a browser cannot move between loops.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, closing
from pathlib import Path
from typing import Any, Protocol

import aiohttp
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Playwright, async_playwright

from tests import support
from tests.support import MakeSettings, RunningServer, ServerFactory

from .launching import BrowserKind, Microphone, launch, require_programs
from .speech import SpeechFile, make_speech
from .visitor import Visitor

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test of this folder drives a browser, on the loop of the session."""
    for item in items:
        if not item.path.is_relative_to(HERE):
            continue
        item.add_marker(pytest.mark.browser)
        if pytest_asyncio.is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


class Site(Protocol):
    """What a visitor needs of a server."""

    @property
    def url(self) -> str:
        """Without a slash at its end."""


class LaunchBrowser(Protocol):
    """The fixture `browser`: the browser of that kind; started when first asked for, and shared."""

    async def __call__(
        self, kind: BrowserKind, *, microphone: Microphone = ..., speech: Path | None = ..., tone_hz: int = ...
    ) -> Browser: ...


class OpenVisitor(Protocol):
    """The fixture `visit`: a new visitor, who goes when the test ends, and then nothing may have gone wrong in their page."""

    async def __call__(
        self,
        kind: BrowserKind,
        site: Site,
        *,
        language: str = ...,
        microphone: Microphone = ...,
        speech: Path | None = ...,
        drivable_microphone: bool = ...,
        **context: Any,
    ) -> Visitor: ...


ReadRows = Callable[[Path], list[dict[str, Any]]]
"""The fixture `rows`: the session rows of a database, oldest first."""


@pytest.fixture(autouse=True)
def no_errors_in_the_log(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Whatever a browser does, nothing of it is an error of the server's."""
    yield
    errors = [record for record in caplog.get_records("call") if record.levelno >= logging.ERROR]
    assert not errors, "\n".join(f"{record.name}: {record.getMessage()}" for record in errors)


@pytest.fixture(scope="session")
def speech(tmp_path_factory: pytest.TempPathFactory) -> SpeechFile:
    """4 × 3.000 s of speech with 2 s of digital silence after each."""
    require_programs(["espeak-ng"], ["sox"])
    return make_speech(tmp_path_factory.mktemp("speech"))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def playwright() -> AsyncIterator[Playwright]:
    """The driver of the browsers."""
    async with async_playwright() as driver:
        yield driver


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser(playwright: Playwright) -> AsyncIterator[LaunchBrowser]:
    """Starts browsers; see `LaunchBrowser`."""
    started: dict[tuple[Any, ...], Browser] = {}

    async def get(
        kind: BrowserKind, *, microphone: Microphone = Microphone.GRANTED, speech: Path | None = None, tone_hz: int = 880
    ) -> Browser:
        key = (kind, microphone, speech, tone_hz)
        if key not in started:
            started[key] = await launch(playwright, kind, microphone=microphone, speech=speech, tone_hz=tone_hz)
        return started[key]

    yield get
    for each in started.values():
        await each.close()


@pytest_asyncio.fixture(loop_scope="session")
async def start_server(make_settings: MakeSettings) -> AsyncIterator[ServerFactory]:
    """Starts servers with settings changed: `await start_server(max_participants=3)`; they stop when the test ends."""
    async with AsyncExitStack() as stack:

        async def start(**overrides: Any) -> RunningServer:
            return await stack.enter_async_context(support.running_server(make_settings(**overrides)))

        yield start


@pytest_asyncio.fixture(loop_scope="session")
async def server(start_server: ServerFactory) -> RunningServer:
    """A whole server that runs for this test."""
    return await start_server()


@pytest_asyncio.fixture(loop_scope="session")
async def http(server: RunningServer) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of `server` with an API token."""
    async with aiohttp.ClientSession(server.url, headers=server.headers) as session:
        yield session


@pytest_asyncio.fixture(loop_scope="session")
async def visit(browser: LaunchBrowser) -> AsyncIterator[OpenVisitor]:
    """Opens visitors; see `OpenVisitor`."""
    visitors: list[Visitor] = []

    async def open_visitor(
        kind: BrowserKind,
        site: Site,
        *,
        language: str = "de-DE",
        microphone: Microphone = Microphone.GRANTED,
        speech: Path | None = None,
        drivable_microphone: bool = False,
        **context: Any,
    ) -> Visitor:
        started = await browser(kind, microphone=microphone, speech=speech)
        own = await started.new_context(locale=language, base_url=site.url, **context)
        visitor = Visitor(kind, own, await own.new_page(), site.url)
        visitors.append(visitor)
        await visitor.prepare(drivable_microphone=drivable_microphone)
        return visitor

    yield open_visitor
    problems = []
    for number, visitor in enumerate(visitors, 1):
        problems += [f"visitor {number} ({visitor.kind}): {problem}" for problem in await visitor.verdict()]
        await visitor.context.close()
    assert not problems, "\n".join(problems)


@pytest.fixture
def rows() -> ReadRows:
    """Reads the session rows of a server, oldest first: `rows(server.settings.database)`."""

    def read(database: Path) -> list[dict[str, Any]]:
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute("SELECT * FROM voice_sessions ORDER BY id")]

    return read
