"""`media`: what a forwarded packet costs, and with `--find` how many the server carries."""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

from bench import limit, media
from bench.commands.output import add_files, tell
from bench.pictures import draw_limit, draw_media
from bench.report import media_table
from bench.shapes import SHAPES, shape_named

__all__ = ["add"]

_MOST_ROOMS = 40
_MOST_PEOPLE = 1000


def add(commands: Any) -> None:
    """Add the command to the parser's."""
    command = commands.add_parser(
        "media",
        help="CPU a forwarded packet, delay and loss of rooms full of people who talk; the highest load that holds",
        description="Starts a server, connects rooms x size clients with real ICE, DTLS and SRTP, and measures while they talk.",
    )
    command.set_defaults(run=_run)
    command.add_argument(
        "--shape",
        choices=tuple(SHAPES),
        default="talk",
        help="talk: all of ten talk; dtx: two of ten talk, the rest pauses; audience: 500 hear three; "
        "livekit: 10 publishers and N subscribers, 30 packets/s of 24 bytes (default: %(default)s)",
    )
    command.add_argument("--rooms", type=int, help="rooms; with --find the most that are tried")
    command.add_argument("--size", type=int, help="people in each room; with --find and one room the most that are tried")
    command.add_argument("--speakers", type=int, help="how many of them talk")
    command.add_argument("--seconds", type=float, help="time measured (default: 10); with --find for each load (default: 2)")
    command.add_argument("--payload", type=int, metavar="BYTES", help="bytes of a payload")
    command.add_argument("--find", action="store_true", help="find the highest load that holds: loss < 0.1 %%, delay p99 < 20 ms")
    add_files(command)


def _run(options: argparse.Namespace) -> int:
    shape = shape_named(
        options.shape,
        rooms=options.rooms,
        size=options.size,
        speakers=options.speakers,
        seconds=options.seconds,
        payload_bytes=options.payload,
    )
    if not options.find:
        report = asyncio.run(media.run(shape))
        tell(options, media_table(report), report.as_json(), lambda: draw_media(report))
        return 0
    by_listeners = limit.grows_by_listeners(shape)
    ceiling = (options.size or _MOST_PEOPLE) if by_listeners else (options.rooms or _MOST_ROOMS)
    found = asyncio.run(
        limit.find(shape, ceiling=ceiling, seconds=options.seconds or 2.0, tell=lambda line: print(line, flush=True))
    )
    print()
    tell(options, limit.limit_table(found), found.as_json(), lambda: draw_limit(found))
    return 0 if found.best is not None else 1
