"""`python -m bench garbage`: a million random datagrams at the media port, while two people talk.

Some are shaped like STUN, DTLS, RTP or RTCP up to where only a key could tell. The server must answer none of them, and must
still serve: those who were connected hear each other afterwards, and a newcomer gets in.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import select
import socket
import tempfile
import time
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp

from bench.client import VoiceClient
from bench.endpoint import loopback_socket
from bench.ice import Address
from bench.peer import Peer
from bench.processes import Cores, ServerProcess, running_server
from bench.sdp import OfferOptions

__all__ = ["GarbageReport", "garbage_table", "random_datagram", "run"]

_SIZES: Final = (0, 1, 4, 12, 20, 28, 60, 108, 300, 1400)
_FIRST_BYTES: Final = (None, 0x00, 0x16, 0x80, 0x90, 0xFF)
"""Anything; STUN, a DTLS handshake, RTP without and with an extension, none of them (RFC 7983, section 7)."""
_RTCP_TYPES: Final = (200, 201, 205, 206)
_PAUSE_EVERY: Final = 256
_MOST: Final = 10_000_000
_HEARD_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class GarbageReport:
    """`answers` must be 0, `heard_after` and `newcomer` True. `counters` is by how much those of the media port grew."""

    datagrams: int
    not_taken: int
    seconds: float
    answers: int
    heard_after: bool
    newcomer: bool
    server_cpu_seconds: float
    counters: dict[str, float]

    @property
    def is_well(self) -> bool:
        """Whether the server stood it."""
        return self.answers == 0 and self.heard_after and self.newcomer

    def as_json(self) -> dict[str, Any]:
        """Everything."""
        return {"benchmark": "garbage", "is_well": self.is_well} | asdict(self)


def random_datagram(rng: random.Random) -> bytes:
    """One datagram of garbage, 0 to 1400 bytes."""
    data = bytearray(rng.randbytes(rng.choice(_SIZES)))
    first = rng.choice(_FIRST_BYTES)
    if data and first is not None:
        data[0] = first
    if len(data) >= 20 and first == 0x00:  # a header of STUN that is right: type, length, cookie (RFC 8489, section 5)
        data[0:8] = b"\x00\x01" + (len(data) - 20).to_bytes(2, "big") + b"\x21\x12\xa4\x42"
    if len(data) >= 12 and first == 0x80 and rng.randrange(2):
        data[1] = rng.choice(_RTCP_TYPES)
    return bytes(data)


async def run(count: int, *, seed: int = 1) -> GarbageReport:
    """Send `count` datagrams. Raises ValueError for a senseless count, RuntimeError where the server does not come up."""
    if not 1 <= count <= _MOST:
        raise ValueError(f"1 to {_MOST} datagrams")
    cores = Cores.choose()
    os.sched_setaffinity(0, cores.generator)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        async with running_server(Path(folder), cores.server) as server:
            return await _measure(server, count, random.Random(seed))


async def _measure(server: ServerProcess, count: int, rng: random.Random) -> GarbageReport:
    async with (
        aiohttp.ClientSession(server.url) as http,
        _person(server, http, "a") as speaker,
        _person(server, http, "b") as listener,
    ):
        assert speaker.peer is not None
        assert speaker.peer.remote is not None
        await _heard(speaker, listener)
        before, cpu, began = await server.media_counters(), server.cpu.read_ns(), time.monotonic()
        not_taken, answers = await asyncio.to_thread(_flood, speaker.peer.remote, count, rng)
        seconds = time.monotonic() - began
        heard = await _heard(speaker, listener)
        after, cpu_ns = await server.media_counters(), server.cpu.read_ns() - cpu
        async with _person(server, http, "c") as newcomer:
            newcomer_heard = await _heard(speaker, newcomer)
    return GarbageReport(
        datagrams=count,
        not_taken=not_taken,
        seconds=seconds,
        answers=answers,
        heard_after=heard,
        newcomer=newcomer_heard,
        server_cpu_seconds=cpu_ns / 1e9,
        counters={name: after[name] - before[name] for name in after if name in before and name != "port"},
    )


def _flood(address: Address, count: int, rng: random.Random) -> tuple[int, int]:
    """Returns how many the kernel did not take, and how many answers came."""
    not_taken = answers = 0
    with loopback_socket("127.0.0.1") as sock:
        for number in range(count):
            try:
                sock.sendto(random_datagram(rng), address)
            except OSError:
                not_taken += 1
            if number % _PAUSE_EVERY == 0:
                answers += _answers(sock, 0.0005)  # the server drains its socket; what overflows there tests nothing
        answers += _answers(sock, 0.5)
    return not_taken, answers


def _answers(sock: socket.socket, seconds: float) -> int:
    count = 0
    while select.select([sock], [], [], seconds)[0]:
        with contextlib.suppress(OSError):
            sock.recv(2048)
        count += 1
    return count


@contextlib.asynccontextmanager
async def _person(server: ServerProcess, http: aiohttp.ClientSession, name: str) -> AsyncIterator[VoiceClient]:
    client = VoiceClient(http, token=server.token, user_id=name)
    try:
        await client.enter("garbage", Peer(OfferOptions(slots=3)))
        yield client
    finally:
        await client.close()


async def _heard(speaker: VoiceClient, listener: VoiceClient) -> bool:
    """Whether what the one says now reaches the other."""
    assert speaker.peer is not None
    assert listener.peer is not None
    marks: set[bytes] = set()
    peer = listener.peer

    def arrived() -> bool:
        return any(packet.payload in marks for slot in peer.slots.values() for packet in slot.packets)

    try:
        async with asyncio.timeout(_HEARD_SECONDS):
            while not arrived():
                marks.update(sent.payload for sent in speaker.peer.send_voice(1))
                with contextlib.suppress(TimeoutError):
                    await peer.until(arrived, timeout=0.02, what="a packet")
    except TimeoutError:
        return False
    return True


def garbage_table(report: GarbageReport) -> str:
    """The report as a table for the terminal."""
    rows = {
        "garbage": f"{report.datagrams:,} datagrams in {report.seconds:.1f} s ({report.not_taken} not taken by the kernel)",
        "answers": f"{report.answers}",
        "heard afterwards": "yes" if report.heard_after else "NO",
        "a newcomer got in": "yes" if report.newcomer else "NO",
        "server CPU": f"{report.server_cpu_seconds:.1f} s",
        "counters": ", ".join(f"{name} +{value:g}" for name, value in report.counters.items() if value) or "unchanged",
    }
    width = max(len(label) for label in rows)
    return "\n".join(f"{label:<{width}}  {value}" for label, value in rows.items())
