"""Someone with a browser: a page of their own, everything that went wrong in it, and what they hear."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

from playwright.async_api import BrowserContext, Page

from .launching import BrowserKind

__all__ = ["INJECT", "LOUD", "Heard", "Visitor", "eventually", "segments"]

INJECT: Final = Path(__file__).parent / "inject"
LOUD: Final = 0.02
"""A voice is well above this amplitude, silence (3e-5) and leakage far below it."""
POLL_SECONDS: Final = 0.05
CONSOLE_TROUBLE: Final = ("error", "warning", "assert")
"""Kinds of console messages that a page may not have; the others are its log."""

T = TypeVar("T")


class Heard(NamedTuple):
    """What one section played from `start` to `end` (seconds since 1970): `rms` is 0.0 to 1.0."""

    mid: str
    start: float
    end: float
    rms: float


class Change(NamedTuple):
    """A watched attribute took a value at `at` (seconds since 1970); None where it is absent."""

    at: float
    key: str
    value: str | None


@dataclass(slots=True)
class Visitor:
    """One page in a context of its own: nothing is shared with other visitors but the browser's process."""

    kind: BrowserKind
    context: BrowserContext
    page: Page
    origin: str
    problems: list[str] = field(default_factory=list)
    tolerated: list[re.Pattern[str]] = field(default_factory=list)

    async def prepare(self, *, drivable_microphone: bool = False) -> None:
        """Put the witness (and the microphone that the test plays) in front of whatever page comes."""
        self.page.on(
            "console", lambda m: self.problems.append(f"console.{m.type}: {m.text}") if m.type in CONSOLE_TROUBLE else None
        )
        self.page.on("pageerror", lambda error: self.problems.append(f"uncaught: {error}"))
        self.context.on("request", lambda request: self._requested(request.url))
        await self.page.add_init_script(path=INJECT / "witness.js")
        if drivable_microphone:
            await self.page.add_init_script(path=INJECT / "microphone.js")

    def tolerate(self, pattern: str) -> None:
        """A message on the console that belongs to what the test does, such as Chromium's note of a refused request."""
        self.tolerated.append(re.compile(pattern))

    async def verdict(self) -> list[str]:
        """Everything that went wrong in the page and was not to be expected."""
        violations = [] if self.page.is_closed() else await self.page.evaluate("() => window.witness?.violations ?? []")
        return [p for p in [*self.problems, *violations] if not any(t.search(p) for t in self.tolerated)]

    def _requested(self, url: str) -> None:
        if not url.startswith((self.origin, "data:", "blob:", "about:")):
            self.problems.append(f"a request left the server: {url}")

    # hearing

    async def offers(self) -> int:
        """How many offers the page has made so far."""
        return int(await self.page.evaluate("() => witness.offers()"))

    async def heard(self, since: float = 0.0) -> list[Heard]:
        """What was played since then (seconds since 1970), in windows of about 0.1 s, oldest first."""
        entries = await self.page.evaluate("since => witness.heard.filter(h => h.from >= since)", since * 1000)
        return [Heard(e["mid"], e["from"] / 1000, e["to"] / 1000, e["rms"]) for e in entries]

    async def hears_something(self, since: float = 0.0) -> bool:
        """Whether anything audible was played since then."""
        return any(h.rms > LOUD for h in await self.heard(since))

    async def tones(self, selector: str, frequencies: Sequence[int]) -> list[float]:
        """The amplitude of each frequency (Hz) in what the audio element plays now; zeros where there is none. Chromium only."""
        values: list[float] = await self.page.evaluate(
            "([selector, frequencies]) => witness.tones(document.querySelector(selector), frequencies)",
            [selector, list(frequencies)],
        )
        return values

    async def hum(self, frequency: int) -> None:
        """Say a tone from now on. Only with a drivable microphone."""
        await self.page.evaluate("frequency => mic.hum(frequency)", frequency)

    # watching

    async def watch(self, name: str, selector: str, key: str, attribute: str) -> None:
        """Note every value that `attribute` takes on the elements that match, told apart by their attribute `key`."""
        await self.page.evaluate("([n, s, k, a]) => witness.watch(n, s, k, a)", [name, selector, key, attribute])

    async def changes(self, name: str) -> list[Change]:
        """What was noted since `watch`, oldest first."""
        entries: list[dict[str, Any]] = await self.page.evaluate("name => witness.changes[name]", name)
        return [Change(e["at"] / 1000, e["key"], e["value"]) for e in entries]


def segments(heard: Sequence[Heard], *, bridge_seconds: float = 0.6) -> list[tuple[float, float]]:
    """The stretches of loud windows, as (start, end); gaps shorter than `bridge_seconds` belong to a stretch."""
    found: list[tuple[float, float]] = []
    for window in heard:
        if window.rms <= LOUD:
            continue
        if found and window.start - found[-1][1] < bridge_seconds:
            found[-1] = (found[-1][0], window.end)
        else:
            found.append((window.start, window.end))
    return found


async def eventually(look: Callable[[], Awaitable[T]], what: str, *, timeout: float = 10.0) -> T:
    """Look again and again until it is true, and return it. Raises AssertionError that names `what` after `timeout` seconds."""
    try:
        async with asyncio.timeout(timeout):
            while not (seen := await look()):  # noqa: ASYNC110 - a page sends us no event
                await asyncio.sleep(POLL_SECONDS)
            return seen
    except TimeoutError:
        raise AssertionError(f"within {timeout:g} s it was not seen that {what}") from None
