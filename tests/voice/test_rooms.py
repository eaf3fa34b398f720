from __future__ import annotations

from datetime import timedelta

import pytest

from server.voice.participant import Participant, Role
from server.voice.ports import RoomView
from server.voice.rooms import RoomRegistry
from tests.voice.fakes import START


def someone(session: str, room: str = "lobby", world: str = "materie", after: float = 0) -> Participant:
    joined_at = START + timedelta(seconds=after)
    return Participant(session, room, f"user of {session}", "", world, None, Role.USER, joined_at, after)


def test_the_roster_is_in_the_order_of_joining() -> None:
    rooms = RoomRegistry()
    people = [someone(session) for session in ("c", "a", "b")]
    for person in people:
        rooms.add(person)
    assert rooms.roster("lobby") == tuple(people)
    rooms.remove(people[1])
    assert rooms.roster("lobby") == (people[0], people[2])
    assert rooms.find("a") is None
    assert rooms.find("b") is people[2]
    assert (len(rooms), rooms.room_count) == (2, 1)


def test_the_last_one_takes_the_room_along() -> None:
    rooms = RoomRegistry()
    first, second = someone("a"), someone("b", after=60)
    rooms.add(first)
    rooms.remove(first)
    assert (rooms.room_count, rooms.roster("lobby"), rooms.views("materie", 10)) == (0, (), ())
    rooms.add(second)
    assert rooms.views("materie", 10)[0].first_joined_at == second.joined_at
    with pytest.raises(KeyError):
        rooms.remove(first)


def test_views_are_of_one_world_the_longest_open_first() -> None:
    rooms = RoomRegistry()
    for person in (someone("a", "late", after=9), someone("b", "early"), someone("c", "other", "energie"), someone("d", "early")):
        rooms.add(person)
    assert rooms.views("materie", 2) == (
        RoomView("early", 2, 2, True, START),
        RoomView("late", 1, 2, False, START + timedelta(seconds=9)),
    )
    assert [view.room_id for view in rooms.views("energie", 2)] == ["other"]
    assert rooms.views("elsewhere", 2) == ()


def test_people_may_go_while_one_walks_over_them() -> None:
    rooms = RoomRegistry()
    for session in "abc":
        rooms.add(someone(session))
    for person in rooms:
        rooms.remove(person)
    assert len(rooms) == 0
