from __future__ import annotations

import logging

import pytest

from server.voice.participant import EndReason, IllegalTransition, Participant, ParticipantState, Role
from tests.voice.fakes import START

RESERVED, CONNECTED, DETACHED, ENDED = ParticipantState
ALLOWED = {
    (RESERVED, CONNECTED),
    (RESERVED, ENDED),
    (CONNECTED, DETACHED),
    (CONNECTED, ENDED),
    (DETACHED, CONNECTED),
    (DETACHED, ENDED),
}
WAY = {RESERVED: [], CONNECTED: [CONNECTED], DETACHED: [CONNECTED, DETACHED], ENDED: [ENDED]}


def participant() -> Participant:
    return Participant("s1", "lobby", "anna", "Anna", "materie", None, Role.USER, START, 0.0)


@pytest.mark.parametrize("start", ParticipantState)
@pytest.mark.parametrize("to", ParticipantState)
def test_every_pair_of_states(start: ParticipantState, to: ParticipantState) -> None:
    someone = participant()
    for step in WAY[start]:
        someone.move(step, "on the way")
    if (start, to) in ALLOWED:
        someone.move(to, "test")
        assert someone.state is to
    else:
        with pytest.raises(IllegalTransition):
            someone.move(to, "test")
        assert someone.state is start


def test_a_change_is_logged_with_its_reason(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    participant().move(ENDED, EndReason.LEFT)
    assert "participant s1: reserved -> ended (left)" in caplog.text


def test_the_words_of_the_wire() -> None:
    assert [reason.value for reason in EndReason] == [reason.name.lower() for reason in EndReason]
    assert [role.value for role in Role] == ["user", "moderator", "admin"]
