"""The batched socket and its plain twin: the same tests for both."""

from __future__ import annotations

import errno
import socket
import sys
from collections.abc import Callable, Iterator

import pytest

from server.media.udp import RX_BATCH, RX_STRIDE, TX_STRIDE, SocketAddress, UdpSocket, open_udp_socket

HAS_IPV6 = socket.has_ipv6


@pytest.fixture(params=["batched", "portable"])
def portable(request: pytest.FixtureRequest) -> bool:
    return request.param == "portable" or sys.platform != "linux"


@pytest.fixture
def opened() -> Iterator[Callable[..., UdpSocket]]:
    sockets: list[UdpSocket] = []

    def make(host: str = "127.0.0.1", *, portable: bool) -> UdpSocket:
        sockets.append(open_udp_socket(host, 0, portable=portable))
        return sockets[-1]

    yield make
    for sock in sockets:
        sock.close()


def queue(sock: UdpSocket, index: int, data: bytes, address: SocketAddress) -> None:
    sock.tx[index * TX_STRIDE : index * TX_STRIDE + len(data)] = data
    sock.tx_lengths[2 * index + 1] = len(data)
    sock.tx_names[index * sock.tx_name_step] = address.pointer


def received(sock: UdpSocket, count: int) -> list[tuple[bytes, SocketAddress]]:
    """Loopback delivers before the sending call returns, so what was sent is there."""
    result: list[tuple[bytes, SocketAddress]] = []
    while len(result) < count and (number := sock.receive()):
        for i in range(number):
            length = sock.rx_lengths[i * sock.rx_length_step + sock.rx_length_offset]
            result.append((bytes(sock.rx[i * RX_STRIDE : i * RX_STRIDE + length]), sock.address(i)))
    return result


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_batch_arrives_in_order_and_names_its_sender(opened: Callable[..., UdpSocket], portable: bool, host: str) -> None:
    sender, receiver = opened(host, portable=portable), opened(host, portable=portable)
    target = sender.sockaddr(host, receiver.port)
    for index in range(150):
        queue(sender, index, b"%d" % index, target)
    sender.flush(150)
    got = received(receiver, 150)
    assert [data for data, _ in got] == [b"%d" % index for index in range(150)]
    assert {(address.host, address.port) for _, address in got} == {(host, sender.port)}
    assert {address.key for _, address in got} == {receiver.sockaddr(host, sender.port).key}
    assert receiver.receive() == 0


def test_no_more_than_one_batch_is_read_at_once(opened: Callable[..., UdpSocket], portable: bool) -> None:
    sender, receiver = opened(portable=portable), opened(portable=portable)
    for _ in range(RX_BATCH + 5):
        sender.send_to(b"x", sender.sockaddr("127.0.0.1", receiver.port))
    assert receiver.receive() == RX_BATCH
    assert receiver.receive() == 5


def test_ipv4_on_the_socket_for_everybody(opened: Callable[..., UdpSocket], portable: bool) -> None:
    receiver, sender = opened("", portable=portable), opened("127.0.0.1", portable=portable)
    sender.send_to(b"hello", sender.sockaddr("127.0.0.1", receiver.port))
    [(data, address)] = received(receiver, 1)
    assert (data, address.host, address.port) == (b"hello", "127.0.0.1", sender.port)
    assert address.key == receiver.sockaddr("127.0.0.1", sender.port).key
    receiver.send_to(b"back", address)
    assert received(sender, 1)[0][0] == b"back"
    queue(receiver, 0, b"batch", address)
    receiver.flush(1)
    assert received(sender, 1)[0][0] == b"batch"


def test_a_refused_destination_does_not_keep_the_others_from_theirs(opened: Callable[..., UdpSocket], portable: bool) -> None:
    sender, receiver = opened(portable=portable), opened(portable=portable)
    good, refused = sender.sockaddr("127.0.0.1", receiver.port), sender.sockaddr("127.0.0.1", 0)
    for index, address in enumerate((good, refused, good, refused)):
        queue(sender, index, b"%d" % index, address)
    sender.flush(4)
    assert [data for data, _ in received(receiver, 4)] == [b"0", b"2"]
    assert sender.send_failures == 2
    sender.send_to(b"x", refused)
    assert sender.send_failures == 3


def test_a_full_kernel_buffer_drops_the_rest_and_counts_it(
    opened: Callable[..., UdpSocket], portable: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    sender = opened(portable=portable)

    def full(start: int, count: int) -> int:
        if start == 0:
            return 3
        raise OSError(errno.EAGAIN, "full")

    monkeypatch.setattr(sender, "_send", full)
    sender.flush(10)
    assert sender.send_failures == 7


def test_a_taken_port_and_a_strange_address_are_errors(opened: Callable[..., UdpSocket], portable: bool) -> None:
    first = opened(portable=portable)
    with pytest.raises(OSError, match=r".") as taken:
        open_udp_socket("127.0.0.1", first.port, portable=portable)
    assert taken.value.errno == errno.EADDRINUSE
    with pytest.raises(OSError, match=r"."):
        open_udp_socket("192.0.2.1", 0, portable=portable)


def test_without_ipv6_the_socket_for_everybody_is_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    real = socket.socket

    def without_ipv6(family: int = socket.AF_INET, *args: int) -> socket.socket:
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "no IPv6 here")
        return real(family, *args)

    monkeypatch.setattr("server.media.udp.socket.socket", without_ipv6)
    sock = open_udp_socket("", 0)
    assert not sock.is_ipv6
    sock.close()


def test_addresses_stay_out_of_logs() -> None:
    sock = open_udp_socket("127.0.0.1", 0)
    assert "127.0.0.1" not in repr(sock.sockaddr("127.0.0.1", 9))
    sock.close()
