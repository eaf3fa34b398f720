"""The version of a database and the way from each to the newest.

`PRAGMA user_version` holds it. `schema.sql` makes a new database of the newest version; a step here brings one of the version
before to the next, and a test holds that both ways end in the same schema.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Mapping
from types import MappingProxyType

from server.resources import schema_sql

__all__ = ["VERSION", "Step", "UnusableDatabase", "migrate", "version_of"]

logger = logging.getLogger(__name__)

Step = Callable[[sqlite3.Connection], None]
"""Changes a database of the version before; runs inside a transaction and must not end it."""

VERSION = 1
"""The version that `schema.sql` makes."""

STEPS: Mapping[int, Step] = MappingProxyType({})
"""By the version that a step leads to, 2 to `VERSION`. Version 1 is the first there was."""


class UnusableDatabase(Exception):
    """It is newer than this program, or has tables of another one. The text says so as the end of a sentence."""


def version_of(db: sqlite3.Connection) -> int:
    """0 for a database that this program did not make."""
    [version] = db.execute("PRAGMA user_version").fetchone()
    assert isinstance(version, int)
    return version


def migrate(
    db: sqlite3.Connection, *, schema: str | None = None, steps: Mapping[int, Step] = STEPS, newest: int = VERSION
) -> None:
    """Make the schema in an empty database, or bring an older one to `newest`; each step is one transaction.

    `db` is in autocommit mode. Raises `UnusableDatabase`.
    """
    db.execute("BEGIN IMMEDIATE")  # a second process that starts at the same moment waits here, and then finds it done
    try:
        _create_or_refuse(db, schema if schema is not None else schema_sql(), newest)
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    while (version := version_of(db)) < newest:
        _take_step(db, version + 1, steps[version + 1])


def _create_or_refuse(db: sqlite3.Connection, schema: str, newest: int) -> None:
    version = version_of(db)
    if version > newest:
        raise UnusableDatabase(f"it has version {version}, made by a newer program; this one knows up to {newest}, so update it")
    if version > 0:
        return
    if db.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone() is not None:
        raise UnusableDatabase("it has tables of another program, so name another file")
    for statement in _statements(schema):
        db.execute(statement)
    logger.info("a new database of version %d was made", version_of(db))


def _take_step(db: sqlite3.Connection, to: int, step: Step) -> None:
    db.execute("BEGIN IMMEDIATE")
    try:
        if version_of(db) == to - 1:
            step(db)
            db.execute(f"PRAGMA user_version = {to:d}")
        db.execute("COMMIT")
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    logger.info("the database was brought to version %d", to)


def _statements(script: str) -> list[str]:
    """The statements of a script. `executescript` would commit in between."""
    statements: list[str] = []
    pending = ""
    for line in script.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            statements.append(pending)
            pending = ""
    return statements
