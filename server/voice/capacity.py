"""Whether one more person fits on this machine, decided before anyone inside hears the difference.

What a machine can send is a number of packets a second. What a room will send cannot be known: ten people may be silent or all
talk at once. So a join is judged by what is sent now, and by what it may add:

- *now* is the busiest of the last seconds, and at least one voice in each room, as a room that is silent at this moment will
  not stay so;
- *more* is the newcomer's own voice to everyone in the room (50 packets a second to each), and the voices of those who speak
  there now to the newcomer;
- who came within the last seconds is not seen in what is sent yet, so what they may add still counts on top.

To count everybody as talking all the time would refuse most people that fit (silence is not forwarded); to count only what is
sent would let a whole school class in before its first word. Where all are silent and then speak at once beyond that, the
second brake is the loop itself: while it is late, nobody new comes in.
"""

from __future__ import annotations

from typing import Final, Protocol

from server.errors import ServerAtCapacity

__all__ = ["CapacityGate", "LiveLoad"]

PACKETS_A_VOICE: Final = 50
"""A second: 20 ms of audio each."""
UNSEEN_SECONDS: Final = 10.0
"""How long what a newcomer may add counts on top of what is sent."""
MOST_LATENESS: Final = 0.2
"""Beyond it the loop is always late, by a quarter of what passes between two looks at it: not a hiccup, a queue."""
RETRY_AFTER_SECONDS: Final = 10


class LiveLoad(Protocol):
    """What the process sends, and how late its loop is."""

    @property
    def peak_packets_per_second(self) -> float:
        """Of the busiest of the last seconds."""
        ...

    @property
    def lateness(self) -> float:
        """The share of the last seconds in which the loop should have been back already."""
        ...


class CapacityGate:
    """Lets people in while `limit` packets a second will do; everybody where it is None.

    `now` is a monotonic time in seconds throughout.
    """

    def __init__(self, limit: int | None, live: LiveLoad) -> None:
        self.limit = limit
        self._live = live
        self._unseen: dict[str, tuple[float, int]] = {}
        """Session id -> when they came and what they may add; the oldest first."""
        self._unseen_packets = 0

    def admit(self, session_id: str, *, others: int, speaking: int, people: int, rooms: int, now: float) -> None:
        """Let one more in. Raises `ServerAtCapacity` where that may cost those inside quality.

        `others` are in the room already, `speaking` of them speak; `people` and `rooms` are those of the whole server.
        """
        if self.limit is None:
            return
        self._forget_seen(now)
        added = PACKETS_A_VOICE * (others + speaking)
        if self.expected(people, rooms) + added > self.limit or self._live.lateness > MOST_LATENESS:
            raise ServerAtCapacity(retry_after=RETRY_AFTER_SECONDS)
        self._unseen[session_id] = (now, added)
        self._unseen_packets += added

    def withdraw(self, session_id: str) -> None:
        """Who was let in did not come, or is gone."""
        _, added = self._unseen.pop(session_id, (0.0, 0))
        self._unseen_packets -= added

    def expected(self, people: int, rooms: int) -> float:
        """Packets a second that those inside account for."""
        one_voice_each = PACKETS_A_VOICE * max(people - rooms, 0)
        return max(self._live.peak_packets_per_second, one_voice_each) + self._unseen_packets

    def _forget_seen(self, now: float) -> None:
        for session_id, (came, _) in list(self._unseen.items()):
            if now - came < UNSEEN_SECONDS:
                return
            self.withdraw(session_id)
