"""Reports at their time, and what they tell: for each connection, every few seconds, one compound packet out and one look at
its quality.

One timer serves all connections. It does a bounded number of them at a time, the one whose turn came first before the others.
"""

from __future__ import annotations

import asyncio
import heapq
import random
import secrets
from collections.abc import Callable
from typing import Any, Final

from cffi import FFI

from .dtls_srtp import SRTP_OK, int_pointer, srtp_protect_rtcp, void_pointer
from .listener import MediaListener
from .quality import QualityTracker
from .reports import Reports
from .session import MediaSession
from .udp import SocketAddress

__all__ = ["QualityObserver", "RtcpProtector"]

REPORT_SECONDS: Final = 3.0
"""Mean time between two reports. RFC 3550, section 6.2, asks for 5 s and allows less where the bandwidth does (360 s divided by
kbit/s): at 64 kbit/s for two that is 2.8 s. Loss is then seen well within 10 s."""
TICK_SECONDS: Final = 0.1
"""How exactly a report keeps its time; its interval is random anyway."""
REPORTS_A_TICK: Final = 100
"""About 3 ms of work; 1000 a second are enough for 3000 connections. Beyond that reports come less often."""
FIRST_REPORT_SECONDS: Final = 0.5
"""The first one comes sooner (RFC 3550, section 6.2: half the minimum), so that there is a first figure."""
PACKET_BYTES: Final = 2048
SRTCP_TRAILER_BYTES: Final = 148 + 4
"""Room that libsrtp may use behind a packet (SRTP_MAX_SRTCP_TRAILER_LEN)."""

_ffi = FFI()


class RtcpProtector:
    """Makes SRTCP of RTCP (RFC 3711, section 3.4), in one buffer."""

    def __init__(self) -> None:
        self._memory = _ffi.new("char[]", PACKET_BYTES)
        self._buffer = memoryview(_ffi.buffer(self._memory)).cast("B")
        self._length_memory = _ffi.new("int[]", 1)
        self._packet = void_pointer(int(_ffi.cast("uintptr_t", self._memory)))
        self._length = int_pointer(int(_ffi.cast("uintptr_t", self._length_memory)))

    def protect(self, context: Any, packet: bytes) -> bytes | None:
        """None where it is too long, or the keys may be used no more."""
        if len(packet) + SRTCP_TRAILER_BYTES > PACKET_BYTES:
            return None
        self._buffer[: len(packet)] = packet
        self._length_memory[0] = len(packet)
        if srtp_protect_rtcp(context, self._packet, self._length) != SRTP_OK:
            return None
        return bytes(self._buffer[: self._length_memory[0]])


class QualityObserver:
    """Sessions come with `connected` and go with `gone`; the listener hears of each one's quality every few seconds.

    `epoch` is what 0 of the loop's clock is in Unix time, in seconds.
    """

    def __init__(
        self, listener: MediaListener, send: Callable[[bytes, SocketAddress], None], rng: random.Random, epoch: float
    ) -> None:
        self._listener = listener
        self._send = send
        self._rng = rng
        self._protector = RtcpProtector()
        self._epoch = epoch
        self._trackers: dict[MediaSession, QualityTracker] = {}
        self._due: list[tuple[float, int, MediaSession, Reports]] = []
        self._turns = 0
        self._timer: asyncio.TimerHandle | None = None

    def connected(self, session: MediaSession) -> None:
        """The session's transport has keys: from now on there are reports both ways."""
        if session.transport is None:
            return
        reports = Reports(session.endpoint, secrets.randbelow(0xFFFFFFFF) + 1, self._epoch)
        session.transport.reports = reports
        self._trackers.setdefault(session, QualityTracker())
        self._schedule(session, reports, FIRST_REPORT_SECONDS)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(TICK_SECONDS, self._tick)

    def lost(self, session: MediaSession) -> None:
        """Its connection is gone; it may come back."""
        tracker = self._trackers.get(session)
        if tracker is not None:
            self._listener.media_quality(session.session_id, tracker.lose())

    def gone(self, session: MediaSession) -> None:
        """It has ended."""
        self._trackers.pop(session, None)

    def close(self) -> None:
        """Stop the clock."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _schedule(self, session: MediaSession, reports: Reports, mean_seconds: float) -> None:
        due = asyncio.get_running_loop().time() + mean_seconds * self._rng.uniform(0.5, 1.5)
        self._turns += 1
        heapq.heappush(self._due, (due, self._turns, session, reports))

    def _tick(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        for _ in range(REPORTS_A_TICK):
            if not self._due or self._due[0][0] > now:
                break
            _, _, session, reports = heapq.heappop(self._due)
            # A session that has ended, or has another connection by now, has no turn any more.
            if session in self._trackers and session.transport is not None and session.transport.reports is reports:
                self._serve(session, reports, now)
                self._schedule(session, reports, REPORT_SECONDS)
        self._timer = loop.call_later(TICK_SECONDS, self._tick) if self._due else None

    def _serve(self, session: MediaSession, reports: Reports, now: float) -> None:
        transport = session.transport
        if transport is None or transport.srtp is None or transport.selected is None:
            return
        packet = self._protector.protect(transport.srtp.tx, reports.compose(now))
        if packet is not None:
            self._send(packet, transport.selected)
        silent = now - transport.last_seen if transport.last_seen is not None else 0.0
        view = self._trackers[session].update(reports.figures(now), silent)
        if view is not None:
            self._listener.media_quality(session.session_id, view)
