"""How people talked with each other, from the intervals in which each of them spoke. Pure, and without any audio.

Times are whole milliseconds on one line common to all speakers. The definitions follow practice in the study of turn-taking
and of meetings; docs/ledger.md gives them with their sources:

- a *turn* is what someone says before anybody else takes over: intervals of one speaker no further apart than `TURN_GAP_MS`,
  with no interval of anybody else beginning in the pause;
- *overlap* is time in which at least two speak;
- an *interruption* is an interval that begins within another one and outlasts it, provided that both speak at the same time for
  `INTERRUPTION_MS` at least and that the newcomer goes on for as long after that: a short "mhm" is no interruption, and neither
  is an attempt that was given up;
- *dead air* is a stretch of `DEAD_AIR_MS` or longer in which people are there and nobody speaks;
- the *Gini coefficient* of speaking times is 0 where everybody spoke equally long, and near 1 where one spoke alone.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

__all__ = [
    "DEAD_AIR_MS",
    "INTERRUPTION_MS",
    "TURN_GAP_MS",
    "Conversation",
    "Interruption",
    "SpeakerFigures",
    "Spoken",
    "converse",
    "gini",
    "merged",
    "turns",
]

TURN_GAP_MS: Final = 1000
"""Within a turn people pause for up to about a second: the standard maximum silence of conversation (Jefferson 1989)."""
INTERRUPTION_MS: Final = 200
"""Nobody reacts to speech in less than some 200 ms (Heldner and Edlund 2010): no briefer overlap was meant."""
DEAD_AIR_MS: Final = 3000
"""Far beyond any pause within a conversation: nobody has anything to say, or something is broken."""


@dataclass(frozen=True, slots=True, order=True)
class Spoken:
    """Someone spoke from `start` to `end`, in ms; `start` < `end`. Intervals of one speaker do not overlap."""

    start: int
    end: int
    speaker: str

    @property
    def length(self) -> int:
        return self.end - self.start


@dataclass(frozen=True, slots=True, order=True)
class Interruption:
    """At `at`, `by` began to speak while `of` did, and kept the floor."""

    at: int
    by: str
    of: str


@dataclass(frozen=True, slots=True)
class SpeakerFigures:
    """One participant. `floor_share` is of the sum of everybody's speaking times; 0.0 where nobody spoke.

    `first_after_ms` is from their joining to their first word, None for one who said nothing.
    """

    speaking_ms: int
    floor_share: float
    turns: int
    longest_turn_ms: int
    interruptions_made: int
    interruptions_suffered: int
    first_after_ms: int | None


@dataclass(frozen=True, slots=True)
class Conversation:
    """A stretch of a room. `silence_ms` is when people were there and nobody spoke, `dead_air` its long stretches.

    `first_word_ms` is from the beginning to the first word of anybody, None where none was said. `longest_turn` is None then too.
    """

    speakers: Mapping[str, SpeakerFigures]
    any_speech_ms: int
    overlap_ms: int
    overlaps: int
    silence_ms: int
    dead_air: tuple[tuple[int, int], ...]
    longest_turn: Spoken | None
    interruptions: tuple[Interruption, ...]
    first_word_ms: int | None
    gini: float


def converse(
    spoken: Iterable[Spoken], stays: Mapping[str, Sequence[tuple[int, int]]], *, dead_air_ms: int = DEAD_AIR_MS
) -> Conversation:
    """The figures of a conversation. `stays` says for each participant from when to when they were there, in ms; who is in it and
    said nothing counts, with nothing. Whoever spoke must be in it (`KeyError`).
    """
    intervals = sorted(spoken)
    all_turns = turns(intervals)
    cuts = _interruptions(intervals)
    totals = dict.fromkeys(stays, 0)
    for interval in intervals:
        totals[interval.speaker] += interval.length
    whole = sum(totals.values())
    present = merged(stay for of_one in stays.values() for stay in of_one)
    speech = merged((interval.start, interval.end) for interval in intervals)
    quiet = _without(present, speech)
    overlaps = _overlaps(intervals)
    return Conversation(
        speakers={
            name: SpeakerFigures(
                speaking_ms=total,
                floor_share=total / whole if whole else 0.0,
                turns=sum(turn.speaker == name for turn in all_turns),
                longest_turn_ms=max((turn.length for turn in all_turns if turn.speaker == name), default=0),
                interruptions_made=sum(cut.by == name for cut in cuts),
                interruptions_suffered=sum(cut.of == name for cut in cuts),
                first_after_ms=_first_after(name, intervals, stays[name]),
            )
            for name, total in totals.items()
        },
        any_speech_ms=_length(speech),
        overlap_ms=_length(overlaps),
        overlaps=len(overlaps),
        silence_ms=_length(quiet),
        dead_air=tuple(gap for gap in quiet if gap[1] - gap[0] >= dead_air_ms),
        longest_turn=max(all_turns, key=lambda turn: (turn.length, -turn.start), default=None),
        interruptions=cuts,
        first_word_ms=intervals[0].start - present[0][0] if intervals and present else None,
        gini=gini(totals.values()),
    )


def turns(spoken: Iterable[Spoken]) -> tuple[Spoken, ...]:
    """Intervals joined to turns, in order. A turn's pauses are part of its length."""
    intervals = sorted(spoken)
    starts: dict[str, list[int]] = {}
    for interval in intervals:
        starts.setdefault(interval.speaker, []).append(interval.start)
    latest: dict[str, Spoken] = {}
    done: list[Spoken] = []
    for interval in intervals:
        name, before = interval.speaker, latest.get(interval.speaker)
        if before is not None and interval.start - before.end <= TURN_GAP_MS:
            others = (of_other for other, of_other in starts.items() if other != name)
            if not any(_any_within(of_other, before.end, interval.start) for of_other in others):
                latest[name] = Spoken(before.start, interval.end, name)
                continue
        if before is not None:
            done.append(before)
        latest[name] = interval
    return tuple(sorted([*done, *latest.values()]))


def merged(intervals: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The union of intervals, as intervals that do not touch, in order. Empty ones vanish."""
    union: list[tuple[int, int]] = []
    for start, end in sorted(interval for interval in intervals if interval[0] < interval[1]):
        if union and start <= union[-1][1]:
            union[-1] = (union[-1][0], max(union[-1][1], end))
        else:
            union.append((start, end))
    return union


def gini(amounts: Iterable[float]) -> float:
    """The Gini coefficient: half the mean difference between any two, by the mean; 0.0 where there is nothing to share.

    The formula over sorted amounts, which is the same in less time (Sen, On Economic Inequality, 1973).
    """
    ordered = sorted(amounts)
    whole, count = sum(ordered), len(ordered)
    if not whole:
        return 0.0
    weighted = sum(rank * amount for rank, amount in enumerate(ordered, start=1))
    return 2 * weighted / (count * whole) - (count + 1) / count


def _any_within(ordered: Sequence[int], start: int, end: int) -> bool:
    """Whether any number is `start` or more, and less than `end`."""
    position = bisect_left(ordered, start)
    return position < len(ordered) and ordered[position] < end


def _interruptions(intervals: Iterable[Spoken]) -> tuple[Interruption, ...]:
    """`intervals` in order."""
    found: list[Interruption] = []
    speaking: list[Spoken] = []
    for new in intervals:
        speaking = [old for old in speaking if old.end > new.start]
        for old in speaking:
            together, longer = min(old.end, new.end) - new.start, new.end - old.end
            if old.start < new.start and together >= INTERRUPTION_MS and longer >= INTERRUPTION_MS:
                found.append(Interruption(new.start, by=new.speaker, of=old.speaker))
        speaking.append(new)
    return tuple(sorted(found))


def _overlaps(intervals: Iterable[Spoken]) -> list[tuple[int, int]]:
    """When at least two speak."""
    # Of two edges at the same moment the end comes first: who begins when the other ends does not overlap.
    edges = sorted(edge for one in intervals for edge in ((one.start, 1), (one.end, -1)))
    stretches: list[tuple[int, int]] = []
    speaking, since = 0, 0
    for moment, step in edges:
        if speaking >= 2 > speaking + step:
            stretches.append((since, moment))
        elif speaking + step >= 2 > speaking:
            since = moment
        speaking += step
    return merged(stretches)


def _without(whole: Sequence[tuple[int, int]], taken: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """`whole` less `taken`, both as `merged` makes them."""
    left: list[tuple[int, int]] = []
    for start, end in whole:
        at = start
        for cut_start, cut_end in taken:
            if cut_end <= at or cut_start >= end:
                continue
            if cut_start > at:
                left.append((at, cut_start))
            at = cut_end
        if at < end:
            left.append((at, end))
    return left


def _length(intervals: Iterable[tuple[int, int]]) -> int:
    return sum(end - start for start, end in intervals)


def _first_after(speaker: str, intervals: Iterable[Spoken], stays: Sequence[tuple[int, int]]) -> int | None:
    first = min((one.start for one in intervals if one.speaker == speaker), default=None)
    return None if first is None else first - min(start for start, _ in stays)
