"""Events out: to everybody who subscribed, whatever any of them does."""

from __future__ import annotations

import logging

from server.voice.events import VoiceEvent
from server.voice.ports import EventSink

__all__ = ["EventSinks"]

logger = logging.getLogger(__name__)


class EventSinks:
    """The subscribers, in the order of subscription. One that raises is logged and does not keep the others from hearing."""

    def __init__(self) -> None:
        self._sinks: tuple[EventSink, ...] = ()

    def add(self, sink: EventSink) -> None:
        self._sinks = (*self._sinks, sink)

    def emit(self, event: VoiceEvent) -> None:
        for sink in self._sinks:
            try:
                sink.emit(event)
            except Exception:
                logger.exception("a listener failed at %s", type(event).__name__)
