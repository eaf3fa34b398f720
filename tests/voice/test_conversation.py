"""The figures of a conversation, against small examples and against the slow obvious way to count."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.voice.conversation import (
    DEAD_AIR_MS,
    INTERRUPTION_MS,
    TURN_GAP_MS,
    Interruption,
    Spoken,
    converse,
    gini,
    merged,
    turns,
)

STEP = 100  # ms; everything in the random conversations below happens on this grid
NAMES = ("anna", "bert", "cleo")


def said(*intervals: tuple[str, int, int]) -> list[Spoken]:
    return [Spoken(start, end, speaker) for speaker, start, end in intervals]


def test_a_short_conversation() -> None:
    spoken = said(("anna", 1000, 5000), ("bert", 4500, 8000), ("anna", 12_000, 13_000))
    figures = converse(spoken, {"anna": [(0, 20_000)], "bert": [(500, 15_000)], "cleo": [(0, 20_000)]})
    assert (figures.any_speech_ms, figures.overlap_ms, figures.overlaps) == (8000, 500, 1)
    assert (figures.silence_ms, figures.dead_air) == (12_000, ((8000, 12_000), (13_000, 20_000)))
    assert figures.longest_turn == Spoken(1000, 5000, "anna")
    assert figures.interruptions == (Interruption(4500, by="bert", of="anna"),)
    assert figures.first_word_ms == 1000
    anna, bert, cleo = (figures.speakers[name] for name in NAMES)
    assert (anna.speaking_ms, anna.turns, anna.longest_turn_ms, anna.first_after_ms) == (5000, 2, 4000, 1000)
    assert (anna.interruptions_made, anna.interruptions_suffered, bert.interruptions_made) == (0, 1, 1)
    assert anna.floor_share == pytest.approx(5000 / 8500)
    assert bert.first_after_ms == 4000
    assert (cleo.speaking_ms, cleo.floor_share, cleo.turns, cleo.longest_turn_ms, cleo.first_after_ms) == (0, 0.0, 0, 0, None)


def test_an_empty_room_and_a_silent_one() -> None:
    nothing = converse([], {})
    assert (nothing.speakers, nothing.silence_ms, nothing.first_word_ms, nothing.longest_turn) == ({}, 0, None, None)
    silent = converse([], {"anna": [(0, 2000), (5000, 9000)]})
    assert (silent.silence_ms, silent.dead_air, silent.gini) == (6000, ((5000, 9000),), 0.0)
    assert silent.speakers["anna"].floor_share == 0.0


def test_who_spoke_must_have_been_there() -> None:
    with pytest.raises(KeyError):
        converse(said(("anna", 0, 1)), {})


@pytest.mark.parametrize(
    ("old", "new", "interrupts"),
    [
        ((0, 1000), (800, 1200), True),
        ((0, 1000), (801, 2000), False),  # they meet for less than anybody notices
        ((0, 1000), (500, 1199), False),  # gives up again
        ((0, 1000), (500, 900), False),  # "mhm"
        ((0, 1000), (0, 2000), False),  # both began at the same time
        ((0, 1000), (1000, 2000), False),
    ],
)
def test_what_is_an_interruption(old: tuple[int, int], new: tuple[int, int], interrupts: bool) -> None:
    spoken = said(("anna", *old), ("bert", *new))
    figures = converse(spoken, {"anna": [(0, 5000)], "bert": [(0, 5000)]})
    assert figures.interruptions == ((Interruption(new[0], by="bert", of="anna"),) if interrupts else ())


@pytest.mark.parametrize(
    ("gap", "other", "count"),
    [(1000, None, 1), (1001, None, 2), (800, (1400, 1500), 2), (800, (900, 950), 1), (800, (1800, 1900), 1)],
)
def test_what_is_one_turn(gap: int, other: tuple[int, int] | None, count: int) -> None:
    spoken = said(("anna", 0, 1000), ("anna", 1000 + gap, 3000))
    if other is not None:
        spoken += said(("bert", *other))
    found = [turn for turn in turns(spoken) if turn.speaker == "anna"]
    assert len(found) == count
    assert (found[0].start, found[-1].end) == (0, 3000)


@pytest.mark.parametrize(
    ("amounts", "expected"), [([], 0.0), ([0, 0], 0.0), ([5], 0.0), ([3, 3, 3], 0.0), ([0, 0, 0, 8], 0.75), ([1, 3], 0.25)]
)
def test_gini(amounts: list[float], expected: float) -> None:
    assert gini(amounts) == pytest.approx(expected)


@given(st.lists(st.integers(0, 10_000), max_size=12))
def test_gini_is_the_mean_difference(amounts: list[int]) -> None:
    mean = sum(amounts) / len(amounts) if amounts else 0
    pairs = [abs(a - b) for a, b in itertools.product(amounts, repeat=2)]
    assert gini(amounts) == pytest.approx(sum(pairs) / len(pairs) / (2 * mean) if mean else 0.0)


# --- the same, counted step by step -------------------------------------------------------------------------------


@st.composite
def of_one(draw: st.DrawFn, speaker: str) -> list[Spoken]:
    """Intervals of one speaker, in order and apart."""
    edges = sorted(draw(st.sets(st.integers(0, 80), max_size=14)))
    return [Spoken(start * STEP, end * STEP, speaker) for start, end in zip(edges[::2], edges[1::2], strict=False)]


conversations = st.tuples(*(of_one(name) for name in NAMES)).map(lambda parts: [one for part in parts for one in part])
stays = st.fixed_dictionaries({name: st.just([(0, 80 * STEP)]) for name in NAMES})


def who_speaks(spoken: Sequence[Spoken], step: int) -> set[str]:
    return {one.speaker for one in spoken if one.start <= step * STEP < one.end}


def stretches(steps: Sequence[bool]) -> list[tuple[int, int]]:
    found, at = [], 0
    for true, group in itertools.groupby(steps):
        length = len(list(group))
        if true:
            found.append((at * STEP, (at + length) * STEP))
        at += length
    return found


def slow_interruptions(spoken: Sequence[Spoken]) -> list[Interruption]:
    found = []
    for new, old in itertools.product(spoken, repeat=2):
        shared = [ms for ms in range(new.start, new.end, STEP) if old.start <= ms < old.end]
        after = [ms for ms in range(new.start, new.end, STEP) if ms >= old.end]
        enough = len(shared) * STEP >= INTERRUPTION_MS and len(after) * STEP >= INTERRUPTION_MS
        if new.speaker != old.speaker and old.start < new.start and enough:
            found.append(Interruption(new.start, by=new.speaker, of=old.speaker))
    return sorted(found)


def slow_turns(spoken: Sequence[Spoken]) -> list[Spoken]:
    """Join any two that belong together until there are none."""
    left = sorted(spoken)
    while True:
        for first, second in itertools.permutations(left, 2):
            pause = second.start - first.end
            others = [one for one in spoken if one.speaker != first.speaker and first.end <= one.start < second.start]
            if first.speaker == second.speaker and 0 <= pause <= TURN_GAP_MS and not others:
                left.remove(first)
                left.remove(second)
                left.append(Spoken(first.start, second.end, first.speaker))
                break
        else:
            return sorted(left)


@given(conversations, stays)
def test_every_figure_is_what_counting_gives(spoken: list[Spoken], there: Mapping[str, list[tuple[int, int]]]) -> None:
    figures = converse(reversed(spoken), there)
    talking = [who_speaks(spoken, step) for step in range(80)]
    assert figures.any_speech_ms == sum(STEP for now in talking if now)
    assert figures.overlap_ms == sum(STEP for now in talking if len(now) > 1)
    assert figures.overlaps == len(stretches([len(now) > 1 for now in talking]))
    assert figures.silence_ms == sum(STEP for now in talking if not now)
    quiet = stretches([not now for now in talking])
    assert list(figures.dead_air) == [gap for gap in quiet if gap[1] - gap[0] >= DEAD_AIR_MS]
    assert list(figures.interruptions) == slow_interruptions(spoken)
    every_turn = slow_turns(spoken)
    assert list(turns(spoken)) == every_turn
    assert figures.first_word_ms == min((one.start for one in spoken), default=None)
    assert (figures.longest_turn is None) == (not spoken)
    if figures.longest_turn is not None:
        assert figures.longest_turn.length == max(turn.length for turn in every_turn)
    for name, of_name in figures.speakers.items():
        assert of_name.speaking_ms == sum(STEP for now in talking if name in now)
        assert of_name.turns == sum(turn.speaker == name for turn in every_turn)
        assert of_name.first_after_ms == min((one.start for one in spoken if one.speaker == name), default=None)
    if spoken:
        assert sum(of_name.floor_share for of_name in figures.speakers.values()) == pytest.approx(1.0)
    assert sum(of_name.speaking_ms for of_name in figures.speakers.values()) >= figures.any_speech_ms


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=10))
def test_the_union_of_intervals(intervals: list[tuple[int, int]]) -> None:
    covered = {at for start, end in intervals for at in range(start, end)}
    union = merged(intervals)
    assert {at for start, end in union for at in range(start, end)} == covered
    assert all(before[1] < after[0] for before, after in itertools.pairwise(union))


def test_a_long_day_is_counted_in_no_time() -> None:
    spoken = [Spoken(n * 1000, n * 1000 + 900, f"p{n % 30}") for n in range(40_000)]
    figures = converse(spoken, {f"p{n}": [(0, 40_000_000)] for n in range(30)})
    assert figures.any_speech_ms == 40_000 * 900
