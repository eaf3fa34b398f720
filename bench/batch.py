"""Datagrams in batches, for a load generator: `recvmmsg` and `sendmmsg` through cffi. Linux only.

`BatchReader` reads any socket into buffers allocated once, with the kernel's time of arrival where a socket was set up for it:
what a generator that is busy elsewhere reads late still has its true time. `BatchWriter` holds ready-made datagrams and sends
runs of them.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Sequence
from typing import Any, Final

from cffi import FFI

from bench.ice import Address

__all__ = ["BATCH", "STRIDE", "BatchReader", "BatchWriter", "enable_arrival_times", "receive_drops"]

BATCH: Final = 64
"""Datagrams read by one system call."""
STRIDE: Final = 512
"""Bytes of a receive buffer; longer datagrams are cut."""

_CONTROL_STRIDE: Final = 64
_SO_TIMESTAMPNS: Final = 35
"""`SO_TIMESTAMPNS` and the type of its control message (asm-generic/socket.h)."""
_SO_MEMINFO: Final = 55
_MEMINFO_DROPS: Final = 8
"""Where the drop counter stands in `SO_MEMINFO` (linux/sock_diag.h: SK_MEMINFO_DROPS)."""
_CONTROL: Final = struct.Struct("=QiiqQ")
"""A `cmsghdr` of a 64-bit system, then a `timespec`."""

_ffi = FFI()
_ffi.cdef(
    """
    struct iovec { void *iov_base; size_t iov_len; };
    struct msghdr {
        void *msg_name; unsigned int msg_namelen; struct iovec *msg_iov; size_t msg_iovlen;
        void *msg_control; size_t msg_controllen; int msg_flags;
    };
    struct mmsghdr { struct msghdr msg_hdr; unsigned int msg_len; };
    int recvmmsg(int fd, struct mmsghdr *messages, unsigned int count, int flags, void *timeout);
    int sendmmsg(int fd, struct mmsghdr *messages, unsigned int count, int flags);
    """
)


def _bytes_of(cdata: Any) -> memoryview:
    return memoryview(_ffi.buffer(cdata)).cast("B")


def enable_arrival_times(sock: socket.socket) -> None:
    """From now on the kernel notes when each datagram of this socket arrives."""
    sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)


def receive_drops(sock: socket.socket) -> int:
    """Datagrams that the kernel threw away because nobody read this socket in time."""
    info = sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, 4 * (_MEMINFO_DROPS + 1))
    return int(struct.unpack_from("=I", info, 4 * _MEMINFO_DROPS)[0])


class BatchReader:
    """Datagram `i` of the last `receive` stands at `data[i * STRIDE:]`; its length is `lengths[i * step + offset]`."""

    def __init__(self) -> None:
        self._libc: Any = _ffi.dlopen(None)
        self._memory = _ffi.new("char[]", BATCH * STRIDE)
        self._control_memory = _ffi.new("char[]", BATCH * _CONTROL_STRIDE)
        self._vectors = _ffi.new("struct iovec[]", BATCH)
        self._headers = _ffi.new("struct mmsghdr[]", BATCH)
        for index in range(BATCH):
            self._vectors[index].iov_base = self._memory + index * STRIDE
            self._vectors[index].iov_len = STRIDE
            header = self._headers[index].msg_hdr
            header.msg_iov = self._vectors + index
            header.msg_iovlen = 1
            header.msg_control = self._control_memory + index * _CONTROL_STRIDE
            header.msg_controllen = _CONTROL_STRIDE
        self._header_bytes = _bytes_of(self._headers)
        self._template = bytes(self._header_bytes)
        self._control = _bytes_of(self._control_memory)
        self.data = _bytes_of(self._memory)
        self.lengths = self._header_bytes.cast("I")
        self.step = _ffi.sizeof("struct mmsghdr") // 4
        self.offset = _ffi.offsetof("struct mmsghdr", "msg_len") // 4

    def receive(self, fd: int, *, with_times: bool = False) -> int:
        """Read what is there, up to `BATCH` datagrams; 0 when there is nothing.

        `with_times` is needed for sockets with arrival times: the kernel shortens the room for control messages at each call.
        """
        if with_times:
            self._header_bytes[:] = self._template
        count: int = self._libc.recvmmsg(fd, self._headers, BATCH, socket.MSG_DONTWAIT, _ffi.NULL)
        return max(count, 0)

    def arrival_ns(self, index: int) -> int | None:
        """When datagram `index` arrived, in nanoseconds of the clock of `time.time_ns`; None where the kernel did not say."""
        _, level, kind, seconds, nanoseconds = _CONTROL.unpack_from(self._control, index * _CONTROL_STRIDE)
        if level != socket.SOL_SOCKET or kind != _SO_TIMESTAMPNS:
            return None
        return int(seconds) * 1_000_000_000 + int(nanoseconds)


class BatchWriter:
    """One ready-made datagram for each of `addresses` (IPv4), all with the same content. `send` sends a run of them."""

    def __init__(self, sock: socket.socket, addresses: Sequence[Address], content: bytes) -> None:
        self._libc: Any = _ffi.dlopen(None)
        self._fd = sock.fileno()
        self._count = len(addresses)
        self._content = _ffi.new("char[]", content)
        self._names = [
            _ffi.new("char[]", struct.pack("=H", socket.AF_INET) + struct.pack("!H4s8x", port, socket.inet_aton(host)))
            for host, port in addresses
        ]
        # twice over, so that a run may begin anywhere and never has to be cut at the end
        self._vectors = _ffi.new("struct iovec[]", 2 * self._count)
        self._headers = _ffi.new("struct mmsghdr[]", 2 * self._count)
        for index in range(2 * self._count):
            self._vectors[index].iov_base = self._content
            self._vectors[index].iov_len = len(content)
            header = self._headers[index].msg_hdr
            header.msg_name = self._names[index % self._count]
            header.msg_namelen = 16
            header.msg_iov = self._vectors + index
            header.msg_iovlen = 1

    def send(self, start: int, count: int) -> int:
        """Send `count` datagrams (at most one for each address) from address `start` on, in one system call.

        Returns how many the kernel took. Raises OSError where it took none.
        """
        sent: int = self._libc.sendmmsg(self._fd, self._headers + start % self._count, count, 0)
        if sent < 0:
            raise OSError(_ffi.errno, "sendmmsg")
        return sent
