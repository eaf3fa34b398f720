"""The command line: one module for each command, with its options and what it prints."""

from __future__ import annotations

import argparse

from bench.commands import capacity, compare, garbage, joins, media, peers, rest, speaking

__all__ = ["parser"]


def parser() -> argparse.ArgumentParser:
    """All commands. Parsed options have `run`, a function of them that returns the exit status, where a command was named."""
    made = argparse.ArgumentParser(prog="python -m bench", description="Measurements of the voice server, on loopback only.")
    commands = made.add_subparsers(metavar="command")
    for command in (media, joins, rest, peers, speaking, garbage, compare, capacity):
        command.add(commands)
    return made
