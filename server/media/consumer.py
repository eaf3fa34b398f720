"""A slot: one m-section of a receiver, with a fixed SSRC, in which one producer at a time is heard.

Sequence numbers and timestamps of a slot go on without a jump when its producer changes; that is all arithmetic done at the
change. The packet path only adds the two offsets of a `FanOut`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from .speaking import CLOCK_RATE

if TYPE_CHECKING:
    from .producer import Producer

__all__ = ["Consumer", "Destination", "FanOut"]

SWITCH_GAP_TICKS: Final = 960
"""A new voice begins at least one packet (20 ms) after the old one, so that timestamps never go back."""


class Destination(NamedTuple):
    """Where a receiver is and how its packets are protected. `context` is libsrtp's; `pointer` the address of a kernel
    sockaddr."""

    context: Any
    pointer: int


FanOut = tuple[Any, int, int, int, int, int]
"""What the packet path needs for one receiver of one producer: libsrtp's context, payload type, sequence offset, timestamp
offset, SSRC, and the address of the receiver's sockaddr. A plain tuple: it is taken apart much faster than a named one."""


class Consumer:
    """One slot of one receiver. `producer` is None while the slot is free; `first_sequence` is the producer's first number
    heard here."""

    __slots__ = (
        "_anchor_at",
        "_anchor_timestamp",
        "_last_timestamp",
        "_next_sequence",
        "_sent_octets",
        "_sent_packets",
        "_sequence_offset",
        "_timestamp_offset",
        "assigned_at",
        "cname",
        "first_sequence",
        "is_on",
        "mid",
        "payload_type",
        "producer",
        "ssrc",
    )

    def __init__(self, mid: str, ssrc: int, payload_type: int, *, first_sequence: int, first_timestamp: int, now: float) -> None:
        self.mid = mid
        self.ssrc = ssrc
        self.cname = f"slot-{mid}"
        """What the stream is called in SDP and RTCP (RFC 3550, section 6.5.1)."""
        self.payload_type = payload_type
        self.producer: Producer | None = None
        self.is_on = False
        self.assigned_at = now
        self.first_sequence = 0
        self._sequence_offset = 0
        self._timestamp_offset = 0
        self._next_sequence = first_sequence
        self._last_timestamp: int | None = None
        self._sent_packets = 0
        self._sent_octets = 0
        self._anchor_at = now
        self._anchor_timestamp = first_timestamp

    def assign(self, producer: Producer, now: float) -> None:
        """Give the slot to `producer`. Nothing is heard yet: see `switch_on`."""
        self.release()
        self.producer = producer
        self.assigned_at = now

    def switch_on(self, destination: Destination, now: float, *, from_history: bool = False) -> None:
        """Forward to `destination`: from the producer's next packet on, or from the oldest one of its history.

        Numbers follow on what this slot has sent before. Its timestamps follow the clock, so that a pause between two voices is
        a pause, but never go back: where there was none, a history shifts them by its length.
        """
        producer = self.producer
        if producer is None:
            return
        if not self.is_on:
            self.is_on = True
            if from_history and producer.history:
                self.first_sequence, first_timestamp = producer.history[0][:2]
            else:
                self.first_sequence, first_timestamp = producer.last_sequence + 1, producer.timestamp_at(now)
            self._sequence_offset = self._next_sequence - self.first_sequence
            offset = self._anchor_timestamp + int((now - self._anchor_at) * CLOCK_RATE) - producer.timestamp_at(now)
            if self._last_timestamp is not None:
                offset = max(offset, self._last_timestamp + SWITCH_GAP_TICKS - first_timestamp)
            self._timestamp_offset = offset
            replayed = [len(payload) for *_, payload in producer.history] if from_history else []
            self._sent_packets -= producer.sent_packets - len(replayed)
            self._sent_octets -= producer.sent_octets - sum(replayed)
        producer.fan_out[self] = (
            destination.context,
            self.payload_type,
            self._sequence_offset & 0xFFFF,
            self._timestamp_offset & 0xFFFFFFFF,
            self.ssrc,
            destination.pointer,
        )

    def switch_off(self) -> None:
        """Stop forwarding, keep the producer: the receiver's connection is gone for now."""
        producer = self.producer
        if producer is None or not self.is_on:
            return
        self.is_on = False
        producer.fan_out.pop(self, None)
        self._sent_packets += producer.sent_packets
        self._sent_octets += producer.sent_octets
        if producer.last_sequence >= self.first_sequence:
            self._next_sequence = producer.last_sequence + 1 + self._sequence_offset
            self._last_timestamp = producer.last_timestamp + self._timestamp_offset

    def sent(self) -> tuple[int, int]:
        """Packets and octets of payload sent in this slot so far (RFC 3550, section 6.4.1): what producers have sent while they
        were on, so that nothing is counted for each packet and receiver."""
        if self.producer is None or not self.is_on:
            return self._sent_packets, self._sent_octets
        return self._sent_packets + self.producer.sent_packets, self._sent_octets + self.producer.sent_octets

    def timestamp_at(self, now: float) -> int:
        """The slot's RTP clock at loop time `now`, 32 bits."""
        if self.producer is None or not self.is_on:
            return (self._anchor_timestamp + int((now - self._anchor_at) * CLOCK_RATE)) & 0xFFFFFFFF
        return (self.producer.timestamp_at(now) + self._timestamp_offset) & 0xFFFFFFFF

    def release(self) -> None:
        """Free the slot."""
        self.switch_off()
        self.producer = None
