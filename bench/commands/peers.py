"""`peers`: our server beside others under the same load."""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

from bench import contest
from bench.commands.output import add_files, tell
from bench.contest_report import contest_table
from bench.pictures import draw_contest
from bench.shapes import shape_named

__all__ = ["add"]


def add(commands: Any) -> None:
    """Add the command to the parser's."""
    command = commands.add_parser(
        "peers",
        help="the same load on our server, on Janus, and on an SFU made of aiortc's MediaRelay",
        description="Runs our server and others at the same time and gives them the same load in turn, on the same core.",
    )
    command.set_defaults(run=_run)
    command.add_argument("--rooms", type=int, help="rooms of the load against Janus (default: 5)")
    command.add_argument("--size", type=int, help="people in each, all of whom talk (default: 10)")
    command.add_argument("--seconds", type=float, default=9.0, help="time measured, for each server (default: %(default)s)")
    command.add_argument("--event-loops", type=int, default=1, help="of Janus; 0: a thread each (default: %(default)s)")
    command.add_argument("--relay-size", type=int, default=4, help="people in the relay's one room (default: %(default)s)")
    command.add_argument("--no-janus", action="store_true", help="leave Janus out")
    command.add_argument("--no-relay", action="store_true", help="leave the relay out")
    add_files(command)


def _run(options: argparse.Namespace) -> int:
    shape = shape_named("talk", rooms=options.rooms, size=options.size, seconds=options.seconds)
    small = None if options.no_relay else shape_named("talk", rooms=1, size=options.relay_size, seconds=options.seconds)
    report = asyncio.run(contest.run(shape, small, with_janus=not options.no_janus, event_loops=options.event_loops))
    tell(options, contest_table(report), report.as_json(), lambda: draw_contest(report))
    return 0
