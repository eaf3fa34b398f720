"""The server as a process of its own, started as a person starts it."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["Finished", "ServerProcess", "run", "serving"]

PATIENCE_SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class Finished:
    """A process that has ended."""

    code: int
    out: str
    err: str


@dataclass(slots=True)
class ServerProcess:
    """A server that serves. `greeting` is what it printed, `url` the address of its pages with a slash at the end."""

    process: asyncio.subprocess.Process
    greeting: str
    url: str

    async def stop(self, how: signal.Signals = signal.SIGTERM) -> Finished:
        """Asks it to stop and waits until it has."""
        self.process.send_signal(how)
        out, err = await asyncio.wait_for(self.process.communicate(), PATIENCE_SECONDS)
        assert self.process.returncode is not None
        return Finished(self.process.returncode, self.greeting + out.decode(), err.decode())


async def _start(arguments: Sequence[str], folder: Path, environment: Mapping[str, str]) -> asyncio.subprocess.Process:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("VOICE_")}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "server", *arguments),
        cwd=folder,
        env={**inherited, **environment},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def run(*arguments: str, folder: Path, environment: Mapping[str, str] | None = None) -> Finished:
    """Runs `python -m server` in a folder until it ends by itself. `environment` is beside that of the tests."""
    process = await _start(arguments, folder, environment or {})
    try:
        out, err = await asyncio.wait_for(process.communicate(), PATIENCE_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    assert process.returncode is not None
    return Finished(process.returncode, out.decode(), err.decode())


@asynccontextmanager
async def serving(*arguments: str, folder: Path, environment: Mapping[str, str] | None = None) -> AsyncIterator[ServerProcess]:
    """A server on ports that the system chooses, in a folder; it is gone when the block ends."""
    ports = {"VOICE_PORT": "0", "VOICE_MEDIA_PORT": "0", "VOICE_MEDIA_HOST": "127.0.0.1"}
    process = await _start(("serve", *arguments), folder, ports | dict(environment or {}))
    try:
        assert process.stdout is not None
        greeting = ""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while "Token: " not in greeting:
                line = (await process.stdout.readline()).decode()
                if not line:
                    _, err = await process.communicate()
                    raise AssertionError(f"the server did not start: {err.decode()}")
                greeting += line
        found = re.search(r"^ +Rooms: (http://\S+/)$", greeting, re.MULTILINE)
        assert found, greeting
        yield ServerProcess(process, greeting, found[1])
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()
