"""The load generator: many connected clients, one thread.

It takes over the sockets of peers that are connected, sends their voices at exact times, evenly spread over the 20 ms of a
packet, and reads what comes with `recvmmsg`. Received packets are counted by SSRC and sequence number from the cleartext
header; a sample of them is unprotected for the time stamp in the payload, which proves the encryption, too. What is no media
goes back to the peer.

The time of arrival is the kernel's, so that a delay is that of the server and the wire, not that of this thread, which reads
its sockets when it wakes up to send and is not woken by them.
"""

from __future__ import annotations

import asyncio
import gc
import select
import socket
import struct
import threading
import time
from collections.abc import Sequence
from typing import Final

import pylibsrtp

from bench.batch import STRIDE, BatchReader, receive_drops
from bench.load_client import LoadClient
from bench.payload import read_stamp
from bench.streams import Delays, StreamTotals, total

__all__ = ["LoadClient", "LoadGenerator"]

PACKETS_PER_SECOND: Final = 50.0
"""Of a voice: 20 ms of audio in each."""
PROBE_EVERY: Final = 10
"""One client in so many has the arrival times of its packets noted …"""
SAMPLE_EVERY: Final = 5
"""… and one in so many of those is unprotected and gives a delay."""
_READ: Final = struct.Struct("!xBHxxxxI")
_PAUSE_NS: Final = 400_000_000
"""How often a microphone in a pause sends comfort noise (DTX), as Chromium does."""
_NEVER: Final = 1 << 63
_LONGEST_WAIT_NS: Final = 1_000_000
"""The sockets are read at least once in so long."""


def payload_offset(packet: bytes) -> int:
    """Where the payload of an unprotected RTP packet begins (RFC 3550, section 5.1)."""
    offset = 12 + 4 * (packet[0] & 0x0F)
    if packet[0] & 0x10:
        offset += 4 + 4 * int.from_bytes(packet[offset + 2 : offset + 4], "big")
    return offset


class _Schedule:
    """Whose turn it is, and when: each client once in `period_ns`, evenly spread over it. Never where there is none."""

    __slots__ = ("_clients", "_interval", "_turn", "due", "last")

    def __init__(self, clients: Sequence[LoadClient], period_ns: int, now: int) -> None:
        self._clients = clients
        self._interval = period_ns // max(len(clients), 1)
        self._turn = 0
        self.due = now if clients else _NEVER
        self.last = now
        """When the turn that was taken last was due."""

    def take(self) -> LoadClient:
        """The one whose turn it is; the next turn is the next one's."""
        client = self._clients[self._turn]
        self._turn = self._turn + 1 if self._turn + 1 < len(self._clients) else 0
        self.last = self.due
        self.due += self._interval
        return client


class LoadGenerator:
    """Owns the clients' sockets and the thread. Start it once, `talking` may be switched at any time, stop it once.

    `received` is the number of media packets so far; `sink_received` that of datagrams at `sinks`, sockets which are only read.
    `paused` are clients in a DTX pause: they send comfort noise while the others talk.
    """

    def __init__(
        self,
        clients: Sequence[LoadClient],
        speakers: Sequence[LoadClient],
        sinks: Sequence[socket.socket],
        *,
        packets_per_second: float = PACKETS_PER_SECOND,
        paused: Sequence[LoadClient] = (),
    ) -> None:
        self._clients = {client.socket.fileno(): client for client in clients}
        self._speakers = list(speakers)
        self._paused = list(paused)
        self._packet_ns = round(1e9 / packets_per_second)
        self._sinks = {sock.fileno(): sock for sock in sinks}
        self._loop = asyncio.get_running_loop()
        self._reader = BatchReader()
        self._epoll = select.epoll()
        for fd in (*self._clients, *self._sinks):
            self._epoll.register(fd, select.EPOLLIN)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="load generator", daemon=True)
        self._failure: BaseException | None = None
        self._delays: list[int] = []
        self._lateness: list[int] = []
        self.talking = False
        self.received = 0
        self.sink_received = 0
        self.rtcp_received = 0
        self.sampled = 0
        self.unreadable = 0
        self.strays = 0
        self.datagram_bytes = 0
        """Length of the last media datagram received."""

    def start(self) -> None:
        """Begin to read, and to send once `talking`. The garbage collector is off until `stop`."""
        gc.collect()
        gc.freeze()
        gc.disable()
        self._thread.start()

    def add(self, clients: Sequence[LoadClient], sinks: Sequence[socket.socket] = ()) -> None:
        """Read these too from now on."""
        self._clients |= {client.socket.fileno(): client for client in clients}
        self._sinks |= {sock.fileno(): sock for sock in sinks}
        for fd in (*(client.socket.fileno() for client in clients), *(sock.fileno() for sock in sinks)):
            self._epoll.register(fd, select.EPOLLIN)

    def cast(self, speakers: Sequence[LoadClient], paused: Sequence[LoadClient] = ()) -> None:
        """Who talks, and who is in a pause meanwhile, when `talking` is next switched on. Not to be called while they talk."""
        self._speakers, self._paused = list(speakers), list(paused)

    async def stop(self) -> None:
        """End the thread. Raises what it failed with, if it did."""
        self._stopping.set()
        await asyncio.to_thread(self._thread.join)
        gc.enable()
        gc.unfreeze()
        self._epoll.close()
        if self._failure is not None:
            raise self._failure

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def take_delays(self) -> tuple[Delays, Delays]:
        """One-way delays of the sampled packets, and how late packets were sent, since the last call."""
        delays, self._delays = self._delays, []
        lateness, self._lateness = self._lateness, []
        return Delays.of(delays), Delays.of(lateness)

    def totals(self) -> StreamTotals:
        """All streams of voice of all clients."""
        return total(
            stream
            for client in self._clients.values()
            for ssrc, stream in client.streams.items()
            if client.voices is None or ssrc in client.voices
        )

    def drops(self) -> int:
        """Datagrams that came, but were not read in time: the generator's own fault."""
        return sum(receive_drops(client.socket) for client in self._clients.values()) + sum(
            receive_drops(sock) for sock in self._sinks.values()
        )

    # the thread

    def _run(self) -> None:
        try:
            self._turns()
        except BaseException as error:  # noqa: BLE001 - handed to whoever calls stop
            self._failure = error

    def _turns(self) -> None:
        monotonic, ready, sleep = time.monotonic_ns, self._epoll.poll, time.sleep
        began = monotonic()
        talking = False
        voices: _Schedule = _Schedule((), self._packet_ns, began)
        pauses: _Schedule = _Schedule((), _PAUSE_NS, began)
        while not self._stopping.is_set():
            now = monotonic()
            if self.talking is not talking:
                talking = not talking
                voices = _Schedule(self._speakers if talking else (), self._packet_ns, now)
                pauses = _Schedule(self._paused if talking else (), _PAUSE_NS, now)
            while voices.due <= now:
                self._lateness.append(now - voices.due)
                voices.take().send(voices.last - began)
                now = monotonic()
            while pauses.due <= now:
                pauses.take().send_comfort(pauses.last - began)
                now = monotonic()
            # not woken by what arrives: that would be work for the server's core which distant clients do not cause
            sleep(max(0, min(voices.due - now, pauses.due - now, _LONGEST_WAIT_NS)) / 1e9)
            for fd, _ in ready(0):
                self._drain(fd)

    def _drain(self, fd: int) -> None:
        client = self._clients.get(fd)
        if client is None:
            self.sink_received += self._reader.receive(fd)
            return
        reader, streams, probe = self._reader, client.streams, client.probe
        count = reader.receive(fd, with_times=probe)
        data, lengths, position, step, read = reader.data, reader.lengths, reader.offset, reader.step, _READ.unpack_from
        media = 0
        for index in range(count):
            length = lengths[position]
            position += step
            start = index * STRIDE
            if length < 12 or data[start] < 128:
                self._loop.call_soon_threadsafe(client.peer.handle, bytes(data[start : start + length]))
                continue
            kind, sequence, ssrc = read(data, start)
            if 192 <= kind <= 223:
                self.rtcp_received += 1
                continue
            stream = streams.get(ssrc)
            if stream is None:
                self.strays += 1
                continue
            media += 1
            stream.received += 1
            if sequence == stream.expected:
                stream.expected = (sequence + 1) & 0xFFFF
            else:
                stream.skip(sequence)
            if probe and stream.received % SAMPLE_EVERY == 0:
                self._sample(client, index, length)
        self.received += media

    def _sample(self, client: LoadClient, index: int, length: int) -> None:
        start = index * STRIDE
        self.datagram_bytes = length
        self.sampled += 1
        try:
            plain = client.srtp.rx.unprotect(bytes(self._reader.data[start : start + length]))
        except pylibsrtp.Error:
            self.unreadable += 1
            return
        stamp = read_stamp(plain[payload_offset(plain) :])
        arrival = self._reader.arrival_ns(index)
        if stamp is not None and arrival is not None:
            self._delays.append(arrival - stamp.sent_ns)
