"""Times as the database keeps them: text, UTC, ISO 8601 with milliseconds and `Z`."""

from __future__ import annotations

from datetime import UTC, datetime

__all__ = ["from_text", "to_text"]


def to_text(moment: datetime) -> str:
    """`2026-02-13T17:30:00.000Z`, cut to the millisecond. `moment` is aware."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def from_text(text: str) -> datetime:
    """Aware, UTC. Raises `ValueError` for text that is not a time."""
    return datetime.fromisoformat(text).astimezone(UTC)
