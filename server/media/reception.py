"""How a client's stream arrives here: loss and jitter as receiver reports tell them (RFC 3550, appendices A.1, A.3 and A.8)."""

from __future__ import annotations

from typing import Final

from .rtcp import RtcpReceiverInfo
from .speaking import CLOCK_RATE

__all__ = ["Reception"]

MAX_DROPOUT: Final = 3000
"""A larger step forward is a restart, not loss."""
MAX_MISORDER: Final = 100
"""A packet this much behind is late; further behind it belongs to a restart."""
_LATE: Final = 0x10000 - MAX_MISORDER
_MAX_TRANSIT_STEP: Final = CLOCK_RATE
"""A transit time that changes by more than a second is a clock that was set or has wrapped around, not jitter."""


class Reception:
    """The stream of one SSRC after the other. `packet` runs for each packet that comes in: integer arithmetic only.

    `expected` and `received` go on over changes of the SSRC, so that their differences tell the loss of any span.
    """

    __slots__ = (
        "_expected_before",
        "_first",
        "_jitter",
        "_reported_expected",
        "_reported_received",
        "_ssrc_received_before",
        "_transit",
        "highest",
        "received",
        "ssrc",
    )

    def __init__(self) -> None:
        self.ssrc: int | None = None
        """None before the first packet."""
        self.highest = -1
        """The highest sequence number with its wraps (RFC 3550, section 6.4.1)."""
        self.received = 0
        self._first = 0
        self._expected_before = 0
        self._ssrc_received_before = 0
        self._transit = 0
        self._jitter = 0
        self._reported_expected = 0
        self._reported_received = 0

    @property
    def expected(self) -> int:
        """How many packets were sent, as far as can be known here."""
        return self._expected_before + self.highest - self._first + 1 if self.ssrc is not None else 0

    @property
    def jitter_ticks(self) -> int:
        """Interarrival jitter in ticks of 48 kHz."""
        return self._jitter >> 4

    def packet(self, ssrc: int, sequence: int, timestamp: int, now: float) -> None:
        """An authentic packet with these header fields came at loop time `now`."""
        step = (sequence - self.highest) & 0xFFFF
        transit = int(now * CLOCK_RATE) - timestamp
        if step < MAX_DROPOUT and ssrc == self.ssrc:
            self.highest += step
        elif step < _LATE or ssrc != self.ssrc:
            self._begin(ssrc, sequence, transit)
            return
        self.received += 1
        change = transit - self._transit
        self._transit = transit
        if -_MAX_TRANSIT_STEP < change < _MAX_TRANSIT_STEP:
            jitter = self._jitter
            self._jitter = jitter + (change if change > 0 else -change) - ((jitter + 8) >> 4)

    def _begin(self, ssrc: int, sequence: int, transit: int) -> None:
        self._expected_before = self.expected
        self._ssrc_received_before = self.received
        self._reported_expected, self._reported_received = self.expected, self.received
        self.ssrc = ssrc
        self._first = self.highest = sequence
        self.received += 1
        self._transit = transit
        self._jitter = 0

    def report(self, last_report: int, delay: int) -> RtcpReceiverInfo | None:
        """The block of a receiver report, and the beginning of the next one's span; None before the first packet.

        `last_report` and `delay` are of the client's last sender report, in 1/65536 s; both 0 where none came.
        """
        if self.ssrc is None:
            return None
        expected = self.expected - self._reported_expected
        lost = expected - (self.received - self._reported_received)
        self._reported_expected, self._reported_received = self.expected, self.received
        lost_in_all = (self.expected - self._expected_before) - (self.received - self._ssrc_received_before)
        return RtcpReceiverInfo(
            ssrc=self.ssrc,
            fraction_lost=min(255, (lost << 8) // expected) if expected > 0 and lost > 0 else 0,
            packets_lost=max(-0x800000, min(lost_in_all, 0x7FFFFF)),
            highest_sequence=self.highest & 0xFFFFFFFF,
            jitter=self.jitter_ticks,
            lsr=last_report,
            dlsr=delay,
        )
