"""Offers and answers of the simulated client."""

from __future__ import annotations

import pytest
from aiortc.sdp import SessionDescription

from bench.ice import Credentials
from bench.sdp import AUDIO_LEVEL_URI, MID_URI, AnswerError, OfferOptions, build_offer, parse_answer
from tests.bench.echo import SLOT_SSRC, EchoServer

FINGERPRINT = ":".join(["AB"] * 32)


def offer(options: OfferOptions) -> str:
    return build_offer(options, Credentials("ufrag", "p" * 32), FINGERPRINT, ssrc=7, cname="me", session_id=1, version=1)


def test_an_offer_sends_in_the_first_section_and_receives_in_the_others() -> None:
    session = SessionDescription.parse(offer(OfferOptions(slots=3)))
    assert [media.direction for media in session.media] == ["sendonly", "recvonly", "recvonly", "recvonly"]
    assert [media.rtp.muxId for media in session.media] == ["0", "1", "2", "3"]
    assert [len(media.ssrc) for media in session.media] == [1, 0, 0, 0]
    assert session.group[0].items == ["0", "1", "2", "3"]
    assert all(media.rtcp_mux for media in session.media)
    assert session.media[0].ice is not None
    assert session.media[0].ice.usernameFragment == "ufrag"


def test_browsers_differ_in_payload_types_and_extension_ids() -> None:
    session = SessionDescription.parse(offer(OfferOptions(opus_payload_type=109, audio_level_id=7, mid_id=None)))
    assert session.media[0].rtp.codecs[0].payloadType == 109
    assert {header.uri: header.id for header in session.media[0].rtp.headerExtensions} == {AUDIO_LEVEL_URI: 7}


def test_a_plain_client_has_one_section() -> None:
    session = SessionDescription.parse(offer(OfferOptions(plain=True)))
    assert [media.direction for media in session.media] == ["sendrecv"]


def test_a_listener_sends_nothing() -> None:
    session = SessionDescription.parse(offer(OfferOptions(listen_only=True, slots=1)))
    assert [media.direction for media in session.media] == ["recvonly", "recvonly"]
    assert "a=ssrc" not in offer(OfferOptions(listen_only=True, slots=1))


def test_a_false_fingerprint_replaces_the_true_one() -> None:
    assert FINGERPRINT not in offer(OfferOptions(fingerprint="00:11"))


async def test_an_answer_is_read() -> None:
    server = EchoServer()
    try:
        answer = parse_answer(server.answer(offer(OfferOptions(slots=2))))
    finally:
        await server.close()
    assert answer.credentials == server.credentials
    assert answer.bundled == ("0", "1", "2")
    assert [section.direction for section in answer.sections] == ["recvonly", "sendonly", "sendonly"]
    assert answer.slots() == {SLOT_SSRC: "1", SLOT_SSRC + 1: "2"}
    assert answer.sections[0].extensions == {AUDIO_LEVEL_URI: 1, MID_URI: 4}
    assert answer.candidates[0][0] == "127.0.0.1"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (("a=ice-pwd:", "a=x-pwd:"), "ICE credentials"),
        (("a=fingerprint:", "a=x-fingerprint:"), "no fingerprint"),
        (("a=setup:passive", "a=setup:active"), "setup:passive"),
        (("opus/48000/2", "PCMU/8000"), "no Opus"),
    ],
)
async def test_an_answer_that_lacks_something_is_refused(damage: tuple[str, str], message: str) -> None:
    server = EchoServer()
    try:
        sdp = server.answer(offer(OfferOptions(slots=1)))
    finally:
        await server.close()
    with pytest.raises(AnswerError, match=message):
        parse_answer(sdp.replace(*damage))


def test_an_empty_answer_is_refused() -> None:
    with pytest.raises(AnswerError, match="no section"):
        parse_answer("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n")
