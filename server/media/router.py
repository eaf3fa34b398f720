"""Who is heard in whose slot: one router a room.

Everybody with a connection is an `Endpoint`: perhaps a producer (a microphone), perhaps slots to hear others in. While a room
fits its slots, everyone keeps one. Beyond that, a voice that starts and is not heard somewhere takes the slot there whose own
voice has been silent longest. Where more speak at once than there are slots the loudest are heard: a voice takes the place of
another that speaks only when it is clearly louder, and only after that one had it for a while. Every change is announced before
the first packet of the new voice, and its first syllable, which was spoken before anybody knew, is sent after.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol

from .consumer import Consumer, Destination
from .producer import Producer

__all__ = ["Endpoint", "Router", "RouterHost"]

LOUDER_DB: Final = 6.0
"""How much louder a voice must be than one that is heard to take its place: twice the amplitude, clear to any ear."""
LEAST_SLOT_SECONDS: Final = 1.0
"""How long a voice that speaks keeps a slot at the least, so that two of equal loudness do not chop each other up."""


class Endpoint:
    """One session in a room. `producer` is None for a listener, `destination` None until its connection stands."""

    __slots__ = ("destination", "producer", "session_id", "slot_by_producer", "slots")

    def __init__(self, session_id: str) -> None:
        self.session_id = session_id
        self.producer: Producer | None = None
        self.destination: Destination | None = None
        self.slots: dict[str, Consumer] = {}
        """By mid, in the order of the offer."""
        self.slot_by_producer: dict[Producer, Consumer] = {}

    def free_slot(self) -> Consumer | None:
        if len(self.slot_by_producer) >= len(self.slots):
            return None
        return next((slot for slot in self.slots.values() if slot.producer is None), None)

    def assign(self, slot: Consumer, producer: Producer, now: float) -> None:
        if slot.producer is not None:
            del self.slot_by_producer[slot.producer]
        slot.assign(producer, now)
        self.slot_by_producer[producer] = slot

    def remove_slot(self, mid: str) -> None:
        """The client no longer offers this section."""
        slot = self.slots.pop(mid)
        if slot.producer is not None:
            self.release(slot.producer)

    def release(self, producer: Producer) -> bool:
        """Whether it had a slot here."""
        slot = self.slot_by_producer.pop(producer, None)
        if slot is None:
            return False
        slot.release()
        return True


class RouterHost(Protocol):
    """What a router needs of the one who owns it."""

    def now(self) -> float:
        """The loop's clock in seconds."""

    def announce(self, endpoint: Endpoint) -> None:
        """Tell a receiver its slot list."""

    def after_announcement(self, function: Callable[[], None]) -> None:
        """Call back a moment later, when what was announced is on its way."""

    def replay(self, slot: Consumer) -> None:
        """Send the history of the slot's producer into it."""


class Router:
    """The endpoints of one room that are connected, and their slots."""

    def __init__(self, room_id: str, host: RouterHost) -> None:
        self.room_id = room_id
        self._host = host
        self._endpoints: dict[str, Endpoint] = {}
        self._contended = False
        """Whether somebody may speak without being heard by everyone."""

    @property
    def is_empty(self) -> bool:
        return not self._endpoints

    def connect(self, endpoint: Endpoint, destination: Destination) -> None:
        """An endpoint's connection stands: it hears the others and is heard."""
        now = self._host.now()
        endpoint.destination = destination
        self._endpoints[endpoint.session_id] = endpoint
        changed = {endpoint: True}  # a dict for its order; the newcomer hears its slot list in any case
        self._fill(endpoint, self._by_recency(), now)
        if endpoint.producer is not None:
            for other in self._endpoints.values():
                if other is not endpoint and endpoint.producer not in other.slot_by_producer:
                    slot = other.free_slot()
                    if slot is not None:
                        other.assign(slot, endpoint.producer, now)
                        changed[other] = True
        self._contended = True
        self._publish(changed)

    def move(self, endpoint: Endpoint, destination: Destination) -> None:
        """The endpoint's address changed: what it hears goes there from now on."""
        now = self._host.now()
        endpoint.destination = destination
        for slot in endpoint.slots.values():
            if slot.is_on:
                slot.switch_on(destination, now)

    def add_slots(self, endpoint: Endpoint) -> None:
        """The endpoint has more slots than before, or has a microphone now."""
        if endpoint.session_id in self._endpoints and endpoint.destination is not None:
            self.connect(endpoint, endpoint.destination)

    def disconnect(self, endpoint: Endpoint) -> None:
        """The endpoint's connection is gone: it hears nobody and nobody hears it; its places go to others."""
        now = self._host.now()
        if self._endpoints.pop(endpoint.session_id, None) is None:
            return
        endpoint.destination = None
        for producer in list(endpoint.slot_by_producer):
            endpoint.release(producer)
        if endpoint.producer is None:
            return
        waiting = self._by_recency()
        changed = {}
        for other in self._endpoints.values():
            if other.release(endpoint.producer):
                self._fill(other, waiting, now)
                changed[other] = True
        self._publish(changed)

    def started_speaking(self, producer: Producer) -> None:
        """Give a voice that starts a slot wherever it has none and somebody silent has one."""
        now = self._host.now()
        changed = {}
        for endpoint in self._endpoints.values():
            if endpoint.producer is producer or producer in endpoint.slot_by_producer:
                continue
            slot = endpoint.free_slot() or self._quietest(endpoint.slots.values())
            if slot is not None:
                endpoint.assign(slot, producer, now)
                changed[endpoint] = True
            else:
                self._contended = True
        self._publish(changed, from_history=True)

    def rebalance(self) -> None:
        """Where more speak than are heard, let the loudest be heard. To be called a few times a second while people speak."""
        if not self._contended:
            return
        now = self._host.now()
        speaking = [e.producer for e in self._endpoints.values() if e.producer is not None and e.producer.detector.speaking]
        speaking.sort(key=lambda producer: -producer.loudness_db)
        changed = {}
        self._contended = False
        for endpoint in self._endpoints.values():
            unheard = next((p for p in speaking if p is not endpoint.producer and p not in endpoint.slot_by_producer), None)
            if unheard is None or not endpoint.slots:
                continue
            slot = endpoint.free_slot() or self._quietest(endpoint.slots.values()) or self._outshone(endpoint, unheard, now)
            if slot is not None:
                endpoint.assign(slot, unheard, now)
                changed[endpoint] = True
            self._contended = True
        self._publish(changed, from_history=True)

    @staticmethod
    def _outshone(endpoint: Endpoint, producer: Producer, now: float) -> Consumer | None:
        """The slot of the softest voice here, if `producer` is clearly louder and that voice had its time."""
        softest = min(endpoint.slot_by_producer, key=lambda heard: heard.loudness_db)
        slot = endpoint.slot_by_producer[softest]
        if producer.loudness_db < softest.loudness_db + LOUDER_DB or now - slot.assigned_at < LEAST_SLOT_SECONDS:
            return None
        return slot

    @staticmethod
    def _quietest(slots: Iterable[Consumer]) -> Consumer | None:
        """The slot whose voice has been silent longest; None where all of them speak."""
        best: Consumer | None = None
        best_at = 0.0
        for slot in slots:
            producer = slot.producer
            if producer is None or producer.detector.speaking:
                continue
            if best is None or producer.spoke_at < best_at:
                best, best_at = slot, producer.spoke_at
        return best

    def _by_recency(self) -> list[Producer]:
        """All microphones here, who spoke last first; ties keep the order of joining."""
        producers = [e.producer for e in self._endpoints.values() if e.producer is not None]
        return sorted(producers, key=lambda producer: (not producer.detector.speaking, -producer.spoke_at))

    @staticmethod
    def _fill(endpoint: Endpoint, candidates: Sequence[Producer], now: float) -> None:
        for producer in candidates:
            if producer is endpoint.producer or producer in endpoint.slot_by_producer:
                continue
            slot = endpoint.free_slot()
            if slot is None:
                return
            endpoint.assign(slot, producer, now)

    def _publish(self, changed: Iterable[Endpoint], *, from_history: bool = False) -> None:
        endpoints = list(changed)
        for endpoint in endpoints:
            self._host.announce(endpoint)
        if endpoints:
            self._host.after_announcement(lambda: self._switch_on(endpoints, from_history=from_history))

    def _switch_on(self, endpoints: Sequence[Endpoint], *, from_history: bool) -> None:
        now = self._host.now()
        for endpoint in endpoints:
            if endpoint.destination is None:
                continue
            for slot in endpoint.slots.values():
                if slot.producer is not None and not slot.is_on:
                    slot.switch_on(endpoint.destination, now, from_history=from_history)
                    if from_history:
                        self._host.replay(slot)
