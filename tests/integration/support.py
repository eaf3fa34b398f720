"""People in rooms of a server that runs in this process, with real media over loopback."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import sqlite3
from collections.abc import Sequence
from typing import Any

import aiohttp

from bench.client import VoiceClient
from bench.peer import Peer
from bench.rtp import ReceivedPacket, SentPacket
from bench.sdp import OfferOptions
from tests.support import RunningServer

__all__ = ["CHROMIUM", "FIREFOX", "HUM_LEVEL", "Call", "Person", "let_through", "settled", "steps"]

CHROMIUM = OfferOptions(opus_payload_type=111, audio_level_id=1, mid_id=4, slots=9)
FIREFOX = OfferOptions(opus_payload_type=109, audio_level_id=1, mid_id=3, slots=9)
HUM_LEVEL = 90
"""A room's hum in -dBov: no speech, but no digital silence either, which would be kept back after a moment."""


class Person:
    """Someone in a room: `client` for the signalling, `peer` for the media."""

    def __init__(self, client: VoiceClient, peer: Peer) -> None:
        self.client = client
        self.peer = peer

    @property
    def session_id(self) -> str:
        """Their session."""
        return self.client.session_id

    def slot_of(self, other: Person) -> str:
        """The mid in which this person hears `other`. Raises LookupError where they do not."""
        for mid, session_id in self.client.slots.items():
            if session_id == other.session_id:
                return mid
        raise LookupError(f"{other.client.user_id} has no slot at {self.client.user_id}")

    async def hears_from(self, other: Person, count: int) -> list[ReceivedPacket]:
        """The packets heard of `other`'s slot, once there are `count` of them in all."""
        return await self.peer.receive(self.slot_of(other), count)

    async def heard_all(self, other: Person, sent: Sequence[SentPacket]) -> list[ReceivedPacket]:
        """Wait for what `other` has just sent; asserts that it is that, in order, to the last byte."""
        mid = self.slot_of(other)
        slot = self.peer.slots[mid]
        last = sent[-1].payload
        what = f"the last of {len(sent)} packets of {other.client.user_id}"
        await self.peer.until(lambda: bool(slot.packets) and slot.packets[-1].payload == last, what=what)
        heard = list(slot.packets)[-len(sent) :]
        assert [packet.payload for packet in heard] == [packet.payload for packet in sent]
        return heard


async def let_through(listener: Person, speaker: Person) -> None:
    """Have `speaker` hum until it reaches `listener`: a new voice is let through a moment after that one was told."""
    slot = listener.peer.slots[listener.slot_of(speaker)]
    before = slot.received
    async with asyncio.timeout(3):
        while slot.received == before:
            speaker.peer.send_voice(1, level=HUM_LEVEL)
            with contextlib.suppress(TimeoutError):
                await listener.peer.receive(slot.mid, before + 1, timeout=0.005)


async def settled(*people: Person) -> None:
    """Wait until each of these, who are all of a room, hears every other one; then forget what was heard."""
    for person in people:
        await person.client.hears(len(people) - 1)
    for listener, speaker in itertools.permutations(people, 2):
        await let_through(listener, speaker)
    for speaker in people:
        last = speaker.peer.send_voice(1, level=HUM_LEVEL)
        for listener in people:
            if listener is not speaker:
                await listener.heard_all(speaker, last)
    for person in people:
        person.peer.forget()


class Call:
    """A server and those who are in its rooms; all of them go when the test ends."""

    def __init__(self, server: RunningServer, http: aiohttp.ClientSession) -> None:
        self.server = server
        self.http = http
        self.people: list[Person] = []

    def client(self, user_id: str) -> VoiceClient:
        """Someone who has not joined yet."""
        return VoiceClient(self.http, token=self.server.api_token, user_id=user_id)

    async def enter(self, user_id: str, room: str = "lobby", *, options: OfferOptions = CHROMIUM, **peer: Any) -> Person:
        """Someone who joins, connects, and knows who is heard where."""
        person = Person(self.client(user_id), Peer(options, **peer))
        self.people.append(person)
        await person.client.enter(room, person.peer)
        return person

    async def enter_all(self, *user_ids: str, room: str = "lobby", options: OfferOptions = CHROMIUM) -> list[Person]:
        """Several people who hear each other."""
        people = [await self.enter(user_id, room, options=options) for user_id in user_ids]
        await settled(*people)
        return people

    async def media_counters(self) -> dict[str, Any]:
        """What health says of the media port."""
        async with self.http.get("/api/health") as response:
            media: dict[str, Any] = (await response.json())["media"]
            return media

    def row(self, session_id: str) -> dict[str, Any]:
        """The session's row in the database."""
        database = sqlite3.connect(self.server.settings.database)
        try:
            database.row_factory = sqlite3.Row
            found = database.execute("SELECT * FROM voice_sessions WHERE session_id = ?", (session_id,)).fetchone()
        finally:
            database.close()
        return dict(found)

    async def close(self) -> None:
        """Everybody's connections."""
        for person in self.people:
            await person.peer.close()
            await person.client.close()


def steps(numbers: Sequence[int], bits: int) -> list[int]:
    """From each number to the next one, around the end of so many bits."""
    modulus = 1 << bits
    return [(after - before) % modulus for before, after in itertools.pairwise(numbers)]
