"""The people of a media run: connected by the ordinary way, then in the generator's hands."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
from collections.abc import AsyncIterator, Coroutine, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import aiohttp

from bench.client import VoiceClient
from bench.endpoint import loopback_socket
from bench.generator import LoadGenerator
from bench.load_client import LoadClient
from bench.peer import Peer
from bench.processes import ServerProcess
from bench.shapes import Others, Shape

__all__ = ["MemoryPoint", "Population", "kib_a_participant", "population"]

_PROBE_EVERY: Final = 10
_CONNECTING_AT_ONCE: Final = 8
_CONNECT_SECONDS: Final = 120.0
_HEARS_SECONDS: Final = 20.0
_FEWEST_FOR_A_SLOPE: Final = 20
_STEPS: Final = 8


@dataclass(frozen=True, slots=True)
class MemoryPoint:
    """Memory of the server with so many people connected."""

    participants: int
    resident_kib: int


def kib_a_participant(points: Sequence[MemoryPoint]) -> float | None:
    """The slope of a line through the points (least squares); None where there are too few people for one."""
    if len(points) < 3 or points[-1].participants - points[0].participants < _FEWEST_FOR_A_SLOPE:
        return None
    mean_x = sum(point.participants for point in points) / len(points)
    mean_y = sum(point.resident_kib for point in points) / len(points)
    over = sum((point.participants - mean_x) * (point.resident_kib - mean_y) for point in points)
    return over / sum((point.participants - mean_x) ** 2 for point in points)


class Population:
    """Everybody who is in. Grows while the generator runs; `rooms` holds the clients of each room in the order of seats.

    `sinks` has as many sockets as there are clients; `memory` one point for each step of growth.
    """

    def __init__(self, server: ServerProcess, shape: Shape, http: aiohttp.ClientSession) -> None:
        self.shape = shape
        self.rooms: list[list[LoadClient]] = []
        self.sinks: list[socket.socket] = []
        self.memory: list[MemoryPoint] = []
        self.generator = LoadGenerator((), (), (), packets_per_second=shape.packets_per_second)
        self._server = server
        self._http = http
        self._people: list[VoiceClient] = []
        self._speakers: set[str] = set()

    @property
    def size(self) -> int:
        """How many people there are."""
        return len(self._people)

    def clients(self) -> list[LoadClient]:
        """All of them."""
        return [client for room in self.rooms for client in room]

    async def grow(self, rooms: int, size: int) -> None:
        """Let people in until there are so many rooms of so many. Raises RuntimeError where one does not get in."""
        entering = []
        for room in range(rooms):
            there = len(self.rooms[room]) if room < len(self.rooms) else 0
            entering += [(room, seat) for seat in range(there, size)]
        step = self._step(len(entering), rooms, size)
        for start in range(0, len(entering), step):
            await self._enter(entering[start : start + step])
        gc.collect()
        gc.freeze()

    def _step(self, entering: int, rooms: int, size: int) -> int:
        """How many enter before memory is looked at again: a few times in all, whole rooms, or listeners of one room."""
        if rooms == 1 and self.shape.others is Others.LISTEN:
            return max(self.shape.speakers + 1, entering // _STEPS)
        return size * max(1, entering // size // _STEPS)

    def cast(self, rooms: int | None = None) -> None:
        """Only the first `rooms` rooms (all where None) talk from now on; their others are in a pause where the shape says so."""
        talking = self.rooms if rooms is None else self.rooms[:rooms]
        shape = self.shape
        # neighbours in time are of different rooms
        speakers = [room[seat] for seat in range(shape.speakers) for room in talking if seat < len(room)]
        paused = [client for room in talking for client in room[shape.speakers :]] if shape.others is Others.DTX else []
        self.generator.cast(speakers, paused)

    async def _enter(self, places: Sequence[tuple[int, int]]) -> None:
        gate = asyncio.Semaphore(_CONNECTING_AT_ONCE)
        people = [VoiceClient(self._http, token=self._server.token, user_id=f"bench-{room}-{seat}") for room, seat in places]
        self._people += people

        async def enter(person: VoiceClient, room: int, seat: int) -> None:
            async with gate:
                await person.enter(f"bench-room-{room}", Peer(self.shape.offer(seat)))

        await _all_of(enter(person, *place) for person, place in zip(people, places, strict=True))
        for person, (_, seat) in zip(people, places, strict=True):
            await person.hears(self.shape.heard(seat), timeout=_HEARS_SECONDS)
            if self.shape.speaks(seat):
                self._speakers.add(person.session_id)
        entered = [self._take(person, *place) for person, place in zip(people, places, strict=True)]
        sinks = [loopback_socket("127.0.0.1") for _ in entered]
        self.sinks += sinks
        self.generator.add(entered, sinks)
        self.memory.append(MemoryPoint(self.size, self._server.cpu.resident_kib()))

    def _take(self, person: VoiceClient, room: int, seat: int) -> LoadClient:
        assert person.peer is not None
        assert person.peer.answer is not None
        number = room * self.shape.size + seat
        voices = None
        if self.shape.others is Others.DTX:
            mids = {mid for mid, session in person.slots.items() if session in self._speakers}
            voices = frozenset(ssrc for ssrc, mid in person.peer.answer.slots().items() if mid in mids)
        probe = number % _PROBE_EVERY == number // _PROBE_EVERY % _PROBE_EVERY
        client = LoadClient(person.peer, probe=probe, payload_bytes=self.shape.payload_bytes, voices=voices)
        while len(self.rooms) <= room:
            self.rooms.append([])
        self.rooms[room].append(client)
        return client

    async def close(self) -> None:
        """Everybody goes."""
        for person in self._people:
            await person.close()
        for sink in self.sinks:
            sink.close()


@contextlib.asynccontextmanager
async def population(server: ServerProcess, shape: Shape) -> AsyncIterator[Population]:
    """Nobody yet, and a generator that runs; everybody leaves when the block ends."""
    async with aiohttp.ClientSession(server.url, connector=aiohttp.TCPConnector(limit=0)) as http:
        people = Population(server, shape, http)
        people.generator.start()
        try:
            yield people
        finally:
            try:
                await people.generator.stop()
            finally:
                await people.close()


async def _all_of(entries: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Run them all. Raises RuntimeError, with the first reason, where one fails or they take too long."""
    try:
        async with asyncio.timeout(_CONNECT_SECONDS), asyncio.TaskGroup() as group:
            for entry in entries:
                group.create_task(entry)
    except TimeoutError:
        raise RuntimeError(f"not everybody got in within {_CONNECT_SECONDS:.0f} s") from None
    except ExceptionGroup as errors:
        raise RuntimeError(f"somebody did not get in: {errors.exceptions[0]!r}") from errors
