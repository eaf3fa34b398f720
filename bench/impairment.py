"""What a bad network does to outgoing packets, as plain functions.

An `Impairment` takes the running number of a packet (0, 1, 2 …) and returns the delay in seconds of each copy that is sent:
`(0.0,)` is an undisturbed packet, `()` a lost one, `(0.0, 0.0)` a duplicated one, `(0.02,)` one that arrives 20 ms late.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Sequence

__all__ = ["Impairment", "combined", "delay_every", "duplicate_every", "lose", "lose_every", "lose_randomly", "undisturbed"]

Impairment = Callable[[int], Sequence[float]]


def undisturbed(index: int) -> Sequence[float]:
    """Every packet arrives once, at once."""
    del index
    return (0.0,)


def lose(indices: Collection[int]) -> Impairment:
    """Exactly these packets are lost."""
    lost = frozenset(indices)
    return lambda index: () if index in lost else (0.0,)


def lose_every(count: int, *, first: int = 0) -> Impairment:
    """Packets `first`, `first + count`, `first + 2 * count` … are lost."""
    return lambda index: () if index >= first and (index - first) % count == 0 else (0.0,)


def lose_randomly(fraction: float, rng: random.Random) -> Impairment:
    """Each packet is lost with this probability, 0.0 to 1.0."""
    return lambda index: () if rng.random() < fraction else (0.0,)


def duplicate_every(count: int) -> Impairment:
    """One in `count` packets arrives twice."""
    return lambda index: (0.0, 0.0) if index % count == 0 else (0.0,)


def delay_every(count: int, seconds: float) -> Impairment:
    """One in `count` packets arrives `seconds` late, after those sent meanwhile: reordering."""
    return lambda index: (seconds,) if index % count == 0 else (0.0,)


def combined(*stages: Impairment) -> Impairment:
    """Each copy that leaves one stage passes through the next; the delays add up."""

    def apply(index: int) -> Sequence[float]:
        copies: Sequence[float] = (0.0,)
        for stage in stages:
            copies = [before + after for before in copies for after in stage(index)]
        return copies

    return apply
