from __future__ import annotations

from dataclasses import dataclass

import pytest

from server.media.quality import Figures, QualityView
from server.voice.events import (
    LevelsChanged,
    LevelsContradicted,
    MediaStateChanged,
    QualityMeasured,
    SlotsChanged,
    SpeakingChanged,
)
from server.voice.participant import EndReason
from server.voice.service import VoiceService
from tests.voice.fakes import Events, command


@dataclass(frozen=True)
class Slot:
    mid: str
    session_id: str | None


@pytest.fixture
async def anna(service: VoiceService) -> str:
    return (await service.join(command("anna"))).participant.session_id


@pytest.fixture
async def bert(service: VoiceService) -> str:
    return (await service.join(command("bert"))).participant.session_id


def test_connected_and_failed(service: VoiceService, anna: str, events: Events) -> None:
    service.media_connected(anna)
    service.media_failed(anna, "close_notify")
    assert events.all == [
        MediaStateChanged("lobby", anna, True, None),
        MediaStateChanged("lobby", anna, False, "close_notify"),
    ]
    assert service.participant(anna).session_id == anna, "that alone ends nothing"


def test_speaking_is_seen_in_the_roster(service: VoiceService, anna: str, events: Events) -> None:
    service.media_speaking(anna, True, 0.7)
    assert service.roster("lobby")[0].is_speaking
    service.media_speaking(anna, False, 0.0)
    assert not service.roster("lobby")[0].is_speaking
    assert events.all == [
        SpeakingChanged("lobby", anna, "anna", True, 0.7),
        SpeakingChanged("lobby", anna, "anna", False, 0.0),
    ]


def test_who_is_muted_does_not_begin_to_speak_but_stops(service: VoiceService, anna: str, events: Events) -> None:
    service.media_speaking(anna, True, 0.7)
    service.set_self_muted(anna, True)
    service.media_speaking(anna, False, 0.0)
    service.media_speaking(anna, True, 0.7)
    assert [event.speaking for event in events.of(SpeakingChanged)] == [True, False]
    assert not service.roster("lobby")[0].is_speaking


def test_quality_and_findings_are_of_a_person(service: VoiceService, anna: str, events: Events) -> None:
    view = QualityView("good", 3.9, Figures(rtt_ms=40.0, up_jitter_ms=1.0, up_loss_pct=2.0), is_news=True)
    service.media_quality(anna, view)
    service.media_quality("gone", view)
    service.media_contradiction(anna, "loud_over_silence")
    service.media_contradiction("gone", "loud_over_silence")
    measured = QualityMeasured("lobby", anna, "anna", "good", 3.9, 40.0, 1.0, 2.0, None, None, is_news=True)
    assert events.all == [measured, LevelsContradicted("lobby", anna, "anna", "loud_over_silence")]
    assert (measured.jitter_ms, measured.loss_pct) == (1.0, 2.0)


async def test_levels_go_to_their_own_room(service: VoiceService, anna: str, bert: str, events: Events) -> None:
    cleo = (await service.join(command("cleo", room="attic"))).participant.session_id
    dora = (await service.join(command("dora", room="cellar"))).participant.session_id
    service.set_self_muted(dora, True)
    service.media_levels({anna: 0.1, cleo: 0.2, bert: 0.3, "gone": 0.4, dora: 0.5})
    assert events.of(LevelsChanged) == [
        LevelsChanged("lobby", {anna: 0.1, bert: 0.3}),
        LevelsChanged("attic", {cleo: 0.2}),
    ]


async def test_slots_name_who_is_heard(service: VoiceService, anna: str, bert: str, events: Events) -> None:
    service.media_slots(anna, [Slot("1", bert), Slot("2", None)])
    await service.end(bert, EndReason.LEFT)
    service.media_slots(anna, [Slot("1", bert), Slot("2", None)])
    assert events.of(SlotsChanged) == [
        SlotsChanged("lobby", anna, (("1", bert, "bert"), ("2", None, None))),
        SlotsChanged("lobby", anna, (("1", None, None), ("2", None, None))),
    ]


async def test_facts_about_those_who_are_gone_are_nobody_s(service: VoiceService, anna: str, events: Events) -> None:
    await service.end(anna, EndReason.LEFT)
    service.media_connected(anna)
    service.media_failed(anna, "late")
    service.media_speaking(anna, True, 1.0)
    service.media_levels({anna: 1.0})
    service.media_slots(anna, [Slot("1", None)])
    assert events.all == []
