"""The one UDP socket of the process, read and written in batches.

One `recvmmsg` reads up to `RX_BATCH` datagrams into buffers allocated once; what goes out in answer is collected in `TX_BATCH`
buffers and leaves with one `sendmmsg`. The kernel structures are laid out once, too: the packet path only writes a length and a
destination pointer for each datagram. `PortableUdpSocket` has the same buffers and the same interface for systems without these
two calls.

Addresses are kernel `sockaddr` structures. `address_key` makes a dictionary key of the one a datagram came from, `sockaddr`
makes one from text.
"""

from __future__ import annotations

import abc
import errno
import ipaddress
import logging
import socket
import struct
import sys
from typing import Any, Final

from cffi import FFI

__all__ = [
    "RX_BATCH",
    "RX_STRIDE",
    "TX_BATCH",
    "TX_STRIDE",
    "AddressKey",
    "LinuxUdpSocket",
    "PortableUdpSocket",
    "SocketAddress",
    "UdpSocket",
    "open_udp_socket",
]

logger = logging.getLogger(__name__)

RX_BATCH: Final = 64
"""Datagrams read by one system call."""
TX_BATCH: Final = 1024
"""Datagrams written by one system call; the kernel's own limit (UIO_MAXIOV)."""
RX_STRIDE: Final = 2048
"""Bytes of a receive buffer: more than any MTU we meet, so that a longer datagram shows as truncated."""
TX_STRIDE: Final = 1536
"""Bytes of a send buffer: an Ethernet MTU with room for the SRTP trailer."""
SOCKET_BUFFER_BYTES: Final = 8 * 1024 * 1024
"""Asked of the kernel for both directions; it gives what `net.core.rmem_max` and `wmem_max` allow."""

AddressKey = int | bytes
"""A source address as a dictionary key: an int for IPv4 (family, port and address are 8 bytes), bytes for IPv6."""

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

_HEADER_WORDS = _ffi.sizeof("struct mmsghdr") // 8
_HEADER_HALF_WORDS = _ffi.sizeof("struct mmsghdr") // 4
_LENGTH_HALF_WORD = _ffi.offsetof("struct mmsghdr", "msg_len") // 4
_MSG_DONTWAIT: Final = getattr(socket, "MSG_DONTWAIT", 0)
_IPV4_NAME_BYTES: Final = 16
_IPV6_NAME_BYTES: Final = 28
_NAME_STRIDE: Final = 32


def _buffer(cdata: Any) -> memoryview:
    return memoryview(_ffi.buffer(cdata)).cast("B")


def _address_of(cdata: Any) -> int:
    return int(_ffi.cast("uintptr_t", cdata))


class SocketAddress:
    """A destination as the kernel wants it, made once for each peer. `pointer` is valid as long as this object lives."""

    __slots__ = ("_storage", "host", "key", "pointer", "port")

    def __init__(self, raw: bytes, key: AddressKey, host: str, port: int) -> None:
        self._storage = _ffi.new("char[]", raw)
        self.pointer = _address_of(self._storage)
        self.key = key
        self.host = host
        self.port = port

    def __repr__(self) -> str:
        return f"SocketAddress(port={self.port})"  # no address in logs


class UdpSocket(abc.ABC):
    """Buffers and addresses; the two system calls are the subclass's.

    Receiving: `receive()` returns how many datagrams came; datagram `i` stands in `rx[i * RX_STRIDE:]`, its length is
    `rx_lengths[i * rx_length_step + rx_length_offset]` and its source `address_key(i)`. Sending: write datagram `i` at `tx[i *
    TX_STRIDE:]`, its length to `tx_lengths[2 * i + 1]` (a `size_t`; libsrtp updates it in place through `tx_length_pointers`),
    its destination to `tx_names[i * tx_name_step]`, then `flush(count)`.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self.family = sock.family
        self.port: int = sock.getsockname()[1]
        self.is_ipv6 = sock.family == socket.AF_INET6
        self._name_bytes = _IPV6_NAME_BYTES if self.is_ipv6 else _IPV4_NAME_BYTES
        self.send_failures = 0
        """Datagrams the kernel did not take: its buffer was full, or the destination cannot be reached."""

        self._rx_memory = _ffi.new("char[]", RX_BATCH * RX_STRIDE)
        self._rx_names_memory = _ffi.new("char[]", RX_BATCH * _NAME_STRIDE)
        self._rx_vectors = _ffi.new("struct iovec[]", RX_BATCH)
        self._rx_headers = _ffi.new("struct mmsghdr[]", RX_BATCH)
        self._tx_memory = _ffi.new("char[]", TX_BATCH * TX_STRIDE)
        self._tx_vectors = _ffi.new("struct iovec[]", TX_BATCH)
        self._tx_headers = _ffi.new("struct mmsghdr[]", TX_BATCH)
        self._lay_out()

        self.rx = _buffer(self._rx_memory)
        self.rx_addresses = [_address_of(self._rx_memory) + i * RX_STRIDE for i in range(RX_BATCH)]
        """Where each receive buffer is in memory, for calls into libsrtp."""
        self.rx_lengths = _buffer(self._rx_headers).cast("I")
        self.rx_length_step = _HEADER_HALF_WORDS
        self.rx_length_offset = _LENGTH_HALF_WORD
        self._rx_names = _buffer(self._rx_names_memory)
        self._rx_names_words = self._rx_names.cast("Q")

        self.tx = _buffer(self._tx_memory)
        self.tx_addresses = [_address_of(self._tx_memory) + i * TX_STRIDE for i in range(TX_BATCH)]
        self.tx_lengths = _buffer(self._tx_vectors).cast("Q")
        self.tx_length_addresses = [_address_of(self._tx_vectors) + i * 16 + 8 for i in range(TX_BATCH)]
        """Where the length of each outgoing datagram is in memory."""
        self.tx_names = _buffer(self._tx_headers).cast("Q")
        self.tx_name_step = _HEADER_WORDS

    def _lay_out(self) -> None:
        for i in range(RX_BATCH):
            vector, header = self._rx_vectors[i], self._rx_headers[i].msg_hdr
            vector.iov_base, vector.iov_len = self._rx_memory + i * RX_STRIDE, RX_STRIDE
            header.msg_name, header.msg_namelen = self._rx_names_memory + i * _NAME_STRIDE, self._name_bytes
            header.msg_iov, header.msg_iovlen = self._rx_vectors + i, 1
        for i in range(TX_BATCH):
            vector, header = self._tx_vectors[i], self._tx_headers[i].msg_hdr
            vector.iov_base = self._tx_memory + i * TX_STRIDE
            header.msg_namelen = self._name_bytes
            header.msg_iov, header.msg_iovlen = self._tx_vectors + i, 1

    def fileno(self) -> int:
        return self.socket.fileno()

    def close(self) -> None:
        self.socket.close()

    # addresses

    def address_key(self, index: int) -> AddressKey:
        """The source of received datagram `index`. A `sockaddr_in` begins with family, port and address: 8 bytes, one word."""
        if self.is_ipv6:
            start = index * _NAME_STRIDE
            return bytes(self._rx_names[start : start + _IPV6_NAME_BYTES])
        return self._rx_names_words[index * (_NAME_STRIDE // 8)]

    def address(self, index: int) -> SocketAddress:
        """The source of received datagram `index`, to send to. Not for the packet path: it allocates."""
        start = index * _NAME_STRIDE
        raw = bytes(self._rx_names[start : start + self._name_bytes])
        host, port = _unpack_name(raw, self.is_ipv6)
        return SocketAddress(raw, self.address_key(index), host, port)

    def sockaddr(self, host: str, port: int) -> SocketAddress:
        """A destination from text. IPv4 addresses become IPv4-mapped ones on an IPv6 socket (RFC 4291, section 2.5.5.2)."""
        raw = _pack_name(host, port, self.is_ipv6)
        key: AddressKey = raw if self.is_ipv6 else int.from_bytes(raw[:8], sys.byteorder)
        return SocketAddress(raw, key, host, port)

    # datagrams

    @abc.abstractmethod
    def receive(self) -> int:
        """Read what is there, up to `RX_BATCH` datagrams. 0 when there is nothing."""

    @abc.abstractmethod
    def _send(self, start: int, count: int) -> int:
        """Send datagrams `start` … `count` - 1; returns how many were taken. Raises OSError when the first one is refused."""

    def flush(self, count: int) -> None:
        """Send the first `count` datagrams of the batch. What the kernel does not take is lost, and counted: late audio helps
        nobody."""
        start = 0
        while start < count:
            try:
                sent = self._send(start, count)
            except OSError as error:
                if error.errno in (errno.EAGAIN, errno.ENOBUFS):
                    self.send_failures += count - start
                    return
                sent = 1  # this destination is refused (unreachable, for example); the others still get theirs
                self.send_failures += 1
            start += sent

    def send_to(self, data: bytes, address: SocketAddress) -> None:
        """Send one datagram at once, outside any batch: STUN and DTLS."""
        try:
            self.socket.sendto(data, socket.MSG_DONTWAIT, self._python_address(address))
        except OSError as error:
            self.send_failures += 1
            logger.debug("datagram not sent: %s", errno.errorcode.get(error.errno or 0, "unknown"))

    def _python_address(self, address: SocketAddress) -> tuple[Any, ...]:
        if self.is_ipv6:
            host = address.host if ":" in address.host else f"::ffff:{address.host}"
            return (host, address.port, 0, 0)
        return (address.host, address.port)


class LinuxUdpSocket(UdpSocket):
    """`recvmmsg` and `sendmmsg`."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        self._libc: Any = _ffi.dlopen(None)
        self._fd = sock.fileno()

    def receive(self) -> int:
        count: int = self._libc.recvmmsg(self._fd, self._rx_headers, RX_BATCH, _MSG_DONTWAIT, _ffi.NULL)
        if count < 0:
            # EAGAIN: nothing there. Others are echoes of earlier sends (ICMP); neither is ours to handle.
            return 0
        return count

    def _send(self, start: int, count: int) -> int:
        sent: int = self._libc.sendmmsg(self._fd, self._tx_headers + start, count - start, _MSG_DONTWAIT)
        if sent < 0:
            raise OSError(_ffi.errno, "sendmmsg")
        return sent


class PortableUdpSocket(UdpSocket):
    """One system call a datagram, for systems without the batched ones."""

    def receive(self) -> int:
        for index in range(RX_BATCH):
            start = index * RX_STRIDE
            try:
                length, address = self.socket.recvfrom_into(self.rx[start : start + RX_STRIDE])
            except OSError:
                return index
            name = _pack_name(address[0], address[1], self.is_ipv6)
            self._rx_names[index * _NAME_STRIDE : index * _NAME_STRIDE + len(name)] = name
            self.rx_lengths[index * self.rx_length_step + self.rx_length_offset] = length
        return RX_BATCH

    def _send(self, start: int, count: int) -> int:
        offset = start * TX_STRIDE
        name = bytes(_ffi.buffer(_ffi.cast("char *", self.tx_names[start * self.tx_name_step]), self._name_bytes))
        host, port = _unpack_name(name, self.is_ipv6)
        target = self._python_address(SocketAddress(name, 0, host, port))
        self.socket.sendto(self.tx[offset : offset + self.tx_lengths[2 * start + 1]], target)
        return 1


def _pack_name(host: str, port: int, is_ipv6: bool) -> bytes:
    """A Linux `sockaddr_in` or `sockaddr_in6`; elsewhere only our own key format."""
    address = ipaddress.ip_address(host.partition("%")[0])
    if not is_ipv6:
        return struct.pack("=H", socket.AF_INET) + struct.pack("!H4s8x", port, address.packed)
    packed = address.packed if address.version == 6 else b"\0" * 10 + b"\xff\xff" + address.packed
    return struct.pack("=H", socket.AF_INET6) + struct.pack("!HI16sI", port, 0, packed, 0)


def _unpack_name(raw: bytes, is_ipv6: bool) -> tuple[str, int]:
    (port,) = struct.unpack_from("!H", raw, 2)
    if not is_ipv6:
        return str(ipaddress.IPv4Address(raw[4:8])), port
    address = ipaddress.IPv6Address(raw[8:24])
    return str(address.ipv4_mapped or address), port


def open_udp_socket(host: str, port: int, *, portable: bool = False) -> UdpSocket:
    """Bind the media port. `host` "" means every address, IPv6 too where the machine has it; `port` 0 lets the system choose.

    Raises OSError when the port is taken or the address is not ours.
    """
    if host:
        candidates = [(host, socket.AF_INET6 if ":" in host else socket.AF_INET)]
    else:
        candidates = [("::", socket.AF_INET6), ("0.0.0.0", socket.AF_INET)]  # noqa: S104 - the media port is for everybody
    sock = None
    for address, family in candidates:
        try:
            sock = _bind(address, family, port)
            break
        except OSError as error:
            no_ipv6 = family == socket.AF_INET6 and error.errno in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)
            if host or not no_ipv6:
                raise
    assert sock is not None  # the last candidate is bound or has raised
    if sys.platform == "linux" and not portable:
        return LinuxUdpSocket(sock)
    return PortableUdpSocket(sock)


def _bind(host: str, family: socket.AddressFamily, port: int) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_DGRAM)
    try:
        sock.setblocking(False)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if host == "::" else 1)
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            sock.setsockopt(socket.SOL_SOCKET, option, SOCKET_BUFFER_BYTES)
        sock.bind((host, port))
    except BaseException:
        sock.close()
        raise
    return sock
