"""The SDP of a simulated client: its offer, and what it reads in the answer.

The offers have the shape of what browsers send (one section that sends, N that receive, or one that does both), with the
differences between browsers as options: the payload type of Opus and the ids of the header extensions. Answers are read with
`aiortc.sdp`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from aiortc.sdp import MediaDescription, SessionDescription

from bench.ice import Address, Credentials

__all__ = ["AUDIO_LEVEL_URI", "MID_URI", "Answer", "AnswerError", "AnswerSection", "OfferOptions", "build_offer", "parse_answer"]

AUDIO_LEVEL_URI: Final = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
"""RFC 6464."""
MID_URI: Final = "urn:ietf:params:rtp-hdrext:sdes:mid"
"""RFC 8843, section 15."""


class AnswerError(ValueError):
    """The answer cannot be used, or breaks a rule of the offer it answers."""


@dataclass(frozen=True, slots=True)
class OfferOptions:
    """What a client offers. Chromium: Opus 111, levels 1, mid 4. Firefox: Opus 109, levels 1, mid 3.

    `slots` is the number of `recvonly` sections beside the sending one; `plain` makes it one `sendrecv` section and nothing
    else; `listen_only` makes the first section `recvonly`, too. An extension id of None leaves that extension out.
    `fingerprint` replaces the true one.
    """

    opus_payload_type: int = 111
    audio_level_id: int | None = 1
    mid_id: int | None = 4
    slots: int = 9
    plain: bool = False
    listen_only: bool = False
    fingerprint: str | None = None

    def directions(self) -> tuple[str, ...]:
        """The direction of each section, in order; section i has the mid str(i)."""
        if self.plain:
            return ("sendrecv",)
        first = "recvonly" if self.listen_only else "sendonly"
        return (first, *["recvonly"] * self.slots)


@dataclass(frozen=True, slots=True)
class AnswerSection:
    """One m-section of an answer. `ssrc` and `msid` are None where the server sends nothing in it."""

    mid: str
    direction: str
    ssrc: int | None
    msid: str | None
    opus_payload_type: int
    extensions: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Answer:
    """What an answer says: whom to check, whose certificate to expect, what is heard where."""

    credentials: Credentials
    fingerprints: tuple[tuple[str, str], ...]
    candidates: tuple[Address, ...]
    sections: tuple[AnswerSection, ...]
    bundled: tuple[str, ...]

    def slots(self) -> dict[int, str]:
        """SSRC -> mid of each section the server sends in."""
        return {section.ssrc: section.mid for section in self.sections if section.ssrc is not None}


def build_offer(
    options: OfferOptions, credentials: Credentials, fingerprint: str, *, ssrc: int, cname: str, session_id: int, version: int
) -> str:
    """An offer without candidates: an ICE-lite server learns the address from the first check (RFC 8445, section 7.3.1.3)."""
    mids = [str(index) for index, _ in enumerate(options.directions())]
    lines = [
        "v=0",
        f"o=- {session_id} {version} IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        f"a=group:BUNDLE {' '.join(mids)}",
        "a=extmap-allow-mixed",
        "a=msid-semantic: WMS *",
    ]
    for mid, direction in zip(mids, options.directions(), strict=True):
        lines += _section(options, direction, mid, credentials, options.fingerprint or fingerprint)
        if "send" in direction:
            lines += [f"a=msid:{cname} {cname}-audio", f"a=ssrc:{ssrc} cname:{cname}"]
    return "\r\n".join(lines) + "\r\n"


def _section(options: OfferOptions, direction: str, mid: str, credentials: Credentials, fingerprint: str) -> list[str]:
    opus = options.opus_payload_type
    extensions = [(options.audio_level_id, AUDIO_LEVEL_URI), (options.mid_id, MID_URI)]
    return [
        f"m=audio 9 UDP/TLS/RTP/SAVPF {opus} 0 8",
        "c=IN IP4 0.0.0.0",
        "a=rtcp:9 IN IP4 0.0.0.0",
        f"a=ice-ufrag:{credentials.ufrag}",
        f"a=ice-pwd:{credentials.password}",
        "a=ice-options:trickle",
        f"a=fingerprint:sha-256 {fingerprint}",
        "a=setup:actpass",
        f"a=mid:{mid}",
        *[f"a=extmap:{identifier} {uri}" for identifier, uri in extensions if identifier is not None],
        f"a={direction}",
        "a=rtcp-mux",
        f"a=rtpmap:{opus} opus/48000/2",
        f"a=rtcp-fb:{opus} transport-cc",
        f"a=fmtp:{opus} minptime=10;useinbandfec=1",
        "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:8 PCMA/8000",
    ]


def parse_answer(sdp: str) -> Answer:
    """Read an answer. Raises AnswerError where something that a client cannot do without is missing."""
    session = SessionDescription.parse(sdp)
    if not session.media:
        raise AnswerError("the answer has no section")
    first = session.media[0]
    if first.ice is None or first.ice.usernameFragment is None or first.ice.password is None:
        raise AnswerError("the answer has no ICE credentials")
    if first.dtls is None or not first.dtls.fingerprints:
        raise AnswerError("the answer has no fingerprint")
    if first.dtls.role != "server":
        raise AnswerError("the answer is not setup:passive")
    candidates = [candidate for media in session.media for candidate in media.ice_candidates]
    return Answer(
        credentials=Credentials(first.ice.usernameFragment, first.ice.password),
        fingerprints=tuple((f.algorithm, f.value) for f in first.dtls.fingerprints),
        candidates=tuple((candidate.ip, candidate.port) for candidate in candidates),
        sections=tuple(_answer_section(media) for media in session.media),
        bundled=tuple(str(mid) for group in session.group if group.semantic == "BUNDLE" for mid in group.items),
    )


def _answer_section(media: MediaDescription) -> AnswerSection:
    opus = [codec.payloadType for codec in media.rtp.codecs if codec.mimeType.lower() == "audio/opus"]
    if not opus or opus[0] is None:
        raise AnswerError(f"section {media.rtp.muxId} has no Opus")
    ssrc = media.ssrc[0].ssrc if media.ssrc else None
    return AnswerSection(
        mid=media.rtp.muxId,
        direction=media.direction or "sendrecv",
        ssrc=ssrc,
        msid=media.msid or (media.ssrc[0].msid if media.ssrc else None),
        opus_payload_type=opus[0],
        extensions={extension.uri: extension.id for extension in media.rtp.headerExtensions},
    )
