"""One client of a load generator: a connected peer, whose voice goes out with as little work as can be."""

from __future__ import annotations

import random
import struct
import time
from typing import Final

from bench.batch import enable_arrival_times
from bench.payload import TOC_CELT_20_MS
from bench.peer import Peer
from bench.sdp import AUDIO_LEVEL_URI
from bench.streams import Stream

__all__ = ["LoadClient"]

_HEADER: Final = struct.Struct("!BBHIIHHBBxxBQI")
"""RTP header, one-byte extension with the level, and the beginning of a stamped payload (see `bench.payload`)."""
_COMFORT: Final = struct.Struct("!BBHIIHHBBxxB")
_HEADER_PAYLOAD_BYTES: Final = 13
_LOUDNESS: Final = 0x80 | 24
_PAUSE_PACKETS: Final = 2
"""Packets of comfort noise at a time, as Chromium sends them."""
_SILENCE: Final = 127


class LoadClient:
    """One peer in the generator's hands.

    `sent` counts its packets of voice, `comfort_sent` those of pauses, `send_failures` those the kernel did not take. Loss is
    told of the streams in `voices` (SSRCs), of all where that is None.
    """

    def __init__(self, peer: Peer, *, probe: bool, payload_bytes: int = 80, voices: frozenset[int] | None = None) -> None:
        if peer.srtp is None or peer.answer is None or peer.remote is None:
            raise ValueError("the peer is not connected")
        self.peer = peer
        self.probe = probe
        self.socket = peer.endpoint.detach()
        self.socket.connect(peer.remote)
        if probe:
            enable_arrival_times(self.socket)
        self.srtp = peer.srtp
        self.streams = {ssrc: Stream() for ssrc in peer.answer.slots()}
        self.voices = voices
        self.sent = 0
        self.comfort_sent = 0
        self.send_failures = 0
        writer = peer.microphone.writer
        self._ssrc, self._sequence, self._timestamp = writer.ssrc, writer.sequence, writer.timestamp
        self._payload_type = writer.payload_type
        self._level_id = peer.answer.sections[0].extensions.get(AUDIO_LEVEL_URI, 1) << 4
        self._tail = random.Random(1).randbytes(payload_bytes - _HEADER_PAYLOAD_BYTES)  # decodes as noise, as loud as it says

    def send(self, elapsed_ns: int) -> None:
        """Send the packet whose time is `elapsed_ns` after the start."""
        sequence = self._sequence
        self._sequence = (sequence + 1) & 0xFFFF
        timestamp = (self._timestamp + elapsed_ns * 6 // 125_000) & 0xFFFFFFFF  # 48 kHz
        header = _HEADER.pack(
            0x90, self._payload_type, sequence, timestamp, self._ssrc, 0xBEDE, 1, self._level_id, _LOUDNESS,
            TOC_CELT_20_MS, time.time_ns(), self.sent,
        )  # fmt: skip
        try:
            self.socket.send(self.srtp.tx.protect(header + self._tail))
        except OSError:
            self.send_failures += 1
        self.sent += 1

    def send_comfort(self, elapsed_ns: int) -> None:
        """Send the comfort noise of a pause: packets of a TOC byte, at the level of silence."""
        for number in range(_PAUSE_PACKETS):
            sequence = self._sequence
            self._sequence = (sequence + 1) & 0xFFFF
            timestamp = (self._timestamp + elapsed_ns * 6 // 125_000 + number * 960) & 0xFFFFFFFF
            packet = _COMFORT.pack(
                0x90, self._payload_type, sequence, timestamp, self._ssrc, 0xBEDE, 1, self._level_id, _SILENCE, TOC_CELT_20_MS
            )
            try:
                self.socket.send(self.srtp.tx.protect(packet))
            except OSError:
                self.send_failures += 1
            self.comfort_sent += 1
