"""What waits to be written to one connection: bounded, and with a policy for each kind of frame that no longer fits."""

from __future__ import annotations

from collections import deque
from enum import Enum
from typing import Final

__all__ = ["Delivery", "Outbox", "Verdict"]

MAX_FRAMES: Final = 256
MAX_BYTES: Final = 1024 * 1024


class Delivery(Enum):
    """What to do with a frame when the client does not read fast enough.

    EVENT: must arrive, as the client's picture of the room is wrong without it; a full outbox is the end of the connection.
    LEVELS: the next ones come in 200 ms, so they are left out as soon as a quarter of the outbox waits.
    RELAY: written by another client, who must not be able to end this connection by writing a lot: refused to that one as soon
    as half of the outbox waits.
    """

    EVENT = 1.0
    LEVELS = 0.25
    RELAY = 0.5


class Verdict(Enum):
    """What became of an offered frame."""

    QUEUED = "queued"
    LEFT_OUT = "left out"
    OVERFLOW = "overflow"


class Outbox:
    """A queue of frames, bounded in number and in bytes. Pure: who empties it and when is the business of `Peer`."""

    def __init__(self, *, max_frames: int = MAX_FRAMES, max_bytes: int = MAX_BYTES) -> None:
        self._frames: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._max_frames = max_frames
        self._max_bytes = max_bytes

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def waiting_bytes(self) -> int:
        """How many bytes wait."""
        return self._waiting_bytes

    def offer(self, frame: bytes, delivery: Delivery) -> Verdict:
        """Queue `frame` where its share of the outbox has room for it."""
        share = delivery.value
        fits = len(self._frames) + 1 <= self._max_frames * share and self._waiting_bytes + len(frame) <= self._max_bytes * share
        if not fits:
            return Verdict.OVERFLOW if delivery is Delivery.EVENT else Verdict.LEFT_OUT
        self._frames.append(frame)
        self._waiting_bytes += len(frame)
        return Verdict.QUEUED

    def take(self) -> bytes:
        """The oldest frame. Raises `IndexError` where none waits."""
        frame = self._frames.popleft()
        self._waiting_bytes -= len(frame)
        return frame

    def clear(self) -> None:
        """Give up what waits."""
        self._frames.clear()
        self._waiting_bytes = 0
