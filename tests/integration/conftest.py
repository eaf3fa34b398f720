"""A call in progress, for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest

from tests.integration.support import Call
from tests.support import RunningServer


@pytest.fixture
async def call(server: RunningServer) -> AsyncIterator[Call]:
    """A server with nobody in it yet."""
    async with aiohttp.ClientSession(server.url, connector=aiohttp.TCPConnector(limit=0)) as http:
        call = Call(server, http)
        yield call
        await call.close()
