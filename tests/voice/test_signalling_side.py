"""What signalling tells the service, and what others hear of it."""

from __future__ import annotations

import pytest

from server.errors import SessionNotFound
from server.voice.events import ConnectionChanged, HandChanged, MuteChanged, ParticipantJoined
from server.voice.participant import EndReason, MutedBy, ParticipantState
from server.voice.service import VoiceService
from tests.voice.fakes import Events, FakeMedia, command


@pytest.fixture
async def session_id(service: VoiceService) -> str:
    return (await service.join(command())).participant.session_id


def test_only_the_first_websocket_is_a_join(service: VoiceService, session_id: str, events: Events) -> None:
    assert service.signalling_attached(session_id) is False
    assert events.all == [ParticipantJoined(service.participant(session_id))]
    states = [service.participant(session_id).state]
    service.signalling_detached(session_id)
    states.append(service.participant(session_id).state)
    assert service.signalling_attached(session_id) is True
    states.append(service.participant(session_id).state)
    assert states == [ParticipantState.CONNECTED, ParticipantState.DETACHED, ParticipantState.CONNECTED]
    assert events.all[1:] == [
        ConnectionChanged("lobby", session_id, "anna", False),
        ConnectionChanged("lobby", session_id, "anna", True),
    ]


def test_a_newer_websocket_takes_over(service: VoiceService, session_id: str) -> None:
    service.signalling_attached(session_id)
    assert service.signalling_attached(session_id) is True
    assert service.participant(session_id).state is ParticipantState.CONNECTED


async def test_what_comes_after_the_end_disturbs_nothing(service: VoiceService, session_id: str, events: Events) -> None:
    service.signalling_attached(session_id)
    await service.end(session_id, EndReason.LEFT)
    heard = len(events.all)
    service.signalling_detached(session_id)
    service.signalling_seen(session_id)
    for attempt in (
        lambda: service.signalling_attached(session_id),
        lambda: service.set_self_muted(session_id, True),
        lambda: service.set_hand(session_id, True),
    ):
        with pytest.raises(SessionNotFound):
            attempt()
    with pytest.raises(SessionNotFound):
        await service.negotiate(session_id, "offer")
    assert len(events.all) == heard


def test_self_mute(service: VoiceService, session_id: str, media: FakeMedia, events: Events) -> None:
    service.media_speaking(session_id, True, 0.5)
    service.set_self_muted(session_id, True)
    participant = service.participant(session_id)
    assert (participant.is_muted, participant.is_speaking) == (True, False)
    assert media.muted == {session_id: True}
    service.set_self_muted(session_id, True)
    service.set_self_muted(session_id, False)
    assert media.muted == {session_id: False}
    assert not participant.is_speaking
    assert events.of(MuteChanged) == [
        MuteChanged("lobby", session_id, "anna", True, MutedBy.SELF, frozenset({MutedBy.SELF})),
        MuteChanged("lobby", session_id, "anna", False, MutedBy.SELF, frozenset()),
    ]


def test_a_hand_is_told_on_change(service: VoiceService, session_id: str, events: Events) -> None:
    for raised in (True, True, False):
        service.set_hand(session_id, raised)
    assert service.participant(session_id).hand_raised is False
    assert [event.raised for event in events.of(HandChanged)] == [True, False]


async def test_an_offer_is_the_media_engine_s_to_answer(service: VoiceService, session_id: str, media: FakeMedia) -> None:
    assert await service.negotiate(session_id, "offer") == "answer to offer of lobby"
    media.fail_negotiate = ValueError("no audio")
    with pytest.raises(ValueError, match="no audio"):
        await service.negotiate(session_id, "offer")
    media.fail_negotiate = KeyError("a fault of the engine")
    with pytest.raises(KeyError, match="a fault of the engine"):
        await service.negotiate(session_id, "offer")


async def test_a_session_that_ends_during_the_negotiation(
    service: VoiceService, session_id: str, media: FakeMedia, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def negotiate(session_id: str, offer_sdp: str) -> str:
        await service.end(session_id, EndReason.LEFT)
        raise KeyError(session_id)

    monkeypatch.setattr(media, "negotiate", negotiate)
    with pytest.raises(SessionNotFound):
        await service.negotiate(session_id, "offer")
