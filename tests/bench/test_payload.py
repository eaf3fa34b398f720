"""Stamped payloads."""

from __future__ import annotations

import random

import pytest

from bench.payload import TOC_CELT_20_MS, TOC_SILK_20_MS, opus_payload, read_stamp


def test_a_payload_says_when_it_was_sent() -> None:
    payload = opus_payload(123_456_789, 42, size=80, rng=random.Random(1))
    assert len(payload) == 80
    stamp = read_stamp(payload)
    assert stamp is not None
    assert (stamp.sent_ns, stamp.number) == (123_456_789, 42)


@pytest.mark.parametrize("toc", [TOC_CELT_20_MS, TOC_SILK_20_MS])
def test_the_first_byte_says_mono_and_one_frame(toc: int) -> None:
    first = opus_payload(0, 0, rng=random.Random(1), toc=toc)[0]
    assert first == toc
    assert first & 0b111 == 0  # RFC 6716, section 3.1: s is 0 for mono, c is 0 for one frame


def test_payloads_differ() -> None:
    rng = random.Random(1)
    assert opus_payload(0, 0, rng=rng) != opus_payload(0, 0, rng=rng)


def test_too_small_for_a_stamp() -> None:
    with pytest.raises(ValueError, match="at least 13"):
        opus_payload(0, 0, size=12, rng=random.Random(1))
    assert read_stamp(b"\xf8") is None
