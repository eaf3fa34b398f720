"""The packet path: a datagram in, authenticated, measured, numbered, rewritten and protected for each who listens, out.

Everything here runs for each packet, and the inner loop of `_forward` for each packet and receiver: no logging, no JSON, no
await, no object made per receiver. What can be done once per packet (payload bounds, level, numbering) is done before that
loop; what can be done once per change (offsets, contexts, addresses) stands ready in `Producer.fan_out`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, Final, Protocol

from cffi import FFI

from .consumer import Consumer, FanOut
from .dtls_srtp import SRTP_OK, int_pointer, srtp_protect, srtp_unprotect, srtp_unprotect_rtcp, void_pointer
from .producer import KEPT, NOT_SILENT, Numbered, Producer
from .rtcp import Control, parse_control
from .rtp import FIXED_HEADER, FIXED_HEADER_BYTES, opus_duration, read_packet
from .udp import RX_BATCH, RX_STRIDE, TX_BATCH, TX_STRIDE, UdpSocket

__all__ = ["ControlListener", "Counters", "PacketPath", "SpeakingListener"]

SRTP_TRAILER_BYTES: Final = 148
"""Room that libsrtp may use behind a packet (SRTP_MAX_TRAILER_LEN)."""
MAX_PAYLOAD_BYTES: Final = TX_STRIDE - FIXED_HEADER_BYTES - SRTP_TRAILER_BYTES
VERSION_2: Final = 0x80
MARKER: Final = 0x80
TOC_WITHOUT_FRAME_COUNT: Final = 0xFC
"""A TOC byte alone, frame count code 0, is an Opus packet of nothing: decoders go on with comfort noise (RFC 6716, 3.2.1)."""
SEQUENCE_MASK: Final = 0xFFFF
TIMESTAMP_MASK: Final = 0xFFFFFFFF

_ffi = FFI()


class SpeakingListener(Protocol):
    """Told when a microphone's talk-spurt begins or ends."""

    def speaking_started(self, producer: Producer) -> None: ...

    def speaking_stopped(self, producer: Producer) -> None: ...

    def level_missing(self, producer: Producer, timestamp: int, duration: int, payload: bytes) -> None:
        """A packet that does not say how loud it is, in order; times in ticks of the producer's clock."""


class ControlListener(Protocol):
    """Whom a client's RTCP is for."""

    def received(self, control: Control, now: float) -> None: ...


class Counters:
    """What went through, for health and benchmarks. Packets are datagrams of RTP; drops are counted where they happen."""

    __slots__ = ("dropped", "malformed", "packets_in", "packets_out", "rtcp_in", "suppressed", "unauthenticated")

    def __init__(self) -> None:
        self.packets_in = 0
        self.packets_out = 0
        self.rtcp_in = 0
        self.suppressed = 0
        """Authentic, of a microphone in digital silence: receivers need not hear of it."""
        self.dropped = 0
        """Authentic, but not forwarded: muted, or not our stream."""
        self.malformed = 0
        self.unauthenticated = 0


class PacketPath:
    """Owns the send batch of `udp`. `flush` after each batch of received datagrams."""

    def __init__(self, udp: UdpSocket, listener: SpeakingListener) -> None:
        self._udp = udp
        self._listener = listener
        self.counters = Counters()
        self._rx = udp.rx
        self._tx = udp.tx
        self._tx_lengths = udp.tx_lengths
        self._tx_names = udp.tx_names
        self._tx_name_step = udp.tx_name_step
        self._rx_pointers = [void_pointer(address) for address in udp.rx_addresses]
        self._tx_pointers = [void_pointer(address) for address in udp.tx_addresses]
        self._tx_length_pointers = [int_pointer(address) for address in udp.tx_length_addresses]
        self._length_memory = _ffi.new("int[]", RX_BATCH)
        self._length = memoryview(_ffi.buffer(self._length_memory)).cast("B").cast("i")
        base = int(_ffi.cast("uintptr_t", self._length_memory))
        self._length_pointers = [int_pointer(base + 4 * i) for i in range(RX_BATCH)]
        self._pending = 0
        self._packers: dict[int, Callable[..., None]] = {}

    def receive_rtp(self, index: int, length: int, context: Any, producer: Producer, now: float) -> bool:
        """Received datagram `index` is SRTP of `producer`. Returns whether it was authentic."""
        counters = self.counters
        lengths = self._length
        lengths[index] = length
        if srtp_unprotect(context, self._rx_pointers[index], self._length_pointers[index]) != SRTP_OK:
            counters.unauthenticated += 1
            return False
        counters.packets_in += 1
        offset = index * RX_STRIDE
        packet = self._rx[offset : offset + RX_STRIDE]
        fields = read_packet(packet, lengths[index], producer.audio_level_id)
        if fields is None:
            counters.malformed += 1
            return True
        start, end, level, kind, sequence, timestamp, ssrc = fields
        producer.reception.packet(ssrc, sequence, timestamp, now)
        size = end - start
        if producer.muted or not 0 < size <= MAX_PAYLOAD_BYTES:
            counters.dropped += 1
            if producer.muted and size > 0:
                producer.attempt(opus_duration(packet[start], packet[start + 1] if size > 1 else 0), level)
            return True
        silence = producer.judge_silence(level, now)
        numbered = producer.number(ssrc, sequence, timestamp, now, silence)
        if numbered is None:
            counters.dropped += 1
            return True
        body = packet[start:end]
        self._measure(producer, numbered, level, body)
        if silence is KEPT:
            counters.suppressed += 1
            return True
        if silence is NOT_SILENT:
            payload = bytes(body)
            marker = MARKER if numbered[3] else kind & MARKER
        else:
            payload = bytes((body[0] & TOC_WITHOUT_FRAME_COUNT,))
            marker = 0
        producer.sent_packets += 1
        producer.sent_octets += len(payload)
        if not numbered[2]:
            producer.history.append((numbered[0], numbered[1], marker, payload))
        if producer.fan_out:
            self._forward(producer, numbered, marker, payload)
        return True

    def _measure(self, producer: Producer, numbered: Numbered, level: int | None, body: memoryview) -> None:
        _, timestamp, late, _ = numbered
        duration = opus_duration(body[0], body[1] if len(body) > 1 else 0)
        if level is None:
            if not late:
                self._listener.level_missing(producer, timestamp, duration, bytes(body))
            return
        detector = producer.detector
        if detector.packet(timestamp, duration, level):
            self._listener.speaking_started(producer)
        elif detector.speaking and not late and detector.tick(timestamp) is not None:
            self._listener.speaking_stopped(producer)
        if producer.tap is not None:
            producer.tap.packet(level, bytes(body))

    def replay(self, slot: Consumer) -> None:
        """Send what its producer has sent lately into a slot that was given to it after it began to speak."""
        producer = slot.producer
        entry = producer.fan_out.get(slot) if producer is not None else None
        if producer is None or entry is None:
            return
        for sequence, timestamp, marker, payload in producer.history:
            if sequence >= slot.first_sequence:
                self._send_one(entry, sequence, timestamp, marker, payload)
        self.flush()

    def _forward(self, producer: Producer, numbered: Numbered, marker: int, payload: bytes) -> None:
        size = len(payload)
        pack = self._packer(size)
        fan_out = producer.fan_out
        position = self._pending
        if position + len(fan_out) > TX_BATCH:
            self.flush()
            position = 0
        if len(fan_out) > TX_BATCH or numbered[2]:
            # Rare: a huge room, or a late packet, which must not reach slots given to this voice only afterwards.
            for consumer, entry in fan_out.items():
                if numbered[0] >= consumer.first_sequence:
                    self._send_one(entry, numbered[0], numbered[1], marker, payload)
            return
        sequence, timestamp, _, _ = numbered
        length = FIXED_HEADER_BYTES + size
        tx, lengths, names, step = self._tx, self._tx_lengths, self._tx_names, self._tx_name_step
        pointers, length_pointers = self._tx_pointers, self._tx_length_pointers
        protect = srtp_protect
        for context, payload_type, sequence_offset, timestamp_offset, ssrc, address in fan_out.values():
            pack(
                tx,
                position * TX_STRIDE,
                VERSION_2,
                marker | payload_type,
                (sequence + sequence_offset) & SEQUENCE_MASK,
                (timestamp + timestamp_offset) & TIMESTAMP_MASK,
                ssrc,
                payload,
            )
            lengths[2 * position + 1] = length
            if protect(context, pointers[position], length_pointers[position]) == SRTP_OK:
                names[position * step] = address
                position += 1
            else:
                self.counters.dropped += 1
        self._pending = position

    def _send_one(self, entry: FanOut, sequence: int, timestamp: int, marker: int, payload: bytes) -> None:
        context, payload_type, sequence_offset, timestamp_offset, ssrc, address = entry
        if self._pending == TX_BATCH:
            self.flush()
        position = self._pending
        self._packer(len(payload))(
            self._tx,
            position * TX_STRIDE,
            VERSION_2,
            marker | payload_type,
            (sequence + sequence_offset) & SEQUENCE_MASK,
            (timestamp + timestamp_offset) & TIMESTAMP_MASK,
            ssrc,
            payload,
        )
        self._tx_lengths[2 * position + 1] = FIXED_HEADER_BYTES + len(payload)
        if srtp_protect(context, self._tx_pointers[position], self._tx_length_pointers[position]) == SRTP_OK:
            self._tx_names[position * self._tx_name_step] = address
            self._pending = position + 1
        else:
            self.counters.dropped += 1

    def _packer(self, size: int) -> Callable[..., None]:
        """Writes a header and a payload of `size` bytes in one call; made once for each size there is."""
        pack = self._packers.get(size)
        if pack is None:
            pack = self._packers[size] = struct.Struct(f"{FIXED_HEADER.format}{size}s").pack_into
        return pack

    def receive_rtcp(self, index: int, length: int, context: Any, listener: ControlListener | None, now: float) -> bool:
        """Received datagram `index` is SRTCP for `listener`. Returns whether it was authentic."""
        self._length[index] = length
        if srtp_unprotect_rtcp(context, self._rx_pointers[index], self._length_pointers[index]) != SRTP_OK:
            self.counters.unauthenticated += 1
            return False
        self.counters.rtcp_in += 1
        offset = index * RX_STRIDE
        control = parse_control(bytes(self._rx[offset : offset + self._length[index]]))
        if control is None:
            self.counters.malformed += 1
        elif listener is not None:
            listener.received(control, now)
        return True

    def flush(self) -> None:
        """Send what is waiting."""
        if self._pending:
            self.counters.packets_out += self._pending
            self._udp.flush(self._pending)
            self._pending = 0
