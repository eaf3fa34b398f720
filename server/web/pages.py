"""The pages, their scripts and style sheets, and the npm packages that they load.

A page says `<!-- importmap -->` where its import map goes; that is the only inline script there is, and the content security
policy names its hash. What a browser may load is an allow-list of file types below two folders.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Final

from aiohttp import web

from server import resources

__all__ = ["IMPORT_MAP_MARKER", "Pages", "content_security_policy", "import_map"]

IMPORT_MAP_MARKER: Final = "<!-- importmap -->"
CACHE_CONTROL: Final = "no-cache"
"""Kept by the browser, and asked about each time (`ETag`): names of files say nothing about their version."""

CONTENT_TYPES: Final[Mapping[str, str]] = MappingProxyType(
    {
        ".css": "text/css; charset=utf-8",
        ".ico": "image/x-icon",
        ".js": "text/javascript; charset=utf-8",
        ".json": "application/json; charset=utf-8",
        ".mjs": "text/javascript; charset=utf-8",
        ".ogg": "audio/ogg",
        ".png": "image/png",
        ".svg": "image/svg+xml; charset=utf-8",
        ".wasm": "application/wasm",
        ".wav": "audio/wav",
        ".webmanifest": "application/manifest+json; charset=utf-8",
        ".webp": "image/webp",
        ".woff2": "font/woff2",
    }
)
"""What is served, and as what: the platform's own table of types differs from machine to machine."""


def import_map(imports: Mapping[str, str]) -> str:
    """The import map for module specifier -> path below `/vendor/`, as it stands in the page."""
    return json.dumps({"imports": {name: f"/vendor/{path}" for name, path in imports.items()}}, separators=(",", ":"))


def content_security_policy(inline_script: str) -> str:
    """The policy of the pages: everything from here, and no inline script but this one.

    `'self'` in `connect-src` includes `ws:` and `wss:` to the same host (CSP level 3, section 6.7.2.8).
    """
    digest = base64.b64encode(hashlib.sha256(inline_script.encode()).digest()).decode()
    return "; ".join(
        (
            "default-src 'none'",
            f"script-src 'self' 'sha256-{digest}'",
            "style-src 'self'",
            "img-src 'self' data:",
            "media-src 'self' blob:",
            "font-src 'self'",
            "connect-src 'self'",
            "worker-src 'self'",
            "manifest-src 'self'",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        )
    )


@dataclass(frozen=True, slots=True)
class _Page:
    """A page as it is sent. `stamp` is that of the file it was made from."""

    stamp: tuple[int, int]
    body: bytes
    etag: str


class Pages:
    """The handlers of everything that is no API. Raises `HTTPNotFound` for what is not there or not meant to be seen."""

    def __init__(self, static: Path, vendor: Path, imports: Mapping[str, str] = resources.VENDOR_IMPORTS) -> None:
        self._static = static.resolve()
        self._vendor = vendor.resolve()
        self._import_map = import_map(imports)
        self._headers = {
            "Content-Security-Policy": content_security_policy(self._import_map),
            "Cache-Control": CACHE_CONTROL,
        }
        self._pages: dict[str, _Page] = {}

    async def index(self, request: web.Request) -> web.StreamResponse:
        return await self._page(request, "index.html")

    async def admin(self, request: web.Request) -> web.StreamResponse:
        return await self._page(request, "admin.html")

    async def example(self, request: web.Request) -> web.StreamResponse:
        return await self._page(request, "example/index.html")

    async def docs(self, request: web.Request) -> web.StreamResponse:
        """The viewer of the API's description."""
        return await self._page(request, "docs/index.html")

    async def example_redirect(self, request: web.Request) -> web.StreamResponse:
        """The page's relative links need the slash."""
        raise web.HTTPPermanentRedirect("/example/")

    async def example_file(self, request: web.Request) -> web.StreamResponse:
        return self._file(self._static, f"example/{request.match_info['path']}")

    async def static_file(self, request: web.Request) -> web.StreamResponse:
        return self._file(self._static, request.match_info["path"])

    async def favicon(self, request: web.Request) -> web.StreamResponse:
        """Browsers ask for it on their own."""
        return self._file(self._static, "favicon.svg")

    async def vendor_file(self, request: web.Request) -> web.StreamResponse:
        path = request.match_info["path"]
        if not resources.is_vendored(PurePosixPath(path)):
            raise web.HTTPNotFound
        return self._file(self._vendor, path)

    def _file(self, root: Path, relative: str) -> web.StreamResponse:
        tidy = PurePosixPath(relative)
        content_type = CONTENT_TYPES.get(tidy.suffix)
        if content_type is None or "\0" in relative or tidy.as_posix() != relative:
            raise web.HTTPNotFound
        path = (root / relative).resolve()
        # After `resolve` neither `..` nor a symbolic link leads out of the folder unseen.
        if not path.is_relative_to(root) or not path.is_file():
            raise web.HTTPNotFound
        return web.FileResponse(path, headers={**self._headers, "Content-Type": content_type})

    async def _page(self, request: web.Request, name: str) -> web.StreamResponse:
        page = await asyncio.to_thread(self._load, name)
        answer = web.Response(body=page.body, content_type="text/html", charset="utf-8", headers=self._headers)
        answer.etag = page.etag
        if request.if_none_match is not None and any(tag.value in ("*", page.etag) for tag in request.if_none_match):
            answer.body = None
            answer.set_status(304)
        return answer

    def _load(self, name: str) -> _Page:
        path = self._static / name
        try:
            status = path.stat()
            stamp = (status.st_mtime_ns, status.st_size)
            page = self._pages.get(name)
            if page is None or page.stamp != stamp:
                script = f'<script type="importmap">{self._import_map}</script>'
                body = path.read_text(encoding="utf-8").replace(IMPORT_MAP_MARKER, script).encode()
                page = self._pages[name] = _Page(stamp, body, hashlib.sha256(body).hexdigest()[:32])
        except FileNotFoundError:
            raise web.HTTPNotFound from None
        return page
