"""Who is still there, judged by signs of life. Pure: it is told the time and what was seen.

A sign is anything that only a living client can cause: a WebSocket frame (pongs too), an authenticated media packet or
consent check (RFC 7675).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from server.voice.participant import EndReason

__all__ = ["Gone", "Presence"]


class _Phase(Enum):
    """EXPECTED: the place is taken, the client has yet to come. PRESENT: it came."""

    EXPECTED = "expected"
    PRESENT = "present"


@dataclass(slots=True)
class _Signs:
    last: float
    phase: _Phase


@dataclass(frozen=True, slots=True)
class Gone:
    """A session that nobody stands behind any more. `last_sign` is monotonic seconds: the true end of the stay."""

    session_id: str
    reason: EndReason
    last_sign: float


class Presence:
    """The signs of life of all open sessions. All times are monotonic seconds.

    `join_timeout`: how long a place is kept for someone who joined and was not seen since; it ends as rolled back.
    `presence_timeout`: how long someone who came may give no sign; it ends as timed out.
    """

    def __init__(self, *, join_timeout: float, presence_timeout: float) -> None:
        self._patience = {_Phase.EXPECTED: join_timeout, _Phase.PRESENT: presence_timeout}
        self._signs: dict[str, _Signs] = {}

    def expect(self, session_id: str, now: float) -> None:
        """A place was taken; that call was the first sign of life."""
        self._signs[session_id] = _Signs(now, _Phase.EXPECTED)

    def seen(self, session_id: str, at: float) -> None:
        """A sign was seen. An unknown session is none of our business: its last packets may outlive it."""
        signs = self._signs.get(session_id)
        if signs is not None:
            signs.last = max(signs.last, at)
            signs.phase = _Phase.PRESENT

    def forget(self, session_id: str) -> None:
        self._signs.pop(session_id, None)

    def last_sign(self, session_id: str) -> float:
        """Raises `KeyError` for a session that was never expected, or was forgotten."""
        return self._signs[session_id].last

    def gone(self, now: float) -> list[Gone]:
        """Those whose time is up. They stay known until they are forgotten."""
        reasons = {_Phase.EXPECTED: EndReason.ROLLED_BACK, _Phase.PRESENT: EndReason.TIMEOUT}
        return [
            Gone(session_id, reasons[signs.phase], signs.last)
            for session_id, signs in self._signs.items()
            if now - signs.last >= self._patience[signs.phase]
        ]
