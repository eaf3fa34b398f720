"""One connection of a client: its state, its outbox, and the one task that writes to it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Final, Protocol

from server.i18n import Language
from server.protocol import CloseCode
from server.signalling.outbox import Delivery, Outbox, Verdict

__all__ = ["Connection", "Peer", "PeerState", "Seat", "seat_of"]

logger = logging.getLogger(__name__)

DRAIN_SECONDS: Final = 2.0
"""How long a closing connection may take to read what was queued before."""


class Connection(Protocol):
    """The wire, as `Peer` needs it; owned by the edge (`server.web.ws`)."""

    async def send_text(self, frame: bytes) -> None:
        """Hand over one text frame; waits while the client does not read. Raises `ConnectionError` where the wire is gone."""
        ...

    async def close(self, code: int, reason: str) -> None:
        """See to it that the wire is closed, within a bounded time. Does not raise. `reason` is at most 123 bytes."""
        ...


class PeerState(Enum):
    """AWAITING_JOIN: open, nobody yet. JOINED: speaks for a session. CLOSED: nothing more is taken from it or queued for it."""

    AWAITING_JOIN = "awaiting_join"
    JOINED = "joined"
    CLOSED = "closed"


_NEXT: Final[Mapping[PeerState, frozenset[PeerState]]] = MappingProxyType(
    {
        PeerState.AWAITING_JOIN: frozenset({PeerState.JOINED, PeerState.CLOSED}),
        PeerState.JOINED: frozenset({PeerState.CLOSED}),
        PeerState.CLOSED: frozenset(),
    }
)


@dataclass(frozen=True, slots=True)
class Seat:
    """Whom a joined connection speaks for."""

    session_id: str
    room_id: str
    user_id: str


def _nothing(session_id: str) -> bool:
    return False


class Peer:
    """`run` is to be one task, owned and awaited by the edge; it ends after `close`, or when the wire is gone.

    `language` is for sentences. `preauthorised` says for which sessions the upgrade request itself carried the right to join, by
    the token that `credential` names (None where it carried none, or one that cannot be revoked).
    """

    def __init__(
        self,
        connection: Connection,
        *,
        language: Language,
        preauthorised: Callable[[str], bool] = _nothing,
        credential: str | None = None,
        outbox: Outbox | None = None,
        drain_seconds: float = DRAIN_SECONDS,
    ) -> None:
        self.language = language
        self.preauthorised = preauthorised
        self.credential = credential
        self._connection = connection
        self._outbox = outbox if outbox is not None else Outbox()
        self._drain_seconds = drain_seconds
        self._state = PeerState.AWAITING_JOIN
        self._seat: Seat | None = None
        self._wake = asyncio.Event()
        self._patience: asyncio.Timeout | None = None
        self._close_code = CloseCode.NORMAL
        self._close_reason = ""

    @property
    def state(self) -> PeerState:
        """Where this connection stands."""
        return self._state

    @property
    def seat(self) -> Seat | None:
        """Whom it speaks for; None before `join`, kept after `close`."""
        return self._seat

    @property
    def close_code(self) -> CloseCode | None:
        """What it was closed with by this side; None while open."""
        return self._close_code if self._state is PeerState.CLOSED else None

    def join(self, seat: Seat) -> None:
        """From now on it speaks for `seat`."""
        self._seat = seat
        self._move(PeerState.JOINED, "voice_join")

    def send(self, frame: bytes, delivery: Delivery = Delivery.EVENT) -> bool:
        """Queue a frame. False where it was left out, or the connection is closed, or is closed by this very overflow."""
        if self._state is PeerState.CLOSED:
            return False
        verdict = self._outbox.offer(frame, delivery)
        if verdict is Verdict.OVERFLOW:
            self._outbox.clear()
            self.close(CloseCode.TOO_SLOW, "too slow")
            self._give_up_after(0.0)
        elif verdict is Verdict.QUEUED:
            self._wake.set()
        return verdict is Verdict.QUEUED

    def close(self, code: CloseCode, reason: str) -> None:
        """Close once what is queued was written, or `drain_seconds` later. The first call decides on code and reason."""
        if self._state is PeerState.CLOSED:
            return
        self._close_code, self._close_reason = code, reason
        self._move(PeerState.CLOSED, f"{code.value} {reason}")
        self._wake.set()
        self._give_up_after(self._drain_seconds)

    async def run(self) -> None:
        """Write what is queued until the connection is closed, then close the wire."""
        try:
            await self._write_patiently()
        except TimeoutError:
            logger.info("connection %s: gave up what was queued", self._name)
        except ConnectionError:
            self.close(CloseCode.NORMAL, "connection lost")
        finally:
            self._outbox.clear()
            await self._connection.close(self._close_code, self._close_reason)

    async def _write_patiently(self) -> None:
        async with asyncio.timeout(None) as patience:
            self._patience = patience
            if self._state is PeerState.CLOSED:
                self._give_up_after(self._drain_seconds)
            try:
                await self._write()
            finally:
                self._patience = None

    async def _write(self) -> None:
        while True:
            while self._outbox:
                await self._connection.send_text(self._outbox.take())
            if self._state is PeerState.CLOSED:
                return
            self._wake.clear()
            await self._wake.wait()

    def _give_up_after(self, seconds: float) -> None:
        if self._patience is not None:
            self._patience.reschedule(asyncio.get_running_loop().time() + seconds)

    @property
    def _name(self) -> str:
        return self._seat.session_id if self._seat is not None else "without a session"

    def _move(self, to: PeerState, why: str) -> None:
        if to not in _NEXT[self._state]:
            raise RuntimeError(f"connection {self._name}: {self._state.value} -> {to.value} ({why})")
        logger.info("connection %s: %s -> %s (%s)", self._name, self._state.value, to.value, why)
        self._state = to


def seat_of(peer: Peer) -> Seat:
    """Of a connection that has joined."""
    assert peer.seat is not None, "the table lets only joined connections through"
    return peer.seat
