from __future__ import annotations

import pytest

from server.voice.events import HandChanged, VoiceEvent
from server.voice.sinks import EventSinks
from tests.voice.fakes import Events


class Broken:
    def emit(self, event: VoiceEvent) -> None:
        raise RuntimeError("no")


def test_one_that_raises_does_not_keep_others_from_hearing(caplog: pytest.LogCaptureFixture) -> None:
    sinks, events = EventSinks(), Events()
    sinks.add(Broken())
    sinks.add(events)
    event = HandChanged("lobby", "s1", "anna", True)
    sinks.emit(event)
    assert events.all == [event]
    assert "a listener failed at HandChanged" in caplog.text
