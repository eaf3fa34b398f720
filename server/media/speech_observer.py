"""Who speaks now, in all rooms: edges and levels told upward, silence looked for by the clock."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from .level_audit import Contradiction
from .level_meter import LevelMeter
from .listener import MediaListener
from .producer import Producer
from .rooms import RoomDirectory
from .speaking import CLOCK_RATE, SILENT_LEVEL, display_level

__all__ = ["SpeechObserver"]

logger = logging.getLogger(__name__)

TICK_SECONDS: Final = 0.02
"""How often silence is looked for without a packet: the end of a talk-spurt is noticed at most this much late."""
LEVEL_EVERY_TICKS: Final = 10
"""Levels are told five times a second."""


class SpeechObserver:
    """Told by the packet path when somebody begins or stops; ticks only while somebody speaks.

    `threshold_dbov` is that of speech, for the audit of levels.
    """

    def __init__(self, listener: MediaListener, rooms: RoomDirectory, threshold_dbov: int) -> None:
        self._listener = listener
        self._rooms = rooms
        self._meter = LevelMeter(self, threshold_dbov)
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
        self._report_spurt(producer, is_open=False)
        self._listener.media_speaking(producer.session_id, False, 0.0)
        router = self._rooms.find(producer.room_id)
        if router is not None:
            router.rebalance()

    def silence(self, producer: Producer | None) -> None:
        """End its spurt now, if it speaks: it is muted, or its connection is gone. None: a listener."""
        if producer is not None and producer.detector.stop() is not None:
            self.speaking_stopped(producer)

    def attend(self, producer: Producer) -> None:
        """A microphone is connected: its levels are measured where it tells none, and looked at where it does."""
        self._meter.add(producer)

    def dismiss(self, producer: Producer) -> None:
        """Its session is over."""
        self._meter.remove(producer)

    def level_missing(self, producer: Producer, timestamp: int, duration: int, payload: bytes) -> None:
        """A packet that does not say how loud it is."""
        self._meter.measure(producer, timestamp, duration, payload)

    def level_measured(self, producer: Producer, timestamp: int, duration: int, level: int) -> None:
        """It was this loud."""
        detector = producer.detector
        if detector.packet(timestamp, duration, level):
            self.speaking_started(producer)
        elif detector.speaking and detector.tick(timestamp) is not None:
            self.speaking_stopped(producer)

    def level_contradicted(self, producer: Producer, contradiction: Contradiction) -> None:
        """What counts from now on is measured."""
        logger.warning("session %s: its levels are false: %s", producer.session_id, contradiction.value)
        self._listener.media_contradiction(producer.session_id, contradiction.value)

    @property
    def unmeasured(self) -> int:
        """Packets without a level that could not be measured in time."""
        return self._meter.dropped

    async def close(self) -> None:
        """Stop the clock, and what measures."""
        await self._meter.close()
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

    def _report_spurt(self, producer: Producer, *, is_open: bool) -> None:
        spurt = producer.detector.spurt
        start = producer.loop_time(spurt.start)
        self._listener.media_spurt(
            producer.session_id,
            start,
            start + spurt.ticks / CLOCK_RATE,
            peak_dbov=spurt.peak_dbov,
            mean_dbov=spurt.mean_dbov,
            is_open=is_open,
        )

    def _report_levels(self) -> None:
        for producer in self._speaking:
            self._report_spurt(producer, is_open=True)
        self._listener.media_levels({p.session_id: display_level(p.report_level()) for p in self._speaking})
        for room_id in {p.room_id for p in self._speaking}:
            router = self._rooms.find(room_id)
            if router is not None:
                router.rebalance()
