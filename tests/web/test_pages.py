"""Pages, scripts, npm packages: what a browser may load, as what, and under which policy."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import socket
from pathlib import Path

import pytest

from server import resources
from server.web.pages import CONTENT_TYPES, IMPORT_MAP_MARKER, content_security_policy, import_map
from tests.web.site import Site, raw_request

SCRIPT = re.compile(r'<script type="importmap">(.*?)</script>')


@pytest.mark.parametrize("path", ["/", "/admin", "/admin.html", "/example/", "/?world=materie&room=lobby"])
async def test_a_page_carries_the_import_map_that_its_policy_names(site: Site, path: str) -> None:
    answer = await site.client.get(path)
    text = await answer.text()
    assert (answer.status, answer.content_type, answer.charset, answer.headers["Cache-Control"]) == (
        200,
        "text/html",
        "utf-8",
        "no-cache",
    )
    assert "Grüße" in text
    assert IMPORT_MAP_MARKER not in text
    [script] = SCRIPT.findall(text)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'self' 'sha256-{digest}'" in answer.headers["Content-Security-Policy"]
    imports = json.loads(script)["imports"]
    assert imports == {name: f"/vendor/{target}" for name, target in resources.VENDOR_IMPORTS.items()}


def test_the_policy_lets_in_nothing_from_elsewhere() -> None:
    policy = content_security_policy(import_map({}))
    assert "unsafe" not in policy
    assert not re.search(r"https?:|ws:|\*", policy)
    for directive in ("default-src 'none'", "connect-src 'self'", "base-uri 'none'", "frame-ancestors 'none'"):
        assert directive in policy.split("; ")


async def test_a_page_is_asked_for_again_only_when_it_changed(site: Site, static: Path) -> None:
    first = await site.client.get("/")
    again = await site.client.get("/", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status, await again.read(), again.headers["ETag"]) == (304, b"", first.headers["ETag"])
    (static / "index.html").write_text("<!doctype html><p>new and longer than before</p>" + "x" * 500, encoding="utf-8")
    changed = await site.client.get("/", headers={"If-None-Match": first.headers["ETag"]})
    assert changed.status == 200
    assert "new and longer" in await changed.text()


async def test_the_folder_of_the_example_has_its_slash(site: Site) -> None:
    answer = await site.client.get("/example", allow_redirects=False)
    assert (answer.status, answer.headers["Location"]) == (308, "/example/")


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("/static/lib/client.js", "text/javascript; charset=utf-8"),
        ("/static/example/example.mjs", "text/javascript; charset=utf-8"),
        ("/example/example.mjs", "text/javascript; charset=utf-8"),
        ("/vendor/lit/index.js", "text/javascript; charset=utf-8"),
        ("/favicon.ico", "image/svg+xml; charset=utf-8"),
    ],
)
async def test_a_file_has_its_type_and_an_etag(site: Site, path: str, content_type: str) -> None:
    answer = await site.client.get(path)
    assert (answer.status, answer.headers["Content-Type"], answer.headers["Cache-Control"]) == (200, content_type, "no-cache")
    again = await site.client.get(path, headers={"If-None-Match": answer.headers["ETag"]})
    assert again.status == 304
    assert (await site.client.head(path)).status == 200


@pytest.mark.parametrize("suffix", sorted(CONTENT_TYPES))
async def test_every_type_of_the_table_is_served_as_it_says(site: Site, static: Path, suffix: str) -> None:
    (static / f"file{suffix}").write_bytes(b"content")
    answer = await site.client.get(f"/static/file{suffix}")
    assert (answer.status, answer.headers["Content-Type"]) == (200, CONTENT_TYPES[suffix])


@pytest.mark.parametrize(
    "path",
    [
        "/static/lib/notes.txt",
        "/static/lib",
        "/static/lib/",
        "/static/index.html",
        "/static/nothing.js",
        "/static/lib/client.js/",
        "/static/lib/client.js%00",
        "/vendor/typescript/index.js",
        "/vendor/lit/package.json",
        "/vendor/lit/node_modules/evil/index.js",
        "/vendor/lit/nothing.js",
    ],
)
async def test_what_is_not_meant_for_browsers_is_not_there(site: Site, path: str) -> None:
    answer = await site.client.get(path)
    assert (answer.status, (await answer.json())["error"]) == (404, "Not found")


async def test_a_page_that_is_missing_is_not_there(site: Site, static: Path) -> None:
    (static / "admin.html").unlink()
    assert (await site.client.get("/admin")).status == 404


@pytest.mark.parametrize("root", ["/static/", "/vendor/", "/example/", "/vendor/lit/", "/static/lib/"])
@pytest.mark.parametrize(
    "climb",
    [
        "../secret.js",
        "../../secret.js",
        "..%2fsecret.js",
        "..%2f..%2fsecret.js",
        "%2e%2e/secret.js",
        "%2e%2e%2fsecret.js",
        "..%5csecret.js",
        "....//secret.js",
        "x/../../secret.js",
        "/secret.js",
        "%2fsecret.js",
    ],
)
async def test_no_path_leads_out_of_the_folder(site: Site, static: Path, root: str, climb: str) -> None:
    (static.parent / "secret.js").write_text("secret", encoding="utf-8")
    # Without any client that would tidy the path up.
    answer = await raw_request(site, f"GET {root}{climb} HTTP/1.1\nHost: x\nConnection: close\n\n")
    assert b"secret\n" not in answer
    assert not answer.endswith(b"secret")
    assert answer.split(b" ", 2)[1] in {b"404", b"400"}


async def test_a_symbolic_link_leads_nowhere(site: Site, static: Path) -> None:
    secret = static.parent / "secret.js"
    secret.write_text("secret", encoding="utf-8")
    (static / "link.js").symlink_to(secret)
    (static / "folder").symlink_to(static.parent)
    assert (await site.client.get("/static/link.js")).status == 404
    assert (await site.client.get("/static/folder/secret.js")).status == 404


async def test_what_is_no_file_is_not_opened(site: Site, static: Path) -> None:
    os.mkfifo(static / "pipe.js")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(static / "socket.js"))
        assert (await site.client.get("/static/pipe.js")).status == 404
        assert (await site.client.get("/static/socket.js")).status == 404
