"""Counting streams by their sequence numbers."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from bench.streams import Delays, Stream, percentile, total


def counted(sequences: Iterable[int]) -> Stream:
    """As the generator's packet path counts."""
    stream = Stream()
    for sequence in sequences:
        stream.received += 1
        if sequence == stream.expected:
            stream.expected = (sequence + 1) & 0xFFFF
        else:
            stream.skip(sequence)
    return stream


@pytest.mark.parametrize(
    ("sequences", "lost", "late"),
    [
        ([5, 6, 7], 0, 0),
        ([0xFFFE, 0xFFFF, 0, 1], 0, 0),
        ([1, 2, 5], 2, 0),
        ([1, 3, 2, 4], 0, 1),
        ([0xFFFF, 2, 0, 1, 3], 0, 2),
        ([], 0, 0),
    ],
)
def test_gaps_and_late_packets(sequences: list[int], lost: int, late: int) -> None:
    stream = counted(sequences)
    assert (stream.received, stream.lost, stream.late) == (len(sequences), lost, late)


def test_totals_are_of_streams_that_were_heard() -> None:
    totals = total([counted([1, 2, 4]), counted([]), counted([9, 8])])
    assert (totals.streams, totals.received, totals.lost, totals.late) == (2, 5, 0, 1)


def test_percentiles_are_by_nearest_rank() -> None:
    assert percentile(range(1, 101), 0.5) == 51
    assert percentile(range(1, 101), 0.99) == 100
    assert percentile([7], 0.99) == 7
    assert percentile([], 0.5) == 0.0


def test_delays_are_in_microseconds() -> None:
    assert Delays.of([3000, 1000, 2000]) == Delays(3, 2.0, 3.0, 3.0)
    assert Delays.of([]) == Delays(0, 0.0, 0.0, 0.0)
