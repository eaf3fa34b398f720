"""`compare`: whether a version got worse than a stored result says."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.commands.output import tell
from bench.compare import compare, comparison_table
from bench.processes import ROOT

__all__ = ["add"]


def add(commands: Any) -> None:
    """Add the command to the parser's."""
    command = commands.add_parser(
        "compare",
        help="compare a result with that of an earlier version; exit status 1 where it got worse",
        description="Compares two results of the same benchmark, as multiples of the kernel's share on each machine.",
    )
    command.set_defaults(run=_run, picture=None)
    command.add_argument("old", type=Path, help="a result that --json wrote")
    command.add_argument("new", type=Path, nargs="?", help="another one; without it the benchmark of the old one runs again")
    command.add_argument("--tolerance", type=float, default=0.15, help="how much worse is still the same (default: %(default)s)")
    command.add_argument("--json", type=Path, metavar="FILE", help="write the comparison there")


def _run(options: argparse.Namespace) -> int:
    if not 0 <= options.tolerance <= 10:
        raise ValueError("a tolerance of 0 to 10")
    old = _read(options.old)
    new = _read(options.new) if options.new is not None else _again(old)
    compared = compare(old, new, options.tolerance)
    results = {"benchmark": "compare", "of": old["benchmark"], "compared": [asdict(entry) for entry in compared]}
    tell(options, comparison_table(compared, options.tolerance), results)
    return 1 if any(entry.is_worse for entry in compared) else 0


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        raise ValueError(f"{path} is no JSON") from None
    if not isinstance(found, dict):
        raise ValueError(f"{path} is no result")
    return found


def _again(old: dict[str, Any]) -> dict[str, Any]:
    """The result of the same benchmark, now. In a process of its own: a run binds its process to a core."""
    arguments = old.get("arguments")
    if not isinstance(arguments, list) or not arguments:
        raise ValueError("the result does not say how it came about: name a second one")
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        file = Path(folder) / "now.json"
        command = [sys.executable, "-m", "bench", *map(str, arguments), "--json", str(file)]
        done = subprocess.run(command, cwd=ROOT, check=False)  # noqa: S603 - our own command, as an earlier run noted it
        if not file.exists():
            raise RuntimeError(f"the benchmark did not finish (exit status {done.returncode})")
        return _read(file)
