"""`speaking`: how soon it is seen that somebody begins and stops to speak."""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

from bench import speaking
from bench.commands.output import add_files, tell

__all__ = ["add"]


def add(commands: Any) -> None:
    """Add the command to the parser's."""
    command = commands.add_parser(
        "speaking",
        help="how soon it is seen that somebody begins and stops to speak",
        description="Starts a server, lets one person talk in each room, and notes when another one is told of it.",
    )
    command.set_defaults(run=_run)
    command.add_argument("--rooms", type=int, default=20, help="rooms (default: %(default)s)")
    command.add_argument("--utterances", type=int, default=12, help="how often each one talks (default: %(default)s)")
    command.add_argument("--seed", type=int, default=1, help="of the random numbers (default: %(default)s)")
    add_files(command, picture=False)


def _run(options: argparse.Namespace) -> int:
    report = asyncio.run(speaking.run(options.rooms, options.utterances, seed=options.seed))
    tell(options, speaking.speaking_table(report), report.as_json())
    return 0 if report.is_well else 1
