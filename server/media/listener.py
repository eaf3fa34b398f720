"""What the media plane tells those who know people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from .quality import QualityView

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

    def media_spurt(self, session_id: str, start: float, end: float, *, peak_dbov: int, mean_dbov: int, is_open: bool) -> None:
        """A talk-spurt from `start` to `end`, in loop time: when it has ended, and five times a second while it `is_open`.

        Its length is exact, in the sender's RTP time; where it lies is known as well as the network's delay is even. The levels
        are magnitudes in -dBov (RFC 6464).
        """

    def media_levels(self, levels: Mapping[str, float]) -> None:
        """Five times a second: the level of everyone who speaks, by session."""

    def media_quality(self, session_id: str, view: QualityView) -> None:
        """Every few seconds: how good the connection is. `view.is_news` where people should hear of it."""

    def media_contradiction(self, session_id: str, contradiction: str) -> None:
        """The levels that this client tells are false: `loud_over_silence` or `silence_over_speech`. From now on they are
        measured. Told once."""

    def media_slots(self, session_id: str, slots: Sequence[SlotView]) -> None:
        """The whole slot list of a receiver after a change, before the first packet of a new voice."""
