from __future__ import annotations

import pytest

from server.voice.participant import EndReason
from server.voice.presence import Gone, Presence


@pytest.fixture
def presence() -> Presence:
    presence = Presence(join_timeout=20, presence_timeout=8)
    presence.expect("s1", 100.0)
    return presence


def test_someone_who_never_comes_is_rolled_back(presence: Presence) -> None:
    assert presence.gone(119.9) == []
    assert presence.gone(120.0) == [Gone("s1", EndReason.ROLLED_BACK, 100.0)]


def test_someone_who_came_and_is_silent_has_timed_out(presence: Presence) -> None:
    presence.seen("s1", 110.0)
    assert presence.gone(117.9) == []
    assert presence.gone(118.0) == [Gone("s1", EndReason.TIMEOUT, 110.0)]


def test_signs_that_arrive_out_of_order_keep_the_latest(presence: Presence) -> None:
    presence.seen("s1", 110.0)
    presence.seen("s1", 105.0)
    assert presence.last_sign("s1") == 110.0


def test_who_gives_signs_is_never_gone(presence: Presence) -> None:
    for second in range(100, 200, 7):
        presence.seen("s1", second)
        assert presence.gone(second + 6) == []


def test_a_forgotten_session_is_unknown(presence: Presence) -> None:
    presence.forget("s1")
    presence.seen("s1", 130.0)
    presence.forget("s1")
    assert presence.gone(1000.0) == []
    with pytest.raises(KeyError):
        presence.last_sign("s1")
