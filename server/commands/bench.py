"""`weltenstimme bench capacity`: what this machine carries, noted in the data folder for the next start of the server.

The benchmarks are a package of their own, `bench`, that never shares a process with what it measures.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from server import data_folder
from server.capacity import FILE_NAME
from server.config import Settings
from server.options import CommandLine

__all__ = ["run"]

_PACKAGES = Path(__file__).resolve().parent.parent.parent


def run(settings: Settings, line: CommandLine) -> int:
    """The exit code of the measurement: 0 when the file was written. Raises `ConfigError` for a folder that cannot be used."""
    assert line.verb is not None
    data_folder.make(settings)
    arguments = [line.verb, "--file", str(settings.data_dir / FILE_NAME)]
    for name, value in line.arguments.items():
        arguments += [f"--{name}", str(value)]
    paths = os.pathsep.join(filter(None, [str(_PACKAGES), os.environ.get("PYTHONPATH")]))
    command = [sys.executable, "-m", "bench", *arguments]
    return subprocess.run(command, env=os.environ | {"PYTHONPATH": paths}, check=False).returncode  # noqa: S603 - our own
