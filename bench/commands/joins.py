"""`joins`: how long it takes to get in, and whether everything is put away afterwards."""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

from bench import joins
from bench.commands.output import add_files, tell
from bench.pictures import draw_joins

__all__ = ["add"]


def add(commands: Any) -> None:
    """Add the command to the parser's."""
    command = commands.add_parser(
        "joins",
        help="how long a join takes until the newcomer is heard; a storm; whether many joins and leaves leave anything behind",
        description="Starts a server and lets newcomers in by REST, WebSocket, offer and answer, and DTLS, until they are heard.",
    )
    command.set_defaults(run=_run)
    defaults = joins.JoinOptions()
    command.add_argument("--rate", type=float, default=defaults.rate, help="joins a second; 0: none (default: %(default)s)")
    command.add_argument("--seconds", type=float, default=defaults.seconds, help="for so long (default: %(default)s)")
    command.add_argument("--storm", type=int, default=defaults.storm, help="joins at once; 0: none (default: %(default)s)")
    command.add_argument("--cycles", type=int, default=defaults.cycles, help="joins and leaves; 0: none (default: %(default)s)")
    command.add_argument(
        "--crowd",
        type=int,
        default=defaults.crowd,
        help="join a room with so many listeners, too; 0: none (default: %(default)s)",
    )
    add_files(command)


def _run(options: argparse.Namespace) -> int:
    asked = joins.JoinOptions(options.rate, options.seconds, options.storm, options.cycles, options.crowd)
    report = asyncio.run(joins.run(asked))
    tell(options, joins.joins_table(report), report.as_json(), lambda: draw_joins(report))
    return 0 if report.is_well else 1
