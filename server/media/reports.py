"""RTCP of one connection, both ways: what we report to the client, and what its reports tell of what we send.

A client reports holes in a slot's numbers, whoever made them: also what the speaker's own connection had lost before it came
here. Those are known (`Producer.holes`) and taken off, so that a listener's loss is that of the way to the listener. In the
same way the speaker's jitter is taken off, and of all slots the one with the least left counts: the way is no worse than that.
"""

from __future__ import annotations

import math
from typing import Final

from .consumer import Consumer
from .producer import Producer
from .quality import Figures, LossWindow
from .router import Endpoint
from .rtcp import Control, ReceptionReport, RtcpSenderInfo, compose, middle_bits, ntp_time
from .speaking import CLOCK_RATE

__all__ = ["Reports"]

NTP_UNITS: Final = 65536
"""Of the middle 32 bits of NTP time, a second."""
MAX_ROUND_TRIP_SECONDS: Final = 30.0
"""A longer one is a report that refers to nothing of ours."""
VALID_SECONDS: Final = 20.0
"""Clients report every 5 s or so (RFC 3550, section 6.2); after a few of those have failed to come nothing is known."""
MAX_PACKETS_A_REPORT: Final = 50_000
"""More than a client can have been sent between two of its reports: its counters began anew."""
JITTER_MIN_PACKETS: Final = 20
"""A slot with fewer packets since its last report says nothing of jitter."""
_HALF: Final = 0x80000000
_MASK: Final = 0xFFFFFFFF


class Reports:
    """Lives as long as a connection. `ssrc` is what we are called where we send nothing.

    Times are loop times. `epoch` is what 0 of them is in Unix time, in seconds: NTP times come from the same clock, so that a
    wall clock that is set does no harm.
    """

    __slots__ = (
        "_client_reports",
        "_down_expected",
        "_down_jitter",
        "_down_lost",
        "_down_window",
        "_endpoint",
        "_epoch",
        "_round_trip",
        "_seen",
        "_told_packets",
        "_up_window",
        "ssrc",
    )

    def __init__(self, endpoint: Endpoint, ssrc: int, epoch: float) -> None:
        self._endpoint = endpoint
        self._epoch = epoch
        self.ssrc = ssrc
        self._client_reports: tuple[int, int, float] | None = None  # SSRC, name, when it came
        self._seen: dict[int, tuple[int, int, Producer | None, int]] = {}  # by SSRC: highest, lost, producer, its holes
        self._told_packets: dict[int, int] = {}
        self._round_trip: tuple[float, float] | None = None  # when it was measured, seconds
        self._down_expected = 0
        self._down_lost = 0
        self._down_jitter: tuple[float, float] | None = None  # when it was reported, seconds
        self._down_window = LossWindow()
        self._up_window = LossWindow()

    # out

    def compose(self, now: float) -> bytes:
        """The next compound packet: a sender report for each slot that sent since the last one, a block on the microphone."""
        ntp = ntp_time(now + self._epoch)
        senders = []
        names = []
        for slot in self._endpoint.slots.values():
            packets, octets = slot.sent()
            if packets == self._told_packets.get(slot.ssrc, 0):
                continue
            self._told_packets[slot.ssrc] = packets
            info = RtcpSenderInfo(ntp, slot.timestamp_at(now), packets & _MASK, octets & _MASK)
            senders.append((slot.ssrc, info))
            names.append((slot.ssrc, slot.cname))
        producer = self._endpoint.producer
        block = None
        if producer is not None:
            block = producer.reception.report(*self._reference_of(producer.reception.ssrc, now))
        if not names:
            names.append((self.ssrc, f"server-{self.ssrc:08x}"))
        return compose(self.ssrc, ntp, senders=senders, receptions=[block] if block is not None else [], names=names)

    def _reference_of(self, ssrc: int | None, now: float) -> tuple[int, int]:
        """The client's last sender report of `ssrc`, and its age, as a block has them."""
        if self._client_reports is None or self._client_reports[0] != ssrc:
            return 0, 0
        _, name, came_at = self._client_reports
        return name, int((now - came_at) * NTP_UNITS) & _MASK

    # in

    def received(self, control: Control, now: float) -> None:
        """A compound packet of the client's came. Whatever it says is only believed as far as it can be true."""
        ntp = ntp_time(now + self._epoch)
        producer = self._endpoint.producer
        for sender in control.senders:
            if producer is not None and sender.ssrc == producer.reception.ssrc:
                self._client_reports = (sender.ssrc, sender.ntp_middle, now)
        for reply in control.replies:
            if reply.ssrc == self.ssrc:
                self._measure_round_trip(reply.last_reference, reply.delay, now, ntp)
        slots = {slot.ssrc: slot for slot in self._endpoint.slots.values()}
        jitters = []
        for report in control.receptions:
            slot = slots.get(report.ssrc)
            if slot is None:
                continue
            self._measure_round_trip(report.last_report, report.delay, now, ntp)
            if self._count_loss(slot, report) >= JITTER_MIN_PACKETS:
                jitters.append(self._own_jitter(slot, report))
        if jitters:
            self._down_jitter = (now, min(jitters) / CLOCK_RATE)

    def _measure_round_trip(self, last_report: int, delay: int, now: float, ntp: int) -> None:
        """RFC 3550, section 6.4.1: arrival less the time of our report less how long the client has held it."""
        if not last_report:
            return
        units = ((middle_bits(ntp) - last_report - delay + _HALF) & _MASK) - _HALF
        if -NTP_UNITS // 100 <= units <= MAX_ROUND_TRIP_SECONDS * NTP_UNITS:  # clocks differ in the last digit
            self._round_trip = (now, max(0, units) / NTP_UNITS)

    def _count_loss(self, slot: Consumer, report: ReceptionReport) -> int:
        """Returns how many packets were due in the slot since its last report; 0 where that is not known."""
        producer = slot.producer
        holes = producer.holes if producer is not None else 0
        before = self._seen.get(report.ssrc)
        self._seen[report.ssrc] = (report.highest_sequence, report.packets_lost, producer, holes)
        if before is None:
            return 0
        due = (report.highest_sequence - before[0]) & _MASK
        lost = report.packets_lost - before[1]
        if due > MAX_PACKETS_A_REPORT or lost > due:
            return 0
        if producer is before[2]:
            made_before = max(0, min(holes - before[3], due))
            due, lost = due - made_before, lost - made_before
        self._down_expected += due
        self._down_lost += max(0, lost)
        return due

    @staticmethod
    def _own_jitter(slot: Consumer, report: ReceptionReport) -> float:
        """In ticks, without what the speaker's connection brought in: two independent deviations add up as squares."""
        speaker = slot.producer.reception.jitter_ticks if slot.producer is not None else 0
        return math.sqrt(max(0, report.jitter * report.jitter - speaker * speaker))

    # figures

    def figures(self, now: float) -> Figures:
        """What is known at `now`."""
        producer = self._endpoint.producer
        up_loss = up_jitter = None
        if producer is not None:
            reception = producer.reception
            up_loss = self._up_window.percent(now, reception.expected, reception.expected - reception.received)
            up_jitter = reception.jitter_ticks * 1000 / CLOCK_RATE if up_loss is not None else None
        return Figures(
            rtt_ms=_recent(self._round_trip, now),
            up_jitter_ms=up_jitter,
            up_loss_pct=up_loss,
            down_jitter_ms=_recent(self._down_jitter, now),
            down_loss_pct=self._down_window.percent(now, self._down_expected, self._down_lost),
        )


def _recent(measured: tuple[float, float] | None, now: float) -> float | None:
    """When it was measured, and the value in seconds. Returns ms; None where it is too old."""
    if measured is None or now - measured[0] > VALID_SECONDS:
        return None
    return measured[1] * 1000
