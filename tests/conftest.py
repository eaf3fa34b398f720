"""Fixtures for every test. Their types, for annotations, are in `tests.support`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import hypothesis
import pytest

from server.config import SETTINGS, Settings
from tests import support
from tests.support import MakeSettings, RunningServer, ServerFactory

# How long one example takes says more about what else the machine does than about the code.
hypothesis.settings.register_profile("weltenstimme", deadline=None)
hypothesis.settings.load_profile("weltenstimme")


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test is changed by the `VOICE_…` names of whoever runs it."""
    for setting in SETTINGS:
        monkeypatch.delenv(setting.env, raising=False)


@pytest.fixture
def make_settings(tmp_path: Path) -> MakeSettings:
    """Makes settings for this test, with what is given changed: `make_settings(max_participants=3)`."""
    return partial(support.make_settings, tmp_path / "data")


@pytest.fixture
def settings(make_settings: MakeSettings) -> Settings:
    """Settings for this test: own data folder, loopback, ports chosen by the system, random secrets."""
    return make_settings()


@pytest.fixture
async def start_server(make_settings: MakeSettings) -> AsyncIterator[ServerFactory]:
    """Starts servers with settings changed: `await start_server(max_participants=3)`; they stop when the test ends."""
    async with AsyncExitStack() as stack:

        async def start(**overrides: Any) -> RunningServer:
            return await stack.enter_async_context(support.running_server(make_settings(**overrides)))

        yield start


@pytest.fixture
async def server(start_server: ServerFactory) -> RunningServer:
    """A whole server that runs for this test: `.url`, `.ws_url`, `.api_token`, `.headers`, `.settings`, `.app`."""
    return await start_server()


@pytest.fixture
async def http(server: RunningServer) -> AsyncIterator[aiohttp.ClientSession]:
    """A client of `server` without a token: `await http.post("/api/voice/join", json=…, headers=server.headers)`."""
    async with aiohttp.ClientSession(server.url) as session:
        yield session
