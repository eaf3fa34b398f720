"""Writes the lock files of the Python packages: exact versions, with the hashes of every file of them, and no address.

What is locked comes from `pyproject.toml`. A pin that still fits is kept; `--upgrade` looks for newer ones. Where pip gets the
files from is the business of whoever installs, so the configuration of this machine must not reach a lock file: its own
configuration file, further indexes and link folders are left out here.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

__all__ = ["LOCKS", "Lock", "main", "problems"]

ROOT: Final = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Lock:
    """One lock file: what goes into it, as names of extras; "" stands for what the server itself needs."""

    file: str
    extras: tuple[str, ...]


LOCKS: Final = (
    Lock("requirements.txt", ("",)),
    Lock("requirements-build.txt", ("build",)),
    Lock("requirements-dev.txt", ("", "build", "dev")),
    Lock("requirements-node.txt", ("node",)),
)
"""The first one holds for all others: a package has the same version everywhere."""


_PIN: Final = re.compile(r"[\w.-]+==\S+(\s+--hash=sha256:[0-9a-f]{64})+")


def problems(text: str) -> list[str]:
    """The lines of a lock file that are not a version with the hashes of its files: an address, an option, a pin alone."""
    lines = (line.strip() for line in text.replace("\\\n", " ").splitlines())
    return [line for line in lines if line and not line.startswith("# ") and line != "#" and not _PIN.fullmatch(line)] + (
        ["an address"] if "://" in text else []
    )


def main() -> int:
    """Writes all lock files; 1 where one of them turns out to be unfit."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions that pyproject.toml allows")
    upgrade = parser.parse_args().upgrade
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = {"": project["dependencies"], **project["optional-dependencies"]}
    for lock in LOCKS:
        print(f"{lock.file} …", flush=True)
        _compile(lock, [line for extra in lock.extras for line in wanted[extra]], upgrade=upgrade)
        unfit = problems((ROOT / lock.file).read_text(encoding="utf-8"))
        if unfit:
            print(f"{lock.file} must not hold: {unfit}", file=sys.stderr)
            return 1
    return 0


def _compile(lock: Lock, requirements: list[str], *, upgrade: bool) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in {"PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL"}}
    environment |= {"PIP_CONFIG_FILE": os.devnull, "CUSTOM_COMPILE_COMMAND": "make lock"}
    options = ["--quiet", "--no-config", "--generate-hashes", "--strip-extras", "--allow-unsafe", "--no-annotate"]
    options += ["--no-emit-options", "--no-emit-index-url", "--no-emit-find-links", "--no-emit-trusted-host"]
    if upgrade:
        options.append("--upgrade")
    if lock is not LOCKS[0]:
        options.append(f"--constraint={LOCKS[0].file}")
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "requirements.in"
        source.write_text("\n".join(requirements) + "\n", encoding="utf-8")
        command = [sys.executable, "-m", "piptools", "compile", *options, f"--output-file={lock.file}", str(source)]
        subprocess.run(command, cwd=ROOT, env=environment, check=True)


if __name__ == "__main__":
    raise SystemExit(main())
