"""What holds for every route: one error shape, limits, methods, cross-origin rules, languages, headers."""

from __future__ import annotations

import gzip
import json
import re
from typing import Any

import pytest

from server.protocol import MAX_FRAME_BYTES, format_time
from server.web import answers
from server.web.contract import ApiRoute, Document
from server.web.routes import API_ROUTES, endpoints
from server.web.voice import SIGNALLING_PATH
from tests.web.conftest import MakeSite
from tests.web.site import Site, raw_request

POSTS = [route for route in API_ROUTES if route.method == "POST"]
GETS = [route for route in API_ROUTES if route.method == "GET"]
PAGES = ["/", "/api/docs", "/admin", "/admin.html", "/example/", "/static/lib/client.js", "/vendor/lit/index.js", "/favicon.ico"]


SESSION_ID = "e8b175c9-0352-46db-95d1-68dd4aac0110"


def path_of(route: ApiRoute) -> str:
    return route.path.format(world="materie", room_id="lobby", session_id=SESSION_ID, user_id="anna")


EVERYTHING = [*(path_of(route) for route in API_ROUTES), SIGNALLING_PATH, *PAGES]


def methods_of(path: str) -> set[str]:
    """The right ones."""
    if path == SIGNALLING_PATH:
        return {"GET"}
    found = {route.method for route in API_ROUTES if path_of(route) == path}
    return found | ({"HEAD"} if "GET" in found else set()) if found else {"GET", "HEAD"}


async def somebody_was_here(site: Site) -> None:
    """A session of anna's with the id that the paths name."""
    body = {"session_id": SESSION_ID, "room_id": "lobby", "user_id": "anna", "username": "Anna", "world": "materie"}
    started = {**body, "joined_at": format_time(site.clock.now())}
    assert (await site.post("/api/admin/voice-session/start", started, site.api)).status == 200


def route_id(route: ApiRoute) -> str:
    return f"{route.method} {route.path}"


def check_error(body: dict[str, Any], error: str) -> None:
    assert body["success"] is False
    assert body["error"] == error
    assert isinstance(body["message"], str)
    assert body["message"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", body["timestamp"])


@pytest.mark.parametrize("path", EVERYTHING)
@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "GET", "POST", "HEAD"])
async def test_a_wrong_method_is_told_the_right_ones(site: Site, path: str, method: str) -> None:
    right = methods_of(path)
    if method in right:
        return
    answer = await site.client.request(method, path, headers=site.api)
    assert answer.status == 405
    assert {name.strip() for name in answer.headers["Allow"].split(",")} == right | {"OPTIONS"}
    if method != "HEAD":
        body = await answer.json()
        check_error(body, "Method not allowed")
        assert set(body["allowed_methods"]) == right | {"OPTIONS"}


@pytest.mark.parametrize("path", ["/api", "/api/", "/api/nothing", "/api/voice/rooms/", "/api/voice/join/", "/nothing", "/%00"])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_an_unknown_route_is_told_what_there_is(site: Site, path: str, method: str) -> None:
    answer = await site.client.request(method, path)
    body = await answer.json()
    assert answer.status == 404
    check_error(body, "Not found")
    assert body["available_endpoints"] == list(endpoints())
    assert "POST /api/voice/join" in body["available_endpoints"]
    assert "GET /api/ws" in body["available_endpoints"]


@pytest.mark.parametrize("route", POSTS, ids=route_id)
@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b'{"username": NaN}', "not JSON"),
        (b'{"username": "\\ud800"}', "not JSON"),
        (b"[" * 60_000, "not JSON"),
        (b'"text"', "not a JSON object"),
        (b"[]", "not a JSON object"),
        (b"null", "not a JSON object"),
    ],
)
async def test_a_body_that_is_no_json_object_is_refused(site: Site, route: ApiRoute, body: bytes, reason: str) -> None:
    headers = {**site.api, "Content-Type": "application/json"}
    answer = await site.client.post(route.path, data=body, headers=headers)
    error = await answer.json()
    assert answer.status == 400
    check_error(error, "Invalid request")
    assert (error["field"], error["reason"]) == (None, reason)


@pytest.mark.parametrize("route", POSTS, ids=route_id)
@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/html"])
async def test_another_content_type_is_refused(site: Site, route: ApiRoute, content_type: str) -> None:
    answer = await site.client.post(route.path, data=b"{}", headers={**site.api, "Content-Type": content_type})
    error = await answer.json()
    assert answer.status == 400
    check_error(error, "Invalid request")
    assert error["reason"] == "Content-Type is not application/json"


@pytest.mark.parametrize("route", POSTS, ids=route_id)
@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_that_is_too_large_is_refused(site: Site, route: ApiRoute, chunked: bool) -> None:
    async def chunks() -> Any:
        yield b" " * 40_000
        yield b" " * 40_000

    data = chunks() if chunked else b" " * (MAX_FRAME_BYTES + 1)
    answer = await site.client.post(route.path, data=data, headers={**site.api, "Content-Type": "application/json"})
    error = await answer.json()
    assert answer.status == 413
    check_error(error, "Payload too large")
    assert error["max_bytes"] == 65_536


@pytest.mark.parametrize("route", [route for route in GETS if not isinstance(route.answer, Document)], ids=route_id)
async def test_get_answers_with_a_timestamp_and_head_with_the_same_headers(site: Site, route: ApiRoute) -> None:
    await somebody_was_here(site)
    got = await site.client.get(path_of(route), headers=site.api)
    body = await got.json()
    assert (got.status, body["success"], got.content_type, got.headers["Cache-Control"]) == (
        200,
        True,
        "application/json",
        "no-store",
    )
    assert re.fullmatch(r".+T.+\.\d{3}Z", body["timestamp"])
    head = await site.client.head(path_of(route), headers=site.api)
    assert (head.status, await head.read()) == (200, b"")
    assert head.headers["Content-Type"] == got.headers["Content-Type"]


@pytest.mark.parametrize(
    ("headers", "body", "reason"),
    [
        ("Content-Encoding: gzip\nContent-Length: 4", b"abcd", "the body cannot be decoded"),
        ("Content-Length: 100", b"{}", "the body is not complete"),
    ],
)
async def test_a_body_that_does_not_come_is_refused(
    site: Site, monkeypatch: pytest.MonkeyPatch, headers: str, body: bytes, reason: str
) -> None:
    monkeypatch.setattr(answers, "BODY_PATIENCE_SECONDS", 0.05)
    token = site.settings.api_tokens[0]
    head = f"POST /api/voice/join HTTP/1.1\nHost: x\nConnection: close\nAuthorization: Bearer {token}\n{headers}\n\n"
    answer = await raw_request(site, head, body)
    assert answer.startswith(b"HTTP/1.1 400 ")
    error = json.loads(answer.partition(b"\r\n\r\n")[2])
    check_error(error, "Invalid request")
    assert (error["field"], error["reason"]) == (None, reason)


async def test_a_small_body_that_unpacks_to_a_large_one_is_too_large(site: Site) -> None:
    headers = {**site.api, "Content-Encoding": "gzip", "Content-Type": "application/json"}
    answer = await site.client.post("/api/voice/join", data=gzip.compress(b" " * 10_000_000), headers=headers)
    assert answer.status == 413
    check_error(await answer.json(), "Payload too large")


async def test_what_is_no_http_is_refused_and_not_quoted_in_the_log(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    token = site.settings.api_tokens[0]
    answer = await raw_request(site, f"GET / HTTP/1.1\nHost: x\nAuthorization: Bearer {token}\x01\n\n")
    assert b" 400 " in answer.splitlines()[0]
    assert "a request could not be read" in caplog.text
    assert token not in caplog.text


# --- what fails here ----------------------------------------------------------------------------------------------


async def test_a_failure_is_logged_and_nothing_of_it_is_told(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(room_id: str) -> None:
        raise RuntimeError("a secret of ours")

    monkeypatch.setattr(site.service, "roster", broken)
    answer = await site.client.get("/api/voice/participants/lobby", headers=site.api)
    text = await answer.text()
    assert answer.status == 500
    check_error(await answer.json(), "Internal error")
    assert "secret" not in text
    assert "a secret of ours" in caplog.text
    assert "Traceback" in caplog.text


# --- languages ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("default", "asked", "message"),
    [
        ("de", None, "Diese Session gibt es nicht."),
        ("de", "fr", "Diese Session gibt es nicht."),
        ("de", "en-GB,en;q=0.9,de;q=0.8", "This session does not exist."),
        ("en", None, "This session does not exist."),
        ("en", "de-AT", "Diese Session gibt es nicht."),
    ],
)
async def test_messages_come_in_the_language_asked_for(
    make_site: MakeSite, default: str, asked: str | None, message: str
) -> None:
    site = await make_site({"default_language": default})
    headers = {**site.api, **({"Accept-Language": asked} if asked else {})}
    answer = await site.client.post("/api/voice/leave", json={"session_id": "x"}, headers=headers)
    error = await answer.json()
    assert (error["error"], error["message"]) == ("Session not found", message)


# --- from other origins -------------------------------------------------------------------------------------------

ORIGIN = "https://voice.example"


@pytest.mark.parametrize("path", [*EVERYTHING, "/api/nothing"])
async def test_a_preflight_is_answered_on_every_route(site: Site, path: str) -> None:
    asks = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
    answer = await site.client.options(path, headers=asks)
    assert (answer.status, await answer.read()) == (204, b"")
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "Authorization" in answer.headers["Access-Control-Allow-Headers"]
    assert "Content-Type" in answer.headers["Access-Control-Allow-Headers"]
    allowed = answer.headers["Access-Control-Allow-Methods"]
    assert ("POST" in allowed) is ("POST" in methods_of(path) or path == "/api/nothing")
    assert int(answer.headers["Access-Control-Max-Age"]) > 0
    assert "Access-Control-Allow-Credentials" not in answer.headers


async def test_options_without_a_preflight_tells_the_methods(site: Site) -> None:
    answer = await site.client.options("/api/voice/join")
    assert (answer.status, answer.headers["Allow"]) == (204, "OPTIONS, POST")
    assert "Access-Control-Allow-Methods" not in answer.headers
    assert (await site.client.options("/api/nothing")).status == 404


@pytest.mark.parametrize(
    ("allowed", "origin", "told"),
    [
        (("*",), ORIGIN, "*"),
        (("*",), None, "*"),
        ((ORIGIN,), ORIGIN, ORIGIN),
        ((ORIGIN,), "https://evil.example", None),
        ((ORIGIN,), None, None),
        ((ORIGIN,), "null", None),
    ],
)
@pytest.mark.parametrize("path", ["/api/health", "/api/nothing", "/", "/api/voice/rooms/materie"])
async def test_only_origins_of_the_setting_may_read(
    make_site: MakeSite, allowed: tuple[str, ...], origin: str | None, told: str | None, path: str
) -> None:
    site = await make_site({"allowed_origins": allowed})
    answer = await site.client.get(path, headers={"Origin": origin} if origin else {})
    assert answer.headers.get("Access-Control-Allow-Origin") == told
    assert ("Origin" in answer.headers.get("Vary", "")) is ("*" not in allowed)


# --- headers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [*EVERYTHING, "/api/nothing"])
async def test_every_answer_has_security_headers(site: Site, path: str) -> None:
    headers = (await site.client.get(path)).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Server"] == "Weltenstimme"
    assert headers["Permissions-Policy"].startswith("microphone=(self), camera=()")
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
