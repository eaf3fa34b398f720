"""`capacity`: measures this machine and writes the limit that the server holds itself to."""

from __future__ import annotations

import argparse
import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import capacity
from bench.commands.output import add_files, tell
from bench.limit import limit_table
from bench.pictures import draw_limit

__all__ = ["add"]


def add(commands: Any) -> None:
    """Add the command to the parser's."""
    command = commands.add_parser(
        "capacity",
        help="measure what this machine carries and write the server's limit",
        description="Takes about a minute. A server that starts afterwards lets nobody in beyond the limit.",
    )
    command.set_defaults(run=_run)
    command.add_argument("--file", type=Path, default=Path("data/capacity.json"), help="where to (default: %(default)s)")
    command.add_argument(
        "--share", type=float, default=capacity.SHARE, help="how much of the highest load that held (default: %(default)s)"
    )
    command.add_argument("--rooms", type=int, default=40, help="the most rooms of ten that are tried (default: %(default)s)")
    command.add_argument("--seconds", type=float, default=2.0, help="for each load (default: %(default)s)")
    add_files(command)


def _run(options: argparse.Namespace) -> int:
    report = asyncio.run(
        capacity.measure(seconds=options.seconds, rooms=options.rooms, tell=lambda line: print(line, flush=True))
    )
    found = capacity.capacity(report, options.share, datetime.now(UTC))
    capacity.write(found, options.file)
    print()
    tell(options, limit_table(report), report.as_json() | {"capacity": found}, lambda: draw_limit(report))
    print(
        f"limit                   {found['packets_per_second']:,} packets/s, in {options.file}; it holds from the next start on"
    )
    return 0
