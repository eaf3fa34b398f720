"""The SFU of `relay_server`, in a process of its own, and its clients' side of signalling."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import aiohttp

from bench.others.full_peer import FullPeer
from bench.processes import ROOT, CpuClock, free_port, on_cores, stop_process, tail

__all__ = ["Relay", "relay"]

_READY_SECONDS: Final = 20.0


class Relay:
    """A relay that runs."""

    def __init__(self, pid: int, http: aiohttp.ClientSession) -> None:
        self.cpu = CpuClock(pid)
        self._http = http

    async def publish(self, room: str, user: str, peer: FullPeer) -> None:
        """Send one track. The peer can connect then."""
        await self._negotiate("/publish", room, user, peer)

    async def subscribe(self, room: str, user: str, peer: FullPeer) -> None:
        """Receive the tracks of the others, as many as the peer asks for. The peer can connect then."""
        await self._negotiate("/subscribe", room, user, peer)

    async def _negotiate(self, path: str, room: str, user: str, peer: FullPeer) -> None:
        async with self._http.post(path, json={"room": room, "user": user, "sdp": peer.create_full_offer()}) as response:
            response.raise_for_status()
            peer.set_answer((await response.json())["sdp"])


@contextlib.asynccontextmanager
async def relay(folder: Path, cores: frozenset[int]) -> AsyncIterator[Relay]:
    """A relay on these cores, its log in `folder`. Raises RuntimeError where it does not come up."""
    port = free_port(socket.SOCK_STREAM)
    log = folder / "relay.log"
    with log.open("wb") as output, on_cores(cores):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "bench.others.relay_server", str(port), env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http:
            await _until_ready(http, process, log)
            yield Relay(process.pid, http)
    finally:
        await stop_process(process)


async def _until_ready(http: aiohttp.ClientSession, process: asyncio.subprocess.Process, log: Path) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline and process.returncode is None:
        with contextlib.suppress(aiohttp.ClientError):
            async with http.get("/health") as response:
                if response.status == 200:
                    return
        await asyncio.sleep(0.05)
    raise RuntimeError(f"the relay did not come up (exit status {process.returncode}):\n{tail(log)}")
