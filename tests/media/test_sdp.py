"""Offers and answers."""

from __future__ import annotations

import contextlib

import pytest
from aiortc.sdp import SessionDescription
from hypothesis import given
from hypothesis import strategies as st

from server.media.sdp import AnswerSection, OfferError, build_answer, parse_offer

HEAD = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
TRANSPORT = "a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\na=fingerprint:sha-256 aa:bb\r\na=setup:actpass\r\n"
EXTENSIONS = "a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\na=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\n"


def audio(
    mid: str, direction: str, *, opus: int = 111, extra: str = EXTENSIONS, transport: str = TRANSPORT, mux: str = "a=rtcp-mux\r\n"
) -> str:
    return (
        f"m=audio 9 UDP/TLS/RTP/SAVPF 63 {opus} 0\r\nc=IN IP4 0.0.0.0\r\n{transport}"
        f"a=mid:{mid}\r\n{extra}a={direction}\r\n{mux}"
        f"a=rtpmap:63 red/48000/2\r\na=rtpmap:{opus} opus/48000/2\r\n"
        f"a=fmtp:{opus} minptime=10;useinbandfec=1\r\na=rtpmap:0 PCMU/8000\r\n"
    )


VIDEO = "m=video 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=mid:v\r\na=sendrecv\r\na=rtpmap:96 VP8/90000\r\n"


def offer(*sections: str, bundle: str = "0 1 2 v") -> str:
    return HEAD + f"a=group:BUNDLE {bundle}\r\n" + "".join(sections)


def test_a_browsers_offer_is_understood() -> None:
    parsed = parse_offer(
        offer(audio("0", "sendonly", opus=109), audio("1", "recvonly", opus=109), audio("2", "recvonly", opus=109))
    )
    assert parsed.ufrag == "abcd"
    assert parsed.fingerprints == (("sha-256", "AA:BB"),)
    assert parsed.microphone is not None
    assert (parsed.microphone.mid, parsed.microphone.opus, parsed.microphone.audio_level_id) == ("0", 109, 1)
    assert [s.mid for s in parsed.slot_sections(9)] == ["1", "2"]
    assert [s.mid for s in parsed.slot_sections(1)] == ["1"]


def test_port_0_is_a_refusal_unless_the_section_is_bundle_only() -> None:
    def port_0(mid: str, extra: str = "") -> str:
        return audio(mid, "recvonly", extra=extra).replace("m=audio 9 ", "m=audio 0 ")

    parsed = parse_offer(offer(audio("0", "sendonly"), port_0("1", "a=bundle-only\r\n"), port_0("2")))
    assert [s.mid for s in parsed.slot_sections(9)] == ["1"]


def test_one_section_both_ways_is_microphone_and_slot() -> None:
    parsed = parse_offer(offer(audio("0", "sendrecv"), bundle="0"))
    assert parsed.microphone is parsed.slot_sections(9)[0]


def test_a_listener_has_no_microphone() -> None:
    assert parse_offer(offer(audio("0", "recvonly"), bundle="0")).microphone is None


def test_a_session_level_transport_is_enough() -> None:
    parsed = parse_offer(HEAD + "a=group:BUNDLE 0\r\n" + TRANSPORT + audio("0", "sendonly", transport=""))
    assert parsed.ufrag == "abcd"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no m-section"),
        ("hello", "no m-section"),
        (HEAD + "m=audio nine\r\n", "parsed"),
        (offer(VIDEO), "Opus|opus"),
        (offer(audio("0", "sendonly").replace("opus/48000/2", "opus/16000/1"), bundle="0"), "opus"),
        (offer(audio("0", "sendonly"), audio("1", "recvonly"), bundle="0"), "BUNDLE"),
        (offer(audio("0", "sendonly"), audio("0", "recvonly"), bundle="0"), "mid"),
        (offer(audio("0", "sendonly", mux=""), bundle="0"), "rtcp-mux"),
        (offer(audio("0", "sendonly", transport=TRANSPORT.replace("a=ice-pwd", "a=x")), bundle="0"), "ice-pwd"),
        (offer(audio("0", "sendonly", transport=TRANSPORT.replace("a=fingerprint", "a=x")), bundle="0"), "fingerprint"),
        (offer(audio("0", "sendonly", transport=TRANSPORT.replace("a=setup:actpass\r\n", "")), bundle="0"), "setup"),
        (offer(audio("0", "sendonly", transport=TRANSPORT.replace("actpass", "passive")), bundle="0"), "passive"),
        (offer(*[audio(str(n), "recvonly") for n in range(65)]), "more than"),
    ],
)
def test_an_offer_that_cannot_be_answered_says_why(text: str, reason: str) -> None:
    with pytest.raises(OfferError, match=reason) as caught:
        parse_offer(text)
    assert caught.value.reason


@given(st.text(max_size=300))
def test_no_text_whatever_raises_anything_else(text: str) -> None:
    for candidate in (text, HEAD + text, offer(audio("0", "sendonly", extra=text))):
        with contextlib.suppress(OfferError):
            parse_offer(candidate)


def test_the_answer_mirrors_the_offer() -> None:
    parsed = parse_offer(offer(audio("0", "sendonly"), VIDEO, audio("1", "recvonly"), audio("2", "recvonly")))
    sections = [
        AnswerSection(parsed.sections[0], receives=True),
        AnswerSection(parsed.sections[1]),
        AnswerSection(parsed.sections[2], ssrc=4711, stream_id="slot-1"),
        AnswerSection(parsed.sections[3]),
    ]
    text = build_answer(
        sections,
        session_version=1,
        ufrag="ours",
        password="secret",
        fingerprint="sha-256 CC:DD",
        candidates=["1 1 udp 2130706431 192.0.2.1 50000 typ host"],
        addresses=[("192.0.2.1", 50_000)],
    )
    answer = SessionDescription.parse(text)
    assert [m.kind for m in answer.media] == ["audio", "video", "audio", "audio"]
    assert [m.direction for m in answer.media] == ["recvonly", "inactive", "sendonly", "inactive"]
    assert answer.media[1].port == 0
    assert answer.group[0].items == ["0", "1", "2"]
    microphone, _, slot, unused = answer.media
    assert {e.id: e.uri.rsplit(":", 1)[1] for e in microphone.rtp.headerExtensions} == {1: "ssrc-audio-level", 4: "mid"}
    assert [c.payloadType for c in microphone.rtp.codecs] == [111]
    assert microphone.rtp.codecs[0].parameters == {"minptime": 10, "useinbandfec": 1, "usedtx": "1"}
    assert [s.ssrc for s in slot.ssrc] == [4711]
    assert slot.msid == "slot-1 slot-1"
    assert slot.rtp.headerExtensions == []
    assert unused.ssrc == []
    assert microphone.ice_candidates[0].ip == "192.0.2.1"
    assert text.startswith("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=ice-lite\r\n")
    assert all(m.dtls is not None and m.dtls.role == "server" for m in (microphone, slot))


def test_an_ipv6_address_and_none_at_all() -> None:
    parsed = parse_offer(offer(audio("0", "sendonly"), bundle="0"))

    def answer(addresses: list[tuple[str, int]]) -> str:
        return build_answer(
            [AnswerSection(parsed.sections[0], receives=True)],
            session_version=1,
            ufrag="u",
            password="p",
            fingerprint="f",
            candidates=[],
            addresses=addresses,
        )

    assert "c=IN IP6 2001:db8::1\r\n" in answer([("2001:db8::1", 5)])
    assert "m=audio 9 " in answer([])
