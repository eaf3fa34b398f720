"""Files of older versions, a SQLite database or an SQL dump of one, read row by row without changing anything."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import quote

__all__ = ["TABLES", "OlderFile", "OlderRow", "Undecodable", "UnusableFile", "Value", "open_older"]

TABLES: Final = ("voice_sessions", "users", "admin_actions")
"""What is taken over."""

_MAGIC: Final = b"SQLite format 3\0"
_OUR_TABLE: Final = "call_totals"
_STATEMENT: Final = re.compile(r"\s*(?:CREATE\s+TABLE|INSERT\s)", re.IGNORECASE)
_INSERT: Final = re.compile(r"\s*INSERT\s", re.IGNORECASE)
_TARGET: Final = re.compile(r"""\s*INSERT\s+(?:OR\s+\w+\s+)?INTO\s+["'`\[]?(\w+)""", re.IGNORECASE)


class UnusableFile(Exception):
    """It is no database or dump of an older version. The text says so as the end of a sentence."""


class Undecodable:
    """A text that is not UTF-8."""


Value = str | int | float | bytes | Undecodable | None


@dataclass(frozen=True, slots=True)
class OlderRow:
    """One row as it is. `number` counts the rows of its table from 1; names of columns are in small letters."""

    table: str
    number: int
    values: dict[str, Value]


@dataclass(slots=True)
class OlderFile:
    """An older database, open. `columns` are those of each of `TABLES` that is there.

    `broken` are the statements of a dump that could not be read: what each was about, and why.
    """

    db: sqlite3.Connection = field(repr=False)
    columns: dict[str, tuple[str, ...]]
    broken: list[tuple[str, str]]

    def rows(self, table: str) -> Iterator[OlderRow]:
        """The rows of a table, in their order. Raises `UnusableFile` where the file is damaged."""
        names = self.columns.get(table, ())
        if not names:
            return
        try:
            # The name is one of `TABLES`, none of the file's.
            for number, row in enumerate(self.db.execute(f"SELECT * FROM {table}"), 1):  # noqa: S608
                yield OlderRow(table, number, dict(zip(names, row, strict=True)))
        except sqlite3.Error as problem:
            raise UnusableFile(f"the table {table} cannot be read to its end: {problem}") from None


@contextmanager
def open_older(path: Path) -> Iterator[OlderFile]:
    """Open a database or a dump. Raises `UnusableFile`."""
    try:
        with path.open("rb") as file:
            is_database = file.read(len(_MAGIC)) == _MAGIC
        broken: list[tuple[str, str]] = []
        connection = _open_database(path) if is_database else _load_dump(path, broken)
    except OSError as problem:
        raise UnusableFile(f"it cannot be opened: {problem.strerror}") from None
    except sqlite3.Error as problem:
        raise UnusableFile(f"it cannot be read: {problem}") from None
    with closing(connection) as db:
        db.text_factory = _text
        yield OlderFile(db, _columns(db), broken)


def _text(raw: bytes) -> str | Undecodable:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return Undecodable()


def _open_database(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{quote(str(path.resolve()))}?mode=ro", uri=True, isolation_level=None)


def _columns(db: sqlite3.Connection) -> dict[str, tuple[str, ...]]:
    try:
        known = {name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        if _OUR_TABLE in known:
            raise UnusableFile("it is a database of this version already: name it as VOICE_DATABASE")
        columns = {table: tuple(name.lower() for _, name, *_ in db.execute(f"PRAGMA table_info({table})")) for table in TABLES}
    except sqlite3.Error as problem:
        raise UnusableFile(f"it cannot be read: {problem}") from None
    if "joined_at" not in columns["voice_sessions"]:
        raise UnusableFile("it has no table voice_sessions as older versions had it")
    return {table: names for table, names in columns.items() if names}


# --- dumps ------------------------------------------------------------------------------------------------------------


def _load_dump(path: Path, broken: list[tuple[str, str]]) -> sqlite3.Connection:
    """The tables of a dump, in memory. Only tables are made and rows put in; whatever else a dump says is left aside."""
    db = sqlite3.connect(":memory:", isolation_level=None)
    try:
        # Bytes as characters, whatever they are: where statements end does not depend on it.
        with path.open(encoding="latin-1") as lines:
            for line_number, statement in _statements(lines):
                _take(db, line_number, statement, broken)
    except BaseException:
        db.close()
        raise
    return db


def _statements(lines: Iterator[str]) -> Iterator[tuple[int, str]]:
    """The statements of a dump, each with the line it begins in.

    A line that is a whole statement by itself ends one that has not come to its end: there a quote is missing.
    """
    pending, begun = "", 1
    for number, line in enumerate(lines, 1):
        if pending.strip() and _STATEMENT.match(line) and sqlite3.complete_statement(line):
            yield begun, pending
            pending = ""
        if not pending.strip():
            pending, begun = "", number
        pending += line
        if line.rstrip().endswith(";") and sqlite3.complete_statement(pending):
            yield begun, pending
            pending = ""
    if pending.strip():
        yield begun, pending


def _take(db: sqlite3.Connection, line_number: int, statement: str, broken: list[tuple[str, str]]) -> None:
    if not _STATEMENT.match(statement):
        return
    if _INSERT.match(statement):
        target = _TARGET.match(statement)
        if target is not None and target[1].lower() not in TABLES:
            return
    try:
        db.execute(statement.encode("latin-1").decode())
    except UnicodeDecodeError:
        broken.append((f"line {line_number}", "not UTF-8"))
    except (sqlite3.Error, sqlite3.Warning, ValueError) as problem:
        broken.append((f"line {line_number}", str(problem)))
