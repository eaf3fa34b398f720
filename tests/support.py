"""What tests of every part share: settings for one test, and a server that runs for it."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from aiohttp import web

from server.config import Settings

__all__ = ["MakeSettings", "RunningServer", "ServerFactory", "make_settings", "running_server"]


class MakeSettings(Protocol):
    """The fixture `make_settings`: settings of a test, with what is given changed."""

    def __call__(self, **overrides: Any) -> Settings: ...


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A real server on 127.0.0.1, on ports that the system chose."""

    app: web.Application = field(repr=False)
    settings: Settings
    port: int

    @property
    def url(self) -> str:
        """`http://127.0.0.1:…`, without a slash at its end."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws_url(self) -> str:
        """The address of the signalling WebSocket."""
        return f"ws://127.0.0.1:{self.port}/api/ws"

    @property
    def api_token(self) -> str:
        """One of the API tokens that are valid for it."""
        return self.settings.api_tokens[0]

    @property
    def headers(self) -> dict[str, str]:
        """The headers of a caller with an API token."""
        return {"Authorization": f"Bearer {self.api_token}"}


class ServerFactory(Protocol):
    """The fixture `start_server`: one more server, with settings changed; it stops when the test ends."""

    async def __call__(self, **overrides: Any) -> RunningServer: ...


def make_settings(folder: Path, **overrides: Any) -> Settings:
    """Settings for one test: loopback only, ports chosen by the system, secrets that are random. Makes the data folder."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    values: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": 0,
        "media_host": "127.0.0.1",
        "media_port": 0,
        "data_dir": folder,
        "api_tokens": (secrets.token_urlsafe(32), secrets.token_urlsafe(32)),
        "jwt_secret": secrets.token_urlsafe(48),
        "rate_limits": "off",
        "max_sockets_per_address": 0,
    }
    return Settings(**(values | overrides))


@asynccontextmanager
async def running_server(settings: Settings) -> AsyncIterator[RunningServer]:
    """Runs the whole server, as `weltenstimme serve` does, until the block ends."""
    from server.app import create_app  # noqa: PLC0415 - tests of one part do not pay for loading all of them

    app = await create_app(settings)
    runner = web.AppRunner(app, access_log=None, handle_signals=False)
    await runner.setup()
    try:
        await web.TCPSite(runner, settings.host, settings.port).start()
        port = runner.addresses[0][1]
        yield RunningServer(app=app, settings=settings, port=port)
    finally:
        await runner.cleanup()
