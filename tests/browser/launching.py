"""Which browsers there are on this machine, and how they are started.

Both are the distribution's own. Nothing they do leaves 127.0.0.0/8: no STUN server is named anywhere, and what Chromium does
in the background is off.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.async_api import Browser, Playwright

__all__ = ["BrowserKind", "Microphone", "launch", "require_programs"]


class BrowserKind(StrEnum):
    """A family of browsers."""

    CHROMIUM = "chromium"
    FIREFOX = "firefox"


class Microphone(StrEnum):
    """What a browser answers to a page that asks for the microphone."""

    GRANTED = "granted"
    DENIED = "denied"
    MISSING = "missing"


PROGRAMS: Final = {
    BrowserKind.CHROMIUM: ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome"),
    BrowserKind.FIREFOX: ("firefox-esr", "firefox"),
}

CHROMIUM_ARGUMENTS: Final = (
    "--no-sandbox",  # root, and containers without user namespaces, have no other way; only our own pages are opened
    "--allow-loopback-in-peer-connection",
    "--autoplay-policy=no-user-gesture-required",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--no-first-run",
)
CHROMIUM_MICROPHONE: Final = {
    Microphone.GRANTED: ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"),
    Microphone.DENIED: ("--use-fake-ui-for-media-stream=deny", "--use-fake-device-for-media-stream"),
    Microphone.MISSING: ("--use-fake-ui-for-media-stream", "--disable-audio-input"),
}

FIREFOX_PREFERENCES: Final[dict[str, Any]] = {
    # Both are needed for a path over loopback: without a granted microphone only the default address is used.
    "media.peerconnection.ice.loopback": True,
    "permissions.default.microphone": 1,
    "media.peerconnection.ice.obfuscate_host_addresses": False,
    "media.autoplay.default": 0,
}
FIREFOX_MICROPHONE: Final[dict[Microphone, dict[str, Any]]] = {
    Microphone.GRANTED: {"media.navigator.streams.fake": True, "media.navigator.permission.disabled": True},
    Microphone.DENIED: {"media.navigator.streams.fake": True, "permissions.default.microphone": 2},
    Microphone.MISSING: {"media.navigator.streams.fake": False, "media.navigator.permission.disabled": True},
}


def require_programs(*alternatives: Iterable[str]) -> list[str]:
    """The path of one program of each list. Where there is none the test is skipped, and fails where `CI` is set: there it
    must not go unnoticed.
    """
    found = []
    for names in alternatives:
        path = next((path for name in names if (path := shutil.which(name))), None)
        if path is None:
            reason = f"none of {', '.join(names)} is installed: nothing was tested in a real browser"
            if os.environ.get("CI", "").lower() in ("1", "true", "yes"):
                pytest.fail(reason)
            pytest.skip(reason)
        found.append(path)
    return found


async def launch(
    playwright: Playwright,
    kind: BrowserKind,
    *,
    microphone: Microphone = Microphone.GRANTED,
    speech: Path | None = None,
    tone_hz: int = 880,
) -> Browser:
    """Start a browser. Its microphone says `speech` once from the moment it is opened (Chromium), or a tone without end of
    `tone_hz` (Firefox); without `speech` Chromium's beeps twice a second.
    """
    [program] = require_programs(PROGRAMS[kind])
    if kind is BrowserKind.CHROMIUM:
        arguments = [*CHROMIUM_ARGUMENTS, *CHROMIUM_MICROPHONE[microphone]]
        if speech is not None:
            arguments.append(f"--use-file-for-fake-audio-capture={speech}%noloop")
        return await playwright.chromium.launch(executable_path=program, args=arguments)
    preferences = {**FIREFOX_PREFERENCES, **FIREFOX_MICROPHONE[microphone], "media.navigator.audio.fake_frequency": tone_hz}
    # The channel selects WebDriver BiDi, which the distribution's Firefox speaks.
    return await playwright.firefox.launch(channel="moz-firefox", executable_path=program, firefox_user_prefs=preferences)
