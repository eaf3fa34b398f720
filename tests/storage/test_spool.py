"""The file in which the ledger waits: what was kept is found again, whatever happened to the process or the disk."""

from __future__ import annotations

import errno
import os
import zlib
from collections.abc import AsyncIterator
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.storage.spool import FileSpool
from server.storage.spool_lines import BadLine, decode, encode
from server.voice.ledger import (
    LedgerEntry,
    LevelFinding,
    QualityPoint,
    QualityTotals,
    RoomEvent,
    RoomEventKind,
    SessionMark,
    SessionSummary,
    SpeakingInterval,
    SpoolError,
)
from server.voice.participant import EndReason

NOW = datetime(2026, 2, 13, 17, 30, 0, 123000, tzinfo=UTC)
RESERVED = 4096


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "data" / "ledger.spool"


@pytest.fixture
async def spool(file: Path) -> AsyncIterator[FileSpool]:
    spool = FileSpool(file, max_bytes=64_000, reserved_bytes=RESERVED)
    assert await spool.open() == 0
    yield spool
    await spool.close()


async def reopened(file: Path) -> FileSpool:
    spool = FileSpool(file, max_bytes=64_000, reserved_bytes=RESERVED)
    await spool.open()
    return spool


def size(file: Path) -> int:
    return file.stat().st_size


def content(file: Path) -> bytes:
    return file.read_bytes()


def put(file: Path, content: bytes) -> None:
    file.write_bytes(content)


def event(number: int) -> RoomEvent:
    return RoomEvent(number, "lobby", NOW, RoomEventKind.JOIN, f"session {number}")


def events(count: int, first: int = 1) -> list[LedgerEntry]:
    return [event(number) for number in range(first, first + count)]


async def all_of(spool: FileSpool, at_once: int = 7) -> list[LedgerEntry]:
    found: list[LedgerEntry] = []
    while spool.waiting:
        chunk = await spool.read(at_once)
        found += chunk.entries
        await spool.passed(chunk)
    return found


moments = st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)).map(  # noqa: DTZ001 - hypothesis wants it so
    lambda moment: moment.replace(microsecond=moment.microsecond // 1000 * 1000)
)
figures = st.floats(0, 1e6)


def quality(kind: type[LedgerEntry]) -> st.SearchStrategy[LedgerEntry]:
    """All that a figure may be, and None where it may be None."""
    kinds = {"float": figures, "float | None": st.none() | figures, "datetime": moments, "str": st.text()}
    return st.builds(kind, **{field.name: kinds[str(field.type)] for field in fields(kind)})


entries = st.one_of(
    st.builds(
        SessionSummary,
        session_id=st.text(),
        joined_at=moments,
        left_at=moments,
        duration_ms=st.integers(0),
        reason=st.sampled_from(EndReason),
    ),
    st.builds(SessionMark, last_seen=moments),
    st.builds(SpeakingInterval, started_at=moments, ended_at=moments),
    st.builds(RoomEvent, at=moments, kind=st.sampled_from(RoomEventKind), reason=st.none() | st.text()),
    quality(QualityPoint),
    quality(QualityTotals),
    st.builds(LevelFinding, at=moments),
)


@given(entries)
def test_a_line_says_all_there_is(entry: LedgerEntry) -> None:
    line = encode(entry)
    assert line.count(b"\n") == 1
    assert line.isascii()
    assert b"\0" not in line
    assert decode(line) == entry


@given(st.integers(0, 200), st.integers(1, 255))
def test_a_damaged_line_is_known_as_such(position: int, flipped: int) -> None:
    head, text = encode(event(1)).rstrip(b"\n").split(b"{", 1)
    damaged = bytearray(text)
    damaged[position % len(text)] ^= flipped
    with pytest.raises(BadLine):
        decode(head + b"{" + damaged)


@pytest.mark.parametrize("text", [b"[]", b"{}", b'{"is":"end"}', b'{"is":"poem"}', b'{"is":"mark","last_seen":5}', b"no JSON"])
def test_a_whole_line_of_something_else_is_no_entry(text: bytes) -> None:
    with pytest.raises(BadLine):
        decode(b"1 %08x %b" % (zlib.crc32(text), text))


async def test_first_in_first_out(spool: FileSpool) -> None:
    await spool.append(events(10))
    chunk = await spool.read(4)
    assert list(chunk.entries) == events(4)
    assert await spool.read(4) == chunk, "what was not passed is read again"
    await spool.passed(chunk)
    await spool.append(events(2, first=11))
    assert spool.waiting == 8
    assert await all_of(spool) == events(8, first=5)
    assert (spool.waiting, spool.fill) == (0, 0)


async def test_what_was_left_is_there_after_a_restart(spool: FileSpool, file: Path) -> None:
    await spool.append(events(10))
    await spool.passed(await spool.read(4))
    again = await reopened(file)
    assert again.waiting == 10, "where one was is not noted: what was passed is written twice, which does no harm"
    assert await all_of(again) == events(10)
    await again.close()
    empty = await reopened(file)
    assert empty.waiting == 0
    await empty.close()


async def test_a_file_that_outgrew_its_reserve_shrinks_again(spool: FileSpool, file: Path) -> None:
    await spool.append(events(100))
    assert size(file) > RESERVED
    assert await all_of(spool) == events(100)
    assert size(file) == RESERVED
    assert set(content(file)) == {0}
    await spool.append(events(3))
    again = await reopened(file)
    assert await all_of(again) == events(3)
    await again.close()


async def test_what_died_within_a_line_costs_that_line(spool: FileSpool, file: Path) -> None:
    await spool.append(events(3))
    torn = content(file).rstrip(b"\0")[:-20]
    put(file, torn)
    again = await reopened(file)
    assert again.waiting == 3
    await again.append(events(2, first=4))
    chunk = await again.read(10)
    assert list(chunk.entries) == [*events(2), *events(2, first=4)]
    assert chunk.damaged == 1
    await again.passed(chunk)
    assert again.waiting == 0
    await again.close()


async def test_a_damaged_line_in_the_middle_costs_that_line(spool: FileSpool, file: Path) -> None:
    await spool.append(events(3))
    damaged = bytearray(content(file))
    damaged[damaged.index(b"session 2")] ^= 1
    put(file, bytes(damaged))
    chunk = await spool.read(10)
    assert (list(chunk.entries), chunk.damaged) == ([event(1), event(3)], 1)


async def test_it_is_bounded(spool: FileSpool) -> None:
    await spool.append(events(300))
    assert 0.5 < spool.fill < 1
    with pytest.raises(SpoolError, match="full"):
        await spool.append(events(300))
    assert spool.waiting == 300
    assert await all_of(spool) == events(300)


async def test_a_full_disk_keeps_all_of_a_batch_or_nothing(spool: FileSpool, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    await spool.append(events(2))
    real = os.pwrite

    def runs_full(file: int, data: bytes, offset: int) -> int:
        if any(data):
            if offset >= 600:
                raise OSError(errno.ENOSPC, "No space left on device")
            data = data[: 600 - offset]
        return real(file, data, offset)

    monkeypatch.setattr(os, "pwrite", runs_full)
    with pytest.raises(SpoolError, match="No space left"):
        await spool.append(events(10, first=3))
    monkeypatch.undo()
    assert spool.waiting == 2
    again = await reopened(file)
    assert again.waiting == 2, "the half of a batch is not there"
    await again.close()
    await spool.append(events(1, first=3))
    assert await all_of(spool) == events(3)


async def test_the_reserve_is_on_the_disk_before_it_is_needed(spool: FileSpool, file: Path) -> None:
    assert os.stat(file).st_blocks * 512 >= RESERVED
    await spool.append(events(3))
    assert size(file) == RESERVED
    assert os.stat(file).st_mode & 0o777 == 0o600


async def test_without_room_for_the_reserve_it_works_all_the_same(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", no_room)
    spool = await reopened(file)
    await spool.append(events(3))
    assert await all_of(spool) == events(3)
    await spool.close()


async def test_a_folder_in_its_place_is_told(tmp_path: Path) -> None:
    spool = FileSpool(tmp_path)
    with pytest.raises(SpoolError, match=tmp_path.name):
        await spool.open()
    with pytest.raises(SpoolError, match="not open"):
        await spool.append(events(1))
    await spool.close()


async def test_times_come_back_as_they_were(spool: FileSpool) -> None:
    summary = SessionSummary(
        "s", "lobby", "anna", "materie", NOW, NOW + timedelta(milliseconds=1), 1, 0, EndReason.TIMEOUT, attempted_speaking_ms=7
    )
    await spool.append([summary])
    assert await all_of(spool) == [summary]
