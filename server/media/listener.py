"""What the media plane tells those who know people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

__all__ = ["MediaListener", "SlotView"]


@dataclass(frozen=True, slots=True)
class SlotView:
    """Who is heard in the m-section `mid`; `session_id` is None while the slot is free."""

    mid: str
    session_id: str | None


class MediaListener(Protocol):
    """Called on the event loop; must not block and must not raise."""

    def media_connected(self, session_id: str) -> None:
        """DTLS is done: audio flows from now on."""

    def media_failed(self, session_id: str, reason: str) -> None:
        """The connection could not be made, or the client has ended it."""

    def media_speaking(self, session_id: str, speaking: bool, level: float) -> None:
        """A talk-spurt began or ended. `level` is 0.0 to 1.0."""

    def media_levels(self, levels: Mapping[str, float]) -> None:
        """Five times a second: the level of everyone who speaks, by session."""

    def media_slots(self, session_id: str, slots: Sequence[SlotView]) -> None:
        """The whole slot list of a receiver after a change, before the first packet of a new voice."""
