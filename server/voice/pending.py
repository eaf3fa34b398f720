"""What waits in memory to be written: bounded, the newest form of each thing only, and what can be missed goes first."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from server.voice.ledger import (
    LedgerEntry,
    LevelFinding,
    QualityPoint,
    QualityTotals,
    RoomEvent,
    SessionMark,
    SessionSummary,
    SpeakingInterval,
)

__all__ = ["Pending"]

_Key = tuple[type[LedgerEntry], str | int, int]


class Pending:
    """Entries in the order in which they came, but the ends of stays behind all others, which belong to them.

    Beyond `capacity` the oldest mark, interval or event gives way, and only where there is none the oldest end of a stay.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._details: dict[_Key, LedgerEntry] = {}
        self._ends: dict[_Key, LedgerEntry] = {}

    def __len__(self) -> int:
        return len(self._details) + len(self._ends)

    def add(self, entries: Iterable[LedgerEntry]) -> int:
        """Returns how many entries gave way."""
        for entry in entries:
            self._home(entry)[_key(entry)] = entry
        return self._shrink()

    def give_back(self, entries: Iterable[LedgerEntry]) -> int:
        """Entries that were taken and could not be written: they are the oldest. Returns how many gave way."""
        newer = (self._details, self._ends)
        self._details, self._ends = {}, {}
        for entry in entries:
            self._home(entry)[_key(entry)] = entry
        self._details.update(newer[0])
        self._ends.update(newer[1])
        return self._shrink()

    def take(self, count: int) -> tuple[LedgerEntry, ...]:
        """The next `count` entries to write, which are no longer here then."""
        taken: list[LedgerEntry] = []
        for home in (self._details, self._ends):
            for key in list(islice(home, count - len(taken))):
                taken.append(home.pop(key))
        return tuple(taken)

    def _home(self, entry: LedgerEntry) -> dict[_Key, LedgerEntry]:
        return self._ends if isinstance(entry, SessionSummary) else self._details

    def _shrink(self) -> int:
        gone = 0
        while len(self) > self._capacity:
            home = self._details or self._ends
            del home[next(iter(home))]
            gone += 1
        return gone


def _key(entry: LedgerEntry) -> _Key:
    match entry:
        case RoomEvent():
            return RoomEvent, entry.event_id, 0
        case SpeakingInterval():
            return SpeakingInterval, entry.session_id, entry.seq
        case QualityPoint():
            return QualityPoint, entry.session_id, int(entry.at.timestamp())
        case SessionMark() | SessionSummary() | QualityTotals() | LevelFinding():
            return type(entry), entry.session_id, 0
