"""The sending half of a simulated client: numbers packets, protects them, and lets a bad network have its way with them."""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections.abc import Callable, Sequence
from typing import Final

from pylibsrtp import Session

from bench.impairment import Impairment
from bench.payload import opus_payload, silent_payload
from bench.rtp import SAMPLES_A_PACKET, RtpWriter, SentPacket
from bench.speech import TICKS_PER_MS, Utterance, frames

__all__ = ["Microphone"]

_DTX_PAYLOAD: Final = b"\xf8"
"""A frame of a DTX pause: the TOC byte alone (RFC 6716, section 3.2.1)."""
_QUIETEST_VOICE: Final = 50
"""What is said to be softer, in -dBov, is sent as silence: whoever decodes it finds that it was no speech."""


class Microphone:
    """One sent stream. `session` is None until there are keys; nothing can be sent before."""

    def __init__(
        self,
        transmit: Callable[[bytes], None],
        *,
        sequence: int | None,
        timestamp: int | None,
        impairment: Impairment,
        rng: random.Random,
    ) -> None:
        self.writer = RtpWriter(ssrc=secrets.randbits(32), mid="0", sequence=sequence, timestamp=timestamp)
        self._impairment = impairment
        self._impaired = 0
        self.session: Session | None = None
        self._transmit = transmit
        self._rng = rng
        self._sent = 0
        self._timers: set[asyncio.TimerHandle] = set()

    def send(
        self,
        payload: bytes,
        *,
        level: int | None = 127,
        voice: bool = True,
        marker: bool = False,
        advance: int = SAMPLES_A_PACKET,
        sequence: int | None = None,
        timestamp: int | None = None,
    ) -> SentPacket:
        """Send one packet, as the impairment will have it.

        `level` is the magnitude in -dBov, None for a packet without one; `voice` its V bit. `sequence` and `timestamp` make the
        stream go on from there; afterwards the timestamp grows by `advance` ticks.
        """
        assert self.session is not None, "not connected"
        plain, sent = self.writer.write(
            payload, level=level, voice=voice, marker=marker, advance=advance, sequence=sequence, timestamp=timestamp
        )
        data = self.session.protect(plain)
        copies = self._impairment(self._impaired)
        self._impaired += 1
        self._sent += 1
        for delay in copies:
            if delay <= 0:
                self._transmit(data)
            else:
                self._transmit_later(delay, data)
        return sent

    def impair(self, impairment: Impairment) -> None:
        """Change the network; the next packet is number 0 for it."""
        self._impairment, self._impaired = impairment, 0

    def send_voice(self, count: int, *, level: int = 24, size: int = 80) -> list[SentPacket]:
        """Send `count` stamped packets at once: their RTP time goes on by 20 ms each, the wall clock does not."""
        return [self.send(self._payload(size, level), level=level) for _ in range(count)]

    async def speak(self, script: Sequence[Utterance], total_ms: int, *, dtx: bool = False, size: int = 80) -> list[SentPacket]:
        """Send the packets of a script at their time; returns when `total_ms` are over."""
        loop = asyncio.get_running_loop()
        started, base = loop.time(), self.writer.timestamp
        sent = []
        for frame in frames(script, total_ms, dtx=dtx):
            await asyncio.sleep(max(0.0, started + frame.offset_ms / 1000 - loop.time()))
            payload = _DTX_PAYLOAD if frame.dtx else self._payload(size, frame.level)
            timestamp = base + frame.offset_ms * TICKS_PER_MS
            sent.append(self.send(payload, level=frame.level, voice=frame.voice, marker=frame.marker, timestamp=timestamp))
        await asyncio.sleep(max(0.0, started + total_ms / 1000 - loop.time()))
        self.writer.timestamp = (base + total_ms * TICKS_PER_MS) & 0xFFFFFFFF
        return sent

    def close(self) -> None:
        """Drop what the impairment holds back."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        self.session = None

    def _payload(self, size: int, level: int) -> bytes:
        if level > _QUIETEST_VOICE:
            return silent_payload(size=size, rng=self._rng)
        return opus_payload(time.monotonic_ns(), self._sent, size=size, rng=self._rng)

    def _transmit_later(self, delay: float, data: bytes) -> None:
        def fire() -> None:
            self._timers.discard(timer)
            self._transmit(data)

        timer = asyncio.get_running_loop().call_later(delay, fire)
        self._timers.add(timer)
