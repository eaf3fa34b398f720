"""The shapes of a load: how many rooms of how many people, who of them talks, and what the others do meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from bench.sdp import OfferOptions

__all__ = ["MOST_SLOTS", "SHAPES", "Others", "Shape", "shape_named"]

MOST_SLOTS: Final = 12
"""More voices at once the server does not send to one client."""
SMALLEST_PAYLOAD: Final = 13
"""Bytes that the stamp in a payload takes."""


class Others(StrEnum):
    """What those do who do not talk."""

    SILENT = "silent"
    """They have a microphone that sends nothing."""
    DTX = "dtx"
    """Their microphone sends what Chromium sends in a pause: two packets of comfort noise every 400 ms."""
    LISTEN = "listen"
    """They have no microphone."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What was asked for. `listeners` is how many receive each packet of a speaker; payloads in bytes, `seconds` are measured."""

    rooms: int
    size: int
    speakers: int
    listeners: int
    payload_bytes: int
    seconds: float
    name: str = "talk"
    packets_per_second: float = 50.0
    others: Others = Others.SILENT
    settings: Mapping[str, str] = field(default_factory=dict)
    """Further `VOICE_…` settings of the server."""

    def __post_init__(self) -> None:
        if self.rooms < 1 or self.size < 2 or not 1 <= self.speakers <= self.size:
            raise ValueError("at least one room, two people in it, and one to all of them speaking")
        if not SMALLEST_PAYLOAD <= self.payload_bytes <= 400 or not 1 <= self.seconds <= 600:
            raise ValueError(f"payloads of {SMALLEST_PAYLOAD} to 400 bytes, 1 to 600 seconds")
        if self.speakers > self.slots + (not self.speakers_are_deaf):
            raise ValueError(f"at most {MOST_SLOTS + 1} speakers a room: more are not heard at once")

    @property
    def speakers_are_deaf(self) -> bool:
        """Whether publishers and subscribers are different people."""
        return self.listeners == self.size - self.speakers

    @property
    def slots(self) -> int:
        """How many voices the server lets a listener hear."""
        return int(self.settings.get("VOICE_SLOTS", 0)) or min(self.size - 1, MOST_SLOTS)

    def speaks(self, seat: int) -> bool:
        """Whether who sits there talks: the first ones do."""
        return seat < self.speakers

    def offer(self, seat: int) -> OfferOptions:
        """What who sits there offers."""
        if self.speaks(seat):
            return OfferOptions(slots=0 if self.speakers_are_deaf else self.heard(seat))
        if self.others is Others.LISTEN:
            return OfferOptions(slots=self.heard(seat) - 1, listen_only=True)
        return OfferOptions(slots=self.heard(seat))

    def heard(self, seat: int) -> int:
        """How many microphones reach who sits there."""
        microphones = self.speakers if self.others is Others.LISTEN else self.size
        if self.speaks(seat) and self.speakers_are_deaf:
            return 0
        own = self.speaks(seat) or self.others is not Others.LISTEN
        return min(microphones - own, self.slots)

    @property
    def packets_in_per_second(self) -> float:
        """Sent by all speakers."""
        return self.rooms * self.speakers * self.packets_per_second

    @property
    def packets_out_per_second(self) -> float:
        """To be sent by the server, what is left of pauses aside."""
        return self.packets_in_per_second * self.listeners

    def with_rooms(self, rooms: int) -> Shape:
        """The same with so many rooms."""
        return replace(self, rooms=rooms)

    def with_size(self, size: int) -> Shape:
        """The same with so many people a room."""
        return replace(self, size=size, listeners=self.listeners + size - self.size)


def shape_named(
    name: str,
    *,
    rooms: int | None = None,
    size: int | None = None,
    speakers: int | None = None,
    seconds: float | None = None,
    payload_bytes: int | None = None,
) -> Shape:
    """A shape of `SHAPES` with what is given changed. Raises ValueError for one that makes no sense."""
    model = SHAPES[name]
    size = model.size if size is None else size
    if speakers is None:
        speakers = size if model.speakers == model.size else model.speakers
    settings = dict(model.settings)
    settings["VOICE_MAX_PARTICIPANTS"] = str(max(size, int(settings.get("VOICE_MAX_PARTICIPANTS", 10))))
    return replace(
        model,
        rooms=model.rooms if rooms is None else rooms,
        size=size,
        speakers=speakers,
        listeners=size - speakers if model.speakers_are_deaf else size - 1,
        payload_bytes=model.payload_bytes if payload_bytes is None else payload_bytes,
        seconds=model.seconds if seconds is None else seconds,
        settings=settings,
    )


SHAPES: Final[Mapping[str, Shape]] = MappingProxyType(
    {
        "talk": Shape(5, 10, 10, 9, 80, 10.0),
        "dtx": Shape(5, 10, 2, 9, 80, 10.0, "dtx", others=Others.DTX),
        "audience": Shape(
            1, 503, 3, 502, 80, 10.0, "audience", others=Others.LISTEN,
            settings=MappingProxyType({"VOICE_MAX_PARTICIPANTS": "503", "VOICE_SLOTS": "3"}),
        ),
        "livekit": Shape(
            1, 160, 10, 150, 24, 10.0, "livekit", packets_per_second=30.0, others=Others.LISTEN,
            settings=MappingProxyType({"VOICE_SLOTS": "10"}),
        ),
    }
)  # fmt: skip
"""talk: all of ten talk. dtx: two of ten talk, the others are in a pause. audience: 500 hear three. livekit: the published
load test of that server, ten publishers and N subscribers at 30 small packets a second.
"""
