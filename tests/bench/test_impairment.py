"""What a bad network does, as numbers."""

from __future__ import annotations

import random

from bench import impairment


def test_packets_pass_undisturbed() -> None:
    assert [impairment.undisturbed(index) for index in range(3)] == [(0.0,)] * 3


def test_chosen_packets_are_lost() -> None:
    lose = impairment.lose([1, 3])
    assert [bool(lose(index)) for index in range(5)] == [True, False, True, False, True]


def test_periodic_loss_starts_where_told() -> None:
    lose = impairment.lose_every(10, first=5)
    assert [index for index in range(30) if not lose(index)] == [5, 15, 25]


def test_random_loss_comes_near_its_fraction_and_repeats_with_its_seed() -> None:
    first, second = (impairment.lose_randomly(0.1, random.Random(7)) for _ in range(2))
    lost = [index for index in range(10_000) if not first(index)]
    assert 900 < len(lost) < 1100
    assert lost == [index for index in range(10_000) if not second(index)]


def test_duplicates_and_delays() -> None:
    duplicate = impairment.duplicate_every(3)
    delay = impairment.delay_every(2, 0.02)
    assert [len(duplicate(index)) for index in range(6)] == [2, 1, 1, 2, 1, 1]
    assert [delay(index) for index in range(3)] == [(0.02,), (0.0,), (0.02,)]


def test_stages_combine_and_delays_add_up() -> None:
    network = impairment.combined(impairment.duplicate_every(2), impairment.delay_every(2, 0.01), impairment.delay_every(4, 0.02))
    assert list(network(0)) == [0.03, 0.03]
    assert list(network(1)) == [0.0]
    assert list(network(2)) == [0.01, 0.01]
    assert list(impairment.combined(impairment.lose([0]), impairment.duplicate_every(1))(0)) == []
