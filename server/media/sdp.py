"""Offers read, answers written (RFC 8829, RFC 9143 for BUNDLE).

`aiortc.sdp` reads; an answer is a fixed text with a few holes, so it is built from a template. The first section that sends is
the participant's microphone; each section that receives becomes a *slot* with an SSRC and an msid that stay for the life of the
session.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from aiortc.sdp import MediaDescription, SessionDescription

__all__ = ["AnswerSection", "Offer", "OfferError", "OfferSection", "build_answer", "parse_offer"]

AUDIO_LEVEL_URI: Final = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"
"""RFC 6464."""
MID_URI: Final = "urn:ietf:params:rtp-hdrext:sdes:mid"
"""RFC 9143, section 15."""
OPUS_CLOCK_RATE: Final = 48_000
OPUS_FORMAT: Final = "minptime=10;useinbandfec=1;usedtx=1"
"""RFC 7587, section 6.1: in-band FEC helps when packets are lost, DTX sends next to nothing in silence."""
MAX_SECTIONS: Final = 64


class OfferError(ValueError):
    """An offer that we cannot answer. `reason` is a sentence for the developer of the client."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class OfferSection:
    """One m-section. `opus` is its payload type, None where it is no audio or offers no Opus; `audio_level_id` and `mid_id`
    likewise."""

    mid: str
    kind: str
    profile: str
    formats: str
    sends: bool
    receives: bool
    opus: int | None
    audio_level_id: int | None
    mid_id: int | None


@dataclass(frozen=True, slots=True)
class Offer:
    """What we need of an offer. `fingerprints` are (algorithm, value); `sections` in the order of the offer."""

    ufrag: str
    fingerprints: tuple[tuple[str, str], ...]
    sections: tuple[OfferSection, ...]

    @property
    def microphone(self) -> OfferSection | None:
        """The first audio section that sends, or None for a listener."""
        return next((s for s in self.sections if s.sends and s.opus is not None), None)

    def slot_sections(self, limit: int) -> tuple[OfferSection, ...]:
        """The sections that may receive, at most `limit`."""
        return tuple(s for s in self.sections if s.receives and s.opus is not None)[:limit]


@dataclass(frozen=True, slots=True)
class AnswerSection:
    """What we answer to one section. `ssrc` and `stream_id` are set where we send; one used in no direction is `inactive`."""

    offered: OfferSection
    receives: bool = False
    ssrc: int | None = None
    stream_id: str = ""

    @property
    def direction(self) -> str:
        if self.ssrc is None:
            return "recvonly" if self.receives else "inactive"
        return "sendrecv" if self.receives else "sendonly"


def parse_offer(text: str) -> Offer:
    """Read an offer. Raises OfferError where it cannot be read, or lacks what we require: Opus, BUNDLE, rtcp-mux, ICE, DTLS."""
    try:
        description = SessionDescription.parse(text)
    except Exception as error:  # aiortc's parser lets any error of indexing, unpacking or asserting through
        raise OfferError("the SDP cannot be parsed") from error
    media = description.media
    if not media:
        raise OfferError("the SDP has no m-section")
    if len(media) > MAX_SECTIONS:
        raise OfferError(f"the SDP has more than {MAX_SECTIONS} m-sections")
    sections = tuple(_section(m, offered) for m, offered in zip(media, _offered(text), strict=True))
    if all(s.opus is None for s in sections):
        raise OfferError("no audio section offers opus/48000/2")
    mids = [s.mid for s in sections]
    if "" in mids or len(set(mids)) != len(mids):
        raise OfferError("each m-section needs a=mid of its own")
    bundled = {mid for group in description.group if group.semantic == "BUNDLE" for mid in group.items}
    if len(sections) > 1 and not bundled.issuperset(s.mid for s in sections if s.opus is not None):
        raise OfferError("all audio sections must be in one BUNDLE group (bundlePolicy: max-bundle)")
    first = next(m for m, s in zip(media, sections, strict=True) if s.opus is not None)
    if not all(m.rtcp_mux for m, s in zip(media, sections, strict=True) if s.opus is not None):
        raise OfferError("a=rtcp-mux is required")
    if first.ice is None or not first.ice.usernameFragment or not first.ice.password:
        raise OfferError("a=ice-ufrag and a=ice-pwd are required")
    if first.dtls is None or not first.dtls.fingerprints:
        raise OfferError("a=fingerprint and a=setup are required")
    if first.dtls.role == "server":
        raise OfferError("a=setup must be actpass or active: the server is passive")
    fingerprints = tuple((f.algorithm.lower(), f.value.upper()) for f in first.dtls.fingerprints)
    return Offer(first.ice.usernameFragment, fingerprints, sections)


def _offered(text: str) -> list[bool]:
    """For each m-section whether it is offered. Port 0 refuses a section, unless it says `a=bundle-only`, as Firefox does of all
    but the first with `max-bundle`: then it shares the port of its group (RFC 9143, section 6), which aiortc does not read.
    """
    offered: list[bool] = []
    for line in text.splitlines():
        if line.startswith("m="):
            offered.append(line.split()[1] != "0")
        elif line == "a=bundle-only" and offered:
            offered[-1] = True
    return offered


def _section(media: MediaDescription, offered: bool) -> OfferSection:
    opus = None
    if media.kind == "audio" and offered:
        for codec in media.rtp.codecs:
            if codec.mimeType.lower() == "audio/opus" and codec.clockRate == OPUS_CLOCK_RATE and codec.channels == 2:
                opus = codec.payloadType
                break
    extensions = {extension.uri: extension.id for extension in media.rtp.headerExtensions}
    direction = media.direction or "sendrecv"
    return OfferSection(
        mid=media.rtp.muxId,
        kind=media.kind,
        profile=media.profile,
        formats=" ".join(str(f) for f in media.fmt),
        sends=direction in ("sendonly", "sendrecv"),
        receives=direction in ("recvonly", "sendrecv"),
        opus=opus,
        audio_level_id=extensions.get(AUDIO_LEVEL_URI),
        mid_id=extensions.get(MID_URI),
    )


def build_answer(
    sections: list[AnswerSection],
    *,
    session_version: int,
    ufrag: str,
    password: str,
    fingerprint: str,
    candidates: list[str],
    addresses: list[tuple[str, int]],
) -> str:
    """The answer's text. `candidates` are values of `a=candidate`, `addresses` the hosts and ports they name, best first."""
    host, port = addresses[0] if addresses else ("0.0.0.0", 9)  # noqa: S104 - the SDP way to say "see the candidates"
    connection = f"c=IN IP{6 if ':' in host else 4} {host}"
    bundle = " ".join(s.offered.mid for s in sections if s.offered.opus is not None)
    lines = ["v=0", f"o=- 1 {session_version} IN IP4 127.0.0.1", "s=-", "t=0 0", "a=ice-lite"]
    lines += [f"a=group:BUNDLE {bundle}", "a=msid-semantic: WMS *"]
    transport = [f"a=ice-ufrag:{ufrag}", f"a=ice-pwd:{password}", f"a=fingerprint:{fingerprint}", "a=setup:passive", "a=rtcp-mux"]
    first = True
    for section in sections:
        offered = section.offered
        if offered.opus is None:
            lines += [
                f"m={offered.kind} 0 {offered.profile} {offered.formats}",
                "c=IN IP4 0.0.0.0",
                f"a=mid:{offered.mid}",
                "a=inactive",
            ]
            continue
        lines += [f"m=audio {port} {offered.profile} {offered.opus}", connection, f"a=mid:{offered.mid}", *transport]
        lines += [f"a=rtpmap:{offered.opus} opus/{OPUS_CLOCK_RATE}/2", f"a=fmtp:{offered.opus} {OPUS_FORMAT}"]
        if section.receives:
            if offered.audio_level_id is not None:
                lines.append(f"a=extmap:{offered.audio_level_id} {AUDIO_LEVEL_URI}")
            if offered.mid_id is not None:
                lines.append(f"a=extmap:{offered.mid_id} {MID_URI}")
        lines.append(f"a={section.direction}")
        if section.ssrc is not None:
            lines += [f"a=msid:{section.stream_id} {section.stream_id}", f"a=ssrc:{section.ssrc} cname:{section.stream_id}"]
        if first:
            lines += [f"a=candidate:{candidate}" for candidate in candidates] + ["a=end-of-candidates"]
            first = False
    return "\r\n".join(lines) + "\r\n"
