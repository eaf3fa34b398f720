"""One session's media: its endpoint in the room, its connection, what was negotiated."""

from __future__ import annotations

import secrets

from .consumer import Consumer, Destination
from .ice import IceCredentials
from .producer import Producer
from .router import Endpoint
from .sdp import AnswerSection, Offer, build_answer
from .speaking import TICKS_PER_MS, SpeakingRules
from .transport import Transport, TransportState

__all__ = ["MediaSession"]


class MediaSession:
    """What the engine keeps of one session. `transport` is None before the first offer and after a connection has failed."""

    __slots__ = ("_answers", "endpoint", "muted", "room_id", "session_id", "transport")

    def __init__(self, room_id: str, session_id: str) -> None:
        self.room_id = room_id
        self.session_id = session_id
        self.endpoint = Endpoint(session_id)
        self.transport: Transport | None = None
        self.muted = False
        self._answers = 0

    @property
    def speaking_ms(self) -> int:
        producer = self.endpoint.producer
        return round(producer.detector.total_ticks / TICKS_PER_MS) if producer is not None else 0

    @property
    def attempted_ms(self) -> int:
        """How much speech was dropped while muted, in milliseconds."""
        producer = self.endpoint.producer
        return round(producer.attempted_ticks / TICKS_PER_MS) if producer is not None else 0

    def destination(self) -> Destination | None:
        """Where to send to; None while the connection does not stand."""
        transport = self.transport
        if (
            transport is None
            or transport.state is not TransportState.CONNECTED
            or transport.srtp is None
            or transport.selected is None
        ):
            return None
        return Destination(transport.srtp.tx, transport.selected.pointer)

    def apply_offer(self, offer: Offer, slot_limit: int, rules: SpeakingRules, now: float, *, new_connection: bool) -> None:
        """Make the endpoint what the offer asks for. Slots keep their SSRC as long as their mid is offered."""
        endpoint = self.endpoint
        microphone = offer.microphone
        if microphone is not None:
            if endpoint.producer is None:
                endpoint.producer = Producer(self.room_id, self.session_id, rules, now)
                endpoint.producer.muted = self.muted
            elif new_connection:
                endpoint.producer.restart()
            endpoint.producer.audio_level_id = None if endpoint.producer.distrusted else microphone.audio_level_id
        sections = offer.slot_sections(slot_limit)
        for mid in set(endpoint.slots) - {section.mid for section in sections}:
            endpoint.remove_slot(mid)
        for section in sections:
            slot = endpoint.slots.get(section.mid)
            if slot is not None:
                slot.payload_type = section.opus or 0
            else:
                endpoint.slots[section.mid] = Consumer(
                    section.mid,
                    new_ssrc(),
                    section.opus or 0,
                    first_sequence=secrets.randbelow(0x8000),
                    first_timestamp=secrets.randbits(32),
                    now=now,
                )

    def answer(
        self,
        offer: Offer,
        *,
        credentials: IceCredentials,
        fingerprint: str,
        candidates: list[str],
        addresses: list[tuple[str, int]],
    ) -> str:
        """The answer to an offer that was applied."""
        self._answers += 1
        sections = []
        for offered in offer.sections:
            slot = self.endpoint.slots.get(offered.mid) if offered.opus is not None else None
            sections.append(
                AnswerSection(
                    offered,
                    receives=offered is offer.microphone,
                    ssrc=slot.ssrc if slot is not None else None,
                    stream_id=f"slot-{offered.mid}",
                )
            )
        return build_answer(
            sections,
            session_version=self._answers,
            ufrag=credentials.ufrag,
            password=credentials.password,
            fingerprint=fingerprint,
            candidates=candidates,
            addresses=addresses,
        )


def new_ssrc() -> int:
    """A random SSRC, never 0 (RFC 3550, section 8.1)."""
    return secrets.randbelow(0xFFFFFFFF) + 1
