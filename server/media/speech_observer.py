"""Who speaks now, in all rooms: edges and levels told upward, silence looked for by the clock."""

from __future__ import annotations

import asyncio
from typing import Final

from .listener import MediaListener
from .producer import Producer
from .rooms import RoomDirectory
from .speaking import SILENT_LEVEL, display_level

__all__ = ["SpeechObserver"]

TICK_SECONDS: Final = 0.02
"""How often silence is looked for without a packet: the end of a talk-spurt is noticed at most this much late."""
LEVEL_EVERY_TICKS: Final = 10
"""Levels are told five times a second."""


class SpeechObserver:
    """Told by the packet path when somebody begins or stops; ticks only while somebody speaks."""

    def __init__(self, listener: MediaListener, rooms: RoomDirectory) -> None:
        self._listener = listener
        self._rooms = rooms
        self._speaking: dict[Producer, None] = {}  # in the order in which they began
        self._ticks = 0
        self._timer: asyncio.TimerHandle | None = None

    def speaking_started(self, producer: Producer) -> None:
        """Its detector has seen enough loud packets in a row."""
        loop = asyncio.get_running_loop()
        producer.spoke_at = loop.time()
        producer.loudness_db = SILENT_LEVEL - producer.detector.peak_dbov
        self._speaking[producer] = None
        if self._timer is None:
            self._timer = loop.call_later(TICK_SECONDS, self._tick)
        self._listener.media_speaking(producer.session_id, True, display_level(producer.detector.peak_dbov))
        router = self._rooms.find(producer.room_id)
        if router is not None:
            router.started_speaking(producer)

    def speaking_stopped(self, producer: Producer) -> None:
        """Its detector has closed the spurt."""
        producer.spoke_at = asyncio.get_running_loop().time()
        self._speaking.pop(producer, None)
        self._listener.media_speaking(producer.session_id, False, 0.0)
        router = self._rooms.find(producer.room_id)
        if router is not None:
            router.rebalance()

    def silence(self, producer: Producer | None) -> None:
        """End its spurt now, if it speaks: it is muted, or its connection is gone. None: a listener."""
        if producer is not None and producer.detector.stop() is not None:
            self.speaking_stopped(producer)

    def close(self) -> None:
        """Stop the clock."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for producer in list(self._speaking):
            if producer.detector.tick(producer.timestamp_at(now)) is not None:
                self.speaking_stopped(producer)
        self._ticks += 1
        if self._speaking and self._ticks % LEVEL_EVERY_TICKS == 0:
            self._report_levels()
        self._timer = loop.call_later(TICK_SECONDS, self._tick) if self._speaking else None

    def _report_levels(self) -> None:
        self._listener.media_levels({p.session_id: display_level(p.report_level()) for p in self._speaking})
        for room_id in {p.room_id for p in self._speaking}:
            router = self._rooms.find(room_id)
            if router is not None:
                router.rebalance()
