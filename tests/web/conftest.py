"""Fixtures for the web side. Their types are in `tests.web.site`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Protocol

import pytest

from server.web.pages import IMPORT_MAP_MARKER
from tests.support import MakeSettings
from tests.web.site import Site, running_site


class MakeSite(Protocol):
    """The fixture `make_site`: `await make_site({"guests": False}, limiter=…)`."""

    async def __call__(self, settings: dict[str, Any] | None = None, **changes: Any) -> Site: ...


@pytest.fixture
def static(tmp_path: Path) -> Path:
    """A folder of pages, small."""
    folder = tmp_path / "static"
    for name in ("lib", "example", "docs"):
        (folder / name).mkdir(parents=True)
    page = f"<!doctype html><title>page</title>{IMPORT_MAP_MARKER}<p>Grüße</p>"
    for name in ("index.html", "admin.html", "example/index.html", "docs/index.html"):
        (folder / name).write_text(page, encoding="utf-8")
    (folder / "favicon.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>", encoding="utf-8")
    (folder / "lib" / "client.js").write_text("export {};", encoding="utf-8")
    (folder / "example" / "example.mjs").write_text("export {};", encoding="utf-8")
    (folder / "lib" / "notes.txt").write_text("not for browsers", encoding="utf-8")
    return folder


@pytest.fixture
def vendor(tmp_path: Path) -> Path:
    """A folder of npm packages, one of them on the list."""
    folder = tmp_path / "node_modules"
    for package in ("lit", "typescript", "lit/node_modules/evil"):
        (folder / package).mkdir(parents=True)
        (folder / package / "index.js").write_text("export {};", encoding="utf-8")
    (folder / "lit" / "package.json").write_text("{}", encoding="utf-8")
    return folder


@pytest.fixture
async def make_site(make_settings: MakeSettings, static: Path, vendor: Path) -> AsyncIterator[MakeSite]:
    """Runs sites with settings and parts changed; they stop when the test ends."""
    async with AsyncExitStack() as stack:

        async def make(settings: dict[str, Any] | None = None, **changes: Any) -> Site:
            site = running_site(make_settings(**(settings or {})), static, vendor, **changes)
            return await stack.enter_async_context(site)

        yield make


@pytest.fixture
async def site(make_site: MakeSite) -> Site:
    """A site as it is by default."""
    return await make_site()
