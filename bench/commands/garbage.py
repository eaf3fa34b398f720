"""`garbage`: whether the server stands random datagrams at its media port."""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

from bench import garbage
from bench.commands.output import add_files, tell

__all__ = ["add"]


def add(commands: Any) -> None:
    """Add the command to the parser's."""
    command = commands.add_parser(
        "garbage",
        help="whether the server stands random datagrams at its media port",
        description="Starts a server, connects two clients, sends random datagrams, and sees whether it still serves.",
    )
    command.set_defaults(run=_run)
    command.add_argument("--count", type=int, default=1_000_000, help="datagrams (default: %(default)s)")
    command.add_argument("--seed", type=int, default=1, help="of the random numbers (default: %(default)s)")
    add_files(command, picture=False)


def _run(options: argparse.Namespace) -> int:
    report = asyncio.run(garbage.run(options.count, seed=options.seed))
    tell(options, garbage.garbage_table(report), report.as_json())
    return 0 if report.is_well else 1
