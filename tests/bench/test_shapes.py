"""The shapes of a load."""

from __future__ import annotations

from typing import Any

import pytest

from bench.shapes import SHAPES, Others, shape_named


def test_everybody_talks() -> None:
    shape = shape_named("talk", rooms=20)
    assert (shape.packets_in_per_second, shape.packets_out_per_second) == (10_000, 90_000)
    assert [shape.offer(seat).directions() for seat in (0, 9)] == [("sendonly", *["recvonly"] * 9)] * 2
    assert shape.heard(3) == 9


def test_fewer_talk_where_that_is_asked_for() -> None:
    shape = shape_named("talk", size=4, speakers=2)
    assert (shape.speakers, shape.listeners, shape.others) == (2, 3, Others.SILENT)
    assert shape_named("talk", size=4).speakers == 4
    assert shape.settings["VOICE_MAX_PARTICIPANTS"] == "10"


def test_two_talk_and_eight_are_in_a_pause() -> None:
    shape = SHAPES["dtx"]
    assert shape.others is Others.DTX
    assert [shape.heard(seat) for seat in (0, 5)] == [9, 9]
    assert shape.packets_out_per_second == 5 * 2 * 9 * 50


def test_an_audience_hears_three_who_hear_each_other() -> None:
    shape = SHAPES["audience"]
    assert shape.packets_out_per_second == 3 * 502 * 50
    assert [shape.heard(seat) for seat in (0, 3)] == [2, 3]
    assert shape.offer(0).directions() == ("sendonly", "recvonly", "recvonly")
    assert shape.offer(3).directions() == ("recvonly",) * 3
    assert shape_named("audience", size=703).settings["VOICE_MAX_PARTICIPANTS"] == "703"


def test_the_published_load_of_livekit() -> None:
    shape = shape_named("livekit", size=60)
    assert (shape.listeners, shape.packets_per_second, shape.payload_bytes) == (50, 30, 24)
    assert shape.packets_out_per_second == 10 * 50 * 30
    assert shape.offer(0).directions() == ("sendonly",)
    assert len(shape.offer(10).directions()) == 10
    assert [shape.heard(seat) for seat in (0, 10)] == [0, 10]


def test_growing() -> None:
    assert SHAPES["audience"].with_size(100).listeners == 99
    assert SHAPES["livekit"].with_size(100).listeners == 90
    assert SHAPES["talk"].with_rooms(7).rooms == 7


@pytest.mark.parametrize(
    "change",
    [
        {"rooms": 0},
        {"size": 1},
        {"speakers": 11},
        {"speakers": 0},
        {"size": 20, "speakers": 20},
        {"seconds": 0},
        {"payload_bytes": 5},
    ],
)
def test_loads_that_make_no_sense(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"at least|at most|payloads"):
        shape_named("talk", **change)
