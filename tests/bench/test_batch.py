"""Datagrams in batches."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import time
from collections.abc import Iterator

import pytest

from bench.batch import BATCH, STRIDE, BatchReader, BatchWriter, enable_arrival_times, receive_drops
from bench.endpoint import loopback_socket


@pytest.fixture
def sockets() -> Iterator[list[socket.socket]]:
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(loopback_socket("127.0.0.1")) for _ in range(4)]


def contents(reader: BatchReader, count: int) -> list[bytes]:
    lengths = [reader.lengths[index * reader.step + reader.offset] for index in range(count)]
    return [bytes(reader.data[index * STRIDE : index * STRIDE + length]) for index, length in enumerate(lengths)]


def wait_for(sock: socket.socket) -> None:
    assert select.select([sock], [], [], 2)[0]


def test_a_batch_is_read_in_order(sockets: list[socket.socket]) -> None:
    sender, receiver, *_ = sockets
    for number in range(BATCH + 3):
        sender.sendto(b"%d" % number, receiver.getsockname())
    wait_for(receiver)
    reader = BatchReader()
    assert reader.receive(receiver.fileno()) == BATCH
    assert contents(reader, BATCH) == [b"%d" % number for number in range(BATCH)]
    assert reader.receive(receiver.fileno()) == 3
    assert contents(reader, 3) == [b"64", b"65", b"66"]
    assert reader.receive(receiver.fileno()) == 0


def test_the_kernel_says_when_a_datagram_arrived(sockets: list[socket.socket]) -> None:
    sender, receiver, other, _ = sockets
    enable_arrival_times(receiver)
    reader = BatchReader()
    for _ in range(3):  # the room for control messages has to be given again each time
        before = time.time_ns()
        sender.sendto(b"x" * 9, receiver.getsockname())
        after = time.time_ns()
        wait_for(receiver)
        assert reader.receive(receiver.fileno(), with_times=True) == 1
        assert contents(reader, 1) == [b"x" * 9]
        arrival = reader.arrival_ns(0)
        assert arrival is not None
        assert before <= arrival <= after
    assert BatchReader().arrival_ns(0) is None
    del other


def test_runs_go_round_the_receivers(sockets: list[socket.socket]) -> None:
    sender, *receivers = sockets
    writer = BatchWriter(sender, [receiver.getsockname() for receiver in receivers], b"ready")
    assert writer.send(2, 3) == 3
    assert writer.send(4, 1) == 1
    for receiver, expected in zip(receivers, [1, 2, 1], strict=True):
        wait_for(receiver)
        reader = BatchReader()
        assert contents(reader, reader.receive(receiver.fileno())) == [b"ready"] * expected


def test_a_closed_socket_is_an_error(sockets: list[socket.socket]) -> None:
    sender, receiver, *_ = sockets
    writer = BatchWriter(sender, [receiver.getsockname()], b"x")
    sender.close()
    with pytest.raises(OSError, match="sendmmsg"):
        writer.send(0, 1)


def test_what_nobody_reads_is_counted(sockets: list[socket.socket]) -> None:
    sender, receiver, *_ = sockets
    receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    assert receive_drops(receiver) == 0
    for _ in range(50):
        sender.sendto(os.urandom(1000), receiver.getsockname())
    assert receive_drops(receiver) > 0
