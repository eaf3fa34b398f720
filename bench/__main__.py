"""The commands. `python -m bench media --help` says what one takes."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Final

from bench import commands

__all__ = ["main"]

_FEWEST_DESCRIPTORS: Final = 16_384


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status: 0, 1 for a server that failed a test, 2 where nothing could be measured."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    parser = commands.parser()
    options = parser.parse_args(arguments)
    if "run" not in options:
        parser.print_help()
        return 0
    if sys.platform != "linux":
        print("The benchmarks need Linux: recvmmsg, sendmmsg, /proc.", file=sys.stderr)
        return 2
    _raise_descriptor_limit()
    options.arguments = arguments
    before = os.sched_getaffinity(0)
    try:
        status: int = options.run(options)
    except (ValueError, RuntimeError, OSError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2
    finally:
        os.sched_setaffinity(0, before)
    return status


def _raise_descriptor_limit() -> None:
    """Each client is two sockets, each of them two files of the machine: the usual 1024 are soon gone."""
    import resource  # noqa: PLC0415 - not everywhere; asked for on Linux only

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FEWEST_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(_FEWEST_DESCRIPTORS, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


if __name__ == "__main__":
    sys.exit(main())
