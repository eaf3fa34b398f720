"""What all lists have in common: a page of rows in a stable order, newest first, and how many rows there are in all.

A page begins behind a *position*, the time and id of the last row of the page before, and is found by index wherever it is:
the last page costs as much as the first, and rows that are added meanwhile move nothing. The total of a list that can be long
comes from counts by day (`session_totals`, `call_totals`), which triggers of the schema keep; only the days that a span cuts
are counted.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from typing import Any, Final, Generic, TypeVar

from server.storage.timestamps import to_text

__all__ = ["ALL_TIME", "MAX_PAGE", "Conditions", "Page", "Position", "Span", "count", "fetch_page", "total_by_day"]

R = TypeVar("R")

MAX_PAGE: Final = 200
"""The most rows of one page."""

_MIDNIGHT: Final = time(0)
_ONE_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a list: right behind the row with this time (text, as in the row) and this id."""

    at: str
    id: int


@dataclass(frozen=True, slots=True)
class Page(Generic[R]):
    """Some rows of a list. `next` is where the following page begins, None after the last; `total` counts the whole list."""

    rows: tuple[R, ...]
    total: int
    next: Position | None


@dataclass(frozen=True, slots=True)
class Span:
    """From `since` (included) until `until` (not included); both aware, None where it is open."""

    since: datetime | None = None
    until: datetime | None = None


ALL_TIME: Final = Span()
"""Without a bound."""


@dataclass(slots=True)
class Conditions:
    """What rows must fulfil: SQL with a mark for each value. Only SQL that is written in this program goes in."""

    _sql: list[str] = field(default_factory=list)
    values: list[Any] = field(default_factory=list)

    def add(self, sql: str, *values: Any) -> Conditions:
        self._sql.append(sql)
        self.values += values
        return self

    def equal(self, column: str, value: object) -> Conditions:
        """`column` has this value; None asks nothing."""
        return self if value is None else self.add(f"{column} = ?", value)

    def within(self, column: str, span: Span) -> Conditions:
        """The time in `column` lies in the span."""
        if span.since is not None:
            self.add(f"{column} >= ?", to_text(span.since))
        if span.until is not None:
            self.add(f"{column} < ?", to_text(span.until))
        return self

    def copy(self) -> Conditions:
        return Conditions(list(self._sql), list(self.values))

    @property
    def where(self) -> str:
        return f"WHERE {' AND '.join(self._sql)}" if self._sql else ""


def fetch_page(
    db: sqlite3.Connection,
    select: str,
    order: tuple[str, str],
    conditions: Conditions,
    span: Span,
    *,
    behind: Position | None,
    limit: int,
) -> tuple[list[tuple[Any, ...]], Position | None]:
    """The rows of a page, and where the next one begins.

    `select` is everything before `WHERE`, and selects the columns of `order`, a time that `span` is about and an id, first.
    """
    asked = conditions.copy()
    # One upper bound, the tighter one: of two, SQLite seeks by either and walks to the other.
    if behind is not None and (span.until is None or behind.at < to_text(span.until)):
        asked.within(order[0], Span(span.since)).add(f"({order[0]}, {order[1]}) < (?, ?)", behind.at, behind.id)
    else:
        asked.within(order[0], span)
    sql = f"{select} {asked.where} ORDER BY {order[0]} DESC, {order[1]} DESC LIMIT ?"
    rows = db.execute(sql, (*asked.values, limit + 1)).fetchall()
    if len(rows) <= limit:
        return rows, None
    last = rows[limit - 1]
    return rows[:limit], Position(last[0], last[1])


def count(db: sqlite3.Connection, source: str, conditions: Conditions) -> int:
    """How many rows of `source`, which is what stands behind `FROM`, fulfil the conditions."""
    [number] = db.execute(f"SELECT count(*) FROM {source} {conditions.where}", conditions.values).fetchone()  # noqa: S608
    assert isinstance(number, int)
    return number


def total_by_day(db: sqlite3.Connection, table: str, key: Sequence[str], span: Span, count_within: Callable[[Span], int]) -> int:
    """How many there are in `span`: whole days from `table` by `key` (world, room id; "" for all), cut ones by `count_within`."""
    first = _next_midnight(span.since) if span.since is not None else None
    last = _midnight(span.until) if span.until is not None else None
    if first is not None and last is not None and first >= last:
        return count_within(span)
    days = Conditions().equal("world", key[0]).equal("room_id", key[1])
    if first is not None:
        days.add("day >= ?", to_text(first)[:10])
    if last is not None:
        days.add("day < ?", to_text(last)[:10])
    sql = f"SELECT coalesce(sum(entries), 0) FROM {table} {days.where}"  # noqa: S608
    [total] = db.execute(sql, days.values).fetchone()
    assert isinstance(total, int)
    if first is not None and first != span.since:
        total += count_within(Span(span.since, first))
    if last is not None and last != span.until:
        total += count_within(Span(last, span.until))
    return total


def _midnight(moment: datetime) -> datetime:
    """The beginning of the day (UTC) of `moment`, which is in UTC."""
    return datetime.combine(moment.date(), _MIDNIGHT, moment.tzinfo)


def _next_midnight(moment: datetime) -> datetime:
    midnight = _midnight(moment)
    return midnight if midnight == moment else midnight + _ONE_DAY
