"""RTP headers and their extensions."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.media.rtp import find_audio_level, opus_duration, payload_bounds, read_packet


def packet(
    *, extension: bytes | None = None, profile: int = 0xBEDE, csrcs: int = 0, payload: bytes = b"\x78abc", padding: int = 0
) -> bytes:
    first = 0x80 | csrcs | (0x10 if extension is not None else 0) | (0x20 if padding else 0)
    data = struct.pack("!BBHII", first, 111, 7, 960, 0x1234) + b"\0\0\0\1" * csrcs
    if extension is not None:
        extension += b"\0" * (-len(extension) % 4)
        data += struct.pack("!HH", profile, len(extension) // 4) + extension
    return data + payload + (b"\0" * (padding - 1) + bytes([padding]) if padding else b"")


def test_the_payload_of_a_plain_packet_follows_its_header() -> None:
    data = packet()
    assert payload_bounds(data, len(data)) == (12, 16)


def test_contributing_sources_extensions_and_padding_are_no_payload() -> None:
    data = packet(extension=b"\x10\x05", csrcs=2, padding=4)
    bounds = payload_bounds(data, len(data))
    assert bounds is not None
    assert data[slice(*bounds)] == b"\x78abc"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        packet()[:11],
        b"\x40" + packet()[1:],  # version 1
        packet(csrcs=15)[:40],  # fewer sources than it says
        packet(extension=b"\x10\x05")[:15],  # the extension's own header is cut off
        struct.pack("!BBHIIHH", 0x90, 111, 7, 960, 1, 0xBEDE, 9),  # an extension longer than the packet
        b"\xa0" + packet(payload=b"abcd")[1:-1] + b"\xff",  # more padding than packet
        b"\xa0" + packet(payload=b"abcd")[1:-1] + b"\x00",  # padding of nothing
    ],
)
def test_a_header_that_lies_about_its_size_has_no_payload(data: bytes) -> None:
    assert payload_bounds(data, len(data)) is None


@pytest.mark.parametrize(
    ("extension", "level"),
    [
        (b"\x10\x85", 5),  # the voice bit is not part of the level
        (b"\x40\x30\x10\x7f", 127),  # another extension before it
        (b"\x00\x00\x10\x2a", 42),  # padding before it
        (b"\x43abcd\x10\x09", 9),
        (b"\xf0\x00\x10\x09", None),  # identifier 15 ends the block
        (b"\x20\x09", None),  # not there
        (b"\x00\x00\x00\x10", None),  # cut off before its value
    ],
)
def test_the_level_of_one_byte_extensions(extension: bytes, level: int | None) -> None:
    data = packet(extension=extension)
    bounds = payload_bounds(data, len(data))
    assert bounds is not None
    assert find_audio_level(data, bounds[0], 1) == level


@pytest.mark.parametrize(
    ("extension", "level"),
    [
        (b"\x01\x01\x85", 5),
        (b"\x07\x00\x01\x01\x10", 16),
        (b"\x00\x01\x01\x7f", 127),
        (b"\x01\x00\x00\x00", None),
        (b"\x02\x01\x05", None),
    ],
)
def test_the_level_of_two_byte_extensions(extension: bytes, level: int | None) -> None:
    data = packet(extension=extension, profile=0x1000)
    bounds = payload_bounds(data, len(data))
    assert bounds is not None
    assert find_audio_level(data, bounds[0], 1) == level


def test_a_packet_without_extension_or_with_an_unknown_profile_has_no_level() -> None:
    assert find_audio_level(packet(), 12, 1) is None
    assert find_audio_level(packet(extension=b"\x10\x05", profile=0xABCD), 20, 1) is None


@given(st.binary(min_size=0, max_size=80), st.integers(1, 14))
def test_no_bytes_whatever_raise(data: bytes, extension_id: int) -> None:
    bounds = payload_bounds(data, len(data))
    if bounds is not None:
        assert 12 <= bounds[0] <= bounds[1] <= len(data)
        level = find_audio_level(data, bounds[0], extension_id)
        assert level is None or 0 <= level <= 127


@pytest.mark.parametrize(
    ("first", "second", "ticks"),
    [
        (0x78, 0, 960),  # configuration 15, hybrid, 20 ms, one frame
        (0xF8, 0, 960),  # configuration 31, CELT, 20 ms
        (0x08, 0, 960),  # configuration 1, SILK, 20 ms
        (0x18, 0, 2880),  # configuration 3, SILK, 60 ms
        (0x80, 0, 120),  # configuration 16, CELT, 2.5 ms
        (0xF9, 0, 1920),  # two equal frames
        (0xFB, 0x83, 2880),  # three frames, variable size
        (0x1B, 0x3F, 5760),  # more than Opus allows counts as 120 ms
        (0xFB, 0x00, 0),
    ],
)
def test_the_duration_of_an_opus_packet(first: int, second: int, ticks: int) -> None:
    assert opus_duration(first, second) == ticks


@pytest.mark.parametrize("extension", [b"\x10\x85", b"\x10\x85\x40\x30", b"\x40\x30\x10\x7f", b"\x11\x85\x05", None])
@pytest.mark.parametrize("padding", [0, 3])
def test_all_fields_at_once(extension: bytes | None, padding: int) -> None:
    data = packet(extension=extension, padding=padding)
    fields = read_packet(memoryview(data + b"what stood in the buffer before"), len(data), 1)
    assert fields is not None
    start, end, level, kind, sequence, timestamp, ssrc = fields
    assert data[start:end] == b"\x78abc"
    assert level == (find_audio_level(data, start, 1))
    assert (kind, sequence, timestamp, ssrc) == (111, 7, 960, 0x1234)


@given(st.binary(min_size=0, max_size=60), st.booleans(), st.integers(1, 14) | st.none())
def test_the_quick_way_and_the_careful_way_agree(data: bytes, usual: bool, extension_id: int | None) -> None:
    if usual:
        data = b"\x90\x6f" + data[:10].ljust(10, b"\0") + b"\xbe\xde\x00" + data[10:]
    fields = read_packet(memoryview(data), len(data), extension_id)
    bounds = payload_bounds(data, len(data))
    if fields is None:
        assert bounds is None
    else:
        assert fields[:2] == bounds
        assert fields[2] == (find_audio_level(data, fields[0], extension_id) if extension_id is not None else None)
