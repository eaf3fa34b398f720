"""Log lines."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator

import pytest

from server import logs


def record(message: str, *arguments: object) -> logging.LogRecord:
    made = logging.LogRecord("server.voice", logging.INFO, __file__, 1, message, arguments, None)
    made.created = 1770999000.25
    return made


@pytest.fixture
def _logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    yield
    root.handlers[:], root.level = before
    for name in ("aiohttp", "aioice", "aiortc", "aiosqlite", "asyncio"):
        logging.getLogger(name).setLevel(logging.NOTSET)


def test_a_line_has_time_weight_place_and_message() -> None:
    assert logs.OneLineFormatter().format(record("room %s", "lobby")) == "2026-02-13T16:10:00.250Z INFO server.voice room lobby"


def test_a_name_cannot_pass_for_a_line() -> None:
    line = logs.OneLineFormatter().format(record("hello %s", "Ü\n2026-02-13T16:10:00Z INFO forged\x1b[2J\u2028"))
    assert line.endswith(r"hello Ü\n2026-02-13T16:10:00Z INFO forged\x1b[2J\u2028")


def test_a_traceback_keeps_its_lines() -> None:
    try:
        raise RuntimeError("why")
    except RuntimeError:
        failed = logging.LogRecord("server", logging.ERROR, __file__, 1, "failed", (), sys.exc_info())
    lines = logs.OneLineFormatter().format(failed).splitlines()
    assert lines[1] == "Traceback (most recent call last):"
    assert lines[-1] == "RuntimeError: why"


@pytest.mark.usefixtures("_logging_as_it_was")
def test_lines_go_to_standard_error_from_the_level_on(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("warning")
    logging.getLogger("server.x").info("quiet")
    logging.getLogger("server.x").warning("loud")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.endswith(" WARNING server.x loud\n")
    assert "quiet" not in captured.err


@pytest.mark.usefixtures("_logging_as_it_was")
def test_libraries_do_not_write_what_passes_through_them(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("debug")
    logging.getLogger("server.x").debug("ours")
    logging.getLogger("aiosqlite").debug("INSERT …")
    captured = capsys.readouterr()
    assert "ours" in captured.err
    assert "INSERT" not in captured.err
