"""The paced loop that only sends."""

from __future__ import annotations

import contextlib
import os

import pytest

from bench import kernel_share
from bench.batch import BatchReader
from bench.endpoint import loopback_socket
from bench.kernel_share import Load, Share


async def test_it_sends_what_was_asked_for_at_its_rate() -> None:
    with contextlib.ExitStack() as stack:
        receivers = [stack.enter_context(loopback_socket("127.0.0.1")) for _ in range(5)]
        load = Load([r.getsockname()[1] for r in receivers], batch=4, batches_per_second=500, size=108, seconds=0.2)
        share = await kernel_share.measure(load, frozenset(os.sched_getaffinity(0)))
        reader = BatchReader()
        counts = []
        for receiver in receivers:
            count = 0
            while read := reader.receive(receiver.fileno()):
                count += read
                assert reader.lengths[reader.offset] == 108
            counts.append(count)
    assert share.packets == sum(counts) == 400
    assert counts == [80] * 5
    assert 0.15e9 < share.elapsed_ns < 2e9
    assert 0 < share.cpu_ns < share.elapsed_ns
    assert 0 < share.us_per_packet < 1000


async def test_a_loop_that_fails_is_an_error() -> None:
    with pytest.raises(RuntimeError, match="status 1"):
        await kernel_share.measure(Load([], 1, 10, 10, 0.1), frozenset(os.sched_getaffinity(0)))


def test_shares_add_up() -> None:
    both = kernel_share.combined([Share(100, 10, 1_000_000, 5, 1), Share(300, 30, 1_000_000, 7, 0)])
    assert both == Share(400, 40, 2_000_000, 12, 1)
    assert both.us_per_packet == 5.0
