"""Who is in which room, now. A room exists while someone is in it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from server.voice.participant import Participant
from server.voice.ports import RoomView

__all__ = ["RoomRegistry"]


@dataclass(slots=True)
class _Room:
    """`opened_at` is when the first of an unbroken row of people came; `members` keeps the order of joining."""

    room_id: str
    world: str
    opened_at: datetime
    members: dict[str, Participant] = field(default_factory=dict)


class RoomRegistry:
    """The one owner of "who is where". The store decides who may come in; this only keeps the result at hand."""

    def __init__(self) -> None:
        self._rooms: dict[str, _Room] = {}
        self._by_session: dict[str, Participant] = {}

    def __len__(self) -> int:
        """How many participants there are."""
        return len(self._by_session)

    def __iter__(self) -> Iterator[Participant]:
        """Everyone, in the order of joining. Safe against changes while iterating."""
        return iter(tuple(self._by_session.values()))

    @property
    def room_count(self) -> int:
        return len(self._rooms)

    def add(self, participant: Participant) -> None:
        room = self._rooms.get(participant.room_id)
        if room is None:
            room = self._rooms[participant.room_id] = _Room(participant.room_id, participant.world, participant.joined_at)
        room.members[participant.session_id] = participant
        self._by_session[participant.session_id] = participant

    def remove(self, participant: Participant) -> None:
        """Take someone out; the last one takes the room along. Raises `KeyError` for someone who is not in."""
        del self._by_session[participant.session_id]
        room = self._rooms[participant.room_id]
        del room.members[participant.session_id]
        if not room.members:
            del self._rooms[participant.room_id]

    def find(self, session_id: str) -> Participant | None:
        return self._by_session.get(session_id)

    def roster(self, room_id: str) -> tuple[Participant, ...]:
        """Who is in the room, in the order of joining; empty for a room that nobody is in."""
        room = self._rooms.get(room_id)
        return tuple(room.members.values()) if room is not None else ()

    def views(self, world: str, max_participants: int) -> tuple[RoomView, ...]:
        """The rooms of a world that someone is in, the longest open first."""
        rooms = sorted((room for room in self._rooms.values() if room.world == world), key=lambda r: (r.opened_at, r.room_id))
        return tuple(
            RoomView(
                room_id=room.room_id,
                participant_count=len(room.members),
                max_participants=max_participants,
                is_full=len(room.members) >= max_participants,
                first_joined_at=room.opened_at,
            )
            for room in rooms
        )
