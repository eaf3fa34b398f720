"""Every route × every error that it says it has: seen on the wire, in the one shape, with the status that its class has."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import ClientResponse

from server import errors
from server.errors import VoiceError
from server.limit_rules import KINDS, LimitRule
from server.protocol import format_time
from server.voice.service import VoiceService
from server.web.contract import Access, ApiRoute
from server.web.limits import RateLimiter
from server.web.routes import API_ROUTES
from tests.web.conftest import MakeSite
from tests.web.site import Site, bearer
from tests.web.test_contract import check_error, path_of, route_id

COMMON = {errors.Unauthorized, errors.Forbidden, errors.RateLimited}
"""Of every route that is not open to everybody."""
JOIN = {"room_id": "lobby", "user_id": "anna", "username": "Anna", "world": "materie"}
ACTION = {"action_type": "kick", "target_user_id": "anna", "world": "materie", "room_id": "lobby"}
BODIES: dict[str, Callable[[Site], dict[str, Any]]] = {
    "/api/auth/guest": lambda site: {"username": "Anna"},
    "/api/voice/join": lambda site: JOIN,
    "/api/voice/leave": lambda site: {"session_id": "s1"},
    "/api/voice/report": lambda site: {"target_user_id": "anna", "room_id": "lobby", "user_id": "ben"},
    "/api/admin/actions": lambda site: ACTION,
    "/api/admin/action/log": lambda site: {**ACTION, "admin_user_id": "root"},
    "/api/admin/voice-session/start": lambda site: {**JOIN, "session_id": "s1", "joined_at": format_time(site.clock.now())},
    "/api/admin/voice-session/end": lambda site: {
        "session_id": "s1",
        "room_id": "lobby",
        "user_id": "anna",
        "left_at": format_time(site.clock.now()),
        "duration_seconds": 1,
        "speaking_seconds": 1,
    },
}
"""A good body for each POST."""


def possible(route: ApiRoute) -> set[type[VoiceError]]:
    return {*route.errors, *(COMMON if route.access is not Access.OPEN else ())}


PAIRS = [(route, error) for route in API_ROUTES for error in sorted(possible(route), key=lambda error: error.__name__)]


@dataclass
class Scene:
    """What a request needs to meet an error: made by a stage, then asked."""

    site: Site
    route: ApiRoute
    headers: dict[str, str] = field(default_factory=dict)

    async def ask(self, headers: Mapping[str, str] | None = None, **changes: Any) -> ClientResponse:
        headers = self.headers if headers is None else headers
        if self.route.method == "GET":
            return await self.site.client.get(path_of(self.route), headers=headers)
        return await self.site.post(self.route.path, {**BODIES[self.route.path](self.site), **changes}, headers)


async def unauthorized(scene: Scene) -> ClientResponse:
    return await scene.ask({})


async def forbidden(scene: Scene) -> ClientResponse:
    if scene.route.path == "/api/auth/guest":
        return await scene.ask()
    # Somebody else's token, with grants that reach nowhere.
    token = scene.site.user_token("eve", worlds=[], rooms=[])
    if scene.route.path == "/api/voice/leave":
        joined = await scene.site.join("anna")
        return await scene.ask(bearer(token), session_id=joined["session_id"])
    return await scene.ask(bearer(token))


async def rate_limited(scene: Scene) -> ClientResponse:
    await scene.ask()
    return await scene.ask()


async def room_full(scene: Scene) -> ClientResponse:
    for number in range(10):
        await scene.site.join(f"user {number}")
    return await scene.ask()


async def banned(scene: Scene) -> ClientResponse:
    ban = {"action_type": "ban", "target_user_id": "anna", "world": "materie"}
    assert (await scene.site.post("/api/admin/actions", ban, scene.site.api)).status == 200
    return await scene.ask()


async def already_in_room(scene: Scene) -> ClientResponse:
    await scene.site.join("anna")
    return await scene.ask()


async def draining(scene: Scene) -> ClientResponse:
    await VoiceService.close(scene.site.service)
    return await scene.ask()


async def not_there(scene: Scene) -> ClientResponse:
    if scene.route.path == "/api/voice/report":
        await scene.site.join("ben")  # who reports has to be in the room
    return await scene.ask()


async def ended_before(scene: Scene) -> ClientResponse:
    joined = await scene.site.join("anna")
    scene.site.clock.advance(2)
    here = {"session_id": joined["session_id"]}
    assert (await scene.ask(**here)).status == 200
    return await scene.ask(**here)


async def at_capacity(scene: Scene) -> ClientResponse:
    """The database has more to do than it takes on."""
    await scene.site.join("anna")
    await scene.site.join("ben", "attic" if scene.route.path == "/api/voice/join" else "lobby")
    database = scene.site.database
    held, go_on = threading.Event(), threading.Event()

    def hold(_: object) -> None:
        held.set()
        go_on.wait(10)

    holding = [asyncio.create_task(work(hold)) for work in (database.read, database.write)]
    assert await asyncio.to_thread(held.wait, 5)
    database._max_waiting = 1
    try:
        return await scene.ask()
    finally:
        go_on.set()
        database._max_waiting = 4096
        await asyncio.gather(*holding)


STAGES: dict[type[VoiceError], Callable[[Scene], Awaitable[ClientResponse]]] = {
    errors.Unauthorized: unauthorized,
    errors.Forbidden: forbidden,
    errors.RateLimited: rate_limited,
    errors.RoomFull: room_full,
    errors.Banned: banned,
    errors.AlreadyInRoom: already_in_room,
    errors.Draining: draining,
    errors.SessionNotFound: not_there,
    errors.UserNotFound: not_there,
    errors.TargetNotFound: not_there,
    errors.SessionAlreadyEnded: ended_before,
    errors.ServerAtCapacity: at_capacity,
}


async def scene_of(make_site: MakeSite, route: ApiRoute, error: type[VoiceError]) -> Scene:
    changes: dict[str, Any] = {}
    if error is errors.RateLimited:
        changes["limiter"] = RateLimiter(dict.fromkeys(KINDS, LimitRule(1, 3600)))
    guests = not (route.path == "/api/auth/guest" and error is errors.Forbidden)
    site = await make_site({"guests": guests}, **changes)
    return Scene(site, route, site.api)


@pytest.mark.parametrize(("route", "error"), PAIRS, ids=[f"{route_id(route)}: {error.error}" for route, error in PAIRS])
async def test_every_error_of_every_route(make_site: MakeSite, route: ApiRoute, error: type[VoiceError]) -> None:
    scene = await scene_of(make_site, route, error)
    answer = await STAGES[error](scene)
    body = await answer.json()
    assert answer.status == error.status, body
    check_error(body, error.error)
    if error.status in (429, 503):
        assert int(answer.headers["Retry-After"]) >= 1
    assert ("WWW-Authenticate" in answer.headers) is (error.status == 401)


@pytest.mark.parametrize("route", [route for route in API_ROUTES if route.method == "POST"], ids=route_id)
async def test_every_post_succeeds_with_a_good_body(site: Site, route: ApiRoute) -> None:
    scene = Scene(site, route, site.api)
    changes: dict[str, Any] = {}
    if route.path in {"/api/voice/leave", "/api/voice/report", "/api/admin/actions", "/api/admin/voice-session/end"}:
        joined = await site.join("anna")
        await site.join("ben")
        site.clock.advance(2)
        changes = {"session_id": joined["session_id"]}
    answer = await scene.ask(**changes)
    body = await answer.json()
    assert (answer.status, body["success"]) == (200, True), body
    assert not isinstance(route.answer, type) or set(body) == set(route.answer.model_fields)
