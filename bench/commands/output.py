"""Where results go: the terminal, a JSON file, a picture."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["add_files", "tell"]


def add_files(command: argparse.ArgumentParser, *, picture: bool = True) -> None:
    """The options that name files."""
    command.add_argument("--json", type=Path, metavar="FILE", help="write all results there")
    if picture:
        command.add_argument("--picture", type=Path, metavar="FILE", help="draw the results there, as SVG")


def tell(options: argparse.Namespace, table: str, results: dict[str, Any], draw: Callable[[], str] | None = None) -> None:
    """Print the table, and write what was asked for. Results say by which arguments they came about."""
    print(table)
    if options.json is not None:
        arguments = _without_files(options.arguments)
        options.json.write_text(json.dumps({"arguments": arguments} | results, indent=2) + "\n", encoding="utf-8")
    if draw is not None and options.picture is not None:
        options.picture.write_text(draw(), encoding="utf-8")


def _without_files(arguments: list[str]) -> list[str]:
    kept: list[str] = []
    skip = False
    for argument in arguments:
        name = argument.partition("=")[0]
        if skip or name in ("--json", "--picture"):
            skip = not skip and "=" not in argument
            continue
        kept.append(argument)
    return kept
