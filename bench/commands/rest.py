"""`rest`: how fast the API answers with many sessions stored."""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

from bench import rest
from bench.commands.output import add_files, tell
from bench.pictures import draw_rest

__all__ = ["add"]


def add(commands: Any) -> None:
    """Add the command to the parser's."""
    command = commands.add_parser(
        "rest",
        help="how fast the API answers with many sessions stored, while people come and go",
        description="Fills a database, starts a server on it, lets people join and leave, and asks for lists meanwhile.",
    )
    command.set_defaults(run=_run)
    command.add_argument("--sessions", type=int, default=10_000, help="stored before (default: %(default)s)")
    command.add_argument("--rate", type=float, default=50.0, help="joins a second (default: %(default)s)")
    command.add_argument("--seconds", type=float, default=10.0, help="for so long (default: %(default)s)")
    add_files(command)


def _run(options: argparse.Namespace) -> int:
    report = asyncio.run(rest.run(rest.RestOptions(options.sessions, options.rate, options.seconds)))
    tell(options, rest.rest_table(report), report.as_json(), lambda: draw_rest(report))
    return 0 if report.is_well else 1
