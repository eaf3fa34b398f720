"""`weltenstimme role set`: what someone may do, whatever their token says. It holds from their next join on, for REST at once."""

from __future__ import annotations

import sys

from server.commands.database import with_database
from server.commands.token import names_of, user_id_of
from server.config import Settings
from server.options import CommandLine
from server.protocol import format_time
from server.storage.rights import give_right
from server.voice.clock import SystemClock
from server.voice.participant import Right, Role

__all__ = ["run"]


def run(settings: Settings, line: CommandLine) -> int:
    """0 when it was done. Raises `ConfigError`."""
    given = line.arguments
    worlds, rooms = names_of(given.get("worlds"), "--worlds"), names_of(given.get("rooms"), "--rooms")
    user = user_id_of(given["user"])
    right = Right(Role(given["role"]), worlds, rooms)
    now = format_time(SystemClock().now())
    with_database(settings, lambda database: database.write(lambda db: give_right(db, user, right, now)))
    where = "everywhere" if worlds is None and rooms is None else "where it was given"
    print(f"{user} is {right.role} {where}.", file=sys.stderr)
    return 0
