"""Someone's microphone: one stream in, a clean one out to all who listen.

What arrives may start anywhere, wrap around, jump, come late, or stop and start again with another SSRC. A producer turns it
into one stream whose sequence numbers have no hole that we made and whose timestamps follow the clock, so that each consumer
only has to add constants. The same clock drives the speaking detector.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .speaking import CLOCK_RATE, SILENT_LEVEL, SpeakingDetector, SpeakingRules

if TYPE_CHECKING:
    from .consumer import Consumer, FanOut

__all__ = ["Numbered", "Producer"]

CLOCK_TOLERANCE_SECONDS: Final = 2.0
"""How far a sender's RTP clock may be from the wall clock before we stop following it; bounds what a forged clock can add."""
CLOCK_DRIFT: Final = 0.0005
"""500 ppm on top: sound cards drift by up to 100 ppm, for as long as a call lasts."""
SSRC_TAKEOVER_SECONDS: Final = 0.2
"""A new SSRC is followed once the old one has been silent for this long; two at once would only tear the stream."""
MAX_SEQUENCE_STEP: Final = 3000
"""One minute of packets; a larger step is a restart, not loss (RFC 3550, appendix A.1: MAX_DROPOUT)."""


Numbered = tuple[int, int, bool, bool]
"""A packet in the producer's own, unbounded numbering: sequence, timestamp, whether one after it was numbered before (it is
late), whether it starts a new run. A plain tuple: one is made for each packet."""


class Producer:
    """One microphone. The packet path walks `fan_out`, one entry for each consumer that is on."""

    __slots__ = (
        "_created_at",
        "_last_arrival",
        "_raw_sequence",
        "_raw_timestamp",
        "_rebase",
        "_run_start",
        "_ssrc",
        "_timestamp",
        "audio_level_id",
        "consumers",
        "detector",
        "fan_out",
        "last_sequence",
        "level_dbov",
        "muted",
        "packets",
        "session_id",
        "spoke_at",
    )

    def __init__(self, session_id: str, rules: SpeakingRules, now: float) -> None:
        self.session_id = session_id
        self.detector = SpeakingDetector(rules)
        self.consumers: set[Consumer] = set()
        """Slots that this producer has been given, whether they are on already or not."""
        self.fan_out: dict[Consumer, FanOut] = {}
        self.muted = False
        self.audio_level_id: int | None = None
        """Header extension id of RFC 6464 in this client's packets; None where it was not negotiated."""
        self.packets = 0
        self.level_dbov = SILENT_LEVEL
        """Loudest level of the last reporting period."""
        self.spoke_at = -1.0
        """Loop time when the last spurt began or ended; -1.0 for never. Decides who gives a slot away."""
        self.last_sequence = -1
        """The highest number given; -1 before the first packet."""
        self._ssrc: int | None = None
        self._rebase = True
        self._run_start = 0
        self._raw_sequence = 0
        self._raw_timestamp = 0
        self._timestamp = 0
        self._created_at = now
        self._last_arrival = now

    def timestamp_at(self, now: float) -> int:
        """This producer's clock at loop time `now`, in ticks: the newest packet's timestamp, carried on by the wall clock."""
        return self._timestamp + int((now - self._last_arrival) * CLOCK_RATE)

    def pause(self) -> None:
        """Packets are being dropped on purpose: the next one that is numbered follows without a hole."""
        self._rebase = True

    def restart(self) -> None:
        """The sender has a new connection: whatever SSRC, sequence number and timestamp it begins with follow without a hole."""
        self._ssrc = None
        self._rebase = True

    def number(self, ssrc: int, sequence: int, timestamp: int, now: float) -> Numbered | None:
        """Number a packet that passed authentication; the arguments are its header's. None for one that must be dropped."""
        if ssrc != self._ssrc:
            if self._ssrc is not None and now - self._last_arrival < SSRC_TAKEOVER_SECONDS:
                return None
            self._ssrc, self._rebase = ssrc, True
        if self._rebase:
            return self._begin_run(sequence, timestamp, now)
        step = (sequence - self._raw_sequence) & 0xFFFF
        ticks = ((timestamp - self._raw_timestamp + 0x80000000) & 0xFFFFFFFF) - 0x80000000
        if step >= 0x8000:
            late_sequence = self.last_sequence - (0x10000 - step)
            return (late_sequence, self._timestamp + ticks, True, False) if late_sequence >= self._run_start else None
        if step == 0:
            return None
        if step > MAX_SEQUENCE_STEP or not self._is_plausible(self._timestamp + ticks, now):
            return self._begin_run(sequence, timestamp, now)
        self.last_sequence += step
        self._timestamp += ticks
        self._raw_sequence, self._raw_timestamp, self._last_arrival = sequence, timestamp, now
        return self.last_sequence, self._timestamp, False, False

    def _begin_run(self, sequence: int, timestamp: int, now: float) -> Numbered:
        carried_on = self.timestamp_at(now)
        self._timestamp = carried_on if self._is_plausible(carried_on, now) else self._wall_ticks(now)
        self.last_sequence += 1
        self._run_start = self.last_sequence
        self._raw_sequence, self._raw_timestamp, self._last_arrival = sequence, timestamp, now
        self._rebase = False
        return self.last_sequence, self._timestamp, False, True

    def _wall_ticks(self, now: float) -> int:
        return int((now - self._created_at) * CLOCK_RATE)

    def _is_plausible(self, ticks: int, now: float) -> bool:
        tolerance = CLOCK_TOLERANCE_SECONDS + CLOCK_DRIFT * (now - self._created_at)
        return abs(ticks - self._wall_ticks(now)) <= tolerance * CLOCK_RATE
