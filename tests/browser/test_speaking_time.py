"""The main promise: what someone says is heard, shown, and measured, to the file's own truth."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise

import pytest
from playwright.async_api import expect

from tests.support import RunningServer

from .conftest import OpenVisitor, ReadRows
from .launching import BrowserKind
from .room_page import AUDIO, RoomPage
from .speech import SpeechFile
from .visitor import Change, eventually, segments


def spurts(changes: list[Change], session_id: str) -> list[tuple[float, float | None]]:
    """When someone was shown as speaking: (from, until), `until` None where it goes on."""
    found: list[tuple[float, float | None]] = []
    for change in changes:
        if change.key != session_id:
            continue
        if change.value == "true":
            found.append((change.at, None))
        elif found and found[-1][1] is None:
            found[-1] = (found[-1][0], change.at)
    return found


@pytest.mark.slow
async def test_known_speech_is_heard_shown_and_counted(
    server: RunningServer,
    visit: OpenVisitor,
    rows: ReadRows,
    speech: SpeechFile,
    record_property: Callable[[str, object], None],
) -> None:
    silent = RoomPage(await visit(BrowserKind.CHROMIUM, server, drivable_microphone=True))
    firefox = RoomPage(await visit(BrowserKind.FIREFOX, server))
    speaker = RoomPage(await visit(BrowserKind.CHROMIUM, server, speech=speech.path))

    await silent.join("Silent")
    await firefox.join("Firefox")
    await firefox.find("mute").click()
    listeners = [silent, firefox]
    for listener in listeners:
        await listener.watch_speaking()
    started = time.time()
    speaker_id = await speaker.join("Speaker")
    mids = [await listener.page.locator(AUDIO.format(speaker_id)).get_attribute("data-mid") for listener in listeners]

    async def all_said() -> bool:
        said = [spurts(await listener.visitor.changes("speaking"), speaker_id) for listener in listeners]
        return all(len(each) == speech.utterances and each[-1][1] is not None for each in said)

    await eventually(all_said, f"{speech.utterances} times of speech began and ended", timeout=speech.seconds + 5)
    await speaker.leave()
    await silent.leave()

    figures: dict[str, object] = {}
    for listener, mid in zip(listeners, mids, strict=True):
        kind = listener.visitor.kind
        shown = spurts(await listener.visitor.changes("speaking"), speaker_id)
        loud = segments([h for h in await listener.visitor.heard(since=started) if h.mid == mid])
        figures[f"{kind} shown"] = [round(end - start, 2) for start, end in shown if end is not None]
        figures[f"{kind} heard"] = [round(end - start, 2) for start, end in loud]
        assert len(loud) == speech.utterances, f"{kind} heard {loud}"
        for (shown_from, shown_until), (heard_from, heard_until) in zip(shown, loud, strict=True):
            assert shown_until is not None
            # Shown from the first syllable until the hang-over is over; heard in windows of 0.1 s, a jitter buffer later.
            assert shown_until - shown_from == pytest.approx(speech.speech_seconds + 0.4, abs=0.25)
            assert heard_until - heard_from == pytest.approx(speech.speech_seconds + 0.3, abs=0.5)
            assert heard_from == pytest.approx(shown_from, abs=0.5)
        period = speech.speech_seconds + speech.pause_seconds
        for former, latter in pairwise(loud):
            assert latter[0] - former[0] == pytest.approx(period, abs=0.3)

    by_name = {row["username"]: row for row in rows(server.settings.database)}
    figures["speaking_ms"] = by_name["Speaker"]["speaking_ms"]
    record_property("figures", figures)
    print(figures)  # noqa: T201 - the figures of this machine, shown with -s and on failure
    assert by_name["Speaker"]["speaking_ms"] == pytest.approx(speech.spoken_ms, rel=0.05)
    assert by_name["Silent"]["speaking_ms"] < 500
    summary = speaker.find("summary")
    await expect(summary).to_have_attribute("data-speaking-ms", str(by_name["Speaker"]["speaking_ms"]))


@pytest.mark.parametrize(
    ("speaking", "listening"), [(BrowserKind.CHROMIUM, BrowserKind.FIREFOX), (BrowserKind.FIREFOX, BrowserKind.CHROMIUM)]
)
async def test_the_muted_are_neither_heard_nor_counted(
    server: RunningServer, visit: OpenVisitor, rows: ReadRows, speaking: BrowserKind, listening: BrowserKind
) -> None:
    ears = RoomPage(await visit(listening, server, drivable_microphone=listening is BrowserKind.CHROMIUM))
    mouth = RoomPage(await visit(speaking, server, drivable_microphone=speaking is BrowserKind.CHROMIUM))
    await ears.join("Ears")
    session_id = await mouth.join("Mouth")
    if speaking is BrowserKind.CHROMIUM:
        await mouth.visitor.hum(440)
    started = time.time()
    seen_by = [mouth.tile(session_id), ears.tile(session_id)]

    async def heard_since(moment: float) -> list[float]:
        mid = await ears.page.locator(AUDIO.format(session_id)).get_attribute("data-mid")
        return [h.rms for h in await ears.visitor.heard(since=moment) if h.mid == mid]

    async def is_heard(moment: float) -> bool:
        return max(await heard_since(moment), default=0.0) > 0.05

    await eventually(lambda: is_heard(started), "the voice is heard before it is muted")
    for tile in seen_by:
        await expect(tile).to_have_attribute("data-speaking", "true")

    await mouth.find("mute").click()
    for tile in seen_by:
        await expect(tile).to_have_attribute("data-muted", "true")
        await expect(tile).to_have_attribute("data-speaking", "false")
    await expect(mouth.find("mute")).to_have_attribute("aria-pressed", "true")
    await expect(mouth.find("room")).to_have_attribute("data-muted", "true")

    # What was on its way is played out; after that there is nothing, for as long as is listened.
    async def is_quiet(moment: float) -> bool:
        recent = (await heard_since(moment))[-20:]
        return len(recent) == 20 and max(recent) < 1e-3

    muted_at = time.time()
    await eventually(lambda: is_quiet(muted_at), "two seconds in a row are silent while muted")
    unmuted_at = time.time()
    await mouth.find("mute").click()
    await eventually(lambda: is_heard(unmuted_at), "the voice is heard again")
    for tile in seen_by:
        await expect(tile).to_have_attribute("data-muted", "false")
        await expect(tile).to_have_attribute("data-speaking", "true")

    await mouth.leave()
    left_at = time.time()
    await ears.leave()
    [row] = [row for row in rows(server.settings.database) if row["username"] == "Mouth"]
    audible_ms = ((muted_at - started) + (left_at - unmuted_at)) * 1000
    # It hummed from before `started` in Firefox: from the moment of its connection on.
    assert 0 < row["speaking_ms"] <= row["duration_ms"] - (unmuted_at - muted_at) * 1000
    assert row["speaking_ms"] > audible_ms * 0.5
