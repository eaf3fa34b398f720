"""`python -m bench capacity`: how much this machine carries, as a limit that the server holds itself to.

Rooms of ten in which all talk are added until packets are lost or late. The limit is a part of the highest load that held, as
joins, lists and the next hour's neighbours on the machine take their part as well.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from bench.limit import LimitReport, find
from bench.report import machine
from bench.shapes import SHAPES

__all__ = ["SHARE", "capacity", "measure", "write"]

SHARE: Final = 0.8
"""How much of what held is let in."""
_MOST_ROOMS: Final = 40
_SECONDS: Final = 2.0


async def measure(
    *, seconds: float = _SECONDS, rooms: int = _MOST_ROOMS, tell: Callable[[str], None] = lambda _: None
) -> LimitReport:
    """About a minute. Raises RuntimeError where the server does not come up."""
    return await find(SHAPES["talk"], ceiling=rooms, seconds=seconds, tell=tell)


def capacity(report: LimitReport, share: float, now: datetime) -> dict[str, Any]:
    """What is written. `packets_per_second` is the limit. Raises ValueError where no load held, or for a senseless share."""
    if not 0 < share <= 1:
        raise ValueError("a share above 0, at most 1")
    if report.best is None:
        raise ValueError("not even the smallest load held: there is no limit to write")
    return {
        "packets_per_second": max(1, int(report.best.packets_per_second * share)),
        "highest_packets_per_second": round(report.best.packets_per_second),
        "share": share,
        "delay_p99_ms": round(report.best.p99_us / 1000, 3),
        "us_per_packet": round(report.best.us_per_packet, 2),
        "ended_by": report.ended_by,
        "doubts": report.generator.complaints(),
        "measured_at": now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "machine": machine(),
    }


def write(found: dict[str, Any], path: Path) -> None:
    """All of it or nothing: a server that starts meanwhile reads the old one or the new one. Raises OSError."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    half = path.with_name(path.name + ".new")
    half.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    os.replace(half, path)
