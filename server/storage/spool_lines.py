"""Entries of the ledger as lines of a file: `1 <crc32> <JSON>`, one entry each.

The first character is the version of the line, the second field the CRC-32 of the JSON in hexadecimal: a line that was torn by
a crash or damaged on the disk is known as such, and costs nothing but itself.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import fields
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from server.storage.timestamps import from_text, to_text
from server.voice.ledger import (
    LedgerEntry,
    LevelFinding,
    QualityPoint,
    QualityTotals,
    RoomEvent,
    RoomEventKind,
    SessionMark,
    SessionSummary,
    SpeakingInterval,
)
from server.voice.participant import EndReason

__all__ = ["BadLine", "decode", "encode"]

_VERSION: Final = b"1"
_KINDS: Final[Mapping[str, type[Any]]] = MappingProxyType(
    {
        "end": SessionSummary,
        "mark": SessionMark,
        "interval": SpeakingInterval,
        "event": RoomEvent,
        "quality": QualityPoint,
        "quality_totals": QualityTotals,
        "finding": LevelFinding,
    }
)
_NAMES: Final[Mapping[type[Any], str]] = MappingProxyType({kind: name for name, kind in _KINDS.items()})
_READERS: Final[Mapping[tuple[type[Any], str], Callable[[str], object]]] = MappingProxyType(
    {
        (SessionSummary, "joined_at"): from_text,
        (SessionSummary, "left_at"): from_text,
        (SessionSummary, "reason"): EndReason,
        (SessionMark, "last_seen"): from_text,
        (SpeakingInterval, "started_at"): from_text,
        (SpeakingInterval, "ended_at"): from_text,
        (RoomEvent, "at"): from_text,
        (RoomEvent, "kind"): RoomEventKind,
        (QualityPoint, "at"): from_text,
        (LevelFinding, "at"): from_text,
    }
)
"""What is not plain JSON, and how it is read."""


class BadLine(ValueError):
    """It is not what was written: torn, damaged, or of another program."""


def encode(entry: LedgerEntry) -> bytes:
    """One line, with its end."""
    values = {field.name: getattr(entry, field.name) for field in fields(entry)}
    text = json.dumps({"is": _NAMES[type(entry)], **values}, default=_as_text, separators=(",", ":")).encode("ascii")
    return b"%b %08x %b\n" % (_VERSION, zlib.crc32(text), text)


def decode(line: bytes) -> LedgerEntry:
    """The entry of a line, which may still have its end. Raises `BadLine`."""
    try:
        version, checksum, text = line.rstrip(b"\n").split(b" ", 2)
        if version != _VERSION or int(checksum, 16) != zlib.crc32(text):
            raise BadLine("the checksum does not hold")
        values: dict[str, Any] = json.loads(text)
        kind = _KINDS[values.pop("is")]
        readers = {name: _READERS.get((kind, name)) for name in values}
        entry: LedgerEntry = kind(**{name: read(values[name]) if read else values[name] for name, read in readers.items()})
        return entry
    except (ValueError, KeyError, TypeError, AttributeError) as problem:
        raise BadLine(str(problem)) from problem


def _as_text(value: object) -> str:
    assert isinstance(value, datetime), value
    return to_text(value)
