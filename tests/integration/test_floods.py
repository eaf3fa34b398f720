"""A flood ends in clear errors: those who talk do not hear it, a good request is answered, and memory stays bounded."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

import aiohttp
import pytest

from bench.client import VoiceClient
from bench.peer import Peer
from bench.processes import ServerProcess, running_server
from server.limit_rules import DEFAULT_RULES
from tests.integration.support import CHROMIUM

ROOT = Path(__file__).parents[2]
SECONDS = 4.0
RULES = re.sub(r"message=\d+/10s", "message=60/10s", DEFAULT_RULES)
"""Those of the default, but for messages: how they end is to be seen within the time of the test."""
PACKETS_PER_SECOND = 50
MAX_LOSS = 0.001
MAX_GROWTH_MIB = 64.0
MAX_ANSWER_SECONDS = 3.0


def resident_mib(pid: int) -> float:
    text = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    [line] = [line for line in text.splitlines() if line.startswith("VmRSS:")]
    return int(line.split()[1]) / 1024


async def talk(speaker: Peer, until: asyncio.Event) -> int:
    """A packet every 20 ms, on an absolute plan; how many."""
    sent, began = 0, time.monotonic()
    while not until.is_set():
        speaker.send_voice(1, level=20)
        sent += 1
        await asyncio.sleep(max(0.0, began + sent / PACKETS_PER_SECOND - time.monotonic()))
    return sent


async def flood(kind: str, url: str) -> dict[str, int]:
    command = [sys.executable, "-m", "bench.flood", kind, url, "--seconds", str(SECONDS)]
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=asyncio.subprocess.PIPE)
    try:
        async with asyncio.timeout(60):
            out, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    found = json.loads(out)
    assert isinstance(found, dict)
    return found


def tokens_are_refused(found: dict[str, int]) -> None:
    assert set(found) == {"401", "429"}
    assert found["401"] <= 400
    assert found["429"] > 1000


def silence_is_let_wait(found: dict[str, int]) -> None:
    assert sum(found.values()) == 1000
    assert set(found) <= {"open", "closed 4408", "refused 429"}


def shouting_is_ended(found: dict[str, int]) -> None:
    assert found["closed 4429"] > 0
    assert found["voice_error"] > 0


async def ask_now_and_then(http: aiohttp.ClientSession, server: ServerProcess, until: asyncio.Event) -> float:
    """Good requests from the same address; the longest time that one took, in s."""
    slowest = 0.0
    while not until.is_set():
        began = time.monotonic()
        async with http.get("/api/voice/rooms/materie", headers={"Authorization": f"Bearer {server.token}"}) as answer:
            assert answer.status == 200
            await answer.read()
        slowest = max(slowest, time.monotonic() - began)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(until.wait(), 0.1)
    return slowest


async def two_who_talk(http: aiohttp.ClientSession, server: ServerProcess) -> tuple[Peer, Callable[[], int], list[VoiceClient]]:
    """A speaker, how much the listener has got of them, and the connections."""
    clients = [VoiceClient(http, token=server.token, user_id=name) for name in ("anna", "ben")]
    speaker, listener = Peer(CHROMIUM), Peer(CHROMIUM)
    for client, peer in zip(clients, (speaker, listener), strict=True):
        await client.enter("lobby", peer)
    for client in clients:
        await client.hears(1)
    [mid] = [mid for mid, session_id in clients[1].slots.items() if session_id == clients[0].session_id]
    slot = listener.slots[mid]
    async with asyncio.timeout(5):
        while not slot.received:
            speaker.send_voice(1, level=20)
            await asyncio.sleep(0.02)
    return speaker, lambda: slot.received, clients


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "check"), [("tokens", tokens_are_refused), ("sockets", silence_is_let_wait), ("messages", shouting_is_ended)]
)
async def test_those_who_talk_do_not_hear_it(tmp_path: Path, kind: str, check: Callable[[dict[str, int]], None]) -> None:
    cores = frozenset(os.sched_getaffinity(0))
    async with (
        running_server(tmp_path, cores, settings={"VOICE_RATE_LIMITS": RULES}) as server,
        aiohttp.ClientSession(server.url) as http,
    ):
        speaker, heard, clients = await two_who_talk(http, server)
        before, memory = heard(), resident_mib(server.pid)
        over = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            talking = group.create_task(talk(speaker, over))
            asking = group.create_task(ask_now_and_then(http, server, over))
            found = await flood(kind, server.url)
            over.set()
        await asyncio.sleep(0.2)
        lost = talking.result() - (heard() - before)
        growth = resident_mib(server.pid) - memory
        for client in clients:
            assert client.peer is not None
            await client.peer.close()
            await client.close()
    logging.getLogger(__name__).info(
        "%s: %s; %d of %d lost, %.1f MiB more, slowest %.0f ms",
        kind,
        found,
        lost,
        talking.result(),
        growth,
        asking.result() * 1000,
    )
    check(found)
    assert lost <= talking.result() * MAX_LOSS
    assert growth < MAX_GROWTH_MIB
    assert asking.result() < MAX_ANSWER_SECONDS
