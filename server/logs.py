"""Log lines: one line each, in UTC, on standard error."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from typing import Final

__all__ = ["OneLineFormatter", "configure"]

_CHATTY_LIBRARIES: Final = ("aiohttp", "aioice", "aiortc", "aiosqlite", "asyncio")


class OneLineFormatter(logging.Formatter):
    """`2026-02-13T17:30:00.000Z INFO server.voice.service what happened`.

    Line breaks and other control characters in a message are escaped, so that no name that somebody chose can pass for a line
    of ours. A traceback keeps its lines.
    """

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        """When it happened; `datefmt` is not used."""
        return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def formatMessage(self, record: logging.LogRecord) -> str:
        """The line without a traceback."""
        line = super().formatMessage(record)
        return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in line)


def configure(level: str) -> None:
    """Sends all log lines from `level` (`debug` to `error`) on to standard error.

    Libraries do not go below `info`: their debug lines hold what passes through them, rows and session descriptions included.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(OneLineFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in _CHATTY_LIBRARIES:
        logging.getLogger(name).setLevel(max(logging.INFO, logging.getLogger().level))
